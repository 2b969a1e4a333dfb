import type { PostgresAddress } from '../../postgres/address.js'
import { sqlName } from '../../postgres/grants.js'
import type { PostgresSession } from '../../postgres/session.js'
import { identifier, type Output, quoteIdentifier, type Row, sql, type Statement, type Table } from '../../sdk/index.js'
import type { Existing, Found } from '../drift.js'
import { TOUCHED } from '../ledger.js'
import type { Bounds } from '../touched.js'
import { Loaders, type LoadError, type Transaction } from '../transaction.js'
import type { QueryOptions, TransactionalEngine } from '../transactional-engine.js'
import { diagnose } from './diagnose.js'
import { RightsError } from '../errors.js'
import { statementError } from './errors.js'
import { load, makeLoader, type TableLoader } from './loader.js'
import { Reads } from './reads.js'
import { CATALOG, POSTGRES_CATALOG, RIGHTS, trap, TRAPS, UNIQUE_SETS } from './schema.js'
import { selectEngine } from './select-engine.js'
import { execute, executeOfStep, select } from './statements.js'
import { stoppable } from './stop.js'
import { type Landed, Transactions } from './transactions.js'
import { makeLike, move } from './swaps.js'
import { lockUnits, updateWhole, upsert, writeUnits } from './units.js'

/** What a transaction did, with what it takes to find out whether it is there. */
interface Done<T> {
  readonly value: T
  /** A ledger row that it wrote. */
  readonly written: Row | undefined
  /** Number of the transaction, as that row carries it. */
  readonly xid: string
}

/** A schema of a Postgres database: one connection that writes, and others that read. */
export class PostgresEngine implements TransactionalEngine<TableLoader> {
  readonly kind = 'postgres'
  readonly catalog = POSTGRES_CATALOG
  readonly display: string
  readonly #address: PostgresAddress
  readonly #schema: string
  readonly #writes: boolean
  readonly #reads: Reads
  readonly #transactions: Transactions
  readonly #loaders = new Loaders<TableLoader>(makeLoader)

  /** @param session The connection that writes; undefined for one that only reads. */
  constructor({ address, schema, session }: { address: PostgresAddress; schema: string; session: PostgresSession | undefined }) {
    this.display = address.display
    this.#address = address
    this.#schema = schema
    this.#writes = session !== undefined
    this.#reads = new Reads(address)
    this.#transactions = new Transactions(address, session)
  }

  query<R extends Row>(statement: Statement, options?: QueryOptions): AsyncIterable<readonly R[]> {
    return this.#reads.query<R>(statement, options)
  }

  describe(statement: Statement) {
    return this.#reads.describe(statement)
  }

  setup(statements: readonly string[]): Promise<void> {
    return this.#reads.setup(statements)
  }

