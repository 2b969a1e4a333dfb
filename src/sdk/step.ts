import type { Static, TNever, TSchema } from '@sinclair/typebox'
import type { PipeError } from './errors.js'
import type { HttpClient } from './http.js'
import type { RpcPool } from './rpc.js'
import type { Scope } from './scope.js'
import type { Column, Json, Row, Statement, Table } from './values.js'
import type { Consumer, WarehouseReader } from './stores.js'

/**
 * The smallest piece of work that is planned, retried, claimed and checkpointed. Its key says exactly what it covers
 * (`18000000-18000999`, `2024-03-01`) and is stable across runs.
 */
export interface Unit {
  readonly key: string
  /** What to do, by the kind of `Wanted` that it was cut from. */
  readonly piece: Piece
  /** How many blocks, rows or days it holds. For progress. */
  readonly size: number
}

export type Piece =
  | { readonly kind: 'range'; readonly from: bigint; readonly to: bigint; readonly order: Order }
  /** `keys`: the stretch of an integer key, both ends included. `redo`: rows count as missing although the output has them. */
  | { readonly kind: 'rows'; readonly order: Order; readonly keys?: readonly [bigint, bigint]; readonly redo: boolean }
  | { readonly kind: 'day'; readonly day: string }
  /** `start <= time < end`, microseconds UTC. */
  | { readonly kind: 'interval'; readonly start: bigint; readonly end: bigint }
  /** A stretch of time to be read, both ends included, microseconds UTC. */
  | { readonly kind: 'time'; readonly from: bigint; readonly to: bigint }
  | { readonly kind: 'once' }
  /** `early`: while the gate's needs still run, for people to see; it closes nothing. */
  | { readonly kind: 'check'; readonly early: boolean }

export type Order = 'newest-first' | 'oldest-first'

/**
 * What a step wants to exist. The core subtracts what is done, cuts what is left at aligned borders and names the
 * units, so no step author writes any of that.
 */
export type Wanted =
  /** Every whole number from `from` to `to`. Done is the union of the stretches that batches covered. */
  | {
      readonly kind: 'range'
      readonly from: bigint
      readonly to: bigint
      readonly chunk: number
      readonly order: Order
      readonly requests: number
    }
  /**
   * Every row of a query. A row is done when `output` has a row with equal `copied` columns; `key` says which of the
   * query's columns name it. `copied` maps columns of the output to columns of the query, `constants` to fixed values.
   */
  | {
      readonly kind: 'rows'
      readonly sql: Statement
      readonly key: readonly string[]
      readonly output: string
      readonly copied: Readonly<Record<string, string>>
      readonly constants: Readonly<Record<string, string>>
      readonly chunk: number
      readonly order: Order
      /** Calls a row takes. */
      readonly requests: number
    }
  /** Every UTC day from `from` to `to`, both included, as `YYYY-MM-DD`. */
  | { readonly kind: 'days'; readonly from: string; readonly to: string; readonly order: Order; readonly requests: number }
  /**
   * Every stretch of time in which the inputs have rows, computed again when a commit touches it. Inputs are what
   * `inputs` of the definition says.
   */
  | { readonly kind: 'intervals'; readonly everyUs: bigint; readonly always: boolean }
  /** One unit `all`, computed again when a commit touches an input. `always`: due in every run. */
  | { readonly kind: 'whole'; readonly always: boolean }
  /**
   * Every instant from `from` to `to`, microseconds UTC, both included: a lane for each stretch that is not covered, or,
   * with `windowUs`, aligned windows. Done is the union of the stretches that batches covered. Newest first.
   */
  | {
      readonly kind: 'time'
      readonly from: bigint
      readonly to: bigint
      readonly windowUs: bigint | undefined
      /** Whether reading can begin at any instant. Else a lane begins at the nearest cursor that was stored above it. */
      readonly seeks: boolean
      /** Rows that a request brings, for estimates. Undefined: a request a window, or nobody knows. */
      readonly rowsPerRequest: number | undefined
      /** Requests that a run may make; see `RunContext.turn`. */
      readonly maxRequests: number | undefined
    }
  /** One unit, done once under a fingerprint. */
  | { readonly kind: 'once'; readonly maxRequests?: number }
  /** Evaluated in every run and never done: a gate. With `everyMs` also while its needs run. */
  | { readonly kind: 'check'; readonly everyMs?: number; readonly allowGaps?: boolean }

/** Rows of the query of a `rows` unit that are still missing, with the text that names each. */
export interface InputPage {
  readonly keys: readonly string[]
  readonly rows: readonly Row[]
}

/** What a gate found. */
export interface CheckResult {
  readonly name: string
  readonly passed: boolean
  readonly severity: 'error' | 'warn'
  /** The number as text, exact; null when the query gave none. */
  readonly value: string | null
  readonly expect: string
  /** Why it did not pass, in words, when it is not just the value. */
  readonly problem?: string
  readonly sql: string
}

