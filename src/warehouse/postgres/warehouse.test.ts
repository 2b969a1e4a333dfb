import { postgresEngine } from '../../../test/support/postgres.js'
import { checksSpec } from '../../../test/support/checks-spec.js'
import { warehouseSpec } from '../../../test/support/warehouse-spec.js'

warehouseSpec(postgresEngine)

checksSpec(postgresEngine)