  async existing(): Promise<ReadonlyMap<string, Existing>> {
    const tables = new Map<string, Found>()
    for (const row of await this.#reads.ask(CATALOG, [this.#schema])) {
      const name = String(row.table_name)
      let table = tables.get(name)
      if (!table) tables.set(name, (table = { other: row.other ?? undefined, columns: new Map(), unique: [], traps: [] }))
      const column = String(row.column_name)
      table.columns.set(column, { name: column, type: String(row.data_type), required: row.required === 't' })
    }
    for (const row of await this.#reads.ask(UNIQUE_SETS, [this.#schema]))
      tables.get(String(row.table_name))?.unique.push(JSON.parse(row.names ?? '[]') as string[])
    for (const row of await this.#reads.ask(TRAPS, [this.#schema])) tables.get(String(row.table_name))?.traps.push(trap(row))
    return tables
  }

  async ledgerTable(table: Table): Promise<string | undefined> {
    // By its schema, so that it is never one that is only assumed.
    const name = `${quoteIdentifier(this.#schema)}.${quoteIdentifier(table.name)}`
    const [there] = await this.#reads.ask('SELECT to_regclass($1) IS NOT NULL AS found', [name])
    return there?.found === 't' ? name : undefined
  }

  async transaction<T>(work: (tx: Transaction<TableLoader>) => Promise<T>, outputs: ReadonlyMap<Output, Table> = new Map()): Promise<T> {
    const loaders = new Map<Output, TableLoader>()
    for (const [output, table] of outputs) loaders.set(output, await this.#loaders.of(output, table))
    const before = async (session: PostgresSession) => {
      for (const { stage } of new Set(loaders.values())) await stage.ready(session)
    }
    const whole = async (session: PostgresSession): Promise<Done<T>> => {
      let written: Row | undefined
      const tx: Transaction<TableLoader> = {
        loaders,
        selects: (signal) => selectEngine(session, (work) => stoppable(this.#address, session, signal ? [signal] : [], work)),
        lockUnits: (keys) => lockUnits(session, keys),
        async writeUnits(changes, there) {
          const done = await writeUnits(session, changes, there)
          written ??= done.put[0]
          return done
        },
        updateUnits: (rows) => updateWhole(session, rows),
        touch: (rows) => upsert(session, TOUCHED, rows),
        load: (loader, rows, touched, placing, signal) =>
          stoppable(this.#address, session, signal ? [signal] : [], () => load(session, loader, rows, { touched, placing })),
        run: (statement, of, signal) =>
          stoppable(this.#address, session, signal ? [signal] : [], () => (of === 'step' ? executeOfStep : execute)(session, statement)),
        makeLike: (table, name) => makeLike(session, table, name),
        move: (moves) => move(session, moves),
        rows: (statement) => select(session, statement),
        bounds: async (statement) => (await select(session, statement)).map((row) => Object.values(row)) as Bounds,
      }
      const value = await work(tx)
      return { value, written, xid: written ? await transactionId(session) : '' }
    }
    return (await this.#transactions.run(whole, { before, landed })).value
  }

  async alone(tx: Transaction): Promise<ReadonlySet<string>> {
    const name = { type: { kind: 'text' }, value: this.#schema } as const
    await tx.rows(sql`SELECT pg_advisory_xact_lock(hashtextextended('pipe prepares ' || ${name}, 0))`)
    // IF NOT EXISTS would take the right to make schemas also where there is nothing to make.
    const [schema] = await tx.rows(sql`SELECT count(*) AS n FROM pg_namespace WHERE nspname = ${name}`)
    if (schema?.n === 0n) await tx.run(sql`CREATE SCHEMA ${identifier(this.#schema)}`)
    const rows = await tx.rows(sql`
      SELECT c.relname AS name
      FROM pg_class AS c
      JOIN pg_namespace AS n ON n.oid = c.relnamespace
      WHERE n.nspname = ${name} AND c.relkind IN ('r', 'p', 'v', 'm', 'f')`)
    return new Set(rows.map((row) => String(row.name)))
  }

  async indexes(tx: Transaction): Promise<ReadonlySet<string>> {
    const name = { type: { kind: 'text' }, value: this.#schema } as const
    const rows = await tx.rows(sql`SELECT indexname AS name FROM pg_indexes WHERE schemaname = ${name}`)
    return new Set(rows.map((row) => String(row.name)))
  }

  async mayFill(tables: readonly Table[], whole: boolean): Promise<void> {
    if (!this.#writes) return
    const byRights = new Map<string, string[]>()
    let role = ''
    for (const { name, columns, key } of tables) {
      const names = columns.map((column) => column.name)
      const [found] = await this.#reads.ask(RIGHTS, [this.#schema, name, JSON.stringify(names), JSON.stringify(key), String(whole)])
      if (!found?.lacking) continue
      role = found.role ?? ''
      byRights.set(found.lacking, [...(byRights.get(found.lacking) ?? []), name])
    }
    if (byRights.size === 0) return
    const qualified = (name: string) => `${sqlName(this.#schema)}.${sqlName(name)}`
    throw new RightsError(
      this.display,
      [...byRights].map(([lacking, names]) => `the user ${role} may not ${lacking} on ${names.join(', ')}`),
      [...byRights].map(([lacking, names]) => `GRANT ${lacking} ON TABLE ${names.map(qualified).join(', ')} TO ${sqlName(role)}`),
    )
  }

  async explain(error: LoadError<TableLoader>): Promise<Error> {
    let found: Error | undefined
    const undo = new Error('nothing of this is kept')
    const look = async (session: PostgresSession) => {
      found = await diagnose(session, error)
      throw undo
    }
    await this.#transactions.run(look).catch(() => undefined)
    return found ?? statementError(this.display, error.cause)
  }

  async close(): Promise<void> {
    await this.#transactions.settled()
    await Promise.all([this.#reads.close(), this.#transactions.close()])
  }
}

/** Whether a ledger row carries the number of the transaction. Waits for whoever still holds the row. */
const landed: Landed<Done<unknown>> = async (session, { xid, written }) => {
  // The transaction wrote no ledger row that could tell. Running it again gives the same result.
  if (!written) return false
  const { rows } = await session.query(
    'SELECT xmin::text AS xid FROM _pipe_units WHERE pipeline = $1 AND step = $2 AND unit = $3 FOR UPDATE',
    [String(written.pipeline), String(written.step), String(written.unit)],
  )
  return rows[0]?.xid === xid
}

/** The number that rows of the transaction carry: the lower half of the whole one. */
async function transactionId(session: PostgresSession): Promise<string> {
  const { rows } = await session.query('SELECT (pg_current_xact_id_if_assigned()::text::numeric % 4294967296)::text AS xid')
  return rows[0]?.xid ?? ''
}
