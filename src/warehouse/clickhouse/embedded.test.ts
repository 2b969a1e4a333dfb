import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { chdbMissing } from '../../../test/support/clickhouse-server.js'
import { temporaryFolder } from '../../../test/support/folder.js'
import { all, output, step, table, write } from '../../../test/support/warehouse.js'
import { checksSpec } from '../../../test/support/checks-spec.js'
import { ledgerSpec, warehouseSpec } from '../../../test/support/warehouse-spec.js'
import { openClickhouse } from './index.js'

const missing = chdbMissing()
if (missing !== undefined) process.stderr.write(`SKIPPED: ClickHouse inside of the process, for chdb does not load here: ${missing}\n`)

describe.skipIf(missing !== undefined)('ClickHouse inside of the process', () => {
  const engine = {
    kind: 'clickhouse' as const,
    days: ['1900-01-01', '2299-12-31'] as const,
    place: () => {
      const path = join(temporaryFolder(), 'ch')
      return Promise.resolve((mode: 'write' | 'plan' = 'write') => openClickhouse({ url: `chdb:${path}`, mode }))
    },
  }
  warehouseSpec(engine)
  checksSpec(engine)
  ledgerSpec(engine)

  test.each(['a{b,c}', "it's *?", 'a :: b'])('takes rows into a folder whose name means something in patterns: %s', async (name) => {
    const numbers = table('numbers', { n: 'bigint' }, ['n'])
    const warehouse = await openClickhouse({ url: `chdb:${join(temporaryFolder(), name)}`, mode: 'write' })
    try {
      await warehouse.prepare([numbers])
      await warehouse.open(step, ['u'], 1n)
      await warehouse.commit([write([{ output: output(numbers), rows: [{ n: 1 }] }])])
      expect(await all(warehouse, 'SELECT n FROM numbers')).toEqual([{ n: 1n }])
    } finally {
      await warehouse.close()
    }
  })

  test.each(['ch', 'a{b,c}'])('leaves no file of rows behind that its statements read: %s', async (name) => {
    const doubled = table('doubled', { n: 'bigint', twice: 'bigint' }, ['n'])
    const path = join(temporaryFolder(), name)
    const warehouse = await openClickhouse({ url: `chdb:${path}`, mode: 'write' })
    try {
      await warehouse.prepare([doubled])
      await warehouse.open(step, ['u'], 1n)
      const rows = Array.from({ length: 10_000 }, (_, i) => ({ n: BigInt(i) }))
      await warehouse.commit([write([{ output: output(doubled, { compute: { twice: 'n * 2' } }), rows }])])
      expect(await all(warehouse, 'SELECT count(*) AS n, sum(twice) AS sum FROM doubled')).toEqual([{ n: 10_000n, sum: 99_990_000n }])
    } finally {
      await warehouse.close()
    }
    expect(readdirSync(path).filter((file) => file.startsWith('pipe_rows'))).toEqual([])
  })
})

test('whether it was tested is said', () => {
  expect([undefined, missing]).toContain(missing)
})
