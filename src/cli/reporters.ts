import type { Pipeline } from '../pipeline/pipeline.js'
import { follow, type Reporter } from '../report/reporter.js'
import type { About } from '../sdk/index.js'
import type { Session } from '../session/session.js'
import type { World } from '../session/surroundings.js'
import { exitCodeOf, type Io } from './io.js'

export interface ReportersOptions {
  readonly session: Session
  readonly io: Io
  readonly output: 'auto' | 'plain' | 'json'
  readonly statusFile: string | undefined
  readonly about: About
}

/** What people and machines see of a run: live on a terminal, else lines, or one JSON line an event; and the status file. */
export async function openReporters({ session, io, output, statusFile, about }: ReportersOptions): Promise<{ close(): Promise<void> }> {
  const { view } = session
  const { clock } = io
  const reporters: Reporter[] = []
  if (output === 'json') {
    const { jsonReporter } = await import('../report/json.js')
    reporters.push(jsonReporter({ out: io.stdout }))
  } else if (output === 'auto' && io.isTTY) {
    const { terminalReporter } = await import('../report/terminal.js')
    reporters.push(
      terminalReporter({ out: io.stdout, err: io.stderr, view, clock, columns: io.columns, color: io.color, atExit: io.atExit }),
    )
  } else {
    const { lineReporter } = await import('../report/lines.js')
    reporters.push(lineReporter({ out: io.stdout, view, clock }))
  }
  if (statusFile !== undefined) {
    const { statusFileReporter } = await import('../report/status-file.js')
    reporters.push(
      statusFileReporter({ path: statusFile, view, clock, table: (step) => session.table(step), warn: warnOn(io), pid: io.pid }),
    )
  }
  const following = follow((listener) => session.subscribe(listener), reporters, warnOn(io))
  return {
    close: async () => {
      await following.close()
      if (output === 'json' || view.at === null) return
      const { renderSummary } = await import('../report/summary.js')
      await shown(io, () => void io.stdout.write(renderSummary(view, { about, columns: io.columns })))
    },
  }
}

/** The status file of a run that could not begin. */
export async function tellFailedStart(path: string, pipeline: Pipeline, error: unknown, io: Io): Promise<void> {
  const [{ statusFileReporter }, { initialView }] = await Promise.all([import('../report/status-file.js'), import('../report/view.js')])
  const exitCode = exitCodeOf(io.signal.aborted ? io.signal.reason : error)
  const at = Math.round(io.clock.now())
  const view = { ...initialView(), pipeline: pipeline.name, state: 'ended' as const, outcome: 'error' as const, exitCode, at }
  await statusFileReporter({ path, view, clock: io.clock, warn: warnOn(io), pid: io.pid }).close()
}

/** Tells those whom `notify` names of a run that could not begin. */
export async function noticeFailedStart(
  pipeline: Pipeline,
  { state, world, error }: { readonly state: string; readonly world: World | undefined; readonly error: unknown },
  io: Io,
): Promise<void> {
  if (pipeline.notify.length === 0) return
  const { tellFailedStart: tell } = await import('../session/notices.js')
  await tell({ pipeline, surroundings: io, world: world ?? {}, state, error, warn: (message) => warnOn(io)(`warning: ${message}`) })
}

/** Shows something of a run that is over: whatever goes wrong there changes nothing of how it ended. */
export async function shown(io: Io, show: () => void | Promise<void>): Promise<void> {
  try {
    await show()
  } catch (error) {
    warnOn(io)(`warning: what shows the run failed: ${error instanceof Error ? error.message : String(error)}; the run is not affected`)
  }
}

const warnOn = (io: Io) => (text: string) => void io.stderr.write(`${text}\n`)
