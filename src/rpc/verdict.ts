import type { RpcErrorClass } from '../sdk/index.js'

/** What a reply says of one call: the class of its error, or what is wrong with its result. */
export type Said =
  | RpcErrorClass
  /** `null` for something that must exist. */
  | 'NULL'
  /** A JSON number that may have been rounded, or more levels than can be worked with. */
  | 'USELESS'
  /** Nothing at all. */
  | 'MISSING'
  /** Nothing, in a reply that says that it was getting too large. */
  | 'LEFT_OUT'

/** A call with an answer that is none, as far as it decides what is to be done. */
export interface Case {
  readonly said: Said
  /** Whether the call reads logs, so that its range can be split. */
  readonly logs: boolean
  /** Calls of the request. */
  readonly calls: number
  /** Attempts of this call that failed before, and how many there may be. */
  readonly attempts: number
  readonly maxAttempts: number
  /** How often this endpoint said before that it lacks the state for this call. */
  readonly lacks: number
  /** Whether the block of the call is far below the head of the endpoint. */
  readonly old: boolean
  /** Whether the endpoint has answered anything since the request was sent. */
  readonly answers: boolean
  /** Whether another endpoint may get the call. */
  readonly others: boolean
  /** Whether another endpoint may know the method. */
  readonly known: boolean
}

/** Which error ends the call. */
export type Failure = 'call' | 'range' | 'method' | 'state' | 'behind' | 'null'

/** What the answer shows of the endpoint. */
export type Lesson = 'refused' | 'unsupported' | 'too-many' | 'lacks-state'

/** What is to be done with the call. */
export type Verdict = {
  /** The class that is reported. */
  readonly as: RpcErrorClass
  readonly lesson?: Lesson
  /** What is counted against the call: an attempt, or state that this endpoint lacks. */
  readonly counts?: 'attempt' | 'state'
} & (
  | { readonly next: 'again' }
  /** After a wait. `move`: preferably at another endpoint. */
  | { readonly next: 'later'; readonly move: boolean }
  /** At once, and not at this endpoint. */
  | { readonly next: 'elsewhere' }
  | { readonly next: 'failed'; readonly error: Failure }
)

/** Decides on one call. Pure: `settle` carries it out. */
export function verdict(the: Case): Verdict {
  switch (the.said) {
    case 'RATE':
    case 'QUOTA':
      return { as: the.said, next: 'again', lesson: 'refused' }
    case 'AUTH':
      // Said of one call among answered ones it is about this call.
      if (the.calls === 1 || !the.answers) return { as: 'AUTH', next: 'again', lesson: 'refused' }
      return the.others ? { as: 'AUTH', next: 'elsewhere' } : { as: 'AUTH', next: 'failed', error: 'call' }
    case 'SPLIT':
      return the.logs ? { as: 'SPLIT', next: 'failed', error: 'range' } : tooMany(the)
    case 'BATCH':
      return tooMany(the)
    case 'STATE':
      return lacking(the)
    case 'LAG':
      return the.old ? lacking(the) : attempt(the, 'LAG', 'behind', true)
    case 'NULL':
      return attempt(the, 'LAG', 'null', true)
    case 'UNSUP':
      return the.known
        ? { as: 'UNSUP', next: 'again', lesson: 'unsupported' }
        : { as: 'UNSUP', next: 'failed', error: 'method', lesson: 'unsupported' }
    case 'SERVER':
    case 'USELESS':
      return attempt(the, 'SERVER', 'call', true)
    case 'MISSING':
      return attempt(the, 'SERVER', 'call', false)
    case 'LEFT_OUT':
      // Not its fault: the answer was getting too large.
      return { as: 'BATCH', next: 'again' }
    case 'BUG':
      return { as: 'BUG', next: 'failed', error: 'call' }
  }
}

/** One more attempt, bounded. */
function attempt({ attempts, maxAttempts }: Case, as: RpcErrorClass, error: Failure, move: boolean): Verdict {
  return attempts + 1 >= maxAttempts ? { as, next: 'failed', error, counts: 'attempt' } : { as, next: 'later', move, counts: 'attempt' }
}

function tooMany(the: Case): Verdict {
  return the.calls === 1 ? attempt(the, 'BATCH', 'call', true) : { as: 'BATCH', next: 'again', lesson: 'too-many' }
}

/** Another endpoint; without one, this one once more, since nodes are known to say so by mistake. */
function lacking({ others, lacks }: Case): Verdict {
  const known = { as: 'STATE', counts: 'state', lesson: 'lacks-state' } as const
  if (others) return { ...known, next: 'elsewhere' }
  return lacks === 0 ? { ...known, next: 'later', move: false } : { ...known, next: 'failed', error: 'state' }
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
export function dropVerdict(drops: number, maxAttempts: number, answered: boolean): 'again' | 'failed' | 'unreachable' {
  if (drops <= maxAttempts * DROPS_AN_ATTEMPT) return 'again'
  return answered ? 'failed' : 'unreachable'
}
