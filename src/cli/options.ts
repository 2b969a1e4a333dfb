/** Where runs and history are kept when nothing says it. */
export const DEFAULT_STATE = 'sqlite:.pipe/state.db'

/** What every command gets. */
export interface CommonOptions {
  /** Where runs and history are kept: `--state`, else `PIPE_STATE`, else `sqlite:.pipe/state.db`. Never print it whole. */
  readonly state: string
}

export interface ValidateOptions {
  readonly format: 'text' | 'json' | 'github'
  /** Missing environment is an error, not a warning. */
  readonly env: boolean
}

/** What `plan` and `run` share: which part of the pipeline, with which values. */
export interface PlanOptions extends CommonOptions {
  /** By name, as text: the params' types are the pipeline's business. */
  readonly params: Readonly<Record<string, string>>
  /** Step ids; undefined means all. */
  readonly select: readonly string[] | undefined
  /** At most this many input rows, blocks, days or pages a step. */
  readonly limit: number | undefined
}

export interface PlanCommandOptions extends PlanOptions {
  /** What `run --demo` would do. */
  readonly demo: boolean
  readonly json: boolean
  readonly offline: boolean
  readonly detailedExitcode: boolean
}

export interface RunCommandOptions extends PlanOptions {
  readonly demo: boolean
  readonly output: 'auto' | 'plain' | 'json'
  readonly statusFile: string | undefined
  /** Marks what the steps have done as not done before the run. */
  readonly fresh: boolean
  /** Deletes what was read of blocks that a reorg replaced, however deep it is. */
  readonly force: boolean
  /** Rounds until nothing is missing. */
  readonly untilComplete: boolean
  /** Rounds for what is new, until it is stopped. */
  readonly follow: boolean
  /** At most so many rounds. */
  readonly maxRuns: number | undefined
  /** Milliseconds between rounds. */
  readonly wait: number | undefined
  /** Milliseconds of the whole run. */
  readonly timeout: number | undefined
  /** Milliseconds in which nothing may move; 0 switches it off. */
  readonly stall: number | undefined
}

export interface StatusOptions extends CommonOptions {
  /** Runs of `run --demo`. */
  readonly demo: boolean
  readonly json: boolean
  readonly watch: boolean
}

/** What `retry`, `reset` and `rollback` share: which pipeline is marked. */
export interface AmendOptions extends CommonOptions {
  /** The warehouse of `run --demo`. */
  readonly demo: boolean
  /** By name, as text; those of the last run where they are left out. */
  readonly params: Readonly<Record<string, string>>
}

export interface RetryOptions extends AmendOptions {
  /** One step; undefined means all. */
  readonly step: string | undefined
}

export interface ResetOptions extends AmendOptions {
  readonly step: string
  /** `A..B`, both ends included; undefined means everything of the step. */
  readonly range: string | undefined
}

export interface RollbackOptions extends AmendOptions {
  readonly step: string
  readonly json: boolean
}

export interface GraphOptions {
  readonly format: 'mermaid' | 'dot' | 'svg'
}

export interface MigrateOptions extends CommonOptions {
  readonly json: boolean
}

export interface VerifyOptions extends CommonOptions {
  /** The warehouse of `run --demo`. */
  readonly demo: boolean
  /** By name, as text; those of the last run where they are left out. */
  readonly params: Readonly<Record<string, string>>
  /** One step; undefined means all. */
  readonly step: string | undefined
  /** Units of each step that are fetched again. */
  readonly sample: number | undefined
  /** Blocks of each step that are proved. */
  readonly proof: number | 'all' | undefined
  /** What they are chosen by; undefined: chance. */
  readonly seed: number | undefined
  readonly json: boolean
}

export interface ServeCommandOptions extends CommonOptions {
  /** The address that it listens on. */
  readonly bind: string
  readonly port: number
  /** Names besides those of loopback by which it may be asked. */
  readonly allowHost: readonly string[]
  /** Pipelines are run at the times that their files name. */
  readonly schedules: boolean
  /** Every run is one of `run --demo`. */
  readonly demo: boolean
}
