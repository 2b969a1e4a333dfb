import type { Pipeline } from '../pipeline/pipeline.js'
import type { RunEvent } from '../sdk/index.js'
import { follow, type Reporter } from '../report/reporter.js'
import { initialView, type RunView } from '../report/view.js'
import type { Io } from './io.js'

export interface ReportersOptions {
  readonly bus: { subscribe(listener: (event: RunEvent) => void): () => void }
  readonly io: Io
  readonly output: 'auto' | 'plain' | 'json'
  readonly statusFile: string | undefined
  readonly pipeline: Pipeline
  /** What stands behind `pipe run` to run the same once more. */
  readonly again: string
}

/** What people and machines see of a run: live on a terminal, else lines, or one JSON line an event; and the status file. */
export async function openReporters({
  bus,
  io,
  output,
  statusFile,
  pipeline,
  again,
}: ReportersOptions): Promise<{ readonly view: RunView; close(): Promise<void> }> {
  const view = initialView()
  const reporters: Reporter[] = []
  if (output === 'json') {
    const { jsonReporter } = await import('../report/json.js')
    reporters.push(jsonReporter({ out: io.stdout }))
  } else if (output === 'auto' && io.isTTY) {
    const { terminalReporter } = await import('../report/terminal.js')
    reporters.push(terminalReporter({ out: io.stdout, view, clock: io.clock, columns: io.columns, color: io.color }))
  } else {
    const { lineReporter } = await import('../report/lines.js')
    reporters.push(lineReporter({ out: io.stdout, view, clock: io.clock }))
  }
  if (statusFile !== undefined) {
    const { statusFileReporter } = await import('../report/status-file.js')
    reporters.push(
      statusFileReporter({
        path: statusFile,
        view,
        clock: io.clock,
        warn: (text: string) => void io.stderr.write(`${text}\n`),
        pid: io.pid,
      }),
    )
  }
  const following = follow((listener) => bus.subscribe(listener), view, reporters)
  return {
    view,
    close: async () => {
      await following.close()
      if (output === 'json') return
      const { renderSummary } = await import('../report/summary.js')
      io.stdout.write(renderSummary(view, { file: pipeline.file, again, columns: io.columns }))
    },
  }
}
