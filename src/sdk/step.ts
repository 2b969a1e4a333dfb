import type { Static, TNever, TSchema } from '@sinclair/typebox'
import type { Axis, Interval } from './axis.js'
import type { PipeError } from './errors.js'
import type { HttpClient } from './http.js'
import type { List } from './packed-list.js'
import type { Files, Program, RunningProgram } from './programs.js'
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
  /** `--limit`: at most so many rows. The unit is not done then. */
  readonly limit?: number
}

export type Piece =
  /** A stretch of an axis, both ends included: whole numbers, or microseconds UTC. */
  | { readonly kind: 'stretch'; readonly axis: Axis; readonly from: bigint; readonly to: bigint; readonly order: Order }
  /** `keys`: the stretch of an integer key, both ends included. `redo`: rows count as missing although the output has them. */
  | { readonly kind: 'rows'; readonly order: Order; readonly keys?: readonly [bigint, bigint]; readonly redo: boolean }
  /** All that the step does. `early`: a check while its needs still run, for people to see; it closes nothing. */
  | { readonly kind: 'task'; readonly early?: boolean }

export type Order = 'newest-first' | 'oldest-first'

/**
 * What a step wants to exist. The core subtracts what is done, cuts what is left at aligned borders and names the
 * units, so no step author writes any of that.
 */
export type Wanted =
  /**
   * Stretches of an axis: every place of `domain`, or, with `inputs`, every unit in which the tables that `inputs` of the
   * definition names have rows.
   */
  | {
      readonly kind: 'stretches'
      readonly axis: Axis
      readonly domain: Interval | 'inputs'
      /**
       * `uncovered`: what no batch has covered. `touched`: also what a commit to an input touched since it was computed.
       * `always`: every unit in every run.
       */
      readonly due: 'uncovered' | 'touched' | 'always'
      readonly order: Order
      /** A unit is wanted once all of it lies in the past. For days and other units of time. */
      readonly whenOver?: boolean
      /** A unit is done only when its batches said what they cover: that `run` ended proves nothing. */
      readonly mustCover?: boolean
      /**
       * False: reading can't begin at any place. A unit then begins at the nearest cursor that was stored on the side from
       * which it is read, and what lies between is read again.
       */
      readonly seeks?: boolean
      /** What it costs, for estimates. */
      readonly price?: Price
      /** What of it is asked for and no part of `domain`, since it is not there yet: people are told. */
      readonly later?: string
      /** Requests that a run may make; see `RunContext.budget`. */
      readonly maxRequests?: number
      /** What `--limit` counts: pieces (the default), or requests of a step that asks page by page. */
      readonly limitBy?: 'pieces' | 'requests'
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
      /** The same as `copied` of further outputs, by their ids: by it their rows of one record are told from those of another. */
      readonly copiedBeside?: Readonly<Record<string, Readonly<Record<string, string>>>>
      readonly constants: Readonly<Record<string, string>>
      readonly chunk: number
      readonly order: Order
      readonly price?: Price
    }
  /**
   * One unit. `once`: done once under a fingerprint; under another one again, and the rows that it wrote before are deleted
   * with the first new ones, or at its end (a batch with `sql` or `selects` replaces them by itself). `touched`: again when a
   * commit touches an input. `always`: in every run; of a step that `closes`, its checks. `every-round`: whatever was done before,
   * in every round that has anything to do; it is tried anew then and never quarantined.
   */
  | {
      readonly kind: 'task'
      readonly due: 'once' | 'touched' | 'always' | 'every-round'
      /** `--limit` does not bound it: it is done as a whole. */
      readonly whole?: boolean
      /** `inputs`: the unit is named by the number of the last commit to its inputs, and is not cut by `--limit`. Left out: `all`. */
      readonly named?: 'inputs'
      readonly maxRequests?: number
      /** Of a step that closes: its checks are also evaluated while its needs run, so often. */
      readonly everyMs?: number
      /**
       * Of a step that closes: its checks decide although something above it is incomplete. What is missing is shown with it, and
       * the run ends incomplete. Left out, it stays closed then.
       */
      readonly allowGaps?: boolean
    }

/**
 * Requests that work takes: so many for each block, row or day; so many for each unit; or as many as rows are expected by
 * the days before (undefined: nobody knows how many a request brings). Left out: none.
 */
export type Price = ({ readonly perPiece: number } | { readonly perUnit: number } | { readonly rowsPerRequest: number | undefined }) & {
  /** How many of its calls each method has, in proportion: what they cost of a budget depends on it. */
  readonly methods?: Readonly<Record<string, number>>
}

/** Rows of the query of a `rows` unit that are still missing, with the text that names each. */
export interface InputPage {
  readonly keys: readonly string[]
  readonly rows: readonly Row[]
}

