import { postgresEngine } from '../../../test/support/postgres.js'
import { warehouseSpec } from '../../../test/support/warehouse-spec.js'

warehouseSpec(postgresEngine)
