import type { Json, Output, StepDefinition, StepInput, Table } from '../sdk/index.js'
import type { Schedule } from '../schedule/times.js'
import type { Place } from '../sdk/problem.js'
import type { Receiver } from './receivers.js'

export type { Place, Problem } from '../sdk/problem.js'

export type ParamType = 'block' | 'int' | 'text' | 'bool' | 'date' | 'timestamp' | 'float' | 'address'

export interface ParamDefinition {
  readonly name: string
  readonly type: ParamType
  readonly list: boolean
  readonly default: Json | undefined
  /** The default with `--demo`, where it is another. */
  readonly demo: Json | undefined
  readonly oneOf: readonly Json[] | undefined
  readonly min: number | undefined
  readonly max: number | undefined
  readonly description: string | undefined
  readonly place: Place
}

export interface Endpoint {
  readonly url: string
  readonly maxWorkers: number | undefined
  /** Lower is asked first. */
  readonly priority: number
  readonly requestsPerSecond: number | undefined
  readonly maxBlockRange: number | undefined
  readonly headers: Readonly<Record<string, string>>
  readonly budget?: EndpointBudget | undefined
}

/** What calls of an endpoint may cost, in credits of its provider. */
export interface EndpointBudget {
  readonly creditsPerSecond: number
  /** Of a call, by method. */
  readonly costs: Readonly<Record<string, number>>
  /** Of a call of any other method. */
  readonly default: number
}

/** An address that is no `Endpoint`, since nothing is asked there but for new heads. */
export type Socket = Pick<Endpoint, 'url' | 'headers'>
export interface Chain {
  readonly name: string
  readonly id: number
  readonly blockTimeMs: number
  readonly confirmations: number
  readonly multicall: string | undefined
  readonly about: Json
  /** Empty when the environment of its `rpc` is missing and nothing insisted on it (validate). */
  readonly endpoints: readonly Endpoint[]
  /** WebSockets (`ws`, `wss`) that tell of new heads to who follows. Calls go to `endpoints` alone. */
  readonly sockets: readonly Socket[]
  /** The environment variables that `rpc` wants and that are not set. */
  readonly unset?: readonly string[]
}

export interface Source {
  readonly name: string
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  /** The environment variables that went into each header of the file, also into those that are empty and not sent. */
  readonly settings: Readonly<Record<string, string>>
  readonly requestsPerSecond: number | undefined
  readonly concurrency: number | undefined
  readonly timeoutMs: number
  readonly maxBytes: number
  readonly retry: Retry
}

export interface Retry {
  readonly attempts: number
  readonly waitMs: number
  readonly maxWaitMs: number
}

/** One step of one pipeline: a definition and what the file said about it. */
export interface Step {
  /** `balances`, or `balances[base]` of a matrix. */
  readonly id: string
  readonly title: string
  readonly definition: StepDefinition
  /** `with`, checked against the definition's schema with `$name` allowed anywhere, defaults filled in. */
  readonly with: Json
  readonly needs: readonly string[]
  readonly chain: string | undefined
  readonly source: string | undefined
  readonly into: string | undefined
  readonly outputs: readonly Output[]
  /** Tables that its rows are computed from inside the warehouse. */
  readonly inputs: readonly StepInput[]
  readonly retry: Retry
  readonly timeoutMs: number | undefined
  /** From one look at its source to the next while following; undefined: the default. */
  readonly everyMs?: number | undefined
  /** Ceiling when written; undefined lets the controller find it. */
  readonly parallel: number | undefined
  readonly onError: 'fail' | 'continue'
  readonly when: Readonly<Record<string, Json>>
  /** The value of each matrix axis of this step. */
  readonly matrix: Readonly<Record<string, string>>
  readonly place: Place
}

/**
 * A pipeline file after validation: every step type is known, every `with` fits its schema, `needs` has no cycle. Code
 * that holds a `Pipeline` checks none of this again.
 */
export interface Pipeline {
  readonly name: string
  readonly description: string | undefined
  /** As given by the user. */
  readonly file: string
  /** Of the file and its imports: a run is pinned to it. */
  readonly hash: string
  readonly params: ReadonlyMap<string, ParamDefinition>
  /** `duckdb:PATH`, `postgres://…`, `clickhouse://…`, `chdb:PATH`; with user and password. Never print it. */
  readonly warehouse: string
  readonly chains: ReadonlyMap<string, Chain>
  readonly sources: ReadonlyMap<string, Source>
  /** Bytes of answers that are read together over all chains and sources; undefined for the default. */
  readonly maxBytesInFlight: number | undefined
  readonly tables: ReadonlyMap<string, Table>
  readonly migrations: string | undefined
  /** When it is to run by itself. */
  readonly schedule: Schedule | undefined
  /** Who is told how it goes. */
  readonly notify: readonly Receiver[]
  /** In dependency order: a step comes after everything it needs. */
  readonly steps: readonly Step[]
  /** Values that came from the environment and must never be shown. */
  readonly secrets: readonly string[]
}
