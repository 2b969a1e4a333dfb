import type { Pipeline } from '../pipeline/pipeline.js'
import type { PlanReport } from '../plan/forecast.js'
import { renderPlan } from '../report/render-plan.js'
import { openLook } from '../session/look.js'
import { aboutOf } from './about.js'
import { Exit, type Io } from './io.js'
import { openPipeline } from './open-pipeline.js'
import type { PlanCommandOptions } from './options.js'

/** Prints what `run` would do. Changes nothing: not even an empty database is made. */
export async function planCommand(file: string, options: PlanCommandOptions, io: Io): Promise<number> {
  const { params, select } = options
  const pipeline = await openPipeline(file, { environment: options.offline ? 'warn' : 'require', params, select }, io)
  if (!pipeline) return Exit.notStarted
  const report = await makePlan(pipeline, options, io)
  const text = () => renderPlan(report, aboutOf(report.file, options, io), options.limit)
  io.stdout.write(options.json ? `${JSON.stringify(report, null, 2)}\n` : text())
  return options.detailedExitcode && report.work ? Exit.workToDo : Exit.done
}

async function makePlan(pipeline: Pipeline, options: PlanCommandOptions, io: Io): Promise<PlanReport> {
  const look = await openLook(pipeline, io, { state: options.state, hear: (message) => io.stderr.write(`warning: ${message}\n`) })
  try {
    return await look.plan(options)
  } finally {
    await look.close()
  }
}