/** What a step hands to the runner: committed together or not at all. */
export interface Batch<Cursor = Json> {
  /** By output. Values may be as the source gave them (a `0x63` quantity for an integer): the runner makes them exact. */
  readonly rows?: Readonly<Record<string, readonly Row[]>>
  /** SQL run in the same transaction, for steps that work inside the warehouse. */
  readonly sql?: readonly Statement[]
  /**
   * Rows made by a query inside the warehouse, in the same transaction, into an output. `replace`: what the query no
   * longer gives is deleted, within the unit's interval (all of it for a unit without one) and the output's constants.
   */
  readonly selects?: readonly {
    readonly output: string
    readonly sql: Statement
    readonly replace: boolean
    readonly timeoutMs?: number
  }[]
  /** Passed back to `run` after a crash. Left out, the one before stands. */
  readonly cursor?: Cursor
  /**
   * For a `range` or `time` unit, and a `rows` unit with `keys`: the stretches (both ends included) that this batch read
   * completely. With it the order of batches is free, a killed unit goes on with what is left, and a range unit is done
   * when its stretches and `failed` add up to all of it, not when `run` ends.
   */
  readonly covers?: readonly (readonly [bigint, bigint])[]
  /**
   * For a `time` unit: stretches that were read to their end, where rows may still turn up. They count as done in this
   * round and are read again in the next.
   */
  readonly tentative?: readonly (readonly [bigint, bigint])[]
  /**
   * For a `time` unit that is redone: the stretches whose older rows this batch replaces, where they are not those of
   * `covers`. Each instant once, before any row of it is written.
   */
  readonly clears?: readonly (readonly [bigint, bigint])[]
  /** What people should know of this batch, by name, added up over a run: `{ late: 2 }`. */
  readonly counts?: Readonly<Record<string, number>>
  /** How many rows of a `rows` unit this batch read, for progress. Left out, the rows of its first output are counted. */
  readonly pieces?: number
  /**
   * Keys that failed for good; the rest of the unit goes on. Those whose error has the blame `own` are quarantined with
   * it, the others stay open for the next run.
   */
  readonly failed?: readonly { readonly key: string; readonly error: PipeError }[]
  /** Hosts that answered, for the ledger. */
  readonly endpoints?: readonly string[]
  /** Links of the unit's ends to its neighbours, for reorg checks: hash before its first block, hash of its last. */
  readonly parentHash?: string
  readonly lastHash?: string
  /** Proof for an empty result, for the ledger. */
  readonly evidence?: Json
  /** For a `check` unit. */
  readonly checks?: readonly CheckResult[]
}

/** One stream of rows into one table. A step has one (its `into`) unless `outputs` says more. */
export interface Output {
  /** Name in `Batch.rows`; the table's name unless several outputs fill one table. */
  readonly id: string
  readonly table: string
  /** Columns that rows bring. The others are computed, constant or null. */
  readonly columns: readonly string[]
  /** SQL over the row's own columns, by the column that it fills. */
  readonly compute: Readonly<Record<string, string>>
  /** Columns with one fixed text (`$chain.name`), put in by the warehouse: what is this step's own in a shared table. */
  readonly constants: Readonly<Record<string, string>>
  /** Column that holds the number a `range` unit counts, where it is not the table's `range`. */
  readonly range?: string
  /** Every number of a `range` unit gives exactly one row: `pipe verify` can name the one that is missing. */
  readonly oneEach?: true
}

/** A table that a step is computed from, with how its rows fall into the step's units (see `Consumer`). */
export interface StepInput {
  readonly table: string
  readonly interval: Consumer['interval']
}

/** A mistake in `with`, found by a step's own `check`. `path` starts below `with`. */
export interface ConfigProblem {
  readonly path: readonly (string | number)[]
  readonly message: string
  readonly hint?: string
}

/** What `$` may stand for in a part of `with`, beside params, `$now`, the axes of the matrix and the facts of the chain. */
export interface KnownNames {
  /** The part, with all that lies in it. `[]` is all of `with`. */
  readonly path: readonly (string | number)[]
  /** `any`: they are known to `plan` only, such as the columns of a query, and `plan` refuses those that are none. */
  readonly names: readonly string[] | 'any'
  /** What to say of a name that is not known there, where that is more than which name is near. */
  hint?(name: string): string | undefined
}

/** The chain of a step, as `$chain` sees it. */
export interface ChainInfo {
  readonly name: string
  readonly id: number
  readonly blockTimeMs: number
  readonly confirmations: number
  readonly about: Json
}

/** What `check` and `outputs` may use: what the file says, before any value is known. */
export interface CheckContext<Config> {
  /** With `$name` references still in place where a value will be. */
  readonly config: Config
  readonly into: Table | undefined
  readonly tables: ReadonlyMap<string, Table>
  /** Names that `$` may use here: params and `now`, and `chain.…` where the step has a chain. */
  readonly names: ReadonlySet<string>
  readonly chain: ChainInfo | undefined
}

