import pg from 'pg'
import { afterEach, beforeAll, describe, expect, test } from 'vitest'
import { postgresAddress } from '../../postgres/address.js'
import { PostgresSession } from '../../postgres/session.js'
import { sqlText, type Warehouse } from '../../sdk/index.js'
import { ask, postgresDatabase, postgresServer, withParams } from '../../../test/support/postgres.js'
import { postgresProxy } from '../../../test/support/postgres-proxy.js'
import { all, output, step, table, write } from '../../../test/support/warehouse.js'
import { openPostgres } from './index.js'
import { Transactions } from './transactions.js'

const blocks = table('blocks', { number: 'bigint', note: 'text' }, ['number'])
const row = (number: number, note = 'x') => ({ number: BigInt(number), note })
const put = (...rows: readonly ReturnType<typeof row>[]) => ({ output: output(blocks), rows })
/** Done twice it shows: what makes a blind second try wrong. */
const append = sqlText("UPDATE blocks SET note = note || '+'")

const open: Warehouse[] = []
const clients: pg.Client[] = []
afterEach(async () => {
  for (const warehouse of open.splice(0)) await warehouse.close()
  for (const client of clients.splice(0)) await client.end().catch(() => undefined)
})

let database = ''
let places = 0
beforeAll(async () => {
  database = await postgresDatabase()
})

const place = () => withParams(database, { schema: `fault_${places++}` })

async function opened(url: string): Promise<Warehouse> {
  const warehouse = await openPostgres({ url, mode: 'write' })
  open.push(warehouse)
  await warehouse.prepare([blocks])
  await warehouse.open(step, ['u'], 1n)
  return warehouse
}

/** A connection of somebody else. */
async function other(url: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: url, application_name: 'somebody' })
  clients.push(client)
  client.on('error', () => undefined)
  await client.connect()
  const schema = new URL(url).searchParams.get('schema')
  if (schema) await client.query(`SET search_path TO ${schema}`)
  return client
}

const notes = async (warehouse: Warehouse) =>
  (await all(warehouse, 'SELECT number, note FROM blocks ORDER BY number')).map((each) => `${each.number} ${each.note}`)
const cursor = async (warehouse: Warehouse) => (await warehouse.units('p'))[0]?.cursor

describe('a connection that is lost', () => {
  test('in the middle of a commit: all of it is done again on a new one', async () => {
    const proxy = await postgresProxy(place())
    const warehouse = await opened(proxy.url)
    await warehouse.commit([write([put(row(1))])])
    for (const at of ['COPY ', 'INSERT INTO "blocks"', 'UPDATE _pipe_units']) {
      const cut = proxy.cut(at, 'unsent')
      await warehouse.commit([write([put(row(1, at), row(2, at))], { sql: [append], ledger: { cursor: at } })])
      await cut
      expect(await notes(warehouse)).toEqual([`1 ${at}+`, `2 ${at}+`])
      expect(await cursor(warehouse)).toBe(at)
    }
  })

  test.each([
    ['before the server saw COMMIT: it is done again', 'unsent'],
    ['after the server did COMMIT and before it said so: it is found in the ledger and not done again', 'unanswered'],
  ] as const)('%s', async (_, when) => {
    const proxy = await postgresProxy(place())
    const warehouse = await opened(proxy.url)
    await warehouse.commit([write([put(row(1))])])
    for (const at of [1, 2, 3]) {
      const cut = proxy.cut('COMMIT\0', when)
      expect(await warehouse.commit([write([], { sql: [append], ledger: { cursor: at } })])).toEqual([{ written: true, rows: {} }])
      await cut
      expect(await notes(warehouse)).toEqual([`1 x${'+'.repeat(at)}`])
      expect(await cursor(warehouse)).toBe(at)
    }
    const cut = proxy.cut('COMMIT\0', when)
    const given = (await warehouse.open(step, ['v'], 2n)).get('v')?.epoch
    await cut
    // Taken over once: the number of an attempt that was rolled back is given again, since no row has it.
    expect(given).toBe(2n)
    expect((await warehouse.units('p')).map(({ unit, epoch }) => [unit, epoch]).sort()).toEqual([
      ['u', 1n],
      ['v', 2n],
    ])
  })

  test('after COMMIT, and another worker took the unit meanwhile: it is not written over his rows', async () => {
    const url = place()
    const proxy = await postgresProxy(url)
    const warehouse = await opened(proxy.url)
    const successor = await opened(url)
    const outcome = await warehouse.commit([write([put(row(1, 'zombie'))])])
    expect(outcome).toEqual([{ written: false, reason: 'taken' }])
    const cut = proxy.cut('COMMIT\0', 'unsent')
    await successor.commit([write([put(row(1, 'owner'))], { epoch: 2n })])
    expect(await warehouse.commit([write([put(row(1, 'zombie'))])])).toEqual([{ written: false, reason: 'taken' }])
    await cut
    expect(await notes(successor)).toEqual(['1 owner'])
  })

  test('while nothing runs, by the server or on the way: neither reads nor writes notice', async () => {
    const proxy = await postgresProxy(place())
    const warehouse = await opened(proxy.url)
    await warehouse.commit([write([put(row(1))])])
    await ask(
      database,
      'SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()',
    )
    expect(await notes(warehouse)).toEqual(['1 x'])
    await warehouse.commit([write([put(row(2))])])
    proxy.close()
    proxy.open()
    expect(await notes(warehouse)).toEqual(['1 x', '2 x'])
    await warehouse.commit([write([put(row(3))])])
    expect(await notes(warehouse)).toEqual(['1 x', '2 x', '3 x'])
  })

  test('and comes back a moment later: the commit waits for it', async () => {
    const proxy = await postgresProxy(place())
    const warehouse = await opened(proxy.url)
    proxy.close()
    const committed = warehouse.commit([write([put(row(1))])])
    await new Promise((resolve) => setTimeout(resolve, 700))
    proxy.open()
    await committed
    expect(await notes(warehouse)).toEqual(['1 x'])
  })

  test('half way through a result: the query fails and says so, and is not begun again behind the back of who reads', async () => {
    const proxy = await postgresProxy(place())
    const warehouse = await opened(proxy.url)
    const pages = warehouse.query(sqlText('SELECT * FROM generate_series(1, 5000) AS n'))[Symbol.asyncIterator]()
    expect((await pages.next()).done).toBe(false)
    proxy.close()
    await expect(pages.next()).rejects.toMatchObject({ code: 'WAREHOUSE_LOST', blame: 'outage' })
    proxy.open()
    expect(await all(warehouse, 'SELECT 1 AS one')).toEqual([{ one: 1n }])
  })
})

