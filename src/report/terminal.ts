import type { Writable } from 'node:stream'
import type { Clock } from '../sdk/index.js'
import { escapeText } from './escape.js'
import { lagsOf } from './lag.js'
import type { Reporter } from './reporter.js'
import type { RunView, StepView } from './view.js'
import { checksOf, count, counted, duration, endpointLine, lagLine, stepLine } from './words.js'

export interface TerminalOptions {
  /** A terminal. While the display lives, whatever else is written to it and to standard error is held and shown at the end. */
  readonly out: Writable
  readonly view: RunView
  readonly clock: Clock
  /** Width where `out` does not say it. */
  readonly columns: number
  readonly color: boolean
}

/**
 * A live line a step, then one an endpoint, redrawn ten times a second. With more steps than a screen holds, one line
 * counts them and the running ones follow. It only shows: the outcome of the run is in the events.
 */
export function terminalReporter(options: TerminalOptions): Reporter {
  let closing: Promise<() => Promise<void>> | undefined
  return {
    onEvent(event) {
      if (event.type === 'run:started') closing ??= openDisplay(options).catch(() => () => Promise.resolve())
    },
    async close() {
      await (
        await closing
      )?.()
    },
  }
}

/** A line of the display while it is drawn. */
interface Slot {
  text(): string
  /** Whether the line is final: undefined while it is not. */
  ended(): 'well' | 'not well' | undefined
}

/** More steps than this get one line together. */
const maxStepLines = 12
const maxEndpointLines = 4

/** Resolves to what ends the display. */
async function openDisplay({ out, view, clock, columns, color }: TerminalOptions): Promise<() => Promise<void>> {
  const { DefaultRenderer, Listr, LISTR_DEFAULT_RENDERER_STYLE, ListrLogger, ProcessOutput, Spinner } = await import('listr2')
  let over = false
  const slots = [...stepSlots(view, clock), restSlot(view, clock)].map((slot) => ({
    ...slot,
    ended: () => slot.ended() ?? (over ? 'not well' : undefined),
  }))
  const refreshers: (() => void)[] = []

  let broken: Error | undefined
  const guarded = (draw: () => void): void => {
    if (broken) return
    try {
      draw()
    } catch (error) {
      broken = error instanceof Error ? error : new Error(String(error))
    }
  }

  // Titles are set just before each drawing; setting one through the wrapper would draw at once.
  class RefreshingSpinner extends Spinner {
    override start(draw?: () => void, interval?: number) {
      super.start(
        () =>
          guarded(() => {
            for (const refresh of refreshers) refresh()
            draw?.()
          }),
        interval,
      )
    }
  }
  // Whether this is a terminal is for the caller to say.
  class LiveRenderer extends DefaultRenderer {
    static override nonTTY = true

    // Called by timers and events, where an error would end the process.
    override update() {
      guarded(() => super.update())
    }
  }
  const list = new Listr(
    slots.map((slot) => ({
      title: slot.text(),
      task: (_, wrapper) =>
        new Promise<void>((resolve, reject) => {
          const refresh = () => {
            wrapper.task.title = slot.text()
            const ended = slot.ended()
            if (ended === 'well') resolve()
            if (ended === 'not well') reject(new Error(wrapper.task.title))
          }
          refreshers.push(refresh)
          // The run may have ended while the display was made.
          refresh()
        }),
    })),
    {
      concurrent: true,
      exitOnError: false,
      // Its handler would end the process with 127 before the last commit.
      registerSignalListeners: false,
      renderer: LiveRenderer,
      rendererOptions: {
        formatOutput: 'truncate',
        spinner: new RefreshingSpinner(),
        logger: new ListrLogger({ processOutput: new ProcessOutput(terminal(out, columns), undefined, { leaveEmptyLine: false }) }),
        ...(color
          ? {}
          : {
              color: Object.fromEntries(
                Object.keys(LISTR_DEFAULT_RENDERER_STYLE.color ?? {}).map((level) => [level, (text?: string) => text ?? '']),
              ),
            }),
      },
    },
  )
  const running = list.run().catch(() => undefined)
  return async () => {
    over = true
    for (const refresh of refreshers) refresh()
    await running
    if (broken) throw broken
  }
}

