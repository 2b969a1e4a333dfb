import type { Writable } from 'node:stream'
import type { Pipeline } from '../pipeline/pipeline.js'
import { counted, type Warehouse } from '../sdk/index.js'
import { holdPipeline } from '../session/hold.js'
import { migrate, type MigrateReport } from '../session/migrate.js'
import { Exit, type Io } from './io.js'
import { openPipeline } from './open-pipeline.js'
import type { MigrateOptions } from './options.js'

/** Applies what is pending of the pipeline's numbered SQL files. Nobody else may be at the pipeline meanwhile. */
export async function migrateCommand(file: string, { json, state }: MigrateOptions, io: Io): Promise<number> {
  const pipeline = await openPipeline(file, { environment: 'warn' }, io)
  if (!pipeline) return Exit.notStarted
  const held = await holdPipeline(pipeline, state, io)
  try {
    const report = await migrateTelling(held.warehouse, pipeline, io, json ? undefined : io.stdout)
    if (json) io.stdout.write(`${JSON.stringify(report, null, 2)}\n`)
    return Exit.done
  } finally {
    await held.close()
  }
}

/** Applies what is pending and says so to people. */
export async function migrateTelling(warehouse: Warehouse, pipeline: Pipeline, io: Io, out: Writable | undefined): Promise<MigrateReport> {
  const report = await migrate(warehouse, pipeline, io, ({ name, statements: { length } }) => {
    out?.write(`${name}: applied (${counted(length, 'statements')})\n`)
  })
  out?.write(`${summary(report, pipeline, warehouse)}\n`)
  return report
}

function summary({ applied, before }: MigrateReport, { file }: Pipeline, { kind, display }: Warehouse): string {
  if (applied.length > 0) return `${applied.length} applied to ${display}`
  if (before.length === 0) return `${file} has no migrations for ${kind}: nothing to apply`
  return `nothing to apply: ${before.length === 1 ? 'the migration is' : `all ${before.length} migrations are`} in ${display}`
}
