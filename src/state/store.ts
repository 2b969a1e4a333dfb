import type { CheckResult, Json } from '../sdk/index.js'

/** What the state store keeps of a run. Times are milliseconds UTC. */
export interface RunRecord {
  readonly id: string
  readonly pipeline: string
  /** For people: no user, no password. */
  readonly warehouse: string
  readonly file: string
  readonly hash: string
  readonly pid: number
  readonly host: string
  /** The file that the run keeps locked while it lives (`PipelineLock.path`): free means that its process is gone. */
  readonly lockFile?: string | undefined
  readonly startedAt: number
  readonly endedAt: number | undefined
  readonly outcome: 'running' | 'done' | 'incomplete' | 'stopped' | 'error' | 'crashed'
  readonly exitCode: number | undefined
  /** Heads, params and `now`, resolved once. */
  readonly resolved: Json | undefined
  /** The reduced view of the run (`RunView` of report/view.ts), written at most once a second. */
  readonly view: Json | undefined
  /** What is wanted of it while it is under way. */
  readonly wish: Wish
  readonly updatedAt: number
}

/** What people want of a run that is under way. The run takes it up when it writes its view the next time. */
export interface Wish {
  /** No further unit, step or round is to be begun. */
  readonly paused: boolean
  /** How much steps are to do at once, by step; left out: as the file says. */
  readonly parallel: Readonly<Record<string, number>>
}

/** That of a run of which nobody wants anything. */
export const NO_WISH: Wish = { paused: false, parallel: {} }

/** Which runs, by their warehouse as `RunRecord` has it; left out: all. */
export interface RunsOf {
  /** Into this one. */
  readonly warehouse?: string | undefined
  /** Into others than this one. */
  readonly notInto?: string | undefined
}

/** A result of a check. `at`: milliseconds UTC. */
export interface CheckRecord {
  readonly run: string
  readonly step: string
  readonly result: CheckResult
  /** It decided something. Others were found while the needs of a gate still ran. */
  readonly final: boolean
  readonly at: number
}

/** What an endpoint was found to take; kept for the next run. */
export interface LearnedLimits {
  readonly chain: string
  /** Host only. */
  readonly endpoint: string
  readonly batch: number | undefined
  readonly maxBatch: number | undefined
  readonly parallel: number | undefined
  readonly maxBlockRange: number | undefined
  readonly at: number
}

/** Rates a step has shown, for estimates. */
export interface StepRate {
  readonly pipeline: string
  readonly step: string
  readonly piecesPerSecond: number
  readonly bytesPerPiece: number
  readonly at: number
}

/** What is kept of what happened in a run: the newest facts, the oldest first. */
export interface FactsRecord {
  /** Each as JSON. */
  readonly lines: readonly string[]
  /** How many older ones are gone. */
  readonly dropped: number
}

/** Something that is not well, and of which somebody was told (`notify`). */
export interface Told extends Problem {
  /** Who: `slack hooks.slack.com`; empty: all, as an earlier version kept it. */
  readonly receiver: string
}

/** Something that is not well. */
export interface Problem {
  readonly kind: 'failure' | 'gate_closed' | 'stall'
  /** A step, or one of its checks; empty: the run itself. */
  readonly about: string
  /** When, milliseconds UTC. */
  readonly at: number
}

/**
 * Who works on what and what happened. Advisory: what is done is in the warehouse's ledger only, so a lost state store
 * costs history, not data. It exists so that others can look while a run holds the warehouse.
 */
export interface StateStore {
  /** Also marks earlier runs as crashed whose process is gone, and forgets the oldest beyond 200 runs a pipeline. */
  startRun(run: Omit<RunRecord, 'endedAt' | 'outcome' | 'exitCode' | 'resolved' | 'view' | 'wish' | 'updatedAt'>): Promise<void>
  /** Resolves to what is wanted of it by now. */
  updateRun(
    id: string,
    change: Partial<Pick<RunRecord, 'resolved' | 'view' | 'endedAt' | 'outcome' | 'exitCode'>>,
    at: number,
  ): Promise<Wish>
  /**
   * Changes what is wanted of a run that is under way; two who do so at once both have their way. Resolves to false when the run has
   * ended. @throws what `change` throws
   */
  wish(id: string, change: (before: Wish) => Wish): Promise<boolean>
  /** Newest first. A run whose process is gone is `crashed`. */
  runs(pipeline: string, options?: RunsOf & { readonly limit?: number }): Promise<readonly RunRecord[]>
  /** One of them; undefined when nobody knows it. */
  run(id: string): Promise<RunRecord | undefined>
  /** Keeps the newest 200 results of a step in a run. */
  recordCheck(run: string, step: string, result: CheckResult, about: { readonly final: boolean; readonly at: number }): Promise<void>
  /** Of the runs of a pipeline that are kept, the newest first: at most `limit`. */
  checks(pipeline: string, limit: number, of?: RunsOf): Promise<readonly CheckRecord[]>
  limits(chain: string): Promise<readonly LearnedLimits[]>
  rememberLimits(limits: readonly LearnedLimits[]): Promise<void>
  rates(pipeline: string): Promise<readonly StepRate[]>
  rememberRates(rates: readonly StepRate[]): Promise<void>
  /** Takes the place of what was remembered of this run. */
  rememberFacts(run: string, facts: FactsRecord): Promise<void>
  /** Undefined for a run that kept none, and for all but the newest 20 of a pipeline. */
  facts(run: string): Promise<FactsRecord | undefined>
  /** What receivers were told of a pipeline and is not over. `warehouse`: as `rememberTold` had it. */
  told(pipeline: string, warehouse: string): Promise<readonly Told[]>
  /** Takes the place of what was remembered of this pipeline and warehouse. */
  rememberTold(pipeline: string, warehouse: string, told: readonly Told[]): Promise<void>
  close(): Promise<void>
}
