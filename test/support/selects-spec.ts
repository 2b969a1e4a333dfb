import fc from 'fast-check'
import { afterAll, afterEach, describe, expect, test } from 'vitest'
import {
  type Consumer,
  intervalAxis,
  sqlText,
  type SelectWrite,
  type Statement,
  type Stretch,
  type Table,
  type UnitWrite,
  type Warehouse,
} from '../../src/sdk/index.js'
import { intervalRule } from '../../src/ledger/owner.js'
import { all, output, step, table, write } from './warehouse.js'
import { sqlType } from '../../src/warehouse/types.js'
import type { Engine } from './warehouse-spec.js'

const DAY = 86_400_000_000n
const MARCH = 1_709_251_200_000_000n
const day = (n: number) => MARCH + BigInt(n) * DAY

const moves = table('moves', { id: 'bigint', time: 'timestamp?', amount: 'uint256' }, ['id'])
const daily = table('daily', { chain: 'text', day: 'date', moves: 'bigint', total: 'uint256', note: 'text?' }, ['chain', 'day'], {
  range: 'day',
})
const per = (interval: Consumer['interval'], of = 'moves', name = 's'): Consumer => ({ pipeline: 'p', step: name, table: of, interval })
const byDay = { column: 'time', everyUs: DAY, lookbackUs: 0n }

const open: Warehouse[] = []

async function openedIn(
  engine: Engine,
  consumers: readonly Consumer[] = [],
  tables: readonly Table[] = [moves, daily],
): Promise<Warehouse> {
  const warehouse = await prepared(engine, consumers, tables)
  open.push(warehouse)
  return warehouse
}

async function prepared(engine: Engine, consumers: readonly Consumer[], tables: readonly Table[]): Promise<Warehouse> {
  const warehouse = await (await engine.place())()
  await warehouse.prepare(tables)
  await warehouse.open(step, ['u'], 1n)
  warehouse.watch(consumers)
  return warehouse
}

const put = (warehouse: Warehouse, ...rows: readonly (readonly [id: number, at: bigint | null, amount: bigint])[]) =>
  warehouse.commit([write([{ output: output(moves), rows: rows.map(([id, at, amount]) => ({ id, time: at, amount })) }])])

const touched = async (warehouse: Warehouse, name = 's') => (await warehouse.touched('p', name)).map(({ unit }) => unit).sort()

const clear = (warehouse: Warehouse, unit: string) =>
  warehouse
    .open(step, [unit], 2n)
    .then((rows) => warehouse.commit([write([], { unit, epoch: rows.get(unit)?.epoch ?? 0n, clearsTouched: true })]))

const ethereum = output(daily, { constants: { chain: 'ethereum' } })
const select = (sql: string | Statement, replace?: Stretch | 'all', more: Partial<SelectWrite> = {}): SelectWrite => ({
  output: { ...ethereum, columns: ['day', 'moves', 'total'] },
  sql: typeof sql === 'string' ? sqlText(sql) : sql,
  replace,
  ...more,
})
const commit = (warehouse: Warehouse, ...selects: readonly SelectWrite[]) => warehouse.commit([write([], { selects })])
const content = (warehouse: Warehouse) => all(warehouse, 'SELECT chain, day, moves, total, note FROM daily ORDER BY 1, 2')
const stretch = (from: number, to: number): Stretch => ({
  table: 'daily',
  column: 'day',
  from: day(from),
  to: day(to) - 1n,
  constants: { chain: 'ethereum' },
})

