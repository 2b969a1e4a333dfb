import { join } from 'node:path'
import fc from 'fast-check'
import { afterEach, describe, expect, test } from 'vitest'
import { sql, sqlText, type Warehouse } from '../../sdk/index.js'
import { openDuckdb } from './index.js'
import { temporaryFolder } from '../../../test/support/folder.js'
import { all, output, step, table, write } from '../../../test/support/warehouse.js'

const blocks = table('blocks', { number: 'bigint', hash: 'hash', ts: 'timestamp', note: 'text?' }, ['number'], {
  indexes: { idx_note: ['note', 'number'] },
})
const balances = table('balances', { number: 'bigint', before: 'uint256', after: 'uint256', gained: 'int256' }, ['number'])
const gained = output(balances, { compute: { gained: 'after - before' } })
const block = (number: number | bigint, note: string | null = null) => ({ number, hash: '0xab', ts: 0n, note })

const open: Warehouse[] = []
afterEach(async () => {
  for (const warehouse of open.splice(0)) await warehouse.close()
})

async function opened(tables = [blocks, balances], path = ':memory:'): Promise<Warehouse> {
  const warehouse = await openDuckdb({ path, mode: 'write' })
  open.push(warehouse)
  await warehouse.prepare(tables)
  await warehouse.open(step, ['u'], 1n)
  return warehouse
}

const notes = (warehouse: Warehouse) => all(warehouse, 'SELECT number, note FROM blocks ORDER BY number')

