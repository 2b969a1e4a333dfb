import type { CheckResult } from './step.js'

/** Figures of one request to an endpoint; sent when it ends. */
export interface RequestFigures {
  readonly endpoint: string
  readonly calls: number
  readonly bytes: number
  readonly ms: number
  /** What it cost, where the endpoint has a budget. */
  readonly credits?: number | undefined
}

/** What an endpoint serves: a chain, or a REST source. */
export type Served = { readonly chain: string } | { readonly source: string }

/** Why a request was sent again, or refused. */
export type RpcErrorClass = 'RATE' | 'QUOTA' | 'AUTH' | 'SPLIT' | 'BATCH' | 'STATE' | 'LAG' | 'UNSUP' | 'SERVER' | 'BUG'

/** `limited`: all went well, but `--limit` left something out. `closed`: a gate did not pass. `blocked`: a need did not end well. */
export type StepOutcome = 'complete' | 'limited' | 'incomplete' | 'failed' | 'closed' | 'skipped' | 'blocked' | 'stopped'

/** What a step that walks through time has covered of what it wants, when it is planned. Times are milliseconds UTC. */
export interface TimeCoverage {
  /** Null where nothing is covered. */
  readonly oldest: number | null
  readonly newest: number | null
  readonly coveredDays: number
  readonly targetDays: number
}

/** How much a step does at once. */
export interface Width {
  /** What is counted: its units that are open, or its requests in flight. */
  readonly of: 'units' | 'requests'
  /** At most so many; null where none is written, and it is found. */
  readonly most: number | null
}

/** Everything that happens in a run, in order. Facts with plain data, no text for people. `at` is milliseconds UTC. */
export type RunEvent = { readonly run: string; readonly at: number } & RunFact