/** What a check found: of a gate, or about a batch. */
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
  /** Rows at fault, of a check that did not pass and says which they are. */
  readonly sample?: CheckSample
  /** Put in by the core: what was incomplete when it was evaluated all the same (`allow_gaps`). */
  readonly gaps?: string
}

/** The first rows at fault, every value as exact text; a text that is too long for a report ends in how long it is. */
export interface CheckSample {
  readonly rows: readonly Readonly<Record<string, string | null>>[]
  /** There are more of them than are kept. */
  readonly more: boolean
  /** Why they could not be read. */
  readonly problem?: string
}

/** What a step hands to the runner: committed together or not at all. */
export interface Batch<Cursor = Json> {
  /** What people call the part of the step that it comes from. Stands in front of what keeps the batch from being stored. */
  readonly named?: string
  /** By output. Values may be as the source gave them (a `0x63` quantity for an integer): the runner makes them exact. */
  readonly rows?: Readonly<Record<string, List<Row>>>
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
  /**
   * For a step that reads its inputs outside of a commit: it reads them from here on. `run` goes on when this batch is committed, and
   * what touches an input later makes the unit due again.
   */
  readonly readsInputs?: boolean
  /** Passed back to `run` after a crash. Left out, the one before stands. */
  readonly cursor?: Cursor
  /**
   * For a `stretch` unit, and a `rows` unit with `keys`: the stretches (both ends included) that this batch read
   * completely. With it the order of batches is free, a killed unit goes on with what is left, and the unit is done
   * when its stretches and `failed` add up to all of it, not when `run` ends.
   */
  readonly covers?: readonly (readonly [bigint, bigint])[]
  /**
   * For a `stretch` unit: stretches that were read to their end, where rows may still turn up. They count as done in this
   * round and are read again in the next.
   */
  readonly tentative?: readonly (readonly [bigint, bigint])[]
  /**
   * For a `stretch` unit that is redone: the stretches whose older rows this batch replaces, where they are not those of
   * `covers`. Each place once, before any row of it is written. A unit none of whose batches says `covers` or `clears`
   * replaces all of its older rows with its first batch.
   */
  readonly clears?: readonly (readonly [bigint, bigint])[]
  /**
   * For a `stretch` unit of time, of whose rows some say a number instead of their time: the numbers that the unit holds (its first
   * and its last block), both included; none when the first is above the last. Tables whose `range` is such a number are redone and
   * verified by them.
   */
  readonly numbers?: readonly [bigint, bigint]
  /** What people should know of this batch, by name, added up over a run: `{ late: 2 }`. */
  readonly counts?: Readonly<Record<string, number>>
  /**
   * How much of its unit this batch did, for people to see; the ledger knows nothing of it. `of`: how much there is, in
   * all of the unit, where only the step knows it (lines of a file). Of a unit whose batches say what they cover, that
   * is counted; of a `rows` unit that says nothing, the rows of the first output.
   */
  readonly progress?: { readonly done: number; readonly of?: number }
  /**
   * Keys that failed for good; the rest of the unit goes on. Those whose error has the blame `own` are quarantined with
   * it, the others stay open for the next run. Of a `stretch` unit a key is a number, or the name of a stretch.
   */
  readonly failed?: readonly { readonly key: string; readonly error: PipeError }[]
  /** Hosts that answered, for the ledger. */
  readonly endpoints?: readonly string[]
  /** Links of the unit's ends to its neighbours, for reorg checks: hash before its first block, hash of its last. */
  readonly parentHash?: string
  readonly lastHash?: string
  /**
   * The blocks of a chain that this batch read, as far as it knows them, in the order of their numbers. Two that contradict each other come from
   * different forks: then nothing of the batch is written. Those at the ends of what is covered are kept until their neighbours are covered, too, and
   * those near the head, so that a later run finds the block down to which a reorg reached.
   */
  readonly blocks?: readonly BlockLink[]
  /** Proof for an empty result, for the ledger: it keeps a list with an entry for each batch that gave any. */
  readonly evidence?: Json
  /**
   * What was found about the rows of this batch. With a result of severity `error` that did not pass, nothing of the batch
   * is written: its unit fails and names the check, what earlier batches stored stays, the step ends `closed`, and
   * the next run does the unit again from there. A batch of a step that `closes` holds nothing else.
   */
  readonly checks?: readonly CheckResult[]
  /**
   * The shadows of all outputs that have one (`Output.shadow`) take the places of their tables, in the commit of this batch, all or
   * none: a reader sees the old rows or the new ones. `keep` versions of before stay, for `pipe rollback`. Nothing is exchanged when
   * an input of the unit changed since its shadows were made: the unit fails, and the next run does it again.
   */
  readonly swap?: { readonly keep: number }
}

