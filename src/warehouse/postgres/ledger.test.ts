import { postgresEngine } from '../../../test/support/postgres.js'
import { ledgerSpec } from '../../../test/support/warehouse-spec.js'
import { selectsSpec } from '../../../test/support/selects-spec.js'

ledgerSpec(postgresEngine)
selectsSpec(postgresEngine)
