import type { CheckResult } from './step.js'

/** Figures of one request to an endpoint; sent when it ends. */
export interface RequestFigures {
  readonly endpoint: string
  readonly calls: number
  readonly bytes: number
  readonly ms: number
}

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
      /** What its pieces are called. */
      readonly word: 'blocks' | 'rows' | 'days' | 'intervals' | 'units' | 'checks'
      /** Of a step that walks through time. */
      readonly time?: TimeCoverage
    }
  | { readonly type: 'step:started'; readonly step: string }
  | { readonly type: 'unit:started'; readonly step: string; readonly unit: string; readonly resumed: boolean; readonly size?: number }
  | {
      readonly type: 'batch:committed'
      readonly step: string
      readonly unit: string
      readonly pieces: number
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
  | {
      readonly type: 'unit:failed'
      readonly step: string
      readonly unit: string
      readonly error: string
      readonly code: string
      readonly hint?: string
      readonly state: 'failed' | 'quarantined'
    }
  | {
      readonly type: 'key:quarantined'
      readonly step: string
      readonly unit: string
      readonly key: string
      readonly error: string
      readonly code: string
    }
  | { readonly type: 'check:evaluated'; readonly step: string; readonly result: CheckResult; readonly final: boolean }
  | {
      readonly type: 'step:ended'
      readonly step: string
      readonly outcome: StepOutcome
      readonly missing: number
      readonly quarantined: number
      readonly reason?: string
    }
  | { readonly type: 'rpc:request'; readonly chain: string; readonly figures: RequestFigures }
  | {
      readonly type: 'rpc:retry'
      readonly chain: string
      readonly endpoint: string
      readonly class: RpcErrorClass
      readonly calls: number
      readonly waitMs: number
      readonly message: string
    }
  | { readonly type: 'rpc:limits'; readonly chain: string; readonly endpoint: string; readonly batch: number; readonly parallel: number }
  | {
      readonly type: 'rpc:endpoint'
      readonly chain: string
      readonly endpoint: string
      readonly health: 'up' | 'waiting' | 'down'
      readonly reason?: string
    }
  /** A request to a REST source has ended. */
  | { readonly type: 'http:request'; readonly source: string; readonly figures: RequestFigures }
  | {
      readonly type: 'http:retry'
      readonly source: string
      readonly endpoint: string
      readonly class: RpcErrorClass
      readonly calls: number
      readonly waitMs: number
      readonly message: string
    }
  | {
      readonly type: 'http:endpoint'
      readonly source: string
      readonly endpoint: string
      readonly health: 'up' | 'waiting' | 'down'
      readonly reason?: string
    }
  /** Only with rounds: `--until-complete`. */
  | { readonly type: 'round:started'; readonly round: number }
  /** Something is still missing, and another round begins after the wait. `reason`: an outage that ended the round early. */
  | { readonly type: 'round:ended'; readonly round: number; readonly waitMs: number; readonly reason?: string }
  | { readonly type: 'warning'; readonly step?: string; readonly message: string }
  | { readonly type: 'run:stopping'; readonly signal: string }
  | {
      readonly type: 'run:ended'
      readonly outcome: 'done' | 'incomplete' | 'stopped' | 'error'
      readonly exitCode: number
      /** What ended it, where the steps don't say it. */
      readonly error?: string
    }
