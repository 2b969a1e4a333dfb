import { DuckDBInstance } from '@duckdb/node-api'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import type { Warehouse } from '../src/sdk/index.js'
import { openDuckdb } from '../src/warehouse/duckdb/index.js'
import { openPostgres } from '../src/warehouse/postgres/index.js'
import { temporaryFolder } from './support/folder.js'
import { ask, postgresDatabase } from './support/postgres.js'
import { all, output, step, table, write } from './support/warehouse.js'

const open: Warehouse[] = []
afterEach(async () => {
  for (const warehouse of open.splice(0)) await warehouse.close()
})

const t = table('t', { k: 'bigint', v: 'bigint', note: 'text?' }, ['k'])
const rows = (...values: readonly [k: number, v: number, note?: string][]) =>
  values.map(([k, v, note]) => ({ k: BigInt(k), v: BigInt(v), note: note ?? null }))

const kinds = {
  duckdb: async (ddl: string) => {
    const path = join(temporaryFolder(), 'w.duckdb')
    const instance = await DuckDBInstance.create(path)
    const connection = await instance.connect()
    await connection.run(ddl)
    connection.closeSync()
    instance.closeSync()
    return openDuckdb({ path, mode: 'write' })
  },
  postgres: async (ddl: string) => {
    const url = await postgresDatabase()
    await ask(url, ddl)
    return openPostgres({ url, mode: 'write' })
  },
}

async function opened(kind: keyof typeof kinds, ddl: string): Promise<Warehouse> {
  const warehouse = await kinds[kind](ddl)
  open.push(warehouse)
  await warehouse.prepare([t])
  await warehouse.open(step, ['u'], 1n)
  return warehouse
}

const put = (warehouse: Warehouse, some: ReturnType<typeof rows>) => warehouse.commit([write([{ output: output(t), rows: some }])])