describe('a transaction', () => {
  test('in which an error was swallowed is not taken for committed', async () => {
    const address = postgresAddress(database)
    const transactions = new Transactions(address, await PostgresSession.open(address))
    const swallowed = transactions.run(async (session) => {
      await session.query('SELECT 1 / 0').catch(() => undefined)
    })
    await expect(swallowed).rejects.toThrow('the transaction was not committed: the server answered ROLLBACK')
    await transactions.close()
  })

  test('that is the victim of a deadlock is run again as a whole', async () => {
    const url = place()
    const warehouse = await opened(withParams(url, { options: '-c deadlock_timeout=50ms' }))
    await warehouse.commit([write([put(row(1), row(2))])])
    const somebody = await other(url)
    await somebody.query('BEGIN')
    await somebody.query("UPDATE blocks SET note = 'theirs' WHERE number = 2")
    const committed = warehouse.commit([write([put(row(1, 'ours'), row(2, 'ours'))], { sql: [append] })])
    await waiting(somebody)
    await somebody.query("UPDATE blocks SET note = 'theirs' WHERE number = 1")
    await somebody.query('COMMIT')
    await committed
    expect(await notes(warehouse)).toEqual(['1 ours+', '2 ours+'])
  })

  test.each([
    ['40001', 'a serialization failure'],
    ['40P01', 'a deadlock'],
    ['25006', 'a server that became a standby'],
    ['57P01', 'a shutdown'],
  ])('that meets %s (%s) is run again as a whole, and is there once', async (code) => {
    const url = place()
    const warehouse = await opened(url)
    await warehouse.commit([write([put(row(1))])])
    await failing(url, code, 2)
    await warehouse.commit([write([], { sql: [append], ledger: { cursor: 1 } })])
    expect([await notes(warehouse), await cursor(warehouse)]).toEqual([['1 x+'], 1])
  })

  test('that meets them again and again fails after ten times, with nothing written', async () => {
    const url = place()
    const warehouse = await opened(url)
    await warehouse.commit([write([put(row(1))])])
    await failing(url, '40001', 1_000)
    await expect(warehouse.commit([write([put(row(2))], { sql: [append] })])).rejects.toMatchObject({
      code: 'WRITE_CONFLICT',
      retryable: true,
      blame: 'outage',
    })
    expect((await ask(url, `SELECT last_value FROM ${schemaOf(url)}.tries`))[0]?.last_value).toBe('10')
    expect(await notes(warehouse)).toEqual(['1 x'])
  }, 60_000)

  test('of a key that is there already, by another rule of the table, names it', async () => {
    const url = place()
    const warehouse = await opened(url)
    await ask(url, `CREATE UNIQUE INDEX one_note ON ${schemaOf(url)}.blocks (note)`)
    await warehouse.commit([write([put(row(1, 'same'))])])
    await expect(warehouse.commit([write([put(row(2, 'same'))])])).rejects.toThrow(
      'blocks (number=2): is refused by the table (duplicate key value violates unique constraint "one_note")',
    )
    expect(await notes(warehouse)).toEqual(['1 same'])
  })
})

