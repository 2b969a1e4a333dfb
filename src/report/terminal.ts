import type { Clock } from '../sdk/index.js'
import { frame } from './live-lines.js'
import type { Reporter } from './reporter.js'
import { Screen, type ScreenOptions } from './screen.js'
import type { RunView } from './view.js'

export interface TerminalOptions extends ScreenOptions {
  readonly view: RunView
  readonly clock: Clock
}

const drawEveryMs = 100

/** A live view of a run, drawn ten times a second. It only shows: the outcome of the run is in the events. */
export function terminalReporter(options: TerminalOptions): Reporter {
  const stop = new AbortController()
  /** Resolves to what it failed by, if it did. */
  let drawing: Promise<{ error: unknown } | undefined> | undefined
  return {
    onEvent(event) {
      if (event.type === 'run:started')
        drawing ??= drawUntil(stop.signal, options).then(
          () => undefined,
          (error: unknown) => ({ error }),
        )
    },
    async close() {
      stop.abort()
      const failed = await drawing
      if (failed) throw failed.error
    },
  }
}

async function drawUntil(stopped: AbortSignal, { view, clock, ...options }: TerminalOptions): Promise<void> {
  const screen = new Screen(options)
  const lines = (turn: number, over: boolean) => frame(view, { now: clock.now(), columns: screen.columns, turn, over })
  try {
    for (let turn = 0; !stopped.aborted; turn++) {
      screen.draw(lines(turn, false))
      await clock.sleep(drawEveryMs, stopped).catch(() => undefined)
    }
    screen.end(lines(0, true))
  } catch (error) {
    screen.end([])
    throw error
  }
}
