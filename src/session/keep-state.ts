import type { RunView } from '../report/view.js'
import type { Clock, Json } from '../sdk/index.js'
import type { StateStore, Wish } from '../state/store.js'

const KEEP_MS = 1_000
/** What becomes of a wish is told this soon. */
const SOON_MS = 100

/**
 * Writes the view into the state store about once a second, for `pipe status` of other processes, and takes up what people want of
 * the run by then: `wished` says whether that was anything new. `failed` is told of the first time that it can't be written: others
 * see less, and the run goes on.
 */
export function keepState(
  { state, run, view, clock }: { readonly state: StateStore; readonly run: string; readonly view: RunView; readonly clock: Clock },
  { wished, failed }: { readonly wished: (wish: Wish) => boolean; readonly failed: (error: unknown) => void },
): { close(): Promise<void> } {
  const stop = new AbortController()
  let told = false
  let changed = false
  const work = (async () => {
    while (!stop.signal.aborted) {
      await clock.sleep(changed ? SOON_MS : KEEP_MS, stop.signal).catch(() => undefined)
      if (stop.signal.aborted) return
      try {
        changed = wished(await state.updateRun(run, { view: asJson(view) }, Math.round(clock.now())))
      } catch (error) {
        changed = false
        if (!told) failed(error)
        told = true
      }
    }
  })()
  return {
    close: async () => {
      stop.abort()
      await work
    },
  }
}

/** A copy as it is now. A view is plain data, which its type can't say to `Json`: it is changed in place. */
export function asJson(view: RunView): Json {
  return JSON.parse(JSON.stringify(view)) as Json
}
