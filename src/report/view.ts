import type { CheckResult, RunFact, StepOutcome, TimeCoverage, Width } from '../sdk/index.js'

export type PieceWord = Extract<RunFact, { type: 'step:planned' }>['word']

/** What is known of a run, folded from its events. Plain data: it goes through JSON unchanged. Times are milliseconds UTC. */
export interface RunView {
  run: string
  pipeline: string
  warehouse: string
  pid: number | null
  host: string
  /** `pausing`: what is under way comes to its end; `paused`: nothing is under way. */
  state: 'starting' | 'running' | 'pausing' | 'paused' | 'stopping' | 'ended'
  outcome: Extract<RunFact, { type: 'run:ended' }>['outcome'] | null
  exitCode: number | null
  error: string | null
  /** The signal that asked it to stop. */
  stopping: string | null
  /** It goes on for what is new until it is stopped. */
  follow: boolean
  /** With rounds: the one that runs, or ran last, and when the next one begins while it waits for it. */
  round: { number: number; nextAt: number | null } | null
  /** What it waits for, since nothing moves; null while it gets on. */
  waiting: { ms: number; for: string } | null
  startedAt: number | null
  endedAt: number | null
  /** Since when it is paused, and how long it was before. */
  pausedAt: number | null
  pausedMs: number
  /** Of the last event. */
  at: number | null
  heads: Record<string, string>
  /** When heads were first seen that may not be read yet, by chain, as `[block, at]`: the oldest first. */
  seen: Record<string, [number, number][]>
  /** Params that were given to it. */
  params: Record<string, string>
  /** The steps that it was asked for; null: all. */
  select: string[] | null
  /** At most so many input rows, blocks, days or pages a step; null: all. */
  limit: number | null
  steps: StepView[]
  endpoints: EndpointView[]
  commits: { count: number; units: number; rows: number; ms: number; maxMs: number }
  /** The newest result of each check. */
  checks: CheckView[]
  /** Keys that failed for good in this run: how many, and the first ones. */
  quarantined: { count: number; first: QuarantinedView[] }
  warnings: WarningView[]
  /** Warnings beyond the kinds that are kept. */
  moreWarnings: number
}

export interface StepView {
  id: string
  title: string
  type: string
  needs: string[]
  state: 'waiting' | 'planned' | 'running' | StepOutcome
  reason: string | null
  /** Of a gate that opened: what is incomplete above it (`allow_gaps`). Of what is computed: what it can't be any more. */
  gaps: string | null
  /** What its pieces are called. Null until it is planned. */
  word: PieceWord | null
  /** Pieces (blocks, rows, days) of this run: those done and those planned. Null until it is planned. */
  total: number | null
  /** Pieces committed in this run. */
  done: number
  /** Pieces that were done before this run. */
  before: number
  /** What the plan said: units, pieces and calls of this run, and units by reason. */
  planned: { units: number; pieces: number; calls: number; reasons: Record<string, number> } | null
  units: { done: number; failed: number; quarantined: number }
  /** Units that were begun and are not committed yet, the pieces of them that are left, and some of those that were begun first. */
  open: { units: number; pieces: number; first: OpenUnit[] }
  /** Pieces of units and keys that failed in this run. */
  failed: number
  /** Rows committed, by table. */
  rows: Record<string, number>
  /** Rows that came twice in one batch. */
  doubles: number
  /** What the step itself counted: late rows, changed ones. */
  counts: Record<string, number>
  /** Of a step that walks through time: what is covered by now of what it wants. */
  time: TimeCoverage | null
  /** Of a step that follows a head: the chain, and the last block that it wants. */
  blocks: { chain: string; last: number } | null
  /** Of a step that wants a stretch of an axis: both ends, blocks or microseconds UTC. */
  span: { of: 'numbers' | 'time'; from: number; to: number } | null
  /** How much it does at once. Null until it is planned, and where it does one thing. */
  parallel: Width | null
  startedAt: number | null
  endedAt: number | null
  /** Since when the run is paused in the middle of it, and how long it was before. */
  pausedAt: number | null
  pausedMs: number
  /** Pieces a second when its last batch was committed, over the last ten seconds. Null until it is known. */
  perSecond: number | null
  /** `[at, done]` of the last ten seconds, for `rateOf`. */
  samples: [number, number][]
  /** Retried units, by error code. */
  retries: Record<string, number>
  /** The newest failures, at most five, newest last. */
  failures: FailureView[]
  /** Pieces that are not there, as the step said when it ended. */
  missing: number
  /** Quarantined keys and units, as the step said when it ended; before that, those of this run. */
  quarantined: number
}

