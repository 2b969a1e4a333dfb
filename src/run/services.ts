import type {
  CheckResult,
  Clock,
  HttpClient,
  InputPage,
  Json,
  LedgerReader,
  LedgerRow,
  LedgerStep,
  PipeError,
  PlanContext,
  Program,
  Random,
  RpcPool,
  RunningProgram,
  RunFact,
  StepOutcome,
  UnitWrite,
  Warehouse,
} from '../sdk/index.js'
import type { Pipeline, Step } from '../pipeline/pipeline.js'
import type { PlannedUnit, StepPlan } from '../plan/plan.js'
import type { Moment } from '../plan/scope.js'
import type { Budget } from './budget.js'
import type { Committer } from './committer.js'
import type { Control } from './control.js'
import type { Gaps } from './gaps.js'
import type { Heartbeat } from './heartbeat.js'
import type { ForkSeenError, Links } from './links.js'
import type { Retention } from './retention.js'
import type { Slots } from './slots.js'
import type { UnitSource } from './unit-source.js'

/** What a run is given. */
export interface RunOptions {
  readonly pipeline: Pipeline
  readonly warehouse: Warehouse
  readonly moment: Moment
  readonly clock: Clock
  readonly random: Random
  readonly emit: (fact: RunFact) => void
  readonly signal: AbortSignal
  /** Aborted when no further step or unit is to be begun; those that are under way come to their end. Left out: never. */
  readonly drain?: AbortSignal | undefined
  /** What people change of the run while it is under way. Left out: nothing. */
  readonly control?: Control | undefined
  /** `--param`. */
  readonly given: Readonly<Record<string, string>>
  readonly select: readonly string[] | undefined
  readonly limit: number | undefined
  /** The endpoints of a chain as one step sees them. `config`: its `with` with every param put in. */
  rpc(step: Step, config: Json): RpcPool
  /** The REST source of a step. */
  http(step: Step): HttpClient
  /** Takes secrets out of a text. */
  redact(text: string): string
  /** Writes a file whole; a relative path begins at the working folder. Left out, no step may. @throws {FileNotWrittenError} */
  readonly write?: (path: string, text: string) => Promise<void>
  /** Starts a program, which is ended with the signal. Left out, no step may. */
  readonly program?: (program: Program, signal: AbortSignal) => RunningProgram
  /** `final`: the result decided something. */
  readonly onCheck: (step: string, result: CheckResult, final: boolean) => void
  /** Rows of blocks that a reorg replaced are deleted, however deep it is. */
  readonly force?: boolean | undefined
  /** What deletes old rows at the end of each round, and remembers from round to round what it has looked through. */
  readonly retention?: Retention
  /** Chains of which it was told that nobody knows whether they were reorganized: kept over rounds, since it is said once. */
  readonly unsettled?: Set<string>
  /** Who runs it, shown beside the ledger with commits. */
  readonly heartbeat?: Heartbeat
  /** The round before was one of the same run and looked at the file and the counts of rows, which nobody changed since. */
  readonly again?: boolean
  /** How steps stand that nothing can have changed since the round before: they are not planned. */
  readonly rest?: ReadonlyMap<string, StepEnd>
}

/** What steps and units share in one run. */
export interface RunServices extends RunOptions {
  readonly control: Control
  readonly committer: Committer
  readonly slots: Slots
  /** Where the workers of a step get its units from. */
  source(plan: StepPlan): UnitSource
  stepContext(plan: StepPlan, warehouse: LedgerReader): PlanContext<never>
  head(step: Step): Promise<bigint>
  /** Tells of results of a step's checks. `final`: they decide something. */
  checks(step: string, results: readonly CheckResult[], final: boolean): void
  /** Keeps a step from ending complete in this round, for these reasons. */
  closes(step: string, reasons: readonly string[]): void
  /** The reasons that were given to `closes`. */
  closedBy(step: string): readonly string[]
  /** Keeps that a step met two forks of its chain: the round is gone through again when it ends, from what both have in common. */
  forked(step: Step, error: ForkSeenError): void
  /** Keeps that a step reads from its chain, which is looked at again when the round has ended. */
  reads(step: Step): void
  /** Why nothing of a step's chain may be read; undefined: it may. */
  refusal(step: Step): PipeError | undefined
  /** What is incomplete above a step, or undefined when nothing is. */
  gapsAbove(step: Step): Gaps | undefined
}

/** How a step ended, and what it left. */
export interface StepEnd {
  readonly outcome: StepOutcome
  readonly missing: number
  readonly quarantined: number
  readonly reason?: string
  /** Of a gate that opened: what is incomplete above it (`allow_gaps`). Of what is computed: what it can't be any more. */
  readonly gaps?: string
  /** It failed by a mistake, or may not ask for enough to get on: another round would end the same way. */
  readonly lasting?: true
  /** It is incomplete since the requests that it may make in one run were used up: the next one goes on at once. */
  readonly goesOn?: true
  /** When the next round has something to do of it though nothing comes in from outside, microseconds UTC. Left out: never. */
  readonly dueAt?: bigint
}

/** One unit that was opened, with all that it takes to do it. */
export interface UnitTask {
  readonly services: RunServices
  readonly plan: StepPlan
  readonly unit: PlannedUnit
  /** The unit as it was opened. */
  readonly opened: LedgerRow
  readonly rpc: RpcPool
  /** As `plan` of the step got it. */
  readonly context: PlanContext<never>
  readonly ledgerStep: LedgerStep
  /** Where what is read of the chain meets. */
  readonly links: Links
  /** How the rows of done units are joined. */
  readonly join: UnitWrite['join']
  /** Whose rows those of its writes may not replace; undefined where they replace what has their key. */
  readonly owner: UnitWrite['owner']
  /** Which record of a query its rows are read for; undefined where there is no query. */
  readonly records: UnitWrite['records']
  /** What its step may still ask in this run. */
  readonly budget: Budget
  /** Rows that may wait for their commit before the step is asked for more. */
  readonly room: number
  readonly signal: AbortSignal
  input(): AsyncIterable<InputPage>
  /** Called when the unit has given its last batch, which may still wait for its commit. */
  produced?(): void
}
