import { join } from 'node:path'
import { temporaryFolder } from '../../../test/support/folder.js'
import { selectsSpec } from '../../../test/support/selects-spec.js'
import { openDuckdb } from './index.js'

selectsSpec({
  kind: 'duckdb',
  place: () => {
    const path = join(temporaryFolder(), 'a', 'b.duckdb')
    return Promise.resolve(() => openDuckdb({ path, mode: 'write' }))
  },
})
