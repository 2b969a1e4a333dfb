import { join } from 'node:path'
import { expect, test } from 'vitest'
import { temporaryFolder } from '../../../test/support/folder.js'
import { fillSource, of, publish, tables } from '../../../test/support/publish.js'
import { swapSpec } from '../../../test/support/swap-spec.js'
import { all } from '../../../test/support/warehouse.js'
import type { Engine } from '../../../test/support/warehouse-spec.js'
import { rollBack } from '../../ledger/versions.js'
import { sqlText } from '../../sdk/index.js'
import { openDuckdb } from './index.js'

const engine: Engine = {
  kind: 'duckdb',
  place: () => {
    const path = join(temporaryFolder(), 'a.duckdb')
    return Promise.resolve((mode = 'write') => openDuckdb({ path, mode }))
  },
}
swapSpec(engine)

test('a table keeps its indexes, views and comments when it is exchanged, and when it comes back', async () => {
  const warehouse = await (await engine.place())()
  try {
    await fillSource(warehouse)
    await publish(warehouse, 1)
    await warehouse.execute(
      ['CREATE UNIQUE INDEX "once more" ON flows (v, k)', 'CREATE VIEW seen AS SELECT max(v) AS v FROM flows'].map((text) => sqlText(text)),
    )
    const look = () =>
      all(
        warehouse,
        `SELECT sql, (SELECT v FROM seen) AS v FROM duckdb_indexes() WHERE table_name = 'flows'
        UNION ALL SELECT sql, NULL FROM duckdb_tables() WHERE table_name = 'flows' ORDER BY sql`,
      )
    const before = await look()
    expect(before.length).toBe(3)
    const says = (v: string) => before.map((row) => (row.v === null ? row : { ...row, v }))
    await publish(warehouse, 2)
    expect(await look()).toEqual(says('2'))
    const { from, to, ...swap } = rollBack(await of(warehouse, 3), tables)
    await warehouse.amend('p', { swap }, 3n)
    expect([from, to, await look()]).toEqual([2, 1, says('1')])
  } finally {
    await warehouse.close()
  }
})

test('a table that a foreign key refers to is refused by name before anything is built', async () => {
  const warehouse = await (await engine.place())()
  try {
    await fillSource(warehouse)
    await publish(warehouse, 1)
    await warehouse.execute([sqlText('CREATE TABLE notes (k BIGINT REFERENCES flows (k))')])
    await expect(publish(warehouse, 2, { swap: false })).rejects.toMatchObject({
      code: 'NOT_SWAPPABLE',
      message:
        "table flows can't be exchanged: table notes refers to it (FOREIGN KEY (k) REFERENCES flows(k)), and DuckDB renames no such table",
      hint: 'make notes anew without that foreign key',
    })
    expect(await all(warehouse, 'SELECT DISTINCT v FROM flows')).toEqual([{ v: '1' }])
  } finally {
    await warehouse.close()
  }
})
