import { KeptFacts } from '../report/kept-facts.js'
import type { Bus } from '../run/bus.js'
import type { Clock } from '../sdk/index.js'
import type { StateStore } from '../state/store.js'

const KEEP_MS = 1_000

/**
 * Writes the newest facts of a run into the state store, at most once a second and where there are new ones, for those who ask what
 * happened in a run of another process, or of one that is gone. That they can't be written is told with the view.
 */
export function keepFacts({
  state,
  run,
  bus,
  clock,
}: {
  readonly state: StateStore
  readonly run: string
  readonly bus: Bus
  readonly clock: Clock
}): { close(): Promise<void> } {
  const kept = new KeptFacts()
  const leave = bus.subscribe((event) => kept.push(event))
  const stop = new AbortController()
  let written = 0
  const write = async () => {
    const { count, lines, dropped } = kept
    if (count === written) return
    await state.rememberFacts(run, { lines, dropped }).then(
      () => (written = count),
      () => undefined,
    )
  }
  const work = (async () => {
    while (!stop.signal.aborted) {
      await clock.sleep(KEEP_MS, stop.signal).catch(() => undefined)
      await write()
    }
  })()
  return {
    close: async () => {
      leave()
      stop.abort()
      await work
    },
  }
}