describe('a commit', () => {
  test('stores rows and checkpoint together, with computed columns exact', async () => {
    const warehouse = await opened()
    const max = 2n ** 255n - 1n
    const outcome = await warehouse.commit([
      write(
        [
          {
            output: gained,
            rows: [
              { number: 1n, before: '0x0', after: `0x${max.toString(16)}` },
              { number: '2', before: 2n ** 255n, after: 0n },
            ],
          },
          { output: output(blocks), rows: [{ number: 5, hash: '0xAB', ts: '0x65e11f80' }] },
        ],
        { ledger: { state: 'done', rows: { balances: 2, blocks: 1 }, cursor: { at: 7 } } },
      ),
    ])
    expect(outcome).toEqual([{ written: true, rows: { balances: 2, blocks: 1 } }])
    expect(await all(warehouse, 'SELECT * FROM balances ORDER BY number')).toEqual([
      { number: 1n, before: 0n, after: max, gained: max },
      { number: 2n, before: 2n ** 255n, after: 0n, gained: -(2n ** 255n) },
    ])
    expect(await all(warehouse, 'SELECT * FROM blocks')).toEqual([{ number: 5n, hash: '0xab', ts: 1709252480000000n, note: null }])
    expect(await warehouse.units('p')).toEqual([
      {
        step: 's',
        unit: 'u',
        state: 'done',
        fingerprint: 'f',
        epoch: 1n,
        cursor: { at: 7 },
        rows: { balances: 2, blocks: 1 },
        attempts: 0,
        endpoint: undefined,
        parentHash: undefined,
        lastHash: undefined,
        evidence: undefined,
        error: undefined,
        startedAt: 1n,
        updatedAt: 1000n,
      },
    ])
  })

  test('leaves out the write of a unit that was taken over, and only that', async () => {
    const warehouse = await opened()
    await warehouse.open(step, ['u', 'v'], 2n)
    const outcomes = await warehouse.commit([
      write([{ output: output(blocks), rows: [block(1)] }], {
        epoch: 1n,
        deletes: [{ table: 'blocks', column: 'number', from: 0n, to: 9n, constants: {} }],
      }),
      write([{ output: output(blocks), rows: [block(2)] }], { epoch: 2n, ledger: { state: 'done' } }),
      write([{ output: output(blocks), rows: [block(3)] }], { unit: 'v', epoch: 1n }),
      write([{ output: output(blocks), rows: [block(4)] }], { unit: 'never opened' }),
    ])
    expect(outcomes.map(({ written }) => written)).toEqual([false, true, true, false])
    expect(await notes(warehouse)).toEqual([
      { number: 2n, note: null },
      { number: 3n, note: null },
    ])
    expect((await warehouse.units('p', 's')).map(({ unit, epoch, state }) => [unit, epoch, state])).toEqual([
      ['u', 2n, 'done'],
      ['v', 1n, 'running'],
    ])
  })

  test('overwrites the same key, and a column that nothing fills becomes null', async () => {
    const warehouse = await opened()
    await warehouse.commit([write([{ output: output(blocks), rows: [block(1, 'old'), block(2, 'kept')] }])])
    await warehouse.commit([
      write([{ output: output(blocks, { columns: ['number', 'hash', 'ts'] }), rows: [{ number: 1n, hash: '0xcd', ts: 5n }] }]),
    ])
    expect(await all(warehouse, 'SELECT * FROM blocks ORDER BY number')).toEqual([
      { number: 1n, hash: '0xcd', ts: 5n, note: null },
      { number: 2n, hash: '0xab', ts: 0n, note: 'kept' },
    ])
  })

  test('deletes the stretch of a redone unit before its new rows, again and again beside an open reader', async () => {
    const warehouse = await opened()
    const rows = Array.from({ length: 3000 }, (_, i) => block(i, 'first'))
    await warehouse.commit([write([{ output: output(blocks), rows }])])
    const reader = warehouse.query(sqlText('SELECT number FROM blocks'))[Symbol.asyncIterator]()
    await reader.next()
    for (const note of ['second', 'third', 'fourth']) {
      await warehouse.commit([
        write([{ output: output(blocks), rows: [block(1000, note), block(1999, note)] }], {
          deletes: [{ table: 'blocks', column: 'number', from: 1000n, to: 1999n, constants: {} }],
        }),
      ])
    }
    expect(await all(warehouse, 'SELECT note, count(*) AS n FROM blocks GROUP BY note ORDER BY note')).toEqual([
      { note: 'first', n: 2000n },
      { note: 'fourth', n: 2n },
    ])
  })

  test('deletes within constants only, and by time where the range is a time or a day', async () => {
    const prices = table('prices', { chain: 'text', at: 'timestamp', day: 'date' }, ['chain', 'at'])
    const warehouse = await opened([prices])
    const constant = (chain: string) => output(prices, { constants: { chain } })
    const rows = [
      { at: '2024-03-01T00:00:00Z', day: '2024-03-01' },
      { at: '2024-03-02T00:00:00Z', day: '2024-03-02' },
    ]
    await warehouse.commit([
      write([
        { output: constant('base'), rows },
        { output: constant("o'pt"), rows },
      ]),
    ])
    const day = 1709251200000000n
    const constants = { chain: "o'pt" }
    await warehouse.commit([write([], { deletes: [{ table: 'prices', column: 'at', from: day, to: day + 1n, constants }] })])
    expect(await all(warehouse, 'SELECT chain, day FROM prices ORDER BY 1, 2')).toEqual([
      { chain: 'base', day: '2024-03-01' },
      { chain: 'base', day: '2024-03-02' },
      { chain: "o'pt", day: '2024-03-02' },
    ])
    await warehouse.commit([
      write([], { deletes: [{ table: 'prices', column: 'day', from: day, to: day + 86_400_000_000n - 1n, constants: {} }] }),
    ])
    expect(await all(warehouse, 'SELECT chain, day FROM prices ORDER BY 1, 2')).toEqual([
      { chain: 'base', day: '2024-03-02' },
      { chain: "o'pt", day: '2024-03-02' },
    ])
  })

  test('that fails writes nothing at all, and the next one is not affected', async () => {
    const warehouse = await opened()
    await warehouse.commit([write([{ output: output(blocks), rows: [block(1, 'before')] }])])
    const good = { output: output(blocks), rows: [block(1, 'half'), block(2, 'half')] }
    const before = await warehouse.units('p')
    const failing = [
      write([good], { sql: [sqlText('SELECT nope')] }),
      write([good, { output: output(balances), rows: [{ number: 1n, before: 'x', after: 0n, gained: 0n }] }]),
      write([good], { sql: [sqlText('COMMIT')] }),
      write([good], { sql: [sqlText("INSERT INTO blocks VALUES (9, '0x', NULL, NULL)")] }),
    ]
    for (const each of failing) await expect(warehouse.commit([each])).rejects.toThrow()
    expect([await notes(warehouse), await warehouse.units('p')]).toEqual([[{ number: 1n, note: 'before' }], before])
    await warehouse.commit([write([good])])
    expect(await notes(warehouse)).toHaveLength(2)
  })

  test('runs the SQL of a step with its values bound, after the rows', async () => {
    const warehouse = await opened()
    const big = 2n ** 256n - 1n
    await warehouse.commit([
      write([{ output: output(blocks), rows: [block(1, "it's")] }], {
        sql: [
          sql`INSERT INTO balances SELECT number, ${{ type: { kind: 'uint256' }, value: big }}, 0, ${{ type: { kind: 'int256' }, value: '-5' }} FROM blocks WHERE note = ${{ type: { kind: 'text' }, value: "it's" }}`,
        ],
      }),
    ])
    expect(await all(warehouse, 'SELECT * FROM balances')).toEqual([{ number: 1n, before: big, after: 0n, gained: -5n }])
  })

  test('keeps the last row of a key that SQL computes', async () => {
    const last = table('last', { sender: 'text', id: 'bigint' }, ['sender'])
    const warehouse = await opened([last])
    const lower = output(last, { columns: ['id'], compute: { sender: "'s' || (id % 10)::VARCHAR" } })
    const rows = Array.from({ length: 5000 }, (_, i) => ({ id: BigInt(i) }))
    await warehouse.commit([write([{ output: lower, rows }])])
    expect(await all(warehouse, 'SELECT * FROM last ORDER BY sender')).toEqual(
      Array.from({ length: 10 }, (_, i) => ({ sender: `s${i}`, id: BigInt(4990 + i) })),
    )
  })

  test('refuses two rows of one key, which the database would drop in silence', async () => {
    const warehouse = await opened()
    await expect(warehouse.commit([write([{ output: output(blocks), rows: [block(1), block(1)] }])])).rejects.toThrow(
      '1 rows for blocks share a key',
    )
    expect(await notes(warehouse)).toEqual([])
  })

  test('takes a table whose columns are all key', async () => {
    const pairs = table('pairs', { a: 'bigint', b: 'text' }, ['a', 'b'])
    const warehouse = await opened([pairs])
    for (let i = 0; i < 2; i++)
      await warehouse.commit([
        write([
          {
            output: output(pairs),
            rows: [
              { a: 1n, b: 'x' },
              { a: 1n, b: 'y' },
            ],
          },
        ]),
      ])
    expect(await all(warehouse, 'SELECT * FROM pairs ORDER BY b')).toEqual([
      { a: 1n, b: 'x' },
      { a: 1n, b: 'y' },
    ])
  })

  test('goes on when a table was dropped and made anew under it', async () => {
    const warehouse = await opened()
    await warehouse.commit([write([{ output: output(blocks), rows: [block(1)] }])])
    await warehouse.commit([write([], { sql: [sqlText('ALTER TABLE balances RENAME TO old_balances'), sqlText('DROP TABLE blocks')] })])
    await warehouse.prepare([blocks, balances])
    await warehouse.commit([
      write([
        { output: output(blocks), rows: [block(2)] },
        { output: gained, rows: [{ number: 1n, before: 1n, after: 1n }] },
      ]),
    ])
    expect(await notes(warehouse)).toEqual([{ number: 2n, note: null }])
  })

  test('waits for the one before it, in the order of the calls', async () => {
    const warehouse = await opened()
    await Promise.all(
      Array.from({ length: 20 }, (_, i) => warehouse.commit([write([{ output: output(blocks), rows: [block(1, `note ${i}`)] }])])),
    )
    expect(await notes(warehouse)).toEqual([{ number: 1n, note: 'note 19' }])
  })
})

