import { resolve } from 'node:path'
import type { Pipeline } from '../pipeline/pipeline.js'
import { isPipeError } from '../sdk/index.js'
import { openSession, type Session } from '../session/session.js'
import type { World } from '../session/surroundings.js'
import { aboutOf } from './about.js'
import { Exit, type Io } from './io.js'
import { migrateTelling } from './migrate.js'
import { openPipeline } from './open-pipeline.js'
import type { RunCommandOptions } from './options.js'
import { noticeFailedStart, openReporters, tellFailedStart } from './reporters.js'

/** Fetches what is missing. Resolves to the exit code. @throws {PipeError} what kept it from starting. */
export async function runCommand(file: string, options: RunCommandOptions, io: Io): Promise<number> {
  const { params, select } = options
  const pipeline = await openPipeline(file, { environment: options.demo ? 'warn' : 'require', params, select }, io)
  if (!pipeline) return Exit.notStarted
  if (!options.demo) return runPipeline(pipeline, options, io)
  const { startDemo } = await import('./demo.js')
  const demo = await startDemo(pipeline, io)
  try {
    const code = await runPipeline(demo.pipeline, watching(options, demo.rounds, io), io, demo.world)
    if (options.output !== 'json') await demo.show(io)
    return code
  } finally {
    await demo.close()
  }
}

/** A demo whose chain goes on growing is followed for so many rounds, where nothing else is asked for. */
function watching(options: RunCommandOptions, rounds: number | undefined, io: Io): RunCommandOptions {
  const { follow, untilComplete, limit } = options
  if (rounds === undefined || follow || untilComplete || limit !== undefined) return options
  io.stderr.write(`demo: the chain is followed for ${rounds} rounds, with a reorg on the way; --follow goes on until Ctrl-C\n`)
  return { ...options, follow: true, maxRuns: rounds }
}

async function runPipeline(pipeline: Pipeline, options: RunCommandOptions, io: Io, world?: World): Promise<number> {
  const { state, params, select, limit, fresh, force, untilComplete, follow, maxRuns, output } = options
  const statusFile = options.statusFile === undefined ? undefined : resolve(io.cwd, options.statusFile)
  const about = aboutOf(pipeline.file, options, io)
  let session: Session | undefined
  try {
    session = await openSession(pipeline, io, {
      state,
      world,
      fresh,
      about,
      migrate: options.demo ? (warehouse) => migrateTelling(warehouse, pipeline, io, io.stderr) : undefined,
    })
    const reporters = await openReporters({ session, io, output, statusFile, about })
    try {
      const { exitCode } = await session.run({
        ...{ params, select, limit, fresh, force, untilComplete, follow, maxRuns },
        waitMs: options.wait,
        timeoutMs: options.timeout,
        stallMs: options.stall,
      })
      return exitCode
    } finally {
      await reporters.close()
    }
  } catch (error) {
    // While another run holds the pipeline, the file is that one's.
    const held = isPipeError(error) && error.code === 'PIPELINE_HELD'
    // A run that did not begin has no events: the file would go on telling of the one before, and nobody would be told.
    const failedStart = !held && (session?.view.at ?? null) === null
    if (failedStart && statusFile !== undefined) await tellFailedStart(statusFile, pipeline, error, io)
    if (failedStart && !io.signal.aborted) await noticeFailedStart(pipeline, { state, world, error }, io)
    throw error
  } finally {
    await session?.close()
  }
}
