import { ledgerSpec, warehouseSpec, type Engine } from '../../../test/support/warehouse-spec.js'
import { postgresDatabase, withParams } from '../../../test/support/postgres.js'
import { openPostgres } from './index.js'

let database: Promise<string> | undefined
let places = 0

const engine: Engine = {
  kind: 'postgres',
  place: async () => {
    const url = withParams(await (database ??= postgresDatabase()), { schema: `place ${places++}` })
    return () => openPostgres({ url, mode: 'write' })
  },
}

warehouseSpec(engine)
ledgerSpec(engine)
