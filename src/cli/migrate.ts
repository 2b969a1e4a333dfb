import type { Writable } from 'node:stream'
import { readMigrations } from '../pipeline/migrations.js'
import type { Pipeline } from '../pipeline/pipeline.js'
import { micros, type Migration, type Warehouse } from '../sdk/index.js'
import { applyMigration, pendingMigrations } from '../warehouse/migrate.js'
import { withWarehouse } from './amend.js'
import { Exit, type Io } from './io.js'
import type { MigrateOptions } from './options.js'

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

/** Applies what is pending of the pipeline's numbered SQL files. Nobody else may be at the pipeline meanwhile. */
export async function migrateCommand(file: string, { json, state }: MigrateOptions, io: Io): Promise<number> {
  const code = await withWarehouse(file, state, io, async (pipeline, warehouse) => {
    const report = await migrate(warehouse, pipeline, io, json ? undefined : io.stdout)
    if (json) io.stdout.write(`${JSON.stringify(report, null, 2)}\n`)
    return Exit.done
  })
  return code ?? Exit.notStarted
}

/**
 * Applies what is pending and says so. Declared tables are made first, since views and indexes may want them, but for those
 * that a migration makes itself.
 */
export async function migrate(warehouse: Warehouse, pipeline: Pipeline, io: Io, out: Writable | undefined): Promise<MigrateReport> {
  const { migrations } = pipeline.migrations === undefined ? { migrations: [] } : readMigrations(pipeline.migrations, warehouse.kind)
  await warehouse.prepare([])
  const pending = await pendingMigrations(warehouse, pipeline.name, migrations)
  if (pending.length > 0) await warehouse.prepare([...pipeline.tables.values()].filter(({ name }) => !migrations.some(creates(name))))
  const now = () => micros(io.clock)
  for (const migration of pending) {
    io.signal.throwIfAborted()
    await applyMigration(warehouse, pipeline.name, migration, now)
    const { length } = migration.statements
    out?.write(`${migration.name}: applied (${length} ${length === 1 ? 'statement' : 'statements'})\n`)
  }
  out?.write(
    migrations.length === 0
      ? `${pipeline.file} has no migrations for ${warehouse.kind}: nothing to apply\n`
      : pending.length === 0
        ? `nothing to apply: ${migrations.length === 1 ? 'the migration is' : `all ${migrations.length} migrations are`} in ${warehouse.display}\n`
        : `${pending.length} applied to ${warehouse.display}\n`,
  )
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
