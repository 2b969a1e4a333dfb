import { fork } from 'node:child_process'
import { pipeline as pipe } from 'node:stream/promises'
import { fileURLToPath } from 'node:url'
import knex from 'knex'
import pg from 'pg'
import copyStreams from 'pg-copy-streams'
import type { Row, Warehouse } from '../../src/sdk/index.js'
import { openWarehouse } from '../../src/warehouse/open.js'
import { startPostgres } from '../support/postgres-engine.js'
import { step, write } from '../support/warehouse.js'
import type { Figure, GoalOptions } from './goals.js'
import { balances, columns, COMMIT, loadFigure, makeRows, plain } from './load-rows.js'
import { type Contender, median, pairs } from './measure.js'

/** Rows of one statement of the peer. */
const VALUES = 1_000

/** Goal G4 on Postgres: commits beside bare COPY + upsert, and beside knex with VALUES; its memory for G9. */
export async function* loadPostgres({ rounds }: GoalOptions): AsyncIterable<Figure> {
  const server = await startPostgres({ max_wal_size: '4GB', checkpoint_timeout: '1h' })
  try {
    const rows = makeRows(100_000)
    const bare = await pairs(rounds, ours(server.url, rows), bareCopy(server.url, rows))
    yield loadFigure('Postgres, beside bare COPY + upsert', rows.length, bare, 0.85)
    const few = rows.slice(0, 50_000)
    const peer = await pairs(Math.min(rounds, 3), ours(server.url, few), knexValues(server.url, few))
    yield loadFigure('Postgres, beside knex, VALUES of 1,000', few.length, peer, 2.5)
    yield* memory(server.url, rounds)
  } finally {
    await server.stop()
  }
}

async function* memory(url: string, rounds: number): AsyncIterable<Figure> {
  const peaks: [small: number[], large: number[]] = [[], []]
  for (let round = 0; round < Math.min(3, rounds); round++)
    for (const [i, count] of [100_000, 1_000_000].entries()) peaks[i]?.push(await peakMb(url, count))
  const [small, large] = [median(peaks[0]), median(peaks[1])]
  const shown = (mb: number) => `${mb.toFixed(0)} MB`
  yield {
    goal: 'G9',
    what: 'with Postgres, 1M rows',
    ours: shown(large),
    theirs: '',
    ratio: undefined,
    wanted: '<= 160 MB',
    met: large <= 160,
  }
  yield {
    goal: 'G9',
    what: 'with Postgres, 1M beside 100k rows',
    ours: shown(large),
    theirs: shown(small),
    ratio: large / small,
    wanted: '<= 1.15',
    met: large / small <= 1.15,
  }
}

/** Peak RSS of a process of its own that commits so many rows. */
function peakMb(url: string, count: number): Promise<number> {
  const child = fork(fileURLToPath(import.meta.url), ['peak', url, String(count)], { execArgv: [] })
  return new Promise((resolve, reject) => {
    child.once('message', (peak) => resolve(Number(peak)))
    child.once('exit', (code) => reject(new Error(`the process for ${count} rows ended with ${code} and no figure`)))
  })
}

/** A schema of its own for each time, so that each begins with an empty table. */
let schemas = 0

function ours(url: string, rows: readonly Row[]): Contender {
  let warehouse: Warehouse | undefined
  return {
    before: async () => {
      warehouse = await openOurs(url)
    },
    work: () => commitAll(opened(warehouse), rows),
    after: () => opened(warehouse).close(),
  }
}

async function openOurs(url: string): Promise<Warehouse> {
  const warehouse = await openWarehouse(`${url}?schema=bench_${process.pid}_${schemas++}`, { mode: 'write' })
  await warehouse.prepare([balances])
  await warehouse.open(step, ['u'], 1n)
  return warehouse
}

async function commitAll(warehouse: Warehouse, rows: readonly Row[]): Promise<void> {
  for (let from = 0; from < rows.length; from += COMMIT)
    await warehouse.commit([
      write([{ output: plain, rows: rows.slice(from, from + COMMIT) }], {
        ledger: { cursor: { at: from }, rows: { miners_balance: from } },
      }),
    ])
}

/** What has to be done by whoever does it: text for COPY, a staging table, an upsert in the order of the key. */
function bareCopy(url: string, rows: readonly Row[]): Contender {
  let client: pg.Client | undefined
  return {
    before: async () => {
      client = await emptyTable(url)
      await client.query('CREATE TEMPORARY TABLE stage (LIKE miners_balance) ON COMMIT DELETE ROWS')
    },
    work: async () => {
      const own = opened(client)
      for (let from = 0; from < rows.length; from += COMMIT) {
        await own.query('BEGIN')
        await pipe(lines(rows, from, from + COMMIT), own.query(copyStreams.from('COPY stage FROM STDIN')))
        await own.query(
          `INSERT INTO miners_balance SELECT * FROM stage ORDER BY block_number ON CONFLICT (block_number) DO UPDATE SET ${columns.map((name) => `${name} = excluded.${name}`).join(', ')}`,
        )
        await own.query('COMMIT')
      }
    },
    after: () => opened(client).end(),
  }
}

function* lines(rows: readonly Row[], from: number, to: number): Generator<string> {
  let piece = ''
  for (let i = from; i < to; i++) {
    const row = rows[i] as Record<string, bigint | string>
    piece += `${row.block_number}\t${row.miner}\t${row.block_hash}\t${new Date(Number((row.at as bigint) / 1000n)).toISOString()}\t${row.balance_before}\t${row.balance_after}\t${row.balance_increase}\n`
    if (piece.length < 65_536) continue
    yield piece
    piece = ''
  }
  yield piece
}

function knexValues(url: string, rows: readonly Row[]): Contender {
  let client: pg.Client | undefined
  let db: ReturnType<typeof knex> | undefined
  return {
    before: async () => {
      client = await emptyTable(url)
      const { rows: found } = await client.query<{ name: string }>('SELECT current_schema() AS name')
      db = knex({ client: 'pg', connection: url, searchPath: [found[0]?.name ?? ''], pool: { min: 0, max: 1 } })
    },
    work: async () => {
      for (let from = 0; from < rows.length; from += VALUES) {
        const values = rows.slice(from, from + VALUES).map((row) => ({
          ...Object.fromEntries(Object.entries(row).map(([name, value]) => [name, String(value)])),
          at: new Date(Number((row.at as bigint) / 1000n)).toISOString(),
        }))
        await opened(db)('miners_balance').insert(values).onConflict('block_number').merge()
      }
    },
    after: async () => {
      await opened(db).destroy()
      await opened(client).end()
    },
  }
}

async function emptyTable(url: string): Promise<pg.Client> {
  const warehouse = await openOurs(url)
  await warehouse.close()
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  await client.query(`SET search_path TO bench_${process.pid}_${schemas - 1}`)
  return client
}

function opened<T>(what: T | undefined): T {
  if (what === undefined) throw new Error('it is not open')
  return what
}

if (process.argv[2] === 'peak') {
  const [, , , url = '', count = ''] = process.argv
  const warehouse = await openOurs(url)
  for (let from = 0; from < Number(count); from += COMMIT) await commitAll(warehouse, makeRows(COMMIT, from))
  await warehouse.close()
  process.send?.(process.resourceUsage().maxRSS / 1024, () => process.disconnect())
}