/** How rows of queries are written and what commits touch, the same on each warehouse. */
export function selectsSpec(engine: Engine): void {
  const date = sqlType({ kind: 'date' }, engine.kind)
  const perDay = `SELECT CAST(time AS ${date}) AS day, count(*) AS moves, sum(amount) AS total FROM moves WHERE time IS NOT NULL GROUP BY 1`
  const opened = (consumers?: readonly Consumer[], tables?: readonly Table[]) => openedIn(engine, consumers, tables)
  afterEach(async () => {
    for (const warehouse of open.splice(0)) await warehouse.close()
  })

  describe('a select', () => {
    test('writes what its query gives, with the constants, and counts it', async () => {
      const warehouse = await opened()
      await put(warehouse, [1, day(0), 2n ** 200n], [2, day(0) + 5n, 1n], [3, day(1), 7n], [4, null, 9n])
      expect(await commit(warehouse, select(perDay))).toEqual([{ written: true, rows: { daily: 2 } }])
      expect(await content(warehouse)).toEqual([
        { chain: 'ethereum', day: '2024-03-01', moves: 2n, total: 2n ** 200n + 1n, note: null },
        { chain: 'ethereum', day: '2024-03-02', moves: 1n, total: 7n, note: null },
      ])
    })

    test('sees the rows of its own commit', async () => {
      const warehouse = await opened()
      await warehouse.commit([
        write([{ output: output(moves), rows: [{ id: 1n, time: day(3), amount: 5n }] }], { selects: [select(perDay)] }),
      ])
      expect(await content(warehouse)).toEqual([{ chain: 'ethereum', day: '2024-03-04', moves: 1n, total: 5n, note: null }])
    })

    test('replaces in its stretch and with its constants only', async () => {
      const warehouse = await opened()
      const row = (n: number, chain: string) =>
        `SELECT '${chain}' AS chain, DATE '2024-03-0${n}' AS day, 1 AS moves, 1 AS total, 'old' AS note`
      const old = [1, 2, 3].flatMap((n) => ['ethereum', 'base'].map((chain) => row(n, chain))).join(' UNION ALL ')
      await commit(warehouse, { output: { ...output(daily) }, sql: sqlText(old), replace: undefined })
      await put(warehouse, [1, day(1), 5n])
      const query = `${perDay} HAVING CAST(time AS ${date}) = DATE '2024-03-02'`
      await commit(warehouse, select(query, stretch(1, 3)))
      const kept = { moves: 1n, total: 1n, note: 'old' }
      expect(await content(warehouse)).toEqual([
        ...['2024-03-01', '2024-03-02', '2024-03-03'].map((d) => ({ chain: 'base', day: d, ...kept })),
        { chain: 'ethereum', day: '2024-03-01', ...kept },
        { chain: 'ethereum', day: '2024-03-02', moves: 1n, total: 5n, note: null },
      ])
      await commit(warehouse, select(query, 'all'))
      expect((await content(warehouse)).map((each) => [each.chain, each.day])).toEqual([
        ['base', '2024-03-01'],
        ['base', '2024-03-02'],
        ['base', '2024-03-03'],
        ['ethereum', '2024-03-02'],
      ])
    })

    test('that gives nothing empties its stretch', async () => {
      const warehouse = await opened()
      await put(warehouse, [1, day(1), 5n], [2, day(2), 5n])
      await commit(warehouse, select(perDay))
      expect(await commit(warehouse, select(`SELECT * FROM (${perDay}) AS none WHERE FALSE`, stretch(1, 2)))).toEqual([
        { written: true, rows: { daily: 0 } },
      ])
      expect((await content(warehouse)).map((each) => each.day)).toEqual(['2024-03-03'])
    })

    // One database for all of them: what is refused leaves nothing behind, and the next one finds it so.
    let refusing: Promise<Warehouse> | undefined
    afterAll(async () => (await refusing)?.close())
    test.each([
      [
        'one key twice',
        "SELECT DATE '2024-03-01' AS day, x AS moves, 1 AS total FROM (VALUES (1), (2)) v(x)",
        'daily (chain="ethereum", day="2024-03-01"): is given more than once by the query (in 2 rows)',
      ],
      [
        'NULL for a required column',
        "SELECT DATE '2024-03-01' AS day, NULL AS moves, 1 AS total",
        'daily (day="2024-03-01"), column moves: is NULL, and the column is required',
      ],
      [
        'a required column left out',
        "SELECT DATE '2024-03-01' AS day, 1 AS moves",
        /NOT NULL constraint failed|null value in column "total"|the query gives no column total/,
      ],
      [
        'a number that is too wide',
        "SELECT DATE '2024-03-01' AS day, 9223372036854775808 AS moves, 1 AS total",
        'daily (day="2024-03-01"), column moves: "9223372036854775808" does not fit bigint',
      ],
      ['a negative uint256', "SELECT DATE '2024-03-01' AS day, 1 AS moves, -1 AS total", 'column total: "-1" does not fit uint256'],
      [
        'a uint256 above 2^256',
        // ClickHouse reads a text that is too wide into a UInt256 in silence: a step's own cast can't be seen through.
        `SELECT DATE '2024-03-01' AS day, 1 AS moves, ${engine.kind === 'clickhouse' ? `'${2n ** 256n}'` : `CAST('${2n ** 256n}' AS ${sqlType({ kind: 'uint256' }, engine.kind)})`} AS total`,
        'does not fit uint256',
      ],
      ['a text that is no number', "SELECT DATE '2024-03-01' AS day, 'x' AS moves, 1 AS total", 'column moves: "x" does not fit bigint'],
      [
        'a time for a day',
        "SELECT TIMESTAMP '2024-03-01 05:00:00' AS day, 1 AS moves, 1 AS total",
        'column day: "2024-03-01 05:00:00" does not fit date',
      ],
      ['a text with a fraction', "SELECT DATE '2024-03-01' AS day, '1.5' AS moves, 1 AS total", 'column moves: "1.5" does not fit bigint'],
      ['one for a uint256', "SELECT DATE '2024-03-01' AS day, 1 AS moves, '1.5' AS total", 'column total: "1.5" does not fit uint256'],
      [
        'a text of a time for a day',
        "SELECT '2024-03-01 05:00:00' AS day, 1 AS moves, 1 AS total",
        'column day: "2024-03-01 05:00:00" does not fit date',
      ],
      [
        'a row of somebody else',
        "SELECT 'base' AS chain, DATE '2024-03-01' AS day, 1 AS moves, 1 AS total",
        'daily (chain="base", day="2024-03-01"), column chain: is "base", and the rows of this step have "ethereum"',
      ],
      [
        'a row outside of the interval',
        "SELECT DATE '2024-03-05' AS day, 1 AS moves, 1 AS total",
        'daily (chain="ethereum", day="2024-03-05"), column day: lies outside of the interval 2024-03-01T00:00:00Z to 2024-03-03T00:00:00Z',
      ],
      [
        'a column that the table lacks',
        "SELECT DATE '2024-03-01' AS day, 1 AS moves, 1 AS totals",
        'the query gives a column totals, and daily has none',
      ],
      ['a statement that is no SELECT', 'DELETE FROM daily', 'only a SELECT may run here'],
      ['two statements', 'SELECT 1 AS moves; DROP TABLE daily', /multiple (?:statements|commands)/],
      ['a bracket that leads out', 'SELECT 1) AS q; DROP TABLE daily; SELECT * FROM (SELECT 1', /syntax error|multiple statements/],
    ])('refuses %s, and nothing of the commit is written', async (_, query, message) => {
      const warehouse = await (refusing ??= prepared(engine, [], [moves, daily]))
      const state = async () => [await all(warehouse, 'SELECT id, amount FROM moves ORDER BY id'), await content(warehouse)]
      const before = await state()
      const failed = await warehouse
        .commit([
          write([{ output: output(moves), rows: [{ id: 2n, time: day(0), amount: 1n }] }], { selects: [select(query, stretch(0, 2))] }),
        ])
        .then(
          () => 'written',
          (error: Error) => error.message,
        )
      expect(failed).toMatch(typeof message === 'string' ? new RegExp(message.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')) : message)
      expect(await state()).toEqual(before)
      // The next one works as if nothing had been.
      await put(warehouse, [1, day(0), 1n])
      expect(await commit(warehouse, select(perDay, stretch(0, 2)))).toEqual([{ written: true, rows: { daily: 1 } }])
    })

    test('does not take the place of a row of another interval that is computed, unless it was touched since or the table says so', async () => {
      const seen = table('seen', { who: 'text', day: 'date', n: 'bigint' }, ['who'], { range: 'day' })
      const last = { ...seen, name: 'last', onConflict: 'last' as const }
      const warehouse = await opened([per(byDay)], [moves, seen, last])
      const owner = intervalRule(intervalAxis(DAY), new Map([seen, last].map((of) => [of.name, of])))
      const names = ['2024-03-01', '2024-03-02', '2024-03-03', '2024-03-04']
      const rows = await warehouse.open(step, names, 1n)
      const computed = (n: number, who: string, of = seen): UnitWrite => {
        const unit = names[n] ?? ''
        const query = sqlText(`SELECT '${who}' AS who, CAST('${unit}' AS ${date}) AS day, 1 AS n`)
        const replace = { table: of.name, column: 'day', from: day(n), to: day(n + 1) - 1n, constants: {} }
        const ledger = { state: 'running', first: day(n), last: day(n + 1) - 1n } as const
        return write([], {
          unit,
          epoch: rows.get(unit)?.epoch ?? 0n,
          ledger,
          selects: [{ output: output(of), sql: query, replace, owner }],
        })
      }
      const there = (of = 'seen') => all(warehouse, `SELECT who, day FROM ${of} ORDER BY who`)
      await warehouse.commit([computed(0, 'ann'), computed(1, 'bob')])
      for (const writes of [[computed(2, 'ann')], [computed(2, 'eve'), computed(3, 'eve')]])
        await expect(warehouse.commit(writes)).rejects.toMatchObject({
          code: 'KEY_CONFLICT',
          message: expect.stringMatching(
            /^seen \(who="(ann|eve)"\): two different rows have this key: day "2024-03-0[13]" and "2024-03-0[34]" \(of unit 2024-03-0[13], which is in the table, and of unit 2024-03-0[34]\)$/,
          ) as string,
        })
      expect(await there()).toEqual([
        { who: 'ann', day: '2024-03-01' },
        { who: 'bob', day: '2024-03-02' },
      ])
      // What its first day was computed from moved to the third.
      await put(warehouse, [1, day(0), 1n])
      await warehouse.commit([computed(2, 'ann')])
      expect(await warehouse.commit([computed(0, 'ann', last), computed(1, 'ann', last)])).toEqual([
        { written: true, rows: { last: 1 } },
        { written: true, rows: { last: 1 }, there: { last: 1 }, overwritten: { last: 1 }, unseen: [] },
      ])
      // Its own row again: nobody's place is taken.
      expect(await warehouse.commit([computed(1, 'ann', last)])).toEqual([{ written: true, rows: { last: 1 } }])
      expect([await there(), await there('last')]).toEqual([
        [
          { who: 'ann', day: '2024-03-03' },
          { who: 'bob', day: '2024-03-02' },
        ],
        [{ who: 'ann', day: '2024-03-02' }],
      ])
    })

    test('that deletes nothing says which of its rows the table had before, and which of those differed', async () => {
      const warehouse = await opened()
      await put(warehouse, [1, day(0), 5n], [2, day(1), 6n])
      expect(await commit(warehouse, select(perDay))).toEqual([{ written: true, rows: { daily: 2 } }])
      await put(warehouse, [3, day(1), 1n], [4, day(2), 1n])
      expect(await commit(warehouse, select(perDay))).toEqual([
        { written: true, rows: { daily: 3 }, there: { daily: 2 }, overwritten: { daily: 1 }, unseen: [] },
      ])
    })

    test('that takes too long is stopped, and so is one whose unit is stopped', async () => {
      const warehouse = await opened()
      const numbers = (count: number) => (engine.kind === 'duckdb' ? `range(${count})` : `generate_series(1, ${count})`)
      const cross =
        engine.kind === 'clickhouse'
          ? 'numbers(100000000) AS a, numbers(1000) AS b WHERE a.number + b.number < 0'
          : `${numbers(100_000_000)} AS a(x), ${numbers(1_000)} AS b(y) WHERE x + y < 0`
      const slow = `SELECT DATE '2024-03-01' AS day, count(*) AS moves, 1 AS total FROM ${cross}`
      await expect(commit(warehouse, select(slow, undefined, { timeoutMs: 50 }))).rejects.toMatchObject({ code: 'SQL_TIMEOUT' })
      // The same by the signal of its unit, which stops it while it runs and before it begins.
      const [stop, enough] = [new AbortController(), new Error('enough')]
      const stopped = () => warehouse.commit([write([], { selects: [select(slow)], signal: stop.signal })])
      const running = stopped()
      setTimeout(() => stop.abort(enough), 300)
      await expect(running).rejects.toBe(enough)
      await expect(stopped()).rejects.toBe(enough)
      expect(await commit(warehouse, select(perDay))).toEqual([{ written: true, rows: { daily: 0 } }])
    })

    test('texts go in as what they say, or not at all', async () => {
      const texts = table('texts', { n: 'int256', d: 'decimal(20,2)?', time: 'timestamp?', day: 'date?' }, ['n'])
      const warehouse = await opened([], [texts])
      const given = (...columns: readonly string[]) =>
        warehouse.commit([
          write([], {
            selects: [
              {
                output: { ...output(texts), columns: columns.map((column) => column.split(' AS ')[1] ?? '') },
                sql: sqlText(`SELECT ${columns.join(', ')}`),
                replace: undefined,
              },
            ],
          }),
        ])
      await given("'-7' AS n", "'1.2300' AS d", "'2024-03-01T00:00:00Z' AS time", "'2024-03-01' AS day")
      expect(await all(warehouse, 'SELECT n, CAST(d AS text) AS d, time, day FROM texts')).toEqual([
        { n: -7n, d: '1.23', time: MARCH, day: '2024-03-01' },
      ])
      await expect(given("'1' AS n", "'1.239' AS d")).rejects.toThrow('column d: "1.239" does not fit decimal(20,2)')
      for (const time of ['2024-03-01 02:00:00+02:00', '2024-03-01 00:00:00.1234567'])
        await expect(given("'1' AS n", `'${time}' AS time`)).rejects.toThrow(`column time: "${time}" does not fit timestamp`)
    })

    test.each([
      ['sum(amount)', 2n ** 256n - 1n, 5n],
      ['max(amount) + sum(amount) FILTER (WHERE id > 0)', 2n ** 255n, 2n ** 255n],
      ['sum(total)', 2n ** 256n - 2n, 2n],
    ])('%s that does not fit is refused, and one that just does is exact', async (sum, one, other) => {
      const warehouse = await opened()
      const from = sum === 'sum(total)' ? '(SELECT id, amount AS total FROM moves) AS m' : 'moves'
      const query = `SELECT DATE '2024-03-01' AS day, count(*) AS moves, ${sum} AS total FROM ${from}`
      await put(warehouse, [1, day(0), one], [2, day(0), other])
      await expect(commit(warehouse, select(query))).rejects.toThrow(/does not fit/)
      expect(await content(warehouse)).toEqual([])
      await put(warehouse, [1, day(0), 2n ** 255n - 1n], [2, day(0), 0n])
      await commit(warehouse, select(query))
      expect((await content(warehouse)).map(({ total }) => total)).toEqual([sum.startsWith('max') ? 2n ** 256n - 2n : 2n ** 255n - 1n])
    })

    test('a sum of bigints that does not fit is refused', async () => {
      const warehouse = await opened()
      const ids = 9_223_372_036_854_775_807n
      await warehouse.commit([write([{ output: output(moves), rows: [1n, ids].map((id) => ({ id, time: null, amount: 1n })) }])])
      await expect(
        commit(warehouse, select("SELECT DATE '2024-03-01' AS day, sum(id) AS moves, sum(amount) AS total FROM moves")),
      ).rejects.toThrow(/does not fit/)
    })

    test('a time with a zone becomes the same instant', async () => {
      const times = table('times', { time: 'timestamp' }, ['time'])
      const warehouse = await opened([], [times])
      const zoned =
        engine.kind === 'clickhouse' ? "parseDateTime64BestEffort('2024-03-01 02:00:00+02:00', 6)" : "TIMESTAMPTZ '2024-03-01 02:00:00+02'"
      await warehouse.commit([
        write([], { selects: [{ output: output(times), sql: sqlText(`SELECT ${zoned} AS time`), replace: undefined }] }),
      ])
      expect(await all(warehouse, 'SELECT time FROM times')).toEqual([{ time: MARCH }])
    })
  })

  describe('touched units', () => {
    test('a new row touches its day, an overwritten one its old day and its new one, the same row again none', async () => {
      const warehouse = await opened([per(byDay)])
      await put(warehouse, [1, day(0), 1n], [2, day(0) + 5n, 1n], [3, day(9), 1n], [4, null, 1n])
      expect(await touched(warehouse)).toEqual(['2024-03-01', '2024-03-10'])
      for (const unit of await touched(warehouse)) await clear(warehouse, unit)
      expect(await touched(warehouse)).toEqual([])
      await put(warehouse, [1, day(0), 1n], [4, null, 1n])
      expect(await touched(warehouse)).toEqual([])
      await put(warehouse, [1, day(0), 1n], [2, day(0) + 5n, 2n], [5, day(20), 1n])
      expect(await touched(warehouse)).toEqual(['2024-03-01', '2024-03-21'])
      await clear(warehouse, '2024-03-01')
      await put(warehouse, [3, day(1), 1n], [4, day(2), 1n])
      expect(await touched(warehouse)).toEqual(['2024-03-02', '2024-03-03', '2024-03-10', '2024-03-21'])
    })

    test('rows of other constants touch none who reads only its own, and all who read any', async () => {
      const input = { column: 'day', everyUs: DAY, lookbackUs: 0n }
      const reading = (chain: string): Consumer => ({ ...per(input, 'daily', chain), constants: { chain } })
      const warehouse = await opened([reading('ethereum'), reading('base'), per(input, 'daily', 'any')])
      const own = (chain: string) => output(daily, { constants: { chain } })
      const put = (chain: string, ...days: readonly string[]) =>
        warehouse.commit([write([{ output: own(chain), rows: days.map((day) => ({ day, moves: 1n, total: 1n, note: null })) }])])
      const seen = async () => [await touched(warehouse, 'ethereum'), await touched(warehouse, 'base'), await touched(warehouse, 'any')]
      await put('ethereum', '2024-03-01')
      await put('base', '2024-03-02')
      expect(await seen()).toEqual([['2024-03-01'], ['2024-03-02'], ['2024-03-01', '2024-03-02']])
      const query = `SELECT CAST('2024-03-03' AS ${date}) AS day, 1 AS moves, 1 AS total`
      await warehouse.commit([
        write([], { selects: [select(query, undefined, { output: { ...own('base'), columns: ['day', 'moves', 'total'] } })] }),
      ])
      expect(await seen()).toEqual([['2024-03-01'], ['2024-03-02', '2024-03-03'], ['2024-03-01', '2024-03-02', '2024-03-03']])
      const [, marked = []] = await seen()
      await put('base', '2024-03-04')
      const gone = { table: 'daily', column: 'day', from: day(3), to: day(4) - 1n, constants: { chain: 'base' } }
      await warehouse.commit([write([], { deletes: [gone] })])
      expect(await seen()).toEqual([['2024-03-01'], [...marked, '2024-03-04'], ['2024-03-01', ...marked, '2024-03-04']])
    })

    test('deleted rows touch their days', async () => {
      const warehouse = await opened([per(byDay)])
      await put(warehouse, [1, day(0), 1n], [2, day(1), 1n], [3, day(2), 1n])
      for (const unit of await touched(warehouse)) await clear(warehouse, unit)
      await warehouse.commit([write([], { deletes: [{ table: 'moves', column: 'id', from: 2n, to: 9n, constants: {} }] })])
      expect(await touched(warehouse)).toEqual(['2024-03-02', '2024-03-03'])
    })

    test('a look back is touched by what it looks at: each unit whose window holds the time', async () => {
      const warehouse = await opened([per({ column: 'time', everyUs: DAY, lookbackUs: 2n * DAY })])
      await put(warehouse, [1, day(0), 1n])
      expect(await touched(warehouse)).toEqual(['2024-03-01', '2024-03-02', '2024-03-03'])
      const partly = await opened([per({ column: 'time', everyUs: DAY, lookbackUs: DAY / 4n })])
      await put(partly, [1, day(0) + DAY / 2n, 1n], [2, day(5) + (3n * DAY) / 4n, 1n])
      expect(await touched(partly)).toEqual(['2024-03-01', '2024-03-06', '2024-03-07'])
    })

    test('hours have the names of instants, also before 1970, and a day column counts as its midnight', async () => {
      const hour = 3_600_000_000n
      const warehouse = await opened([
        per({ ...byDay, everyUs: hour }),
        per({ column: 'day', everyUs: 7n * DAY, lookbackUs: 0n }, 'daily', 'w'),
      ])
      await put(warehouse, [1, -1n, 1n], [2, day(0) + 5n * hour, 1n])
      expect(await touched(warehouse)).toEqual(['1969-12-31T23:00:00Z', '2024-03-01T05:00:00Z'])
      await commit(warehouse, select(perDay))
      // Weeks are counted from 1970-01-01, a Thursday.
      expect(await touched(warehouse, 'w')).toEqual(['1969-12-25', '2024-02-29'])
    })

    test('a whole consumer is touched by any change, one of every unit in each unit that it has', async () => {
      const warehouse = await opened([per('whole', 'moves', 'a'), per('every', 'moves', 'b'), per(byDay)])
      await warehouse.open({ ...step, step: 'b' }, ['2024-01-01', '2024-01-02'], 1n)
      await put(warehouse, [1, null, 1n])
      expect([await touched(warehouse, 'a'), await touched(warehouse, 'b'), await touched(warehouse)]).toEqual([
        ['all'],
        ['2024-01-01', '2024-01-02'],
        [],
      ])
      expect(await warehouse.touched('p', 'a')).toEqual([{ unit: 'all', at: 1000n }])
    })

    test('what a select changes is touched, what it leaves as it is is not', async () => {
      const warehouse = await opened([per({ ...byDay, column: 'day' }, 'daily', 'w')])
      await put(warehouse, [1, day(0), 1n], [2, day(1), 1n], [3, day(2), 1n])
      await commit(warehouse, select(perDay, 'all'))
      expect(await touched(warehouse, 'w')).toEqual(['2024-03-01', '2024-03-02', '2024-03-03'])
      for (const unit of await touched(warehouse, 'w')) await clearOf(warehouse, unit)
      await commit(warehouse, select(perDay, 'all'))
      expect(await touched(warehouse, 'w')).toEqual([])
      await put(warehouse, [2, day(2), 1n])
      await commit(warehouse, select(perDay, 'all'))
      expect(await touched(warehouse, 'w')).toEqual(['2024-03-02', '2024-03-03'])
    })

    test('a touch that a commit clears and makes again stays, and rolled back nothing is touched', async () => {
      const warehouse = await opened([per(byDay)])
      await warehouse.open(step, ['2024-03-01'], 1n)
      const both = write([{ output: output(moves), rows: [{ id: 1n, time: day(0), amount: 1n }] }], {
        unit: '2024-03-01',
        clearsTouched: true,
      })
      await put(warehouse, [9, day(0), 1n])
      await warehouse.commit([both])
      expect(await touched(warehouse)).toEqual(['2024-03-01'])
      await clear(warehouse, '2024-03-01')
      await expect(put(warehouse, [1, day(0), 5n], [2, day(0), -1n])).rejects.toThrow('uint256')
      expect(await touched(warehouse)).toEqual([])
    })

    test('by hand: amend touches units', async () => {
      const warehouse = await opened([per(byDay)])
      await warehouse.amend('p', { touch: [{ step: 's', units: ['2024-03-01', '2024-03-02'] }] }, 5n)
      expect(await warehouse.touched('p', 's')).toEqual([
        { unit: '2024-03-01', at: 5n },
        { unit: '2024-03-02', at: 5n },
      ])
    })

    const clearOf = (warehouse: Warehouse, unit: string) =>
      warehouse
        .open({ ...step, step: 'w' }, [unit], 2n)
        .then((rows) =>
          warehouse.commit([write([], { step: { ...step, step: 'w' }, unit, epoch: rows.get(unit)?.epoch ?? 0n, clearsTouched: true })]),
        )

    test('whatever is written, overwritten and deleted, exactly the days whose rows differ from before are touched', async () => {
      const warehouse = await opened([per(byDay)])
      const change = fc.oneof(
        fc.record({ put: fc.array(fc.tuple(fc.nat(8), fc.option(fc.nat(4)), fc.nat(2)), { minLength: 1, maxLength: 4 }) }),
        fc.record({ drop: fc.tuple(fc.nat(8), fc.nat(3)) }),
      )
      await fc.assert(
        fc.asyncProperty(fc.array(change, { minLength: 1, maxLength: 5 }), async (changes) => {
          const days = async () => {
            const found = new Map<string, string>()
            for (const { d, ...row } of await all(
              warehouse,
              'SELECT CAST(time AS date) AS d, id, amount, time FROM moves WHERE time IS NOT NULL ORDER BY id',
            ))
              found.set(String(d), `${found.get(String(d)) ?? ''} ${Object.values(row).map(String).join(':')}`)
            return found
          }
          const expected = new Set<string>()
          for (const each of changes) {
            const before = await days()
            if ('put' in each) {
              const rows = new Map(each.put.map(([id, at, amount]) => [id, [id, at === null ? null : day(at), BigInt(amount)] as const]))
              await put(warehouse, ...rows.values())
            } else {
              const [from, more] = each.drop
              await warehouse.commit([
                write([], { deletes: [{ table: 'moves', column: 'id', from: BigInt(from), to: BigInt(from + more), constants: {} }] }),
              ])
            }
            const after = await days()
            for (const d of new Set([...before.keys(), ...after.keys()])) if (before.get(d) !== after.get(d)) expected.add(d)
          }
          expect(await touched(warehouse)).toEqual([...expected].sort())
          for (const unit of expected) await clear(warehouse, unit)
        }),
        // ClickHouse takes ten times as long for a small commit.
        { numRuns: Number(process.env.PIPE_TEST_CASES ?? (engine.kind === 'clickhouse' ? 8 : 25)) },
      )
    })
  })
}
