import { nextVersion } from '../ledger/versions.js'
import { formatDuration, isPipeError, type LedgerReader, shadowName, type Table, type VersionRow } from '../sdk/index.js'
import type { Pipeline } from '../pipeline/pipeline.js'
import { isList } from '../pipeline/steps/lists.js'
import { type CreditsForecast, creditsOf, type KeyForecast, sharedBudgets } from './credits.js'
import { type PieceReport, pieceReport } from './piece-report.js'
import type { PlannedUnit, StepPlan } from './plan.js'
import { planStep } from './plan-step.js'
import { preflight } from './preflight.js'
import type { Moment } from './scope.js'
import { tidy } from './tidy.js'
import { actingSteps } from './select.js'
import { whenHolds } from './when.js'

/** The plan of a pipeline as data: what `pipe plan --json` prints. */
export interface PlanReport {
  readonly pipeline: string
  /** No user, no password. */
  readonly warehouse: string
  readonly file: string
  /** Head of each chain that was asked, as text. */
  readonly heads: Readonly<Record<string, string>>
  /** Whether there is anything to do, or may be: a step whose head was not asked for counts. */
  readonly work: boolean
  readonly steps: readonly StepForecast[]
  /** What keys have to pay for, of those whose budget several steps spend. */
  readonly budgets: readonly KeyForecast[]
}

export interface UnitForecast {
  readonly unit: string
  readonly piece: PieceReport
  readonly size: number
  readonly reason: string
  /** Days above it that are read again, since the list can't be entered where it begins. */
  readonly againDays?: number | undefined
}

/** Told from the plan's unit when it is asked for: there may be a million of them, and people are shown three. */
class PlannedForecast implements UnitForecast {
  readonly #unit: PlannedUnit

  constructor(unit: PlannedUnit) {
    this.#unit = unit
  }

  get unit(): string {
    return this.#unit.key
  }