/** What `plan` may use. Readers only: planning changes nothing. */
export interface PlanContext<Config> {
  /** With every param, `$now` and `$chain` put in. Names of unit and row fields are still `$name`. */
  readonly config: Config
  readonly scope: Scope
  readonly chain: ChainInfo | undefined
  readonly outputs: readonly Output[]
  readonly into: Table | undefined
  readonly tables: ReadonlyMap<string, Table>
  readonly warehouse: WarehouseReader
}

/** What `run` may use. A step reaches the outside only through this, so a test can fake all of it. */
export interface RunContext<Config, Cursor> extends PlanContext<Config> {
  readonly unit: Unit
  /**
   * The cursor of this unit's last commit; undefined at its beginning. A `time` unit that begins gets the nearest one that
   * was stored for a stretch above it.
   */
  readonly cursor: Cursor | undefined
  /** For a `rows` unit: what is still missing, in pages. No read is held open across a commit. */
  input(): AsyncIterable<InputPage>
  /** The endpoints of the step's chain. Throws when the step has no chain. */
  readonly rpc: RpcPool
  /** The step's REST source. Throws when the step has no source. */
  readonly http: HttpClient
  /**
   * Takes one of the requests that this run may make (`maxRequests`, `--limit`). False: none is left. `run` then returns,
   * the unit stays open and goes on from its cursor in the next run.
   */
  turn(): boolean
  /** The head of the step's chain in this round: the same number however often it is asked. */
  head(): Promise<bigint>
  /** Aborted on Ctrl-C, on a lost claim, at the step's timeout. */
  readonly signal: AbortSignal
}

/** A type of step. Built-in and third-party ones are the same kind of object, made by `defineStep`. */
export interface StepDefinition<C extends TSchema = TSchema, K extends TSchema = TSchema> {
  readonly type: string
  /** Raise it when the same config would give other rows: what is done under the old one is done again. */
  readonly version?: number
  /** One sentence about the result. */
  readonly summary: string
  /**
   * JSON Schema of `with`. Descriptions are the reference documentation. A field marked `tuning: true` changes how the
   * work is done, never which rows it gives, so it is no part of the fingerprint. In a text marked `references: 'url'`
   * a `$name` may stand inside other text; its value is URL-encoded. A text marked `references: 'sql'` is SQL, for `bindSql`:
   * a `$name` in quotes or a comment is none. In what is marked `references: 'kept'` it stays, and the step looks it up in
   * `scope`.
   */
  readonly config: C
  /** JSON Schema of the cursor. A stored one that no longer fits is dropped and the unit starts over. */
  readonly cursor?: K
  /** A complete small pipeline; CI validates and runs it on the sandbox. */
  readonly example: string
  /** Whether the step needs `chain`, `source` or `into`. Checked before anything runs. */
  readonly requires?: readonly ('chain' | 'source' | 'into')[]
  /** How many units of one such step may be open at once. Default 4. */
  readonly units?: number
  /** Its units only look: what needs the step waits until all its checks pass, and nothing of it is ever done for good. */
  readonly closes?: true
  /** What `parallel` in the file bounds: units (days, statements; the default) or requests in flight, which `lane` gets. */
  readonly parallel?: 'units' | 'requests'
  /** Names of its own: of its units, of what it read before. The core checks every `$name` of `with` against them. */
  names?(ctx: CheckContext<Static<C>>): Iterable<KnownNames>
  /** What is wrong with `with` beyond its schema and its `$name`s. */
  check?(ctx: CheckContext<Static<C>>): Iterable<ConfigProblem>
  /** Tables that its rows are computed from inside the warehouse: commits to them say which of its units are due. */
  inputs?(ctx: CheckContext<Static<C>>): readonly StepInput[]
  /**
   * What its `with` says of JSON-RPC requests, for the lane of the step. `batch`: the most calls that one request may hold;
   * without it, as many as the endpoint takes. Asked before any value is known: a field may still be a `$name`.
   */
  rpc?(config: Static<C>): { readonly batch?: number }
  /** Where rows go. Default: all columns into `into`. */
  outputs?(ctx: CheckContext<Static<C>>): readonly Output[]
  plan(ctx: PlanContext<Static<C>>): Iterable<Wanted> | AsyncIterable<Wanted>
  run(ctx: RunContext<Static<C>, Static<K>>): AsyncIterable<Batch<Static<K>>>
}

/** Gives a definition its types. The cursor's type comes from its schema: TypeScript can't infer it from both sides. */
export function defineStep<C extends TSchema, K extends TSchema = TNever>(definition: StepDefinition<C, K>): StepDefinition<C, K> {
  return definition
}

/** All columns of `into`, nothing computed: the output of a step that does not say otherwise. */
export function defaultOutputs(into: Table | undefined): readonly Output[] {
  if (!into) return []
  return [{ id: into.name, table: into.name, columns: into.columns.map((column: Column) => column.name), compute: {}, constants: {} }]
}
