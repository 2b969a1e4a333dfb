/** What to do when a signal is aborted: one listener a signal, however many wait for it. */
export class Stops {
  readonly #waiting = new Map<AbortSignal, { readonly all: Set<() => void>; readonly listener: () => void }>()

  /** `signal` must not be aborted yet. */
  add(signal: AbortSignal, stop: () => void): void {
    let waiting = this.#waiting.get(signal)
    if (!waiting) {
      const all = new Set<() => void>()
      const listener = (): void => {
        this.#waiting.delete(signal)
        for (const each of all) each()
      }
      waiting = { all, listener }
      this.#waiting.set(signal, waiting)
      signal.addEventListener('abort', listener, { once: true })
    }
    waiting.all.add(stop)
  }

  remove(signal: AbortSignal, stop: () => void): void {
    const waiting = this.#waiting.get(signal)
    if (!waiting?.all.delete(stop) || waiting.all.size > 0) return
    signal.removeEventListener('abort', waiting.listener)
    this.#waiting.delete(signal)
  }
}