export type RunFact =
  | {
      readonly type: 'run:started'
      readonly pipeline: string
      readonly warehouse: string
      readonly pid: number
      readonly host: string
      readonly steps: readonly { readonly id: string; readonly title: string; readonly type: string; readonly needs: readonly string[] }[]
      /** `--follow`: it goes on for what is new until it is stopped. */
      readonly follow?: boolean
      /** Params that were given to it, as text. */
      readonly params?: Readonly<Record<string, string>>
      /** `--select`; left out: all steps. */
      readonly select?: readonly string[]
      /** `--limit`. */
      readonly limit?: number
    }
  | { readonly type: 'run:resolved'; readonly heads: Readonly<Record<string, string>>; readonly params: Readonly<Record<string, string>> }
  | {
      readonly type: 'step:planned'
      readonly step: string
      readonly units: number
      readonly pieces: number
      readonly done: number
      readonly requests: number
      readonly reasons: Readonly<Record<string, number>>
      /** What its pieces are called: `blocks`, `rows`, `days`. */
      readonly word: string
      /** Of a step that walks through time. */
      readonly time?: TimeCoverage
      /** Of a step that reads the blocks of a chain up to one that moves with the head: that one. */
      readonly blocks?: { readonly chain: string; readonly last: string }
      /** Of a step that wants a stretch of an axis: both ends, blocks or microseconds UTC as decimal text. */
      readonly span?: { readonly of: 'numbers' | 'time'; readonly from: string; readonly to: string }
      /** Of a step that can do several things at once. */
      readonly parallel?: Width
    }
  | { readonly type: 'step:started'; readonly step: string }
  /** Somebody changed how much a step does at once: `parallel` of what was planned. */
  | { readonly type: 'step:parallel'; readonly step: string; readonly most: number }
  | { readonly type: 'unit:started'; readonly step: string; readonly unit: string; readonly resumed: boolean; readonly size?: number }
  | {
      readonly type: 'batch:committed'
      readonly step: string
      readonly unit: string
      readonly pieces: number
      /** How many pieces the unit holds, where its step says so only while it runs. */
      readonly of?: number
      readonly rows: Readonly<Record<string, number>>
      readonly doubles: number
      /** What the step counted: late rows, changed ones. */
      readonly counts?: Readonly<Record<string, number>>
      /** Ends of the time that this batch covered, milliseconds UTC. */
      readonly time?: { readonly oldest: number; readonly newest: number }
    }
  | { readonly type: 'commit:done'; readonly units: number; readonly rows: number; readonly ms: number }
  | {
      readonly type: 'unit:retrying'
      readonly step: string
      readonly unit: string
      readonly error: string
      readonly code: string
      readonly attempt: number
      readonly waitMs: number
    }
  | { readonly type: 'unit:done'; readonly step: string; readonly unit: string }
  /**
   * A unit was left before its end: the run stops, its requests are used up, another run has taken it over, or what it read is of
   * another fork than what lies beside it.
   */
  | { readonly type: 'unit:left'; readonly step: string; readonly unit: string; readonly reason: 'stopped' | 'taken' | 'forked' }
  /** Blocks of a chain were replaced by others. What was read of them is deleted and read again, and so is what was computed from it. */
  | {
      readonly type: 'reorg'
      readonly chain: string
      /** The first block that was replaced, decimal text. */
      readonly block: string
      /** How many of those that were read. */
      readonly replaced: number
      /** Whose rows were deleted. */
      readonly steps: readonly string[]
    }
  | {
      readonly type: 'unit:failed'
      readonly step: string
      readonly unit: string
      readonly error: string
      /** Lines that belong below it: a stack, or what a program said last. */
      readonly detail?: string
      readonly code: string
      readonly hint?: string
      readonly state: 'failed' | 'quarantined'
    }
  /** A key of a unit was not done, by the fault of an endpoint: a later run asks for it again. */
  | {
      readonly type: 'key:failed'
      readonly step: string
      readonly unit: string
      readonly key: string
      readonly error: string
      readonly code: string
      readonly hint?: string
    }
  /** A key of a unit was not done, and is not asked for again before `pipe retry`. */
  | {
      readonly type: 'key:quarantined'
      readonly step: string
      readonly unit: string
      readonly key: string
      readonly error: string
      readonly code: string
      readonly hint?: string
    }
  | { readonly type: 'check:evaluated'; readonly step: string; readonly result: CheckResult; readonly final: boolean }
  | {
      readonly type: 'step:ended'
      readonly step: string
      readonly outcome: StepOutcome
      readonly missing: number
      readonly quarantined: number
      readonly reason?: string
      /** Of a gate that opened: what is incomplete above it (`allow_gaps`). Of what is computed: what it can't be any more. */
      readonly gaps?: string
    }
  /** A request has ended. */
  | { readonly type: 'request'; readonly from: Served; readonly figures: RequestFigures }
  | {
      readonly type: 'retry'
      readonly from: Served
      readonly endpoint: string
      readonly class: RpcErrorClass
      readonly calls: number
      readonly waitMs: number
      readonly message: string
    }
  | {
      readonly type: 'endpoint'
      readonly from: Served
      readonly endpoint: string
      readonly health: 'up' | 'waiting' | 'down'
      readonly reason?: string
    }
  /** What an endpoint was found to take: calls a request, and requests in flight. */
  | {
      readonly type: 'limits'
      readonly from: Served
      readonly endpoint: string
      readonly batch: number
      readonly parallel: number
      /** Of its budget. */
      readonly creditsPerSecond?: number | undefined
    }
  /** A request that took far longer than usual at one endpoint was sent to another one, too: the first whole answer counts. */
  | {
      readonly type: 'hedge'
      readonly from: Served
      readonly endpoint: string
      readonly to: string
      readonly calls: number
      /** How long it had been under way. */
      readonly ms: number
    }
  /** Only with rounds: `--until-complete`, `--follow`. A round that finds nothing new when following is none. */
  | { readonly type: 'round:started'; readonly round: number }
  /**
   * Another round begins after the wait: something is still missing, or may be new then. `reason`: an outage that ended the round
   * early, or kept it from beginning; when following, only where it is another one than before.
   */
  | { readonly type: 'round:ended'; readonly round: number; readonly waitMs: number; readonly reason?: string }
  /** When following: the head of a chain, seen while a round reads up to one that was seen before. */
  | { readonly type: 'head'; readonly chain: string; readonly head: string }
  /**
   * When following: how many blocks lie above those that all steps of the chain have read, and for how many milliseconds the oldest of them
   * is known to be there; null where it was there before the run began. Told when the head moved, and as a round ends; of a long round in between.
   */
  | { readonly type: 'lag'; readonly chain: string; readonly head: string; readonly behind: number; readonly ms: number | null }
  /** Rows that the `retention` of their table let go were deleted. */
  | { readonly type: 'rows:expired'; readonly table: string; readonly rows: number }
  /** Nothing has moved for `ms` milliseconds. `for`: what the run waits for, in words. */
  | { readonly type: 'run:waiting'; readonly ms: number; readonly for: string }
  | { readonly type: 'warning'; readonly step?: string; readonly message: string }
  /** Somebody wants it to pause: what is under way comes to its end, and nothing further is begun. */
  | { readonly type: 'run:pausing' }
  /** Nothing is under way any more. */
  | { readonly type: 'run:paused' }
  /** It goes on, or was to pause and does not. */
  | { readonly type: 'run:resumed' }
  | { readonly type: 'run:stopping'; readonly signal: string }
  | {
      readonly type: 'run:ended'
      readonly outcome: 'done' | 'incomplete' | 'stopped' | 'error'
      readonly exitCode: number
      /** What ended it, where the steps don't say it. */
      readonly error?: string
    }

