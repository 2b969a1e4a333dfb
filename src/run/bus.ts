import type { Clock, RunEvent, RunFact } from '../sdk/index.js'

/** Carries what happens in one run to everyone who listens. */
export interface Bus {
  /** Stamps the fact with run and time and hands it to every subscriber, in order, before it returns. Never throws. */
  emit(fact: RunFact): void
  /**
   * Calls `listener` with every later event. One that throws loses that event only; its first error is reported to all as
   * a `warning`, the others are dropped. Calling the result unsubscribes.
   */
  subscribe(listener: (event: RunEvent) => void): () => void
}

export function createBus(clock: Clock, run: string): Bus {
  const listeners = new Map<symbol, (event: RunEvent) => void>()
  const reported = new Set<symbol>()
  const queue: RunEvent[] = []
  let busy = false

  const failed = (id: symbol, error: unknown) => {
    if (reported.has(id)) return
    reported.add(id)
    emit({ type: 'warning', message: `a reporter failed: ${error instanceof Error ? error.message : String(error)}` })
  }
  const deliver = (event: RunEvent) => {
    for (const [id, listener] of [...listeners]) {
      try {
        // An async listener is a mistake of its author, but its rejection must not end the process.
        const result: unknown = listener(event)
        if (result instanceof Promise) result.catch((error: unknown) => failed(id, error))
      } catch (error) {
        failed(id, error)
      }
    }
  }
  const emit = (fact: RunFact) => {
    queue.push({ run, at: clock.now(), ...fact })
    // What a listener emits comes after the event it was told of, for all listeners alike.
    if (busy) return
    busy = true
    for (let event = queue.shift(); event !== undefined; event = queue.shift()) deliver(event)
    busy = false
  }

  return {
    emit,
    subscribe(listener) {
      const id = Symbol('listener')
      listeners.set(id, listener)
      return () => void listeners.delete(id)
    },
  }
}