describe('a value that does not fit', () => {
  test('is refused with table, key, column and value', async () => {
    const warehouse = await opened()
    const commit = (rows: Record<string, never>[] | unknown[]) =>
      warehouse.commit([write([{ output: output(blocks), rows: rows as never }])])
    await expect(commit([{ ...block(7), hash: '0xabc' }])).rejects.toThrow('blocks (number=7), column hash: "0xabc" is no hash')
    await expect(commit([{ ...block(8), hash: null }])).rejects.toThrow(
      'blocks (number=8), column hash: is null, and the column is required',
    )
    await expect(commit([{ number: 9, hash: '0xab' }])).rejects.toThrow('blocks (number=9), column ts: is missing')
    await expect(commit([{ ...block(10), colour: 'red' }])).rejects.toThrow(
      'blocks (number=10), column colour: no such column; rows bring number, hash, ts, note',
    )
    await expect(commit([{ ...block(12), number: 2 ** 53 }])).rejects.toThrow('is a JSON number above 2^53')
  })

  test('is named with its key also when SQL computed it', async () => {
    const warehouse = await opened()
    const compute = (expression: string, rows = [{ number: 3n, before: 6n, after: 5n }]) =>
      warehouse.commit([
        write([
          {
            output: output(balances, {
              columns: ['number', 'before', 'after'].filter((name) => name !== 'after'),
              compute: { after: expression, gained: '0' },
            }),
            rows: rows.map(({ number, before }) => ({ number, before })),
          },
        ]),
      ])
    await expect(compute('before - 7')).rejects.toThrow(
      'balances (number=3), column after: is computed as -1, which does not fit uint256 (0 to 2^256-1)',
    )
    await expect(compute("CAST(CAST(before AS VARCHAR) || 'x' AS BIGNUM)")).rejects.toThrow(
      'balances (number=3), column after: is computed as null or not at all',
    )
    await expect(compute('CASE WHEN before = 0 THEN before END')).rejects.toThrow(
      'balances (number=3), column after: is computed as null or not at all',
    )
    expect(await all(warehouse, 'SELECT * FROM balances')).toEqual([])
  })
})

