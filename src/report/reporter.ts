import type { Writable } from 'node:stream'
import type { RunEvent } from '../sdk/index.js'

/** Shows events to somebody. Reads the view, which already holds the event; keeps nothing that must not be lost. */
export interface Reporter {
  /** Returns at once: what takes time happens later. */
  onEvent(event: RunEvent): void
  /** Shows what is left and lets go of timers and files. Never rejects. */
  close(): Promise<void>
}

/** Lets reporters follow a run whose view holds each event before they are told of it. Resolves `close` when all have closed. */
export function follow(
  subscribe: (listener: (event: RunEvent) => void) => () => void,
  reporters: readonly Reporter[],
): { close(): Promise<void> } {
  const leave = reporters.map((reporter) => subscribe((event) => reporter.onEvent(event)))
  return {
    async close() {
      for (const unsubscribe of leave.splice(0)) unsubscribe()
      await Promise.all(reporters.map((reporter) => reporter.close()))
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
