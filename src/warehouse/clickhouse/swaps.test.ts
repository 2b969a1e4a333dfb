import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { chdbMissing } from '../../../test/support/clickhouse-server.js'
import { temporaryFolder } from '../../../test/support/folder.js'
import { swapSpec } from '../../../test/support/swap-spec.js'
import { openClickhouse } from './index.js'

const missing = chdbMissing()
if (missing !== undefined) process.stderr.write(`SKIPPED: swaps of ClickHouse, for chdb does not load here: ${missing}\n`)

describe.skipIf(missing !== undefined)('ClickHouse inside of the process', () => {
  swapSpec({
    kind: 'clickhouse',
    place: () => {
      const path = join(temporaryFolder(), 'ch')
      return Promise.resolve((mode: 'write' | 'plan' = 'write') => openClickhouse({ url: `chdb:${path}`, mode }))
    },
  })
})

test('whether it was tested is said', () => {
  expect([undefined, missing]).toContain(missing)
})
