import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { parseInstant, sqlText, type Table, type UnitWrite, type Warehouse } from '../../sdk/index.js'
import { chdbMissing, type ClickhouseServer, startClickhouse } from '../../../test/support/clickhouse-server.js'
import { all, output, step, table, write } from '../../../test/support/warehouse.js'
import { selectsSpec } from '../../../test/support/selects-spec.js'
import { type Engine, warehouseSpec } from '../../../test/support/warehouse-spec.js'
import { openClickhouse } from './index.js'

const missing = chdbMissing()
if (missing !== undefined)
  process.stderr.write(`SKIPPED: ClickHouse by HTTP, for the engine behind it, chdb, does not load here: ${missing}\n`)

const blocks = table('blocks', { number: 'bigint', hash: 'hash', note: 'text?' }, ['number'])
const notes = table('notes', { id: 'bigint', note: 'text' }, ['id'])
const block = (number: number, note: string | null = null) => ({ number, hash: '0xab', note })
const WAITS = [5, 5, 5]

let server: ClickhouseServer
const open: Warehouse[] = []

beforeAll(async () => {
  if (missing === undefined) server = await startClickhouse()
})
afterAll(() => server?.close())
afterEach(async () => {
  for (const warehouse of open.splice(0)) await warehouse.close()
})

async function at(url: string, tables: readonly Table[] = [blocks, notes], units: readonly string[] = ['u']): Promise<Warehouse> {
  const warehouse = await openClickhouse({ url, mode: 'write', waitsMs: WAITS })
  open.push(warehouse)
  await warehouse.prepare(tables)
  if (units.length > 0) await warehouse.open(step, units, 1n)
  return warehouse
}

const opened = async (tables?: readonly Table[]) => {
  const url = await server.database()
  const database = new URL(url).pathname.slice(1)
  return { warehouse: await at(url, tables), url, admin: (sql: string) => server.admin(sql, database) }
}

const rows = (of: Table, ...given: Record<string, string | number | bigint | null>[]): UnitWrite['rows'] => [
  { output: output(of), rows: given },
]
const numbers = (warehouse: Warehouse) => all(warehouse, 'SELECT number, note FROM blocks ORDER BY number')