describe('every type', () => {
  const columns = {
    k: 'bigint',
    b: 'bool?',
    i: 'int?',
    u: 'uint256?',
    s: 'int256?',
    d: 'decimal(38,18)?',
    f: 'float?',
    t: 'text?',
    a: 'address?',
    h: 'hash?',
    y: 'bytes?',
    j: 'json?',
    at: 'timestamp?',
    day: 'date?',
  }
  const everything = table('everything', columns, ['k'])

  test('comes back as it went in, at its borders', async () => {
    const warehouse = await opened([everything])
    const rows = [
      {
        k: 0n,
        b: true,
        i: 2n ** 31n - 1n,
        u: 2n ** 256n - 1n,
        s: -(2n ** 255n),
        d: '-99999999999999999999.999999999999999999',
        f: 1.5e300,
        t: 'NUL \u0000 🦄',
        a: `0x${'ab'.repeat(20)}`,
        h: '0x00',
        y: '0x',
        j: { a: [1, '2', null] },
        at: -1n,
        day: '0001-01-01',
      },
      {
        k: -(2n ** 63n),
        b: false,
        i: -(2n ** 31n),
        u: 0n,
        s: 2n ** 255n - 1n,
        d: '0.000000000000000001',
        f: -0.1,
        t: '',
        a: `0x${'00'.repeat(20)}`,
        h: `0x${'ff'.repeat(32)}`,
        y: `0x${'c0de'.repeat(5000)}`,
        j: 'text',
        at: 2n ** 53n + 1n,
        day: '9999-12-31',
      },
      {
        k: 2n ** 63n - 1n,
        b: null,
        i: null,
        u: null,
        s: null,
        d: null,
        f: null,
        t: null,
        a: null,
        h: null,
        y: null,
        j: null,
        at: null,
        day: null,
      },
    ]
    await warehouse.commit([write([{ output: output(everything), rows }])])
    expect(await all(warehouse, 'SELECT * FROM everything ORDER BY k')).toEqual([rows[1], rows[0], rows[2]])
  })

  test('any 256-bit value comes back digit for digit, also as a bound value', async () => {
    const warehouse = await opened([everything])
    let k = 0n
    await fc.assert(
      fc.asyncProperty(fc.bigInt(0n, 2n ** 256n - 1n), fc.bigInt(-(2n ** 255n), 2n ** 255n - 1n), async (u, s) => {
        k++
        await warehouse.commit([write([{ output: output(everything, { columns: ['k', 'u', 's'] }), rows: [{ k, u, s: String(s) }] }])])
        const [row] = await all(
          warehouse,
          sql`SELECT u, s, u = ${{ type: { kind: 'uint256' }, value: u }} AS same FROM everything WHERE k = ${{ type: { kind: 'bigint' }, value: k }}`,
        )
        expect(row).toEqual({ u, s, same: true })
      }),
      { numRuns: 40 },
    )
  })
})

