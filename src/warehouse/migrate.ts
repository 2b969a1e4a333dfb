import { type Migration, type Param, PipeError, sql, sqlText, type Statement, type Warehouse } from '../sdk/index.js'
import { StatementError } from './errors.js'

/** The files and what was applied to the warehouse do not fit together. Nothing was changed. */
export class MigrationHistoryError extends PipeError {
  readonly code = 'MIGRATION_HISTORY'
  constructor(
    display: string,
    problem: string,
    override readonly hint: string,
  ) {
    super(`${display}: ${problem}`)
  }
}

/** A migration failed. Those before it are applied. */
export class MigrationFailedError extends PipeError {
  readonly code = 'MIGRATION_FAILED'
  override readonly hint = 'mend the file, and run `pipe migrate FILE` again: it goes on there'
  constructor(
    readonly migration: string,
    line: number,
    problem: string,
    kept: string,
    cause: unknown,
  ) {
    super(`${migration}:${line}: ${problem}; ${kept}`, { cause })
  }
}

type Looked = Pick<Warehouse, 'display' | 'query'>
type Migrated = Looked & Pick<Warehouse, 'transactional' | 'execute'>

/**
 * The migrations that are not applied yet, in order. The ledger's tables must be there, at least as temporary ones.
 *
 * @throws {MigrationHistoryError} when an applied one was changed or is gone.
 */
export async function pendingMigrations(
  warehouse: Looked,
  pipeline: string,
  migrations: readonly Migration[],
): Promise<readonly Migration[]> {
  const applied = await appliedStatements(warehouse, pipeline)
  for (const [name, { checksum, last }] of applied) {
    const file = migrations.find((migration) => migration.name === name)
    if (!file)
      throw new MigrationHistoryError(
        warehouse.display,
        `${name} was applied and is no longer among the files`,
        'put it back under that name: what was applied stays as it was',
      )
    if (last && file.checksum !== checksum)
      throw new MigrationHistoryError(
        warehouse.display,
        `${name} was changed after it was applied`,
        'put it back as it was, and write what should change into a new migration',
      )
  }
  return migrations.filter(({ name }) => applied.get(name)?.last !== true)
}

/**
 * Applies one migration. Where the warehouse has transactions, all of it and its record, or nothing. Where it has none, its
 * statements one by one, each recorded after it ran: what was under way when the process died runs again, so it must bear
 * that (`IF NOT EXISTS`). A half-done one whose text was changed since begins anew.
 *
 * @throws {MigrationFailedError} naming file and line.
 */
export async function applyMigration(warehouse: Migrated, pipeline: string, migration: Migration, now: () => bigint): Promise<void> {
  const { name, statements, checksum } = migration
  const record = (done: number): Statement => {
    const values: readonly Param[] = [
      text(pipeline),
      text(name),
      int(done),
      int(statements.length),
      text(checksum),
      { type: { kind: 'timestamp' }, value: now() },
    ]
    const [first, ...rest] = values
    if (!first) throw new Error('no values')
    const list = rest.reduce((all, value) => sql`${all}, ${value}`, sql`${first}`)
    return sql`
      INSERT INTO _pipe_migrations (pipeline, name, statement, statements, checksum, applied_at)
      SELECT ${list}`
  }
  const failed = (error: unknown, index: number, kept: string): unknown => {
    if (!(error instanceof StatementError)) return error
    return new MigrationFailedError(name, statements[index]?.line ?? 1, error.problem, kept, error)
  }
  if (warehouse.transactional) {
    try {
      await warehouse.execute([...statements.map((statement) => sqlText(statement.text)), record(statements.length)])
    } catch (error) {
      throw failed(error, error instanceof StatementError ? error.index : 0, 'nothing of it was applied')
    }
    return
  }
  const before = (await appliedStatements(warehouse, pipeline)).get(name)
  const from = before?.checksum === checksum ? before.done : 0
  if (before && from === 0)
    await warehouse.execute([sql`DELETE FROM _pipe_migrations WHERE pipeline = ${text(pipeline)} AND name = ${text(name)}`])
  for (const [i, statement] of statements.entries()) {
    if (i < from) continue
    try {
      await warehouse.execute([sqlText(statement.text), record(i + 1)])
    } catch (error) {
      throw failed(
        error,
        i,
        i === 0
          ? 'nothing of it was applied'
          : i === 1
            ? 'the statement before it is applied'
            : `the ${i} statements before it are applied`,
      )
    }
  }
}

interface Applied {
  readonly checksum: string
  /** Statements that are done. */
  readonly done: number
  /** Whether that is all of them. */
  readonly last: boolean
}

async function appliedStatements(warehouse: Looked, pipeline: string): Promise<ReadonlyMap<string, Applied>> {
  const found = new Map<string, Applied>()
  const query = sql`
    SELECT name, statement, statements, checksum
    FROM _pipe_migrations
    WHERE pipeline = ${text(pipeline)}
    ORDER BY name, statement`
  for await (const page of warehouse.query(query)) {
    for (const row of page) {
      const done = Number(row.statement)
      found.set(String(row.name), { checksum: String(row.checksum), done, last: done === Number(row.statements) })
    }
  }
  return found
}

const text = (value: string): Param => ({ type: { kind: 'text' }, value })
const int = (value: number): Param => ({ type: { kind: 'int' }, value })