describe.skipIf(missing !== undefined)('ClickHouse by HTTP', () => {
  const engine: Engine = {
    kind: 'clickhouse',
    days: ['1900-01-01', '2299-12-31'],
    place: async () => {
      const url = await server.database()
      return (mode = 'write') => openClickhouse({ url, mode, waitsMs: WAITS })
    },
  }
  warehouseSpec(engine)
  selectsSpec(engine)

  describe('an insert whose outcome is not known', () => {
    const insert =
      (into: string) =>
      ({ query }: { readonly query: string }) =>
        query.startsWith(`INSERT INTO "${into}"`)

    test.each(['refuse', 'cut'] as const)('is sent again as it is, and counts once: the connection is gone (%s)', async (kind) => {
      const { warehouse, admin } = await opened()
      const from = server.log.length
      server.fault({ kind, times: 2, when: insert('blocks') })
      const outcome = await warehouse.commit([write(rows(blocks, block(1, 'a'), block(2, 'b')), { ledger: { state: 'done' } })])
      expect(outcome).toEqual([{ written: true, rows: { blocks: 2 } }])
      const sent = server.log.slice(from).filter(insert('blocks'))
      expect(sent).toHaveLength(3)
      expect(new Set(sent.map(({ query, settings }) => `${settings.insert_deduplication_token} ${query}`)).size).toBe(1)
      // Not even without FINAL: the block itself is there once.
      expect(await admin('SELECT count() FROM blocks')).toBe('2')
      expect(await numbers(warehouse)).toEqual([
        { number: 1n, note: 'a' },
        { number: 2n, note: 'b' },
      ])
    })

    test.each([
      [
        'error',
        'Code: 252. DB::Exception: Too many parts (3000). Merges are processing significantly slower than inserts. (TOO_MANY_PARTS)',
      ],
      ['late', 'Code: 159. DB::Exception: Timeout exceeded: elapsed 30 seconds. (TIMEOUT_EXCEEDED)'],
      ['late', '\r\n__exception__\r\nabc\r\nCode: 999. DB::Exception: Coordination::Exception. (KEEPER_EXCEPTION)\r\n'],
    ] as const)('is sent again: %s, %s', async (kind, error) => {
      const { warehouse } = await opened()
      server.fault({ kind, error, times: 1, when: insert('blocks') })
      await warehouse.commit([write(rows(blocks, block(1)))])
      expect(await numbers(warehouse)).toEqual([{ number: 1n, note: null }])
    })

    test('is an error that names no secret when it never gets through, and nothing of the commit counts', async () => {
      const { warehouse } = await opened()
      server.fault({ kind: 'refuse', times: 4, when: insert('blocks') })
      const failure = await warehouse
        .commit([write(rows(blocks, block(1)), { ledger: { state: 'done' } })])
        .catch((error: unknown) => error)
      expect(failure).toMatchObject({ code: 'SERVER_UNREACHABLE', blame: 'outage', retryable: true })
      expect(String(failure)).toMatch(/^ServerUnreachableError: clickhouse:\/\/127\.0\.0\.1:\d+\/db\d+: .*, 4 times in a row$/)
      expect(String(failure) + JSON.stringify(failure)).not.toMatch(/p@ss|p%40ss/)
      expect(await warehouse.units('p')).toMatchObject([{ state: 'running' }])
      await warehouse.commit([write(rows(blocks, block(1)), { ledger: { state: 'done' } })])
      expect(await warehouse.units('p')).toMatchObject([{ state: 'done' }])
    })

    test('fails at once with what a server says that will not change', async () => {
      const { warehouse } = await opened()
      const from = server.log.length
      server.fault({
        kind: 'late',
        error: 'Code: 60. DB::Exception: Table db.blocks does not exist. (UNKNOWN_TABLE)',
        times: 1,
        when: insert('blocks'),
      })
      await expect(warehouse.commit([write(rows(blocks, block(1)))])).rejects.toThrow('Table db.blocks does not exist')
      expect(server.log.slice(from).filter(insert('blocks'))).toHaveLength(1)
    })
  })

  test('a query that ends with an error behind its rows gives the error', async () => {
    const { warehouse } = await opened()
    server.fault({
      kind: 'late',
      times: 1,
      when: ({ query }) => query.includes('FROM blocks'),
      error: '["number"]\n["Int64"]\n["1"]\nCode: 241. DB::Exception: Memory limit exceeded: would use 9.3 GiB. (MEMORY_LIMIT_EXCEEDED)',
    })
    await expect(all(warehouse, 'SELECT number FROM blocks')).rejects.toThrow('Memory limit exceeded')
  })

  test('a commit writes marks, then rows, then the ledger, and says by its settings that it waits for each', async () => {
    const { warehouse } = await opened()
    warehouse.watch([{ pipeline: 'p', step: 'sums', table: 'blocks', interval: 'whole' }])
    const from = server.log.length
    await warehouse.commit([write(rows(blocks, block(1)), { ledger: { state: 'done' } })])
    const written = server.log.slice(from).filter(({ query }) => query.startsWith('INSERT'))
    expect(written.map(({ query }) => /INTO "(\w+)"/.exec(query)?.[1])).toEqual(['_pipe_touched', 'blocks', '_pipe_units'])
    for (const { settings } of written)
      expect(settings).toMatchObject({
        wait_end_of_query: '1',
        wait_for_async_insert: '1',
        async_insert: '0',
        insert_deduplicate: settings.insert_deduplication_token ? '1' : '0',
      })
    const reads = server.log.slice(from).filter(({ query }) => query.startsWith('SELECT'))
    for (const { settings } of reads)
      expect(settings).toMatchObject({ final: '1', output_format_json_quote_64bit_integers: '1', wait_end_of_query: '1' })
  })

  describe('a writer that lost its unit', () => {
    test('finds out before it writes', async () => {
      const { warehouse, url } = await opened()
      const other = await at(url, [blocks, notes], ['u'])
      const from = server.log.length
      expect(await warehouse.commit([write(rows(blocks, block(1)))])).toEqual([{ written: false, reason: 'taken' }])
      expect(server.log.slice(from).filter(({ query }) => query.startsWith('INSERT'))).toEqual([])
      await other.commit([write(rows(blocks, block(2)), { epoch: 2n })])
      expect(await numbers(warehouse)).toEqual([{ number: 2n, note: null }])
    })

    test('takes away what only it wrote when it loses the unit after that look, and what the owner wrote stays', async () => {
      const { warehouse, url } = await opened()
      const other = await at(url, [blocks, notes], [])
      let owner: Promise<unknown> | undefined
      server.fault({
        kind: 'refuse',
        times: 1,
        // Between the look and the rows: the insert that comes late is sent once more.
        when: ({ query }) => {
          if (!query.startsWith('INSERT INTO "blocks"')) return false
          owner ??= other
            .open(step, ['u'], 2n)
            .then(() => other.commit([write(rows(blocks, block(1, 'owner')), { epoch: 2n, ledger: { state: 'done' } })]))
          return true
        },
      })
      const slow = await openClickhouse({ url, mode: 'write', waitsMs: [600] })
      open.push(slow)
      await slow.checkOutputs([output(blocks)], new Map([[blocks.name, blocks]]))
      const outcome = await slow.commit([write(rows(blocks, block(1, 'zombie'), block(7, 'zombie')))])
      await owner
      expect(outcome).toEqual([{ written: false, reason: 'taken' }])
      expect(await numbers(warehouse)).toEqual([{ number: 1n, note: 'owner' }])
      expect(await warehouse.units('p')).toMatchObject([{ epoch: 2n, state: 'done' }])
    })

    test('writes nothing that stays when another takes it over after its last commit and its next look', async () => {
      const { warehouse: other, url, admin } = await opened()
      const writer = await openClickhouse({ url, mode: 'write', waitsMs: [2_000] })
      open.push(writer)
      await writer.prepare([blocks, notes])
      const { epoch = 0n } = (await writer.open(step, ['u'], 1n)).get('u') ?? {}
      await writer.commit([write(rows(blocks, block(1, 'first')), { epoch, ledger: { cursor: 1 } })])
      let takeover: Promise<unknown> | undefined
      server.fault({
        kind: 'refuse',
        times: 1,
        // The takeover is over when the rows are sent once more, and when the ledger is looked at behind them.
        when: ({ query }) => {
          if (!query.startsWith('INSERT INTO "blocks"')) return false
          takeover ??= other.open(step, ['u'], 2n)
          return true
        },
      })
      const late = () => writer.commit([write(rows(blocks, block(2, 'zombie')), { epoch, ledger: { cursor: 2 } })])
      expect(await late()).toEqual([{ written: false, reason: 'taken' }])
      await takeover
      expect(await admin('SELECT number FROM blocks')).toBe('1')
      expect(await other.units('p')).toMatchObject([{ epoch: epoch + 1n, cursor: 1 }])
      expect(await late()).toEqual([{ written: false, reason: 'taken' }])
      expect(await admin('SELECT number FROM blocks')).toBe('1')
    })

    test('leaves nothing behind when it was killed between rows and ledger: the next owner takes away what it does not write itself', async () => {
      const { warehouse, url } = await opened()
      await warehouse.commit([write(rows(blocks, block(1, 'first')))])
      server.fault({ kind: 'refuse', times: 4, when: ({ query }) => query.startsWith('INSERT INTO "_pipe_units"') })
      await expect(warehouse.commit([write(rows(blocks, block(2, 'lost'), block(3, 'lost')))])).rejects.toThrow('times in a row')
      expect(await numbers(warehouse)).toHaveLength(3)
      const next = await at(url, [blocks, notes], ['u'])
      expect(await numbers(next)).toEqual([{ number: 1n, note: 'first' }])
      await next.commit([write(rows(blocks, block(2, 'second')), { epoch: 2n, ledger: { state: 'done' } })])
      expect(await numbers(next)).toEqual([
        { number: 1n, note: 'first' },
        { number: 2n, note: 'second' },
      ])
    })

    test('writes late and dies: what it wrote is gone when the owner ends', async () => {
      const { warehouse, url, admin } = await opened()
      const next = await at(url, [blocks, notes], ['u'])
      // As the first one would have, had it looked before the second came.
      await admin(
        "INSERT INTO blocks (number, hash, note, _pipe_version) SELECT number, hash, note, v FROM (SELECT 9 AS number, '0xab' AS hash, 'zombie' AS note, bitShiftLeft(toUInt64(1), 28) + 3 AS v) SETTINGS insert_allow_materialized_columns = 1",
      )
      expect(await numbers(warehouse)).toHaveLength(1)
      await next.commit([write(rows(blocks, block(1, 'owner')), { epoch: 2n, ledger: { state: 'done' } })])
      expect(await numbers(next)).toEqual([{ number: 1n, note: 'owner' }])
    })
  })

  test('a unit whose mark is taken away is open until what was computed is there: a kill in between loses no touch', async () => {
    const { warehouse } = await opened()
    warehouse.watch([{ pipeline: 'p', step: 's', table: 'blocks', interval: 'whole' }])
    const held = { unit: 'all', epoch: (await warehouse.open(step, ['all'], 1n)).get('all')?.epoch ?? 0n }
    await warehouse.commit([write([], { ...held, ledger: { state: 'done' } })])
    await warehouse.commit([write(rows(blocks, block(1)))])
    expect(await warehouse.touched('p', 's')).toEqual([{ unit: 'all', at: 1000n }])
    const select = { output: output(notes), sql: sqlText("SELECT number AS id, 'n' AS note FROM blocks"), replace: 'all' as const }
    const compute = () => warehouse.commit([write([], { ...held, clearsTouched: true, selects: [select], ledger: { state: 'done' } })])
    server.fault({ kind: 'refuse', times: 4, when: ({ query }) => query.startsWith('INSERT INTO "notes"') })
    await expect(compute()).rejects.toThrow('times in a row')
    const all = async () => (await warehouse.units('p', 's')).find(({ unit }) => unit === 'all')?.state
    expect([await all(), await warehouse.touched('p', 's')]).toEqual(['running', []])
    await compute()
    expect(await all()).toBe('done')
  })

  test('rows written after the ledger was deleted by hand count more than those before', async () => {
    const { warehouse, url, admin } = await opened()
    for (let i = 0; i < 3; i++) await warehouse.open(step, ['u'], 1n)
    await warehouse.commit([write(rows(blocks, block(1, 'old')), { epoch: 4n })])
    await admin('TRUNCATE TABLE _pipe_units')
    const next = await at(url)
    const [row] = await next.units('p')
    expect(row?.epoch).toBeGreaterThan(4n)
    await next.commit([write(rows(blocks, block(1, 'new')), { epoch: row?.epoch ?? 0n })])
    expect(await numbers(next)).toEqual([{ number: 1n, note: 'new' }])
  })

  test('times come back to the microsecond, whatever their number of digits', async () => {
    const times = table('times', { at: 'timestamp', seen: 'timestamp?' }, ['at'])
    const edges = ['1900-01-01T00:00:00', '1969-12-31T23:59:59', '1970-01-01T00:00:00', '2001-09-09T01:46:39', '2001-09-09T01:46:40']
    const late = ['2024-02-29T12:00:00', '2286-11-20T17:46:39', '2286-11-20T17:46:40', '2299-12-31T23:59:59']
    const texts = [...edges, ...late].flatMap((second) => [`${second}.000000Z`, `${second}.000001Z`, `${second}.999999Z`])
    const given = texts.map((text) => parseInstant(text) ?? 0n)
    const { warehouse } = await opened([times])
    await warehouse.commit([write(rows(times, ...given.map((at) => ({ at, seen: at }))))])
    const found = await all(warehouse, 'SELECT at, seen, toString(at) AS shown FROM times ORDER BY at')
    expect(found.map(({ at }) => at)).toEqual(given)
    expect(found.map(({ seen }) => seen)).toEqual(given)
    expect(found.map(({ shown }) => shown)).toEqual(texts.map((text) => text.replace('T', ' ').replace('Z', '')))
  })

  test('people read the tables with FINAL or by a setting, and SELECT * shows their own columns only', async () => {
    const { warehouse, admin } = await opened()
    await warehouse.commit([write(rows(notes, { id: 1, note: 'a' }, { id: 2, note: 'b' }))])
    await warehouse.commit([
      write(rows(notes, { id: 1, note: 'c' }), { deletes: [{ table: 'notes', column: 'id', from: 1n, to: 2n, constants: {} }] }),
    ])
    expect(await admin('SELECT * FROM notes FINAL')).toBe('1\tc')
    expect(await admin('SELECT * FROM notes ORDER BY id SETTINGS final = 1')).toBe('1\tc')
    expect((await admin('SELECT * FROM notes')).split('\n').length).toBeGreaterThan(1)
    // Merged or not, it is the same.
    await admin('OPTIMIZE TABLE notes FINAL')
    expect(await all(warehouse, 'SELECT * FROM notes')).toEqual([{ id: 1n, note: 'c' }])
  })

  test('a query may only read tables', async () => {
    const { warehouse } = await opened()
    for (const text of [
      "INSERT INTO notes VALUES (1, 'x')",
      'CREATE TABLE x (i Int32) ENGINE = Memory',
      'DROP TABLE notes',
      'SET max_threads = 1',
    ])
      await expect(all(warehouse, text), text).rejects.toThrow(/must be a SELECT|Syntax error|refused/)
    await expect(all(warehouse, "SELECT * FROM file('/etc/passwd', 'LineAsString')")).rejects.toThrow('must be a SELECT')
    await expect(all(warehouse, "SELECT * FROM url('http://127.0.0.1:1/', 'LineAsString')")).rejects.toThrow('must be a SELECT')
    await expect(all(warehouse, 'SELECT 1; SELECT 2')).rejects.toThrow('multiple statements')
    await expect(all(warehouse, 'SELECT nope FROM notes')).rejects.toThrow(/the database refused the SQL: Unknown expression/)
    await expect(
      warehouse.commit([
        write([], {
          selects: [
            {
              output: output(notes),
              sql: sqlText("SELECT 1 AS id, line AS note FROM file('/etc/passwd', 'LineAsString')"),
              replace: undefined,
            },
          ],
        }),
      ]),
    ).rejects.toThrow('must be a SELECT')
  })

  test('a query ends at its timeout and at its signal', async () => {
    const { warehouse } = await opened()
    const slow = sqlText('SELECT count() FROM numbers(1000000000000) WHERE number % 7 = 8')
    const drain = async (options: { signal?: AbortSignal; timeoutMs?: number }) => {
      for await (const page of warehouse.query(slow, options)) expect(page).toBeDefined()
    }
    await expect(drain({ timeoutMs: 50 })).rejects.toThrow('a query took more than 0.05 s and was stopped')
    expect(await all(warehouse, 'SELECT 1 AS one')).toEqual([{ one: 1n }])
  })
})