describe('a query', () => {
  test('gives exact values for what SQL makes of them', async () => {
    const warehouse = await opened()
    const [row] = await all(
      warehouse,
      `SELECT count(*) AS n, sum(i) AS total, CAST(1.50 AS DECIMAL(9,2)) AS d, [CAST(1 AS HUGEINT), NULL] AS list, {'a': 1} AS struct, TIMESTAMPTZ '2024-03-01 00:00:00+01' AS tz,
        CAST('{"a": 12345678901234567890, "b": "1234567890123456789", "c": 1.5}' AS JSON) AS j, '\\xAB'::BLOB AS blob, 7 / 2 AS f, INTERVAL 1 DAY AS span, 5 AS n FROM range(3) AS t(i)`,
    )
    expect(row).toEqual({
      n: 3n,
      total: 3n,
      d: '1.50',
      list: ['1', null],
      struct: { a: 1 },
      tz: 1709247600000000n,
      j: { a: '12345678901234567890', b: '1234567890123456789', c: 1.5 },
      blob: '0xab',
      f: 3.5,
      span: '1 day',
      'n:1': 5n,
    })
  })

  test('may only read', async () => {
    const warehouse = await opened()
    for (const text of ['DELETE FROM blocks', 'CREATE TABLE x (i INT)', 'COMMIT', 'SET threads = 1', 'CHECKPOINT']) {
      await expect(all(warehouse, text), text).rejects.toThrow('a query must be a SELECT')
    }
    await expect(all(warehouse, "SELECT * FROM read_csv('/etc/passwd')")).rejects.toThrow('it reaches for a file, which pipelines may not')
    await expect(all(warehouse, 'SELECT 1; SELECT 2')).rejects.toThrow('multiple statements')
    await expect(all(warehouse, 'SELECT\nnope FROM blocks')).rejects.toThrow(
      /the database refused the SQL: Binder Error: Referenced column "nope" not found.* \(line 2: nope FROM blocks\)/,
    )
  })

  test('ends at its timeout and at its signal, and leaves the warehouse usable', async () => {
    const warehouse = await opened()
    const slow = sqlText('SELECT count(*) FROM range(1000000000000) AS t(i) WHERE i % 7 = 3')
    const drain = async (options: { signal?: AbortSignal; timeoutMs?: number }) => {
      for await (const page of warehouse.query(slow, options)) expect(page).toBeDefined()
    }
    await expect(drain({ timeoutMs: 50 })).rejects.toThrow('a query took more than 0.05 s and was stopped')
    // Now and then before the query has begun.
    for (let ms = 0; ms < 8; ms++) await expect(drain({ timeoutMs: ms })).rejects.toThrow('and was stopped')
    await expect(drain({ signal: AbortSignal.timeout(50) })).rejects.toThrow(/aborted due to timeout/)
    expect(await all(warehouse, 'SELECT 1 AS one')).toEqual([{ one: 1n }])
  })

  test('sees the state at its start while commits go on, and many run at once', async () => {
    const warehouse = await opened()
    await warehouse.commit([write([{ output: output(blocks), rows: Array.from({ length: 5000 }, (_, i) => block(i)) }])])
    const pages = warehouse.query(sqlText('SELECT number FROM blocks'))[Symbol.asyncIterator]()
    const first = await pages.next()
    await warehouse.commit([write([], { deletes: [{ table: 'blocks', column: 'number', from: 0n, to: 9999n, constants: {} }] })])
    let seen = first.done ? 0 : first.value.length
    for (let page = await pages.next(); !page.done; page = await pages.next()) seen += page.value.length
    const counts = await Promise.all(Array.from({ length: 8 }, () => all(warehouse, 'SELECT count(*) AS n FROM blocks')))
    expect([seen, counts.flat()]).toEqual([5000, Array.from({ length: 8 }, () => ({ n: 0n }))])
  })

  test('describes its columns without running', async () => {
    const warehouse = await opened()
    const described = await warehouse.describe(
      sql`SELECT number, after * 2 AS twice, after + 1 AS more, CAST(1 AS DECIMAL(10,2)) AS d, ${{ type: { kind: 'timestamp' }, value: 0n }} AS at, sum(number) AS total FROM balances GROUP BY ALL`,
    )
    expect(described.map(({ name, type, approximate }) => [name, type, approximate])).toEqual([
      ['number', { kind: 'bigint' }, false],
      ['twice', { kind: 'float' }, true],
      ['more', { kind: 'int256' }, false],
      ['d', { kind: 'decimal', precision: 10, scale: 2 }, false],
      ['at', { kind: 'timestamp' }, false],
      ['total', { kind: 'int256' }, false],
    ])
  })
})

describe('two warehouses on one file in one process', () => {
  test('see each other, and the one that lost its unit writes nothing', async () => {
    const path = join(temporaryFolder(), 'a', 'b.duckdb')
    const first = await opened([blocks], path)
    const second = await opened([blocks], path)
    const outcomes = await Promise.all([
      first.commit([write([{ output: output(blocks), rows: [block(1, 'zombie')] }])]),
      second.commit([write([{ output: output(blocks), rows: [block(1, 'owner')] }], { epoch: 2n })]),
    ])
    expect(outcomes).toEqual([[{ written: false, reason: 'taken' }], [{ written: true, rows: { blocks: 1 } }]])
    expect(await notes(first)).toEqual([{ number: 1n, note: 'owner' }])
  })
})
