import { readMigrations } from '../pipeline/migrations.js'
import type { Pipeline } from '../pipeline/pipeline.js'
import { micros, type Migration, type Warehouse } from '../sdk/index.js'
import { applyMigration, pendingMigrations } from '../warehouse/migrate.js'
import { makeUnfilled } from './gone.js'
import type { Surroundings } from './surroundings.js'

/** What `pipe migrate --json` prints. */
export interface MigrateReport {
  readonly pipeline: string
  /** No user, no password. */
  readonly warehouse: string
  /** Applied now, in order. */
  readonly applied: readonly string[]
  /** Applied before. */
  readonly before: readonly string[]
}

/**
 * Applies what is pending of the pipeline's numbered SQL files, and tells `applied` of each. Declared tables are made first,
 * since views and indexes may want them, but for those that a migration makes itself, and those that are gone.
 */
export async function migrate(
  warehouse: Warehouse,
  pipeline: Pipeline,
  { clock, signal }: Pick<Surroundings, 'clock' | 'signal'>,
  applied: (migration: Migration) => void,
): Promise<MigrateReport> {
  const { migrations } = pipeline.migrations === undefined ? { migrations: [] } : readMigrations(pipeline.migrations, warehouse.kind)
  await warehouse.prepare([])
  const pending = await pendingMigrations(warehouse, pipeline.name, migrations)
  if (pending.length > 0) await makeUnfilled(warehouse, pipeline, (name) => !migrations.some(creates(name)))
  const now = () => micros(clock)
  for (const migration of pending) {
    signal.throwIfAborted()
    await applyMigration(warehouse, pipeline.name, migration, now)
    applied(migration)
  }
  const names = (list: readonly Migration[]) => list.map(({ name }) => name)
  return {
    pipeline: pipeline.name,
    warehouse: warehouse.display,
    applied: names(pending),
    before: names(migrations.filter((migration) => !pending.includes(migration))),
  }
}

/** Whether a migration has `CREATE TABLE name`, in any spelling of it. */
function creates(table: string): (migration: Migration) => boolean {
  const name = table.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')
  const pattern = new RegExp(
    `^CREATE\\s+(?:OR\\s+REPLACE\\s+)?TABLE\\s+(?:IF\\s+NOT\\s+EXISTS\\s+)?(?:["\`]?\\w+["\`]?\\s*\\.\\s*)?["\`]?${name}["\`]?(?![\\w.])`,
    'i',
  )
  return ({ statements }) => statements.some(({ text }) => pattern.test(text))
}
