import type { Writable } from 'node:stream'
import type { RunEvent } from '../sdk/index.js'

/** Shows events to somebody. Reads the view, which already holds the event; keeps nothing that must not be lost. */
export interface Reporter {
  /** Returns at once: what takes time happens later. */
  onEvent(event: RunEvent): void
  /** Shows what is left and lets go of timers and files. Rejects when what it shows could not be made. */
  close(): Promise<void>
}

/**
 * Lets reporters follow a run whose view holds each event before they are told of it. Resolves `close` when all have closed.
 * A reporter that fails is told no more, and `warn` says so once: a run never ends otherwise because of its picture.
 */
export function follow(
  subscribe: (listener: (event: RunEvent) => void) => () => void,
  reporters: readonly Reporter[],
  warn: (text: string) => void,
): { close(): Promise<void> } {
  const broken = new Set<Reporter>()
  const fail = (reporter: Reporter, error: unknown): void => {
    if (broken.has(reporter)) return
    broken.add(reporter)
    warn(`warning: what shows the run failed: ${error instanceof Error ? error.message : String(error)}; the run is not affected`)
  }
  const leave = reporters.map((reporter) =>
    subscribe((event) => {
      if (broken.has(reporter)) return
      try {
        reporter.onEvent(event)
      } catch (error) {
        fail(reporter, error)
      }
    }),
  )
  return {
    async close() {
      for (const unsubscribe of leave.splice(0)) unsubscribe()
      await Promise.all(reporters.map((reporter) => reporter.close().catch((error: unknown) => fail(reporter, error))))
    },
  }
}

/** Writes to a stream until nobody reads it any more (`pipe run … | head`); then it is quiet. */
export function quietWriter(out: Writable): (text: string) => void {
  let open = true
  out.on('error', () => {
    open = false
  })
  return (text) => {
    if (!open || out.destroyed || out.writableEnded) return
    try {
      out.write(text)
    } catch {
      open = false
    }
  }
}