describe('waiting', () => {
  test('for a table that somebody locked ends, and names who', async () => {
    const url = place()
    const warehouse = await opened(withParams(url, { lock_timeout: '1500ms' }))
    const somebody = await other(url)
    await somebody.query('BEGIN')
    await somebody.query('LOCK TABLE blocks')
    const { rows } = await somebody.query<{ pid: number }>('SELECT pg_backend_pid() AS pid')
    const error = await warehouse.commit([write([put(row(1))])]).catch((thrown: unknown) => thrown)
    expect(error).toMatchObject({ code: 'LOCK_WAIT', retryable: true, blame: 'outage' })
    expect(String(error)).toContain(`process ${rows[0]?.pid} (somebody) of postgres, idle in transaction for`)
    await somebody.query('ROLLBACK')
    await warehouse.commit([write([put(row(1))])])
    expect(await notes(warehouse)).toEqual(['1 x'])
  })

  test('for a statement ends at statement_timeout, in commits and in queries', async () => {
    const warehouse = await opened(withParams(place(), { statement_timeout: '300ms' }))
    await expect(warehouse.commit([write([put(row(1))], { sql: [sqlText('SELECT pg_sleep(30)')] })])).rejects.toThrow(
      'a query took more than 0.3 s and was stopped',
    )
    await expect(all(warehouse, 'SELECT pg_sleep(30)')).rejects.toThrow('a query took more than 0.3 s and was stopped')
    expect(await notes(warehouse)).toEqual([])
  })
})

describe('a server', () => {
  test('without a free connection is waited for', async () => {
    const user = `few_${process.pid}`
    const server = await postgresServer()
    await ask(server, `CREATE ROLE ${user} LOGIN PASSWORD 'p' CONNECTION LIMIT 2`)
    await ask(server, `GRANT CREATE ON DATABASE "${new URL(database).pathname.slice(1)}" TO ${user}`)
    const limited = new URL(place())
    limited.username = user
    limited.password = 'p'
    const held = [await other(limited.href), await other(limited.href)]
    const opening = opened(limited.href)
    await new Promise((resolve) => setTimeout(resolve, 300))
    for (const client of held) await client.end()
    const warehouse = await opening
    await warehouse.commit([write([put(row(1))])])
    expect(await notes(warehouse)).toEqual(['1 x'])
  })

  test('that only reads is refused for writing and taken for planning', async () => {
    const own = await postgresDatabase()
    await ask(own, `ALTER DATABASE "${new URL(own).pathname.slice(1)}" SET default_transaction_read_only = on`)
    await expect(openPostgres({ url: own, mode: 'write' })).rejects.toMatchObject({
      code: 'WAREHOUSE_OPEN',
      message: expect.stringContaining('only reads') as string,
      hint: 'name the primary server',
    })
    const planning = await openPostgres({ url: own, mode: 'plan' })
    open.push(planning)
    expect(await planning.units('p')).toEqual([])
  })

  test.each([
    ['a wrong password', (url: URL) => (url.password = 'wrong'), 'the login was refused'],
    ['a database that is not there', (url: URL) => (url.pathname = '/nope'), 'there is no such database'],
    ['a port where nothing listens', (url: URL) => (url.port = '1'), 'nothing listens there'],
    ['a server without TLS', (url: URL) => url.searchParams.set('sslmode', 'require'), 'the server speaks no TLS'],
  ])('with %s is named without its password', async (_, change, problem) => {
    const url = new URL(database)
    change(url)
    const error = (await openPostgres({ url: url.href, mode: 'write' }).catch((thrown: unknown) => thrown)) as Error
    expect(error).toMatchObject({ code: 'WAREHOUSE_OPEN', message: expect.stringContaining(problem) as string })
    expect(`${error.message} ${error.stack ?? ''}`).not.toMatch(/postgres:\w+@|wrong/)
  })

  test("is prepared by several at once without getting in each other's way", async () => {
    const url = place()
    const warehouses = await Promise.all(Array.from({ length: 4 }, () => openPostgres({ url, mode: 'write' })))
    open.push(...warehouses)
    await Promise.all(warehouses.map((warehouse) => warehouse.prepare([blocks])))
    const epochs = await Promise.all(warehouses.map(async (warehouse) => (await warehouse.open(step, ['u', 'v'], 1n)).get('u')?.epoch))
    expect(epochs.sort()).toEqual([1n, 2n, 3n, 4n])
  })
})

const schemaOf = (url: string) => new URL(url).searchParams.get('schema') ?? ''

/** From now on the first updates of `blocks` fail with a SQLSTATE. A sequence counts them: it is not rolled back. */
async function failing(url: string, code: string, times: number): Promise<void> {
  const schema = schemaOf(url)
  await ask(
    url,
    `CREATE SEQUENCE ${schema}.tries;
     CREATE FUNCTION ${schema}.fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
       IF nextval('${schema}.tries') <= ${times} THEN RAISE EXCEPTION 'made to fail' USING ERRCODE = '${code}'; END IF;
       RETURN NULL;
     END $$;
     CREATE TRIGGER fail BEFORE UPDATE ON ${schema}.blocks FOR EACH STATEMENT EXECUTE FUNCTION ${schema}.fail()`,
  )
}

/** Resolves when somebody waits for a lock of this connection. */
async function waiting(client: pg.Client): Promise<void> {
  for (;;) {
    const { rows } = await client.query('SELECT 1 FROM pg_stat_activity WHERE pg_backend_pid() = ANY(pg_blocking_pids(pid))')
    if (rows.length > 0) return
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}
