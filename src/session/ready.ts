import type { Pipeline } from '../pipeline/pipeline.js'
import { command, type LedgerReader, PipeError } from '../sdk/index.js'

/** Tables of the warehouse are not what the file declares. */
export class SchemaDriftError extends PipeError {
  readonly code = 'SCHEMA_DRIFT'
  override readonly hint: string
  constructor(problems: readonly string[], fixes: readonly string[], migrations: boolean) {
    super(`the warehouse differs from \`tables\`:\n  ${problems.join('\n  ')}`)
    const where = migrations ? ' (put it into the next numbered file of `migrations`, and run `pipe migrate FILE`)' : ''
    this.hint = fixes.length > 0 ? `this would mend it${where}:\n    ${fixes.join('\n    ')}` : 'change `tables`, or the table'
  }
}

/** SQL of the pipeline is not applied yet. Nothing was fetched. */
export class MigrationsPendingError extends PipeError {
  readonly code = 'MIGRATIONS_PENDING'
  override readonly hint: string
  constructor(display: string, names: readonly string[], file: string) {
    super(
      `${names.length} ${names.length === 1 ? 'migration is' : 'migrations are'} not applied to ${display}: ${names.slice(0, 5).join(', ')}${names.length > 5 ? ', …' : ''}`,
    )
    this.hint = `apply ${names.length === 1 ? 'it' : 'them'} first: ${command('migrate', { file })}`
  }
}

/**
 * Stops while migrations are pending: what they make is part of what the steps fill. The ledger's tables must be there.
 *
 * @throws {MigrationsPendingError} @throws {MigrationHistoryError}
 */
export async function refusePending(warehouse: LedgerReader, pipeline: Pipeline): Promise<void> {
  if (pipeline.migrations === undefined) return
  const [{ readMigrations }, { pendingMigrations }] = await Promise.all([
    import('../pipeline/migrations.js'),
    import('../warehouse/migrate.js'),
  ])
  const { migrations } = readMigrations(pipeline.migrations, warehouse.kind)
  const pending = await pendingMigrations(warehouse, pipeline.name, migrations)
  if (pending.length > 0)
    throw new MigrationsPendingError(
      warehouse.display,
      pending.map(({ name }) => name),
      pipeline.file,
    )
}

/** Stops with every difference between the declared tables and the real ones. @throws {SchemaDriftError} */
export async function refuseDrift(warehouse: LedgerReader, pipeline: Pipeline): Promise<void> {
  const drift = await warehouse.drift([...pipeline.tables.values()])
  if (drift.length > 0)
    throw new SchemaDriftError(
      drift.map(({ table, problem }) => `${table}: ${problem}`),
      drift.flatMap(({ fix }) => fix ?? []),
      pipeline.migrations !== undefined,
    )
}
