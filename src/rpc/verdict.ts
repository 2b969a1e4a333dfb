import type { RpcErrorClass } from '../sdk/index.js'

/** What a reply says of one call: the class of its error, or what is wrong with its result. */
export type Said =
  | RpcErrorClass
  /** `null` for something that must exist. */
  | 'NULL'
  /** A JSON number that may have been rounded, or more levels than can be worked with. */
  | 'USELESS'
  /** Another block than the asked one. */
  | 'OTHER'
  /** The chain's own answer: the call fails wherever it is asked. */
  | 'REVERT'
  /** Nothing at all. */
  | 'MISSING'
  /** Nothing, in a reply that says that it was getting too large. */
  | 'LEFT_OUT'

/** A call with an answer that is none, as far as it decides what is to be done. */
export interface Case {
  readonly said: Said
  /** Whether the call reads logs: of one block, or of a range that can be split. */
  readonly logs: 'block' | 'range' | undefined
  /** Calls of the request. */
  readonly calls: number
  /** Whether the block of the call is far below the head of the endpoint. */
  readonly old: boolean
  /** Whether the endpoint has answered anything since the request was sent. */
  readonly answers: boolean
  /** Whether what it gives may be had by other calls, some of which the endpoint has answered. */
  readonly replaceable: boolean
}

/**
 * Which error ends the call. `unanswered`: that of the call when the endpoint answers others, else an outage of the endpoint.
 * `silent`: the endpoint said nothing of the call, which is an outage in any case.
 */
export type Failure = 'call' | 'unanswered' | 'silent' | 'range' | 'method' | 'state' | 'behind' | 'null' | 'other' | 'login' | 'too-large'

/** What the answer shows of the endpoint. */
export type Lesson = 'refused' | 'unsupported' | 'too-many' | 'lacks'

/** What is to be done with the call. */
export type Verdict = {
  /** The class that is reported. */
  readonly as: RpcErrorClass
  readonly lesson?: Lesson
} & (
  | { readonly next: 'again' }
  /**
   * This endpoint refuses the call. It goes elsewhere at once, and is asked again after a wait when all have been asked,
   * until every endpoint has refused it `enough` times: as often as the step has attempts, or once. `answer`: it fails as
   * soon as all endpoints that are up have said so.
   */
  | { readonly next: 'refused'; readonly error: Failure; readonly enough: 'attempts' | 'once'; readonly answer?: true }
  | { readonly next: 'failed'; readonly error: Failure }
)

/** Decides on one call. Pure: `settle` carries it out. */
export function verdict(the: Case): Verdict {
  switch (the.said) {
    case 'RATE':
    case 'QUOTA':
      return { as: the.said, next: 'again', lesson: 'refused' }
    case 'AUTH':
      // The login did for others. Where it is lost, those that stand in for this one say so.
      if (the.replaceable) return verdict({ ...the, said: 'UNSUP' })
      // Said of one call among answered ones it is about this call.
      if (the.calls === 1 || !the.answers) return { as: 'AUTH', next: 'again', lesson: 'refused' }
      return { as: 'AUTH', next: 'refused', error: 'login', enough: 'once' }
    case 'SPLIT':
      if (the.logs === 'range') return { as: 'SPLIT', next: 'failed', error: 'range' }
      return the.logs === 'block' ? { as: 'SPLIT', next: 'refused', error: 'range', enough: 'once' } : tooMany(the)
    case 'BATCH':
      return tooMany(the)
    case 'STATE':
      return { as: 'STATE', lesson: 'lacks', ...refused('state') }
    case 'LAG':
      return the.old ? { as: 'STATE', lesson: 'lacks', ...refused('state') } : { as: 'LAG', ...refused('behind') }
    case 'NULL':
      return the.old ? { as: 'LAG', lesson: 'lacks', ...refused('null') } : { as: 'LAG', ...refused('null') }
    case 'UNSUP':
      return { as: 'UNSUP', lesson: 'unsupported', ...refused('method') }
    case 'SERVER':
      return { as: 'SERVER', ...refused('unanswered') }
    case 'MISSING':
      return { as: 'SERVER', ...refused('silent') }
    case 'USELESS':
      return { as: 'SERVER', ...refused('call') }
    case 'OTHER':
      return { as: 'SERVER', ...refused('other') }
    case 'LEFT_OUT':
      // Not its fault: the answer was getting too large.
      return { as: 'BATCH', next: 'again' }
    case 'BUG':
      return { as: 'BUG', next: 'refused', error: 'call', enough: 'once' }
    case 'REVERT':
      return { as: 'BUG', next: 'refused', error: 'call', enough: 'once', answer: true }
  }
}

