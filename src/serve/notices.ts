import type { Pipeline } from '../pipeline/pipeline.js'
import type { NoticeKind, Receiver } from '../pipeline/receivers.js'
import { receiverNames, toldPlace, toldTo } from '../session/notices.js'
import type { StateStore, Told } from '../state/store.js'

/** Who is told of the runs of a pipeline, and what they know of that is not over. */
export interface NoticesAnswer {
  /** A demo tells nobody. */
  readonly enabled: boolean
  readonly receivers: readonly ReceiverAnswer[]
}

export interface ReceiverAnswer {
  readonly type: Receiver['type']
  readonly host: string
  readonly on: readonly NoticeKind[]
  /** The newest first. `about`: a step, or one of its checks; empty: the run itself. */
  readonly told: readonly { readonly kind: Told['kind']; readonly about: string; readonly at: string }[]
}

/** Of a receiver its host alone is said: whoever has its URL can write there. */
export async function noticesOf({ name, notify, warehouse }: Pipeline, state: StateStore, enabled: boolean): Promise<NoticesAnswer> {
  const told = enabled && notify.length > 0 ? await state.told(name, toldPlace(warehouse)) : []
  return {
    enabled,
    receivers: receiverNames(notify).map(([receiver, { type, url, on }]) => ({
      type,
      host: new URL(url).host,
      on,
      // Of a kind that it did not ask for it was not told.
      told: toldTo(told, receiver)
        .filter(({ kind }) => on.includes(kind))
        .sort((a, b) => b.at - a.at)
        .map(({ kind, about, at }) => ({ kind, about, at: new Date(at).toISOString() })),
    })),
  }
}
