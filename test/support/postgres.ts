import pg from 'pg'
import { atEnd } from './cleanup.js'
import { openPostgres } from '../../src/warehouse/postgres/index.js'
import { startPostgres } from './postgres-engine.js'
import type { Engine } from './warehouse-spec.js'

let server: Promise<string> | undefined
let databases = 0

/** URL of a superuser of the server that this test file uses: started when first asked for, or that of `PIPE_TEST_PG_URL`. */
export function postgresServer(): Promise<string> {
  server ??= start()
  return server
}

async function start(): Promise<string> {
  const given = process.env.PIPE_TEST_PG_URL
  if (given) return given
  const engine = await startPostgres()
  atEnd(() => engine.stop())
  return engine.url
}

/** URL of a new empty database. */
export async function postgresDatabase(): Promise<string> {
  const url = await postgresServer()
  const name = `pipe_test_${process.pid}_${databases++}`
  await ask(url, `CREATE DATABASE ${name}`)
  if (process.env.PIPE_TEST_PG_URL) atEnd(() => ask(url, `DROP DATABASE ${name} WITH (FORCE)`))
  return withPath(url, name)
}

/** The URL with another database. */
export function withPath(url: string, database: string): string {
  const changed = new URL(url)
  changed.pathname = `/${database}`
  return changed.href
}

/** The URL with further parameters. */
export function withParams(url: string, params: Readonly<Record<string, string>>): string {
  const changed = new URL(url)
  for (const [name, value] of Object.entries(params)) changed.searchParams.set(name, value)
  return changed.href
}

/** Rows of SQL, those of the last of several statements, on a connection of its own. Every value as text. */
export async function ask(url: string, sql: string): Promise<Record<string, string | null>[]> {
  const client = new pg.Client({ connectionString: url, types: { getTypeParser: () => String } })
  await client.connect()
  try {
    const results = [await client.query<Record<string, string | null>>(sql)].flat()
    return results.at(-1)?.rows ?? []
  } finally {
    await client.end()
  }
}

let places: Promise<string> | undefined
let schemas = 0

/** For the specifications of all warehouses: each place is a schema of its own. */
export const postgresEngine: Engine = {
  kind: 'postgres',
  place: async () => {
    const url = withParams(await (places ??= postgresDatabase()), { schema: `place ${schemas++}` })
    return (mode = 'write') => openPostgres({ url, mode })
  },
}