  get piece(): PieceReport {
    return pieceReport(this.#unit.piece)
  }

  get size(): number {
    return tidy(this.#unit.size)
  }

  get reason(): string {
    return this.#unit.reason
  }

  get againDays(): number | undefined {
    return this.#unit.againDays
  }

  toJSON(): UnitForecast {
    const { unit, piece, size, reason, againDays } = this
    return { unit, piece, size, reason, againDays }
  }
}

export interface StepForecast {
  readonly id: string
  readonly title: string
  readonly type: string
  readonly needs: readonly string[]
  /** What is counted. */
  readonly piece: string
  /** To do now. */
  readonly pieces: number
  /** Done already. */
  readonly done: number
  /** Due, and left as they are: rows that they are computed from have expired. */
  readonly expired: readonly string[]
  /** Left out by `--limit`. */
  readonly leftOut: number
  readonly quarantined: readonly { readonly key: string; readonly error: string; readonly attempts: number }[]
  readonly units: readonly UnitForecast[]
  /** Pieces by reason. */
  readonly reasons: Readonly<Record<string, number>>
  /** Input that steps before it may bring. */
  readonly upTo: readonly { readonly step: string; readonly pieces: number; readonly piece: string }[]
  /** Calls to endpoints. Null when nobody can tell. */
  readonly calls: number | null
  /** Requests, at the batch size that is known or the one it starts with. Null when nobody can tell. */
  readonly requests: number | null
  /** What the calls cost, where all endpoints that are asked first have a budget. */
  readonly budget: CreditsForecast | null
  readonly estimate: { readonly seconds: number | null; readonly diskBytes: number; readonly basis: 'history' | 'guess' }
  /** Tables that are built anew and then exchanged, all at once, with what is kept of before. */
  readonly swaps: readonly { readonly table: string; readonly builds: string; readonly version: number; readonly kept: readonly string[] }[]
  /** What is asked for and not there yet: blocks above the head, which are planned, or days that are not over, which are not. */
  readonly later: string | null
  /** Why nothing was planned: `needs the head of ethereum`, `evaluated in every run`. */
  readonly unknown: string | null
  /** Of a gate: it may open although something above it is incomplete (`allow_gaps`). */
  readonly allowsGaps: boolean
  /** From one look at its source to the next while following, where the file says it. */
  readonly everyMs: number | null
  /** Whether there may be work that this plan can't see. */
  readonly open: boolean
}

export interface PlanOptions {
  readonly pipeline: Pipeline
  readonly warehouse: LedgerReader
  readonly moment: Moment
  readonly given: Readonly<Record<string, string>>
  readonly select: readonly string[] | undefined
  readonly limit: number | undefined
  /** Whether it is the endpoints of the file that are asked, so that their budgets hold. */
  readonly budgets: boolean
  /** What is known from earlier runs. */
  readonly history: {
    readonly batch: (chain: string) => number | undefined
    readonly piecesPerSecond: (step: string) => number | undefined
  }
}

const START_BATCH = 10
/** Calls a second of 5 requests of 10 calls at 100 ms: what a run starts with. */
const START_CALLS_PER_SECOND = 500
/** Pages a second of a REST source that is asked one after the other at 200 ms. */
const START_PAGES_PER_SECOND = 5

/** Plans all steps in their order. Reads only. */
export async function planPipeline(options: PlanOptions): Promise<readonly StepForecast[]> {
  const { pipeline, select } = options
  const acting = actingSteps(pipeline, select)
  const selected = pipeline.steps.filter(({ id }) => acting.has(id))
  await preflight({ ...options, steps: selected.filter((step) => whenHolds(step, options)) })
  const versions = selected.some(({ outputs }) => outputs.some(({ shadow }) => shadow))
    ? await options.warehouse.versions(pipeline.name)
    : []
  const plans = new Map<string, StepPlan>()
  const forecasts: StepForecast[] = []
  for (const step of selected) {
    const about = { id: step.id, title: step.title, type: step.definition.type, needs: step.needs, everyMs: step.everyMs ?? null }
    if (!whenHolds(step, options)) {
      forecasts.push({ ...about, ...EMPTY, unknown: `skipped: when ${JSON.stringify(step.when)}` })
      continue
    }
    try {
      const upstream = [...plans.values()].filter((plan) =>
        step.inputs.length > 0
          ? plan.outputs.some((output) => step.inputs.some(({ table }) => table === output.table))
          : step.needs.includes(plan.step.id),
      )
      const plan = await planStep({ ...options, step, upstream })
      plans.set(step.id, plan)
      forecasts.push({ ...about, ...forecastOf(plan, options, versions), later: plan.later ?? (await aboveHead(plan, options.moment)) })
    } catch (error) {
      if (!isPipeError(error) || error.code !== 'OFFLINE') throw error
      forecasts.push({ ...about, ...EMPTY, unknown: error.message, open: true })
    }
  }
  return forecasts
}

const EMPTY = {
  piece: 'units' as const,
  pieces: 0,
  done: 0,
  expired: [],
  leftOut: 0,
  quarantined: [],
  units: [],
  reasons: {},
  upTo: [],
  calls: 0,
  requests: 0,
  budget: null,
  estimate: { seconds: null, diskBytes: 0, basis: 'guess' as const },
  allowsGaps: false,
  swaps: [],
  later: null,
  open: false,
}

/** How long a step takes at the rate of earlier runs; without one, at the rate that endpoints are begun with. */
function secondsOf({ pieces, requests, step }: StepPlan, rate: number | undefined): number | null {
  if (rate !== undefined) return pieces / rate
  if (requests === undefined) return null
  return requests / (step.source === undefined ? START_CALLS_PER_SECOND : START_PAGES_PER_SECOND)
}

function forecastOf(
  plan: StepPlan,
  { pipeline, history, budgets }: PlanOptions,
  versions: readonly VersionRow[],
): Omit<StepForecast, 'id' | 'title' | 'type' | 'needs' | 'everyMs' | 'later'> {
  const reasons: Record<string, number> = {}
  for (const unit of plan.units) reasons[unit.reason] = (reasons[unit.reason] ?? 0) + unit.size
  const { step } = plan
  const batch = (step.chain === undefined ? undefined : history.batch(step.chain)) ?? START_BATCH
  const rate = history.piecesPerSecond(step.id)
  const check = plan.step.definition.closes === true
  const calls = plan.requests ?? null
  // Calls of a chain go in batches, pages of a source one by one.
  const requests = calls === null || step.source !== undefined ? calls : Math.ceil(calls / batch)
  const price = plan.wanted.kind === 'task' ? undefined : plan.wanted.price
  const endpoints = budgets && step.chain !== undefined && !isList(step) ? pipeline.chains.get(step.chain)?.endpoints : undefined
  const budget = creditsOf(plan.requests, price?.methods, endpoints ?? [])
  const seconds = check ? null : secondsOf(plan, rate)
  return {
    piece: plan.word,
    pieces: check ? 0 : tidy(plan.pieces),
    done: tidy(plan.done),
    expired: plan.expired,
    leftOut: plan.leftOut,
    quarantined: plan.quarantined,
    units: check ? [] : plan.units.map((unit) => new PlannedForecast(unit)),
    reasons: check ? {} : Object.fromEntries(Object.entries(reasons).map(([reason, pieces]) => [reason, tidy(pieces)])),
    upTo: plan.waitsFor.map(({ step: id, pieces, word }) => ({ step: id, pieces: tidy(pieces), piece: word })),
    calls,
    requests,
    budget,
    estimate: {
      seconds: seconds === null ? null : Math.max(seconds, budget?.seconds ?? 0),
      diskBytes: plan.outputs.reduce((sum, output) => sum + rowsOf(plan) * rowBytes(pipeline.tables.get(output.table)), 0),
      basis: rate === undefined ? 'guess' : 'history',
    },
    allowsGaps: check && plan.wanted.kind === 'task' && plan.wanted.allowGaps === true,
    swaps: swaps(plan, versions),
    open: false,
    unknown: check ? whenEvaluated(plan) : (plan.note ?? null),
  }
}

/** Which of the planned blocks no endpoint has, in words. Null also where no endpoint says what its head is: a run finds out. */
async function aboveHead({ step, axis, units }: StepPlan, moment: Moment): Promise<string | null> {
  if (step.chain === undefined || axis?.of !== 'numbers' || axis.word !== 'blocks') return null
  // They lie in one order or the other.
  const ends = [units[0], units.at(-1)].flatMap((unit) => (unit?.piece.kind === 'stretch' ? [unit.piece.to] : []))
  const [top] = ends.sort((a, b) => (a > b ? -1 : 1))
  if (top === undefined) return null
  const head = await moment.head(step.chain).catch((error: unknown) => {
    if (isPipeError(error)) return undefined
    throw error
  })
  if (head === undefined || head >= top) return null
  return `the head of ${step.chain} is ${head}: blocks ${head + 1n}-${top} are not there yet, and a run that asks for them ends incomplete`
}

function swaps({ step, units, waitsFor, note }: StepPlan, versions: readonly VersionRow[]): StepForecast['swaps'] {
  if ((units.length === 0 && waitsFor.length === 0) || note !== undefined) return []
  const own = versions.filter((row) => row.step === step.id)
  return step.outputs
    .filter(({ shadow }) => shadow)
    .map(({ table }) => ({
      table,
      builds: shadowName(table),
      version: nextVersion(own),
      kept: own.filter((row) => row.table === table && row.state === 'old').map(({ name }) => name),
    }))
}

function whenEvaluated({ step: { needs }, wanted }: StepPlan): string {
  const { everyMs, allowGaps } = wanted.kind === 'task' ? wanted : {}
  const parts = [
    `evaluated in every run${needs.length > 0 ? `, after ${needs.join(', ')}` : ''}`,
    everyMs !== undefined && needs.length > 0 ? `while they run every ${formatDuration(everyMs)}` : '',
    allowGaps === true ? 'with gaps, too (allow_gaps)' : '',
  ]
  return parts.filter(Boolean).join(', ')
}

/** Rows that the plan may bring to a table, as far as anyone can tell. */
function rowsOf({ wanted, pieces, requests }: StepPlan): number {
  const price = wanted.kind === 'task' ? undefined : wanted.price
  return price && 'rowsPerRequest' in price ? (requests ?? 0) * (price.rowsPerRequest ?? 0) : pieces
}

/** Bytes of a row before compression, by its column types. */
function rowBytes(table: Table | undefined): number {
  const sizes: Record<string, number> = {
    bool: 1,
    int: 4,
    bigint: 8,
    float: 8,
    timestamp: 8,
    date: 4,
    address: 42,
    hash: 66,
    uint256: 33,
    int256: 33,
    decimal: 16,
  }
  return (table?.columns ?? []).reduce((sum, { type }) => sum + (sizes[type.kind] ?? 50), 0)
}

/** The sums by key of what the steps cost. */
export function budgetsOf(
  steps: readonly StepForecast[],
  { steps: all, chains }: Pick<Pipeline, 'steps' | 'chains'>,
): readonly KeyForecast[] {
  return sharedBudgets(
    steps.flatMap(({ id, budget }) => {
      const chain = chains.get(all.find((step) => step.id === id)?.chain ?? '')
      return chain ? [{ id, chain: chain.name, endpoints: chain.endpoints, budget }] : []
    }),
  )
}

/** Whether a run would do anything but evaluate gates. */
export function hasWork(steps: readonly StepForecast[]): boolean {
  return steps.some((step) => step.units.length > 0 || step.pieces > 0 || step.leftOut > 0 || step.upTo.length > 0 || step.open)
}
