import type { Pipeline } from '../pipeline/pipeline.js'
import { keepSchedule } from '../schedule/keep.js'
import { type Clock, counted } from '../sdk/index.js'
import type { History } from './history.js'
import type { Runs } from './runs.js'

export interface SchedulesParts {
  readonly pipelines: Iterable<Pipeline>
  readonly runs: Runs
  readonly history: History
  readonly clock: Clock
  /** Tells who watches the server. */
  readonly say: (line: string) => void
}

/**
 * Runs each pipeline that has a schedule at its times, as if somebody had asked for it, until the signal is aborted. Resolves when
 * the runs that this began have ended.
 */
export async function keepSchedules({ pipelines, runs, history, clock, say }: SchedulesParts, signal: AbortSignal): Promise<void> {
  await Promise.all([...pipelines].map(keep))

  async function keep(pipeline: Pipeline): Promise<void> {
    const { name, schedule } = pipeline
    if (!schedule) return
    const tell = (words: string) => say(`schedule of ${name}: ${words}`)
    const failed = (error: unknown) => tell(`no run was begun: ${error instanceof Error ? error.message : String(error)}`)
    const last = await history.last(name).catch(failed)
    await keepSchedule({
      schedule,
      since: last?.startedAt,
      clock,
      signal,
      isRunning: () => runs.isRunning(name),
      start: async ({ at, missed }) => {
        const run = await runs.start(pipeline, {})
        const others = missed === 0 ? '' : `, which makes up for ${counted(missed, 'missed times')}`
        tell(`run ${run} for ${new Date(at).toISOString()}${others}`)
        await runs.ended(name)
      },
      skipped: (times) => tell(`${counted(times, 'times')} passed without a run`),
      failed,
    })
  }
}
