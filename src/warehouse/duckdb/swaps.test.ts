import { join } from 'node:path'
import { temporaryFolder } from '../../../test/support/folder.js'
import { swapSpec } from '../../../test/support/swap-spec.js'
import type { Engine } from '../../../test/support/warehouse-spec.js'
import { openDuckdb } from './index.js'

const engine: Engine = {
  kind: 'duckdb',
  place: () => {
    const path = join(temporaryFolder(), 'a.duckdb')
    return Promise.resolve((mode = 'write') => openDuckdb({ path, mode }))
  },
}
swapSpec(engine)
