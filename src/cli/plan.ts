import type { Pipeline } from '../pipeline/pipeline.js'
import type { PlanReport } from '../plan/forecast.js'
import { renderPlan } from '../report/render-plan.js'
import { openLook } from '../session/look.js'
import { typable } from '../sdk/index.js'
import type { World } from '../session/surroundings.js'
import { aboutOf } from './about.js'
import { Exit, type Io } from './io.js'
import { openPipeline } from './open-pipeline.js'
import type { PlanCommandOptions } from './options.js'

/** Prints what `run` would do. Changes nothing: not even an empty database is made. */
export async function planCommand(file: string, options: PlanCommandOptions, io: Io): Promise<number> {
  const { params, select, demo } = options
  const pipeline = await openPipeline(file, { environment: options.offline || demo ? 'warn' : 'require', params, select }, io)
  if (!pipeline) return Exit.notStarted
  const report = demo ? await planDemo(pipeline, options, io) : await makePlan(pipeline, options, io)
  const about = aboutOf(report.file, options, io)
  const text = () => typable(renderPlan(report, about, options.limit), about)
  io.stdout.write(options.json ? `${JSON.stringify(report, null, 2)}\n` : text())
  return options.detailedExitcode && report.work ? Exit.workToDo : Exit.done
}

async function planDemo(pipeline: Pipeline, options: PlanCommandOptions, io: Io): Promise<PlanReport> {
  const { startDemo } = await import('./demo.js')
  const demo = await startDemo(pipeline, io)
  try {
    return await makePlan(demo.pipeline, options, io, demo.world)
  } finally {
    await demo.close()
  }
}

async function makePlan(pipeline: Pipeline, options: PlanCommandOptions, io: Io, world?: World): Promise<PlanReport> {
  const { state } = options
  const look = await openLook(pipeline, io, { state, world, hear: (message) => io.stderr.write(`warning: ${message}\n`) })
  try {
    return await look.plan(options)
  } finally {
    await look.close()
  }
}
