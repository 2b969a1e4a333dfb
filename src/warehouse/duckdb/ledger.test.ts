import { join } from 'node:path'
import { temporaryFolder } from '../../../test/support/folder.js'
import { ledgerSpec } from '../../../test/support/warehouse-spec.js'
import { openDuckdb } from './index.js'

ledgerSpec({
  kind: 'duckdb',
  place: () => {
    const path = join(temporaryFolder(), 'a', 'b.duckdb')
    return Promise.resolve((mode = 'write') => openDuckdb({ path, mode }))
  },
})
