import { type PipeError, type RpcCall } from '../sdk/index.js'
import type { Endpoint } from './endpoint.js'
import { RpcAwayError, RpcMethodError, RpcRangeTooLongError } from './errors.js'
import type { CallState, Refusal } from './segment.js'
import { showCall } from './show-call.js'

/** A call with what is known of it. */
export interface Asked {
  readonly call: RpcCall
  /** The highest block that an endpoint must have. */
  readonly reach: bigint | undefined
  /** The one endpoint that may answer; undefined: any. */
  readonly only: Endpoint | undefined
  readonly state: CallState | undefined
}

/** Who may still answer a call. */
export type Outlook =
  /** These, now: they are up or being checked, and were not asked in this round. Those that are not believed to lack it come before the others. */
  | { readonly next: 'ask'; readonly endpoints: readonly Endpoint[] }
  /** All that are up were asked in this round; another round may go better. */
  | { readonly next: 'round' }
  /** All that are up have refused it often enough. These may come back or catch up, `until` when one may hope. */
  | { readonly next: 'wait'; readonly endpoints: readonly Endpoint[]; readonly until: number }
  /** The same, but none of the others will come back soon: an outage. */
  | { readonly next: 'away'; readonly endpoints: readonly Endpoint[] }
  /** All have refused it often enough, or one gave what the chain says and no other is there to say more. */
  | { readonly next: 'refused' }

/**
 * Who may still answer a call: the one place that tells a refusal of all from an outage. What an endpoint has not refused
 * itself, it may have, whatever it said of other calls. `patienceMs`: how long one that is away is waited for, unless it is asked alone.
 */
export function outlook({ call, reach, only, state }: Asked, endpoints: readonly Endpoint[], now: number, patienceMs: number): Outlook {
  const open: Endpoint[] = []
  const left: Endpoint[] = []
  let round = false
  let unasked = false
  for (const endpoint of only ? [only] : endpoints) {
    if (endpoint.refusals.tooLong(call) || state?.refusals.get(endpoint)?.final) continue
    if (call.replaceable === true && endpoint.refusals.knowsNot(call.method)) {
      unasked = true
      continue
    }
    left.push(endpoint)
    if (!endpoint.hopeful || !endpoint.reaches(reach)) continue
    if (state?.avoid.has(endpoint)) round = true
    else open.push(endpoint)
  }
  if (open.length > 0) {
    const better = open.filter((endpoint) => !endpoint.refusals.lacks(call))
    return { next: 'ask', endpoints: better.length > 0 ? better : open }
  }
  if (answerOf(state)) return { next: 'refused' }
  if (round) return { next: 'round' }
  // What it gives is there in another way, and nobody need be waited for.
  if (left.length === 0 || unasked) return { next: 'refused' }
  const since = state?.waitsSince ?? now
  const ends = left.map((endpoint) => endpoint.hopeUntil(since, only ? 0 : patienceMs))
  const until = Math.max(...ends)
  return until > now ? { next: 'wait', endpoints: left.filter((_, i) => (ends[i] ?? 0) > now), until } : { next: 'away', endpoints: left }
}

/** The error of a call that all endpoints have refused. One that blames an outage comes first: it says that the others may be wrong. */
export function refusalError({ call, state }: Asked, endpoints: readonly Endpoint[]): PipeError {
  const answer = answerOf(state)
  if (answer) return answer.error()
  const errors = [...(state?.refusals.values() ?? [])].filter(({ final }) => final).map(({ error }) => error())
  const last = errors.find(({ blame }) => blame === 'outage') ?? errors.at(-1)
  if (last) return last
  for (const { name, refusals } of endpoints) {
    const lacking = call.replaceable === true ? refusals.knowsNot(call.method) : undefined
    if (lacking) return new RpcMethodError(showCall(call), name, lacking.text)
  }
  const limits = endpoints.flatMap(({ name, refusals }) =>
    refusals.tooLong(call) ? [{ endpoint: name, blocks: refusals.maxBlockRange }] : [],
  )
  return new RpcRangeTooLongError(showCall(call), limits)
}

function answerOf(state: CallState | undefined): Refusal | undefined {
  return state && [...state.refusals.values()].find(({ answer }) => answer)
}

/** The error of a call whose other endpoints are away. */
export function awayError({ call, state }: Asked, away: readonly Endpoint[]): PipeError {
  const refused = [...(state?.refusals ?? [])].filter(([endpoint]) => !away.includes(endpoint))
  return new RpcAwayError(
    showCall(call),
    refused.map(([{ name }, { text }]) => ({ endpoint: name, reason: text })),
    away.map(({ trouble }) => trouble),
  )
}