/** What a reader knows of a block. Hashes are lower-case `0x` text. */
export interface BlockLink {
  readonly number: bigint
  /** Left out: the block itself was not read, only what it goes on from. */
  readonly hash?: string | undefined
  /** Hash of the block before it. */
  readonly parentHash?: string | undefined
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
  /** Column that holds the place on the axis of a `stretch` unit, where it is not the table's `range`. */
  readonly range?: string
  /** Column that holds the number of a row's block, where `range` tells its time or its day: `pipe verify --proof` finds its rows by it. */
  readonly number?: string
  /**
   * Of a step that asks for rows of a query: the columns that hold the block of which a row is. A reorg deletes by them, or by the `range`
   * that the file names.
   */
  readonly atBlock?: readonly string[]
  /**
   * Rows go into the shadow of the table (`<table>__next`), which is made anew, empty, when the unit begins without a cursor. A batch
   * with `swap` puts it into the table's place. No other step may fill the table.
   */
  readonly shadow?: true
  /** Every number of a `stretch` unit gives exactly one row: `pipe verify` can name the one that is missing. */
  readonly oneEach?: true
}

/** A table that a step is computed from, with how its rows fall into the step's units (see `Consumer`). */
export interface StepInput {
  readonly table: string
  readonly interval: Consumer['interval']
  /** What it reads of the table: rows whose columns have these texts (`$chain.name`). Left out: all. */
  readonly constants?: Consumer['constants']
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
  /** The names of the pipeline and of the step. */
  readonly pipeline: string
  readonly step: string
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
   * The cursor of this unit's last commit; undefined at its beginning. A unit of stretches that can't be entered anywhere
   * (`seeks: false`) begins with the nearest one that was stored on the side from which it is read.
   */
  readonly cursor: Cursor | undefined
  /** For a `rows` unit: what is still missing, in pages. No read is held open across a commit. */
  input(): AsyncIterable<InputPage>
  /** The endpoints of the step's chain. Throws when the step has no chain. */
  readonly rpc: RpcPool
  /** The step's REST source. Throws when the step has no source. */
  readonly http: HttpClient
  /**
   * The requests or pages that this run may make or read (`maxRequests`, `--limit`). `take` takes one of them; false: none is left. `run`
   * then returns, the unit stays open and goes on from its cursor in the next run.
   */
  readonly budget: { take(): boolean }
  /**
   * Of a `stretch` unit: the stretches of its axis that were covered under this definition when the step was planned, in
   * their order. What is known to be there tells a list that ends from one that only says so.
   */
  covered(): readonly Interval[]
  /** Writes a file whole: a reader finds the one before or this one. A relative path begins at the working folder. @throws {FileNotWrittenError} */
  write(path: string, text: string): Promise<void>
  /** Runs a program. Its group is gone before the unit ends, however it ends. */
  program(program: Program): RunningProgram
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
   * `scope`. What the environment put into a field marked `secret: true` is shown nowhere.
   */
  readonly config: C
  /** JSON Schema of the cursor. A stored one that no longer fits is dropped and the unit starts over. */
  readonly cursor?: K
  /** A complete small pipeline; CI validates and runs it on the sandbox. */
  readonly example: string
  /** Whether the step needs `chain`, `source` or `into`. Checked before anything runs. */
  readonly requires?: readonly ('chain' | 'source' | 'into')[]
  /**
   * A gate: its batches hold `checks` only, and steps that need it run when all of them pass. It is evaluated in every run,
   * after its needs, and never done. It wants a `task` that is due `always`.
   */
  readonly closes?: true
  /**
   * It publishes what it reads: it does not run unless all that it needs, and all that this needs, is complete, also what is not
   * selected. A gate that opened answers for what is above it.
   */
  readonly needsWhole?: true
  /**
   * What it reads is another when it is read again, as pages of a list are: of two different rows of one key in two batches, the
   * later is a newer reading of the same row and replaces it, unless its time is an older one. Left out, each thing is read once, and two such rows are an error.
   * In one batch they always are.
   */
  readonly rereads?: true
  /** How many units of one such step may be open at once. Default 4. */
  readonly units?: number
  /** What `parallel` in the file bounds: units (days, statements; the default) or requests in flight, which `lane` gets. */
  readonly parallel?: 'units' | 'requests'
  /** Names of its own: of its units, of what it read before. The core checks every `$name` of `with` against them. */
  names?(ctx: CheckContext<Static<C>>): Iterable<KnownNames>
  /** What is wrong with `with` beyond its schema and its `$name`s. `files`: those of the machine, where the file names some. */
  check?(ctx: CheckContext<Static<C>>, files: Files): Iterable<ConfigProblem>
  /** Tables that its rows are computed from inside the warehouse: commits to them say which of its units are due. */
  inputs?(ctx: CheckContext<Static<C>>): readonly StepInput[]
  /**
   * What its `with` says of JSON-RPC requests, for the lane of the step. `batch`: the most calls that one request may hold;
   * without it, as many as the endpoint takes.
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