describe.skipIf(missing !== undefined)('opening a server', () => {
  const problem = async (change: (url: URL) => void): Promise<string> => {
    const url = new URL(await server.database())
    change(url)
    const error = await openClickhouse({ url: url.href, mode: 'write', waitsMs: [] }).catch((thrown: unknown) => thrown)
    expect(String(error) + JSON.stringify(error)).not.toMatch(/p@ss|p%40ss|wrong-one/)
    return `${(error as { code: string }).code}: ${(error as Error).message.replace(/:\d+\/db\d+/, ':PORT/DB')}`
  }

  test('says what is wrong: the password, the database, the port', async () => {
    expect(await problem((url) => (url.password = 'wrong-one'))).toBe(
      'WAREHOUSE_OPEN: clickhouse://127.0.0.1:PORT/DB: user or password is wrong',
    )
    expect(await problem((url) => (url.pathname = '/nope'))).toMatch(
      /WAREHOUSE_OPEN: clickhouse:\/\/127.0.0.1:\d+\/nope: there is no such database/,
    )
    expect(await problem((url) => (url.port = '1'))).toMatch(
      /WAREHOUSE_OPEN: clickhouse:\/\/127.0.0.1:PORT\/DB: can't be reached \(.*ECONNREFUSED/,
    )
  })

  test('is done by http:// too, and shows neither user nor password', async () => {
    const url = (await server.database()).replace('clickhouse://', 'http://')
    const warehouse = await openClickhouse({ url, mode: 'plan' })
    open.push(warehouse)
    expect(warehouse.display).toBe(`clickhouse://127.0.0.1:${server.port}${new URL(url).pathname}`)
  })

  test('refuses one that is too old', async () => {
    server.fault({
      kind: 'late',
      times: 1,
      when: ({ query }) => query.startsWith('SELECT version()'),
      error: '["version"]\n["String"]\n["24.3.1.1"]\n',
    })
    expect(await problem(() => undefined)).toBe('WAREHOUSE_OPEN: clickhouse://127.0.0.1:PORT/DB: is ClickHouse 24.3.1.1')
  })
})

test('whether it was tested is said', () => {
  expect([undefined, missing]).toContain(missing)
})
