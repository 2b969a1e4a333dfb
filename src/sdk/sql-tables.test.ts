import { describe, expect, test } from 'vitest'
import { queryProblem, readsOnly, tablesIn } from './sql-tables.js'

const tables = ['blocks', 'transactions', 'prices', 'Odd name', 'tokens']
const found = (sql: string) => tablesIn(sql, tables)

describe('the tables of a query', () => {
  test.each([
    ['SELECT count(*) FROM blocks', ['blocks']],
    ['select 1 from BLOCKS b', ['blocks']],
    ['SELECT * FROM blocks b LEFT JOIN transactions t ON t.n = b.n', ['blocks', 'transactions']],
    ['SELECT * FROM blocks b, transactions AS t, tokens WHERE b.n = t.n', ['blocks', 'transactions', 'tokens']],
    ['SELECT * FROM blocks JOIN tokens USING (n), prices', ['blocks', 'prices', 'tokens']],
    [
      'SELECT * FROM (SELECT n, m FROM blocks) x JOIN (transactions t JOIN prices p ON t.a = p.a) ON x.n = t.n',
      ['blocks', 'transactions', 'prices'],
    ],
    ['WITH a AS (SELECT n FROM blocks), b AS (SELECT * FROM prices) SELECT * FROM a, b', ['blocks', 'prices']],
    ['SELECT (SELECT usd FROM prices p WHERE p.t = b.t LIMIT 1) FROM blocks b', ['blocks', 'prices']],
    ['SELECT n FROM main.blocks UNION ALL SELECT n FROM memory.main."transactions"', ['blocks', 'transactions']],
    ['SELECT * FROM "Odd name"', ['Odd name']],
    ['FROM blocks SELECT n', ['blocks']],
    ['TABLE blocks', ['blocks']],
    ['SELECT * FROM a, LATERAL (SELECT * FROM tokens WHERE tokens.a = a.a) t', ['tokens']],
    ['SELECT EXISTS (SELECT 1 FROM blocks), x FROM prices', ['blocks', 'prices']],
    ['SELECT * FROM generate_series(1, 2) AS tokens, blocks', ['blocks']],
  ])('%s', (sql, expected) => expect(found(sql)).toEqual(expected))

  test.each([
    ['a column or an alias of the same name', 'SELECT sum(blocks) AS blocks, count(*) AS transactions FROM daily GROUP BY prices'],
    [
      'a name in a text, a comment or a longer name',
      "SELECT 'FROM blocks' /* FROM prices */ FROM daily -- JOIN tokens\n WHERE from_blocks = 1",
    ],
    ['a quoted name of another case', 'SELECT * FROM "BLOCKS"'],
    ['what follows the list of tables', 'SELECT a FROM daily ORDER BY a, blocks'],
  ])('%s is none', (_, sql) => expect(found(sql)).toEqual([]))
})

describe('one query', () => {
  test('is a SELECT, also in brackets or after WITH', () => {
    for (const sql of ['SELECT 1', '  -- why\nselect 1', 'WITH a AS (SELECT 1) SELECT * FROM a', '(SELECT 1)', "SELECT ';'", 'FROM t'])
      expect(queryProblem(sql)).toBeUndefined()
  })

  test.each([
    ['DELETE FROM t', 'begins with DELETE'],
    ['"select" 1', 'begins with select'],
    ['-- nothing', 'is empty'],
    ['SELECT 1; DROP TABLE t', 'holds a ;'],
    ['SELECT 1;', 'holds a ;'],
  ])('%s is none', (sql, message) => expect(queryProblem(sql)?.message).toBe(message))
})

describe('a query reads only rows of one value', () => {
  const only = (sql: string, value = '$chain.name') => readsOnly(sql, ['blocks', 'prices'], 'origin_key', value)

  test.each([
    ['SELECT n FROM blocks WHERE origin_key = $chain.name AND n > 1'],
    ['SELECT b.n FROM blocks b JOIN prices p ON p.t = b.t AND p.origin_key = $chain.name WHERE b."origin_key"=$chain.name'],
    ['WITH a AS (SELECT n FROM blocks WHERE origin_key = $chain.name) SELECT n FROM a JOIN daily USING (n)'],
    ['SELECT 1 FROM daily'],
    ['SELECT n FROM blocks AS b LEFT JOIN prices p ON p.t = b.t AND p.origin_key = $chain.name WHERE b.origin_key = $chain.name'],
    ['SELECT n FROM blocks WHERE origin_key = $chain.name UNION ALL SELECT n FROM prices WHERE prices.origin_key = $chain.name'],
    ['SELECT n FROM main.blocks, "prices" WHERE blocks.origin_key = $chain.name AND prices.origin_key = $chain.name'],
  ])('when it asks each table for it: %s', (sql) => expect(only(sql)).toBe(true))

  test.each([
    ['SELECT n FROM blocks'],
    ['SELECT n FROM blocks WHERE origin_key <> $chain.name'],
    ['SELECT n FROM blocks WHERE origin_key = $chain.id'],
    ['SELECT n FROM blocks WHERE origin_key = $chain.names'],
    ["SELECT n FROM blocks WHERE origin_key = 'base' -- origin_key = $chain.name"],
    ['SELECT n FROM blocks WHERE origin_key = $chain.name OR n = 1'],
    ['SELECT n FROM blocks b JOIN prices p ON p.origin_key = b.origin_key WHERE b.origin_key = $chain.name'],
    ['SELECT n FROM blocks WHERE NOT origin_key = $chain.name'],
    ['SELECT n FROM blocks WHERE n = 1 AND (origin_key = $chain.name) IS NULL'],
    ['SELECT origin_key = $chain.name AS own, count(*) AS n FROM blocks GROUP BY 1'],
    ['SELECT count(*) FILTER (WHERE origin_key = $chain.name) AS n FROM blocks'],
    ['SELECT sum(CASE WHEN origin_key = $chain.name THEN 1 END) AS n FROM blocks'],
    ['SELECT n, (SELECT count(*) FROM blocks) FROM blocks WHERE origin_key = $chain.name'],
    ['SELECT n FROM blocks a LEFT JOIN prices b ON a.origin_key = $chain.name AND b.origin_key = $chain.name'],
    ['SELECT n FROM blocks a LEFT JOIN prices b ON a.t = b.t AND a.origin_key = $chain.name WHERE a.origin_key = $chain.name'],
    ['SELECT n FROM blocks a FULL JOIN prices b ON b.origin_key = $chain.name WHERE a.origin_key = $chain.name'],
    ['SELECT n FROM blocks a JOIN other o ON a.t = o.t WHERE o.origin_key = $chain.name'],
    ['SELECT n FROM blocks a JOIN other o ON a.t = o.t WHERE origin_key = $chain.name'],
    ['SELECT n FROM blocks WHERE origin_key = $chain.name UNION ALL SELECT n FROM prices'],
    ['SELECT n FROM blocks, prices WHERE blocks.origin_key = $chain.name AND blocks.origin_key = $chain.name'],
    ["SELECT n FROM blocks WHERE origin_key = $chain.name + 'x'"],
  ])('and not when it may read others: %s', (sql) => expect(only(sql)).toBe(false))

  test('a text is one in quotes', () => {
    expect(only("SELECT n FROM blocks WHERE origin_key = 'it''s'", "it's")).toBe(true)
    expect(only("SELECT n FROM blocks WHERE origin_key = 'it''s' || 'x'", "it's")).toBe(false)
    expect(only("SELECT n FROM blocks WHERE origin_key = 'base'''", 'base')).toBe(false)
  })
})
