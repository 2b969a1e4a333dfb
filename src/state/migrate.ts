import { existsSync } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import type { Knex } from 'knex'
import { StateNewerError } from './file-errors.js'

/** A state store that is to be brought to the schema of this version. */
export interface Migrated {
  /** For people. */
  readonly name: string
  /** The first statement of the transaction: who comes second waits here for the first. */
  enter(transaction: Knex): Promise<void>
}

/**
 * Brings a state store to the schema of this version, in one transaction, so that a killed migration leaves the old
 * schema. Processes that start at once wait for the first.
 *
 * @throws {StateNewerError} before anything is changed, when it has migrations that this version does not know.
 */
export async function migrateState(db: Knex, { name, enter }: Migrated): Promise<void> {
  const folder = migrationsFolder()
  const names = (await readdir(folder)).filter((name) => name.endsWith('.js')).sort()
  if (missing(names, await applied(db, name, names)).length === 0) return
  await db.transaction(async (transaction) => {
    await enter(transaction)
    if (missing(names, await applied(transaction, name, names)).length === 0) return
    await transaction.migrate.latest({ tableName, migrationSource: source(folder, names) })
  })
}

/** Where knex writes down which migrations were done. */
export const tableName = 'migrations'

/** The same folder for the sources (`src/state`) and the build (`dist/src/state`). */
function migrationsFolder(): string {
  const folders = ['../../migrations/state', '../../../migrations/state'].map((folder) => fileURLToPath(new URL(folder, import.meta.url)))
  const folder = folders.find((candidate) => existsSync(candidate))
  if (folder === undefined) throw new Error(`the migrations of the state store are missing from this installation: ${folders.join(', ')}`)
  return folder
}

function missing(names: readonly string[], done: ReadonlySet<string>): readonly string[] {
  return names.filter((name) => !done.has(name))
}

async function applied(db: Knex, path: string, names: readonly string[]): Promise<ReadonlySet<string>> {
  if (!(await db.schema.hasTable(tableName))) return new Set()
  const rows = await db<{ name: string }>(tableName).select('name')
  const unknown = rows.map((row) => row.name).filter((name) => !names.includes(name))
  if (unknown.length > 0) throw new StateNewerError(path, unknown.sort())
  return new Set(rows.map((row) => row.name))
}

function source(folder: string, names: readonly string[]): Knex.MigrationSource<string> {
  return {
    getMigrations: () => Promise.resolve([...names]),
    getMigrationName: (name) => name,
    async getMigration(name) {
      // Files of this package, each with an `up`.
      const { up } = (await import(/* @vite-ignore */ pathToFileURL(join(folder, name)).href)) as Pick<Knex.Migration, 'up'>
      return { up, down: () => Promise.reject(new Error('migrations of the state store go forward only')) }
    },
  }
}
