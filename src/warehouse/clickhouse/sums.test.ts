import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { chdbMissing } from '../../../test/support/clickhouse-server.js'
import { temporaryFolder } from '../../../test/support/folder.js'
import { all } from '../../../test/support/warehouse.js'
import { sqlText } from '../../sdk/index.js'
import { openClickhouse } from './index.js'
import { checkedSums } from './sums.js'

test.each([
  'SELECT count(*), max(x), sum(DISTINCT x), total.sum(x) FROM t',
  'SELECT \'sum(x)\', "sum(x)", `sum(x)` /* sum(x) */ FROM t -- sum(x)',
  'SELECT assume(x), sum FROM t',
  'SELECT sum(x',
])('leaves alone: %s', (query) => {
  expect(checkedSums(query)).toBe(query)
})

describe.skipIf(chdbMissing() !== undefined)('checked sums', () => {
  test('give what the sums themselves give, with the same types', async () => {
    const warehouse = await openClickhouse({ url: `chdb:${join(temporaryFolder(), 'ch')}`, mode: 'write' })
    const source =
      '(SELECT number % 3 AS k, toInt64(number) - 5 AS i, toUInt256(number) * 7 AS u, toDecimal128(number, 2) AS d, if(k = 1, NULL, number / 4) AS f FROM numbers(20)) AS t'
    for (const query of [
      `SELECT k, sum(i) AS a, SUM (u) AS b, sum(d) AS c, sum(f) AS e, sum(if(k = 2, NULL, i)) AS g FROM ${source} GROUP BY k ORDER BY 1`,
      `SELECT k, sumIf(u, i > 0) AS a, sum(u) FILTER (WHERE i > 2) AS b FROM ${source} GROUP BY 1 HAVING sum(u) > 1 ORDER BY sum(u) DESC`,
      `SELECT i, sum(u) OVER (PARTITION BY k ORDER BY i) AS a, sum(i) OVER w AS b FROM ${source} WINDOW w AS (ORDER BY i) ORDER BY i`,
      `SELECT k, sum(sum(u)) OVER (ORDER BY k) AS a FROM ${source} GROUP BY k ORDER BY k`,
      `SELECT sum(u -- all of ), them\n) AS a, CAST(sum(i) / 2 AS Decimal(20, 2)) AS b, coalesce(sum(i), 0) AS c FROM ${source} WHERE k = 9`,
      `WITH s AS (SELECT k, sum(u) AS v FROM ${source} GROUP BY ALL) SELECT sum(v) AS a FROM s`,
    ]) {
      expect(checkedSums(query)).toContain('throwIf')
      expect(await warehouse.describe(sqlText(checkedSums(query)))).toEqual(await warehouse.describe(sqlText(query)))
      expect(await all(warehouse, checkedSums(query))).toEqual(await all(warehouse, query))
    }
    await warehouse.close()
  })
})