/** How often one that answers others is asked for what can be had in another way; undefined: as for anything else. */
export function replaceableTimes({ as, lesson }: Verdict): number | undefined {
  if (lesson === 'unsupported') return 1
  return as === 'SERVER' ? 2 : undefined
}

function refused(error: Failure): { readonly next: 'refused'; readonly error: Failure; readonly enough: 'attempts' } {
  return { next: 'refused', error, enough: 'attempts' }
}

function tooMany(the: Case): Verdict {
  return the.calls === 1 ? { as: 'BATCH', ...refused('call') } : { as: 'BATCH', next: 'again', lesson: 'too-many' }
}

/** What came of a request as a whole when it brought no answers. */
export type Nothing =
  /** `garbled`: an answer that says nothing, but not for its size. */
  | { readonly came: 'too-large' | 'crowded' | 'timeout' | 'broken' | 'connect' | 'garbled' }
  /** `wordless`: the refusal does not say that it is for the size. */
  | { readonly came: 'refused'; readonly class: RpcErrorClass; readonly wordless: boolean }

/** What is to be done with all calls of a request. */
export type RequestVerdict = {
  readonly as: RpcErrorClass
  /** What it shows of the endpoint's limits. */
  readonly limit?: 'too-many' | 'too-many-and-slow' | 'too-slow' | 'dropped'
} &
  /** All again. `refused`: the endpoint says why it wants nothing now. */
  (
    | { readonly next: 'again'; readonly refused: boolean }
    /** All again until it has happened too often, by weight. `failed`: the endpoint is to blame until it turns out to be the call. */
    | { readonly next: 'counted'; readonly weight: number; readonly failed: boolean }
    /** The one call has the answer that the whole request has. */
    | { readonly next: 'one' }
    /** The answer to the one call is too large. */
    | { readonly next: 'too-large' }
  )

/** A call whose requests come to nothing has so many tries an attempt: mostly it is the line, not the call. */
const DROPS_AN_ATTEMPT = 3

/** Decides on a request that brought no answers. Pure: `settle` carries it out. */
export function requestVerdict(nothing: Nothing, calls: number): RequestVerdict {
  const many = calls > 1
  switch (nothing.came) {
    case 'too-large':
      return many
        ? { as: 'BATCH', next: 'again', refused: false, limit: 'too-many-and-slow' }
        : { as: 'BATCH', next: 'too-large', limit: 'too-slow' }
    case 'crowded':
      // Not its fault: too many large answers at once.
      return { as: 'BATCH', next: 'again', refused: false, limit: 'too-slow' }
    case 'timeout':
      // Too much for it at once, or a call that it never finishes: either way smaller requests tell.
      return { as: 'SERVER', next: 'counted', weight: DROPS_AN_ATTEMPT, failed: true, limit: many ? 'too-many-and-slow' : 'too-slow' }
    case 'broken':
      return { as: 'SERVER', next: 'counted', weight: 1, failed: true, limit: 'dropped' }
    case 'connect':
      return { as: 'SERVER', next: 'counted', weight: 0, failed: true }
    case 'garbled':
      return { as: 'SERVER', next: 'counted', weight: 1, failed: true }
    case 'refused':
      return refusedVerdict(nothing.class, nothing.wordless, many)
  }
}

function refusedVerdict(as: RpcErrorClass, wordless: boolean, many: boolean): RequestVerdict {
  switch (as) {
    case 'RATE':
    case 'QUOTA':
    case 'AUTH':
      return { as, next: 'again', refused: true }
    case 'SERVER':
      return { as, next: 'counted', weight: 1, failed: true }
    case 'BATCH':
    case 'SPLIT':
      if (!many) return { as, next: 'one' }
      // 400 and 405 without a word about it mean batches as such, sooner or later.
      return { as: 'BATCH', next: 'counted', weight: 0.5, failed: false, limit: wordless ? 'dropped' : 'too-many' }
    default:
      // One bad call may spoil a whole request; alone each gets its own answer.
      return many ? { as, next: 'counted', weight: 1, failed: false, limit: 'dropped' } : { as, next: 'one' }
  }
}

/**
 * What becomes of a call whose requests came to nothing, by the weight of those. `answered`: some endpoint has answered
 * since the first of them; while nothing else goes well either, it is not the call.
 */
export function dropVerdict(drops: number, maxAttempts: number, answered: boolean): 'again' | 'refused' | 'unreachable' {
  if (drops <= maxAttempts * DROPS_AN_ATTEMPT) return 'again'
  return answered ? 'refused' : 'unreachable'
}
