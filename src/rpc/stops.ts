import { Bag } from './bag.js'

/** Something to do when a signal is aborted. */
export interface Stop {
  readonly signal: AbortSignal
  readonly act: () => void
  index: number
}

/** What to do when a signal is aborted: one listener a signal, however many wait for it. */
export class Stops {
  readonly #waiting = new Map<AbortSignal, { readonly all: Bag<Stop>; readonly listener: () => void }>()

  /** `signal` must not be aborted yet. */
  add(signal: AbortSignal, act: () => void): Stop {
    let waiting = this.#waiting.get(signal)
    if (!waiting) {
      const all = new Bag<Stop>()
      const listener = (): void => {
        this.#waiting.delete(signal)
        for (const stop of all.all()) stop.act()
      }
      waiting = { all, listener }
      this.#waiting.set(signal, waiting)
      signal.addEventListener('abort', listener, { once: true })
    }
    const stop: Stop = { signal, act, index: 0 }
    waiting.all.add(stop)
    return stop
  }

  /** Does nothing when the signal was aborted. */
  remove(stop: Stop): void {
    const waiting = this.#waiting.get(stop.signal)
    if (!waiting) return
    waiting.all.delete(stop)
    if (waiting.all.size > 0) return
    stop.signal.removeEventListener('abort', waiting.listener)
    this.#waiting.delete(stop.signal)
  }

  /** Resolves with the work, or when the signal is aborted. */
  async unlessStopped(work: Promise<unknown>, signal: AbortSignal): Promise<void> {
    let go = (): void => {}
    const stopped = new Promise<void>((resolve) => (go = resolve))
    const stop = this.add(signal, go)
    try {
      await Promise.race([work, stopped])
    } finally {
      this.remove(stop)
    }
  }
}