/** What holds for every event of a type. A new event does not compile without its line. */
export const facts: { readonly [type in RunFact['type']]: FactKind } = {
  'run:started': { quiet: false, moves: false },
  'run:resolved': { quiet: false, moves: false },
  'step:planned': { quiet: false, moves: true },
  'step:started': { quiet: false, moves: true },
  'step:parallel': { quiet: false, moves: false },
  'unit:started': { quiet: true, moves: false },
  'batch:committed': { quiet: true, moves: true },
  'commit:done': { quiet: true, moves: false },
  'unit:retrying': { quiet: false, moves: false },
  'unit:done': { quiet: true, moves: true },
  'unit:left': { quiet: true, moves: false },
  reorg: { quiet: false, moves: true },
  'unit:failed': { quiet: false, moves: true },
  'key:failed': { quiet: false, moves: true },
  'key:quarantined': { quiet: false, moves: false },
  'check:evaluated': { quiet: false, moves: false },
  'step:ended': { quiet: false, moves: true },
  request: { quiet: true, moves: false },
  retry: { quiet: false, moves: false },
  endpoint: { quiet: false, moves: false },
  limits: { quiet: true, moves: false },
  hedge: { quiet: true, moves: false },
  'round:started': { quiet: false, moves: true },
  'round:ended': { quiet: false, moves: false },
  head: { quiet: true, moves: false },
  lag: { quiet: true, moves: false },
  'rows:expired': { quiet: false, moves: true },
  'run:waiting': { quiet: false, moves: false },
  warning: { quiet: false, moves: false },
  'run:pausing': { quiet: false, moves: false },
  'run:paused': { quiet: false, moves: false },
  'run:resumed': { quiet: false, moves: false },
  'run:stopping': { quiet: false, moves: false },
  'run:ended': { quiet: false, moves: false },
}

export interface FactKind {
  /** It carries no text of others, and comes often: no secret is looked for in it. */
  readonly quiet: boolean
  /** A run that gets on brings it about, sooner or later: without any of these for long, the run has stalled. */
  readonly moves: boolean
}