/** A unit that is under way. */
export interface OpenUnit {
  unit: string
  since: number
}

export interface FailureView {
  unit: string
  /** The one of its keys that failed; null where it was the unit. */
  key: string | null
  error: string
  /** Lines that belong below it: a stack, or what a program said last. */
  detail: string | null
  code: string
  hint: string | null
  state: 'failed' | 'quarantined' | 'retrying'
  at: number
}

export interface EndpointView {
  /** The chain, or the source, that it serves. */
  chain: string
  /** Host only. */
  endpoint: string
  health: 'up' | 'waiting' | 'down'
  reason: string | null
  requests: number
  calls: number
  bytes: number
  /** Milliseconds of all requests together. */
  ms: number
  /** Calls a request and requests in flight, as found; null before the first one. */
  batch: number | null
  parallel: number | null
  /** What its requests cost, and what it may spend a second; null without a budget. */
  credits: number | null
  creditsPerSecond: number | null
  /** Requests that were late, and were sent to another endpoint, too. */
  hedged: number
  /** Requests that were sent again, by class. */
  retries: Record<string, number>
  /** Of the last of them. */
  lastError: string | null
}

/** An endpoint of which nothing was heard yet. */
export function newEndpoint(chain: string, endpoint: string): EndpointView {
  return {
    chain,
    endpoint,
    health: 'up',
    reason: null,
    requests: 0,
    calls: 0,
    bytes: 0,
    ms: 0,
    batch: null,
    parallel: null,
    credits: null,
    creditsPerSecond: null,
    hedged: 0,
    retries: {},
    lastError: null,
  }
}

export type CheckView = CheckResult & { step: string; final: boolean; at: number }

export interface QuarantinedView {
  step: string
  unit: string
  key: string
  error: string
  code: string
  hint: string | null
}

export interface WarningView {
  step: string | null
  message: string
  count: number
  /** When it was last given. */
  at: number
}

/** A run of which nothing is known yet. */
export function initialView(): RunView {
  return {
    run: '',
    pipeline: '',
    warehouse: '',
    pid: null,
    host: '',
    state: 'starting',
    outcome: null,
    exitCode: null,
    error: null,
    stopping: null,
    follow: false,
    round: null,
    waiting: null,
    startedAt: null,
    endedAt: null,
    pausedAt: null,
    pausedMs: 0,
    at: null,
    heads: {},
    seen: {},
    params: {},
    select: null,
    limit: null,
    steps: [],
    endpoints: [],
    commits: { count: 0, units: 0, rows: 0, ms: 0, maxMs: 0 },
    checks: [],
    quarantined: { count: 0, first: [] },
    warnings: [],
    moreWarnings: 0,
  }
}

/** A step of which nothing is known yet. */
export function newStep(id: string): StepView {
  return {
    id,
    title: id,
    type: '',
    needs: [],
    state: 'waiting',
    reason: null,
    gaps: null,
    word: null,
    total: null,
    done: 0,
    before: 0,
    planned: null,
    units: { done: 0, failed: 0, quarantined: 0 },
    open: { units: 0, pieces: 0, first: [] },
    failed: 0,
    rows: {},
    doubles: 0,
    counts: {},
    time: null,
    blocks: null,
    span: null,
    parallel: null,
    startedAt: null,
    endedAt: null,
    pausedAt: null,
    pausedMs: 0,
    perSecond: null,
    samples: [],
    retries: {},
    failures: [],
    missing: 0,
    quarantined: 0,
  }
}
