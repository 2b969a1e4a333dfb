import { postgresEngine } from '../../../test/support/postgres.js'
import { swapSpec } from '../../../test/support/swap-spec.js'

swapSpec(postgresEngine)