describe.each(['duckdb', 'postgres'] as const)('what a table of %s refuses', (kind) => {
  it('by a check of its own is named with row, column and value', async () => {
    const warehouse = await opened(kind, 'CREATE TABLE t (k bigint PRIMARY KEY, v bigint NOT NULL CHECK (v < 100), note text)')
    const many = Array.from({ length: 3_000 }, (_, i): [number, number] => [i, i === 2_345 ? 100 : 1])
    await expect(put(warehouse, rows(...many))).rejects.toMatchObject({
      code: 'VALUE_REFUSED',
      message: expect.stringMatching(/^t \(k=2345\), column v: 100 is refused by the table \(.*check/is) as string,
    })
    expect(await all(warehouse, 'SELECT count(*) AS n FROM t')).toEqual([{ n: 0n }])
  })

  it('by another unique index is named with the row that comes second', async () => {
    const warehouse = await opened(kind, 'CREATE TABLE t (k bigint PRIMARY KEY, v bigint NOT NULL UNIQUE, note text)')
    await expect(put(warehouse, rows([1, 1], [2, 2], [3, 1], [4, 4]))).rejects.toMatchObject({
      code: 'VALUE_REFUSED',
      message: expect.stringContaining('t (k=3), column v: 1 is refused by the table (') as string,
    })
  })
})

describe.each(['duckdb', 'postgres'] as const)('a time without end in %s', (kind) => {
  const times = table('times', { k: 'bigint', at: 'timestamp?', day: 'date?' }, ['k'])

  it('is refused by the name of its column when it is read, and of its row when a query would store it', async () => {
    const warehouse = await kinds[kind]('CREATE TABLE other (k bigint)')
    open.push(warehouse)
    await warehouse.prepare([times])
    await warehouse.open(step, ['u'], 1n)
    for (const type of ['timestamp', 'timestamptz', 'date'])
      for (const value of ['infinity', '-infinity'])
        await expect(all(warehouse, `SELECT CAST('${value}' AS ${type}) AS v`)).rejects.toMatchObject({
          code: 'SQL_REFUSED',
          message: `column v: the query gives the time ${value}, which is no instant`,
        })
    for (const column of ['at', 'day']) {
      const type = column === 'at' ? 'timestamp' : 'date'
      const sql = { parts: [`SELECT 7 AS k, CAST('infinity' AS ${type}) AS ${column}`], params: [] }
      await expect(warehouse.commit([write([], { selects: [{ output: output(times), sql, replace: undefined }] })])).rejects.toMatchObject({
        code: 'VALUE_REFUSED',
        message: `times (k=7), column ${column}: "infinity" does not fit ${type === 'date' ? 'date (YYYY-MM-DD)' : type}`,
      })
    }
    expect(await all(warehouse, 'SELECT k FROM times')).toEqual([])
  })
})

it.each([
  ['duckdb', 'CHECK((v < 100))'],
  ['postgres', 'check t_v_check'],
] as const)('a check of a table in %s is told of once, before anything is written', async (kind, check) => {
  const warehouse = await opened(kind, 'CREATE TABLE t (k bigint PRIMARY KEY, v bigint NOT NULL CHECK (v < 100), note text)')
  const told: string[] = []
  warehouse.hear((message) => told.push(message))
  expect([await warehouse.drift([t]), await warehouse.drift([t])]).toEqual([[], []])
  expect(told).toEqual([expect.stringContaining(`t has rules of its own: ${check}. A row that they refuse`)])
})

describe('a table of Postgres with triggers', () => {
  const ddl = 'CREATE TABLE t (k bigint PRIMARY KEY, v bigint NOT NULL, note text);'
  const skip = (of: string) =>
    `CREATE FUNCTION skip() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN IF ${of}.k % 10 = 3 THEN RETURN NULL; END IF; RETURN ${of}; END $$;`

  it('that eats rows of a step is an error that says so, and nothing of the commit is written', async () => {
    const warehouse = await opened(
      'postgres',
      `${ddl} ${skip('new')} CREATE TRIGGER skip BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION skip()`,
    )
    await expect(put(warehouse, rows([1, 1], [3, 3], [4, 4]))).rejects.toMatchObject({
      code: 'ROWS_NOT_TAKEN',
      message: '3 rows given to t, and it has 2 of them as they were given: something in the database kept the others out or changed them',
      hint: expect.stringContaining('trigger') as string,
    })
    expect(await all(warehouse, 'SELECT k FROM t')).toEqual([])
    const select = {
      output: output(t),
      sql: { parts: ['SELECT k, k AS v FROM generate_series(1, 5) AS k'], params: [] },
      replace: undefined,
    }
    await expect(warehouse.commit([write([], { selects: [select] })])).rejects.toMatchObject({
      code: 'ROWS_NOT_TAKEN',
      message: '5 rows given to t, and it has 4 of them as they were given: something in the database kept the others out or changed them',
    })
    expect(await all(warehouse, 'SELECT k FROM t')).toEqual([])
  })

  it.each([
    ['takes rows away afterwards', 'DELETE FROM t WHERE k % 10 = 3', 'TRIGGER', 'FOR EACH STATEMENT'],
    ['changes them afterwards', 'UPDATE t SET v = 0 WHERE k = 3 AND v <> 0', 'TRIGGER', 'FOR EACH ROW'],
    ['does so when the commit ends', 'DELETE FROM t WHERE k = 3', 'CONSTRAINT TRIGGER', 'DEFERRABLE INITIALLY DEFERRED FOR EACH ROW'],
  ])('that %s is one, too, and is told of before; one that only looks is none', async (_, does, kind, each) => {
    const late = (body: string) =>
      `${ddl} CREATE FUNCTION late() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN ${body}; RETURN NULL; END $$; CREATE ${kind} late AFTER INSERT ON t ${each} EXECUTE FUNCTION late()`
    const warehouse = await opened('postgres', late(does))
    const told: string[] = []
    warehouse.hear((message) => told.push(message))
    expect(await warehouse.drift([t])).toEqual([])
    expect(told).toEqual([
      't has rules of its own: trigger late. A row that they refuse is an error that names it, and so are rows that they take away or change',
    ])
    const message =
      '3 rows given to t, and it has 2 of them as they were given: something in the database kept the others out or changed them'
    await expect(put(warehouse, rows([1, 1], [3, 3], [4, 4]))).rejects.toMatchObject({ code: 'ROWS_NOT_TAKEN', message })
    const sql = { parts: ['SELECT k, k AS v FROM generate_series(2, 4) AS k'], params: [] }
    const selects = [{ output: output(t), sql, replace: undefined }]
    await expect(warehouse.commit([write([], { selects })])).rejects.toMatchObject({ code: 'ROWS_NOT_TAKEN', message })
    expect(await all(warehouse, 'SELECT k FROM t')).toEqual([])
    const quiet = await opened('postgres', late('PERFORM 1'))
    await put(quiet, rows([1, 1], [3, 3]))
    expect(await all(quiet, 'SELECT count(*) AS n FROM t')).toEqual([{ n: 2n }])
  })

  it('that keeps old values or old rows is one, too', async () => {
    const warehouse = await opened(
      'postgres',
      `${ddl} INSERT INTO t VALUES (3, 3), (4, 4); ${skip('old')} CREATE TRIGGER skip BEFORE UPDATE OR DELETE ON t FOR EACH ROW EXECUTE FUNCTION skip()`,
    )
    await expect(put(warehouse, rows([3, 30], [4, 4], [5, 5]))).rejects.toMatchObject({ code: 'ROWS_NOT_TAKEN' })
    const deletes = [{ table: 't', column: 'k', from: 0n, to: 9n, constants: {} }]
    await expect(warehouse.commit([write([], { deletes })])).rejects.toMatchObject({
      code: 'ROWS_NOT_DELETED',
      message: '1 row of t still there after being deleted: something in the database kept what was to go',
    })
    const select = { output: output(t), sql: { parts: ['SELECT 4 AS k, 4 AS v'], params: [] }, replace: 'all' as const }
    await expect(warehouse.commit([write([], { selects: [select] })])).rejects.toMatchObject({ code: 'ROWS_NOT_DELETED' })
    expect(await all(warehouse, 'SELECT k, v FROM t ORDER BY k')).toEqual([
      { k: 3n, v: 3n },
      { k: 4n, v: 4n },
    ])
  })
})