/** A closed terminal must not end the run. */
function terminal(out: Writable, columns: number): NodeJS.WriteStream {
  out.on('error', () => undefined)
  if (!('columns' in out)) Object.assign(out, { columns })
  // listr2 needs `write` only, and takes `columns` and `rows` when they are there.
  return out as NodeJS.WriteStream
}

function stepSlots(view: RunView, clock: Clock): Slot[] {
  if (view.steps.length > maxStepLines) return [manyStepsSlot(view, clock)]
  const width = Math.min(24, Math.max(...view.steps.map((step) => escapeText(step.id).length)))
  return view.steps.map((step) => ({
    text: () => stepLine(step, checksOf(view, step.id), clock.now(), width),
    ended: () => endedAs(step, view),
  }))
}

function endedAs(step: StepView, view: RunView): 'well' | 'not well' | undefined {
  switch (step.state) {
    case 'complete':
    case 'skipped':
    case 'limited':
      // A line that ended is drawn no more, and the next round would not be seen.
      return view.round === null || view.state === 'ended' ? 'well' : undefined
    case 'waiting':
    case 'planned':
    case 'running':
      return view.state === 'ended' ? 'not well' : undefined
    default:
      return view.round === null || view.state === 'ended' ? 'not well' : undefined
  }
}

function manyStepsSlot(view: RunView, clock: Clock): Slot {
  const of = (...states: StepView['state'][]) => view.steps.filter((step) => states.includes(step.state))
  return {
    text() {
      const [ended, running, waiting] = [of('complete', 'skipped', 'limited'), of('running'), of('waiting', 'planned')]
      const bad = view.steps.length - ended.length - running.length - waiting.length
      const head = [
        counted(view.steps.length, 'steps'),
        `${count(ended.length)} complete`,
        `${count(running.length)} running`,
        `${count(waiting.length)} waiting`,
        ...(bad > 0 ? [`${count(bad)} not complete`] : []),
      ]
      const shown = running.slice(0, maxStepLines - 1)
      const width = Math.min(24, Math.max(0, ...shown.map((step) => escapeText(step.id).length)))
      return [head.join('  '), ...shown.map((step) => stepLine(step, checksOf(view, step.id), clock.now(), width))].join('\n')
    },
    ended() {
      if (view.state !== 'ended') return undefined
      return of('complete', 'skipped', 'limited').length === view.steps.length ? 'well' : 'not well'
    },
  }
}

/** Endpoints, how far the heads are that are followed, the wait for the next round, that the run is being stopped, and the newest warning. */
function restSlot(view: RunView, clock: Clock): Slot {
  return {
    text() {
      const shown = view.endpoints.slice(0, maxEndpointLines)
      const lines = shown.map(endpointLine)
      if (view.endpoints.length > shown.length) lines.push(`and ${counted(view.endpoints.length - shown.length, 'endpoints')} more`)
      const next = view.round?.nextAt ?? null
      if (view.follow) lines.push(...lagsOf(view, clock.now()).map(lagLine))
      else if (next !== null && view.state === 'running')
        lines.push(`run ${count((view.round?.number ?? 0) + 1)} begins in ${duration(next - clock.now())}: something is still missing`)
      if (view.state === 'stopping')
        lines.push(`stopping (${escapeText(view.stopping ?? '')}): committing what is in flight; once more stops at once`)
      if (view.waiting) lines.push(`nothing moved for ${duration(view.waiting.ms)}; waiting for: ${escapeText(view.waiting.for)}`)
      const newest = view.warnings.reduce<(typeof view.warnings)[number] | undefined>(
        (last, warning) => (last && last.at > warning.at ? last : warning),
        undefined,
      )
      if (newest) lines.push(`warning: ${escapeText(newest.message)}${newest.count > 1 ? ` (${count(newest.count)} times)` : ''}`)
      return lines.join('\n') || 'no requests yet'
    },
    ended() {
      if (view.state !== 'ended') return undefined
      return view.endpoints.length > 0 && view.endpoints.every(({ health }) => health === 'down') ? 'not well' : 'well'
    },
  }
}
