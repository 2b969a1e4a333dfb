import {
  formatColumnType,
  isPipeError,
  type Json,
  PipeError,
  type PlanContext,
  type Scope,
  type TimeCoverage,
  type Wanted,
  type Warehouse,
} from '../sdk/index.js'
import { fingerprint as fingerprintOf } from '../pipeline/steps/fingerprint.js'
import type { Pipeline, Step } from '../pipeline/pipeline.js'
import { keptPaths, urlPaths } from '../pipeline/schema/tuning.js'
import { referenceName } from '../sdk/names.js'
import { substitute, substituteText } from '../sdk/references.js'
import { checkConfig } from './config.js'
import { count } from './intervals.js'
import {
  coveredBy,
  daysBetween,
  daysOf,
  type Ledger,
  namedUnits,
  type PieceWord,
  type PlannedUnit,
  type Quarantined,
  rangeUnits,
  timeUnits,
  type StepPlan,
} from './plan.js'
import { intervalUnits, wholeUnits } from './interval-units.js'
import { rowsUnits } from './rows-units.js'
import { type Moment, stepScope } from './scope.js'

export interface PlanStepOptions {
  readonly pipeline: Pipeline
  readonly step: Step
  readonly moment: Moment
  /** `--param`. */
  readonly given: Readonly<Record<string, string>>
  readonly warehouse: Warehouse
  /** `--limit`: at most so many blocks, rows or days. */
  readonly limit: number | undefined
  /** Plans of the steps before it that are not carried out yet, and whose rows it takes. */
  readonly upstream: readonly StepPlan[]
}

/** A step asked for two things at once that can't be told apart in the ledger. */
export class WantedError extends PipeError {
  readonly code = 'WANTED_UNCLEAR'
  override readonly hint = 'a step yields one `Wanted`; use two steps'
  constructor(step: string, found: number) {
    super(`step ${step} wants ${found} things at once`)
  }
}

/** The `plan` of a step type failed in a way that it does not know itself. */
export class StepPlanError extends PipeError {
  readonly code = 'STEP_PLAN'
  override readonly hint = 'this is a mistake in the step type; PIPE_DEBUG=1 shows where'
  constructor(step: string, type: string, cause: unknown) {
    super(`step ${step}: plan of ${type}: ${cause instanceof Error ? cause.message : String(cause)}`, { cause })
  }
}

/** What a step wants, with its params put in; nothing is subtracted yet. */
export interface AskedStep {
  readonly config: Json
  readonly scope: Scope
  readonly wanted: Wanted
  readonly ledger: Ledger
}

export type AskStepOptions = Pick<PlanStepOptions, 'pipeline' | 'step' | 'moment' | 'given' | 'warehouse'>

/** What the step and its surroundings are to its definition. */
export function planContext(
  { pipeline, step, warehouse }: Pick<AskStepOptions, 'pipeline' | 'step' | 'warehouse'>,
  config: Json,
  scope: Scope,
): PlanContext<never> {
  const chain = step.chain === undefined ? undefined : pipeline.chains.get(step.chain)
  return {
    // Checked against the definition's own schema, which is where its type comes from.
    config: config as never,
    scope,
    chain: chain && {
      name: chain.name,
      id: chain.id,
      blockTimeMs: chain.blockTimeMs,
      confirmations: chain.confirmations,
      about: chain.about,
    },
    outputs: step.outputs,
    into: step.into === undefined ? undefined : pipeline.tables.get(step.into),
    tables: pipeline.tables,
    warehouse,
  }
}

/** Asks a step what should exist. Reads only. */
export async function askStep(options: AskStepOptions): Promise<AskedStep> {
  const { pipeline, step, moment, given, warehouse } = options
  const { definition } = step
  const rows = await warehouse.units(pipeline.name, step.id)
  // `covered` depends on the ledger, and so on the fingerprint, which leaves out the fields where it is used.
  const base = await stepScope(pipeline, step, given, moment, undefined)
  const chainId = step.chain === undefined ? undefined : pipeline.chains.get(step.chain)?.id
  const outputs = step.outputs.map((output) => {
    const table = pipeline.tables.get(output.table)
    return {
      ...output,
      key: table?.key ?? [],
      types: Object.fromEntries((table?.columns ?? []).map(({ name, type }) => [name, formatColumnType(type)])),
    }
  })
  const ledger: Ledger = {
    rows,
    fingerprint: fingerprintOf({ definition, with: filled(step, base), chainId, outputs, scope: base }),
  }
  const scope = await stepScope(pipeline, step, given, moment, ledger)
  const config = await checkConfig(step, withKept(step, filled(step, scope)))
  const all: Wanted[] = []
  try {
    for await (const wanted of definition.plan(planContext(options, config, scope))) all.push(wanted)
  } catch (error) {
    throw isPipeError(error) ? error : new StepPlanError(step.id, definition.type, error)
  }
  const [wanted, ...more] = all
  if (!wanted || more.length > 0) throw new WantedError(step.id, all.length)
  return { config, scope, wanted, ledger }
}

/** `with` with every known value put in, also inside the texts whose schema says that they are of a URL. */
function filled(step: Step, scope: Scope): Json {
  let value = step.with
  for (const path of urlPaths(step.definition.config, value))
    value = changed(value, path, (text) =>
      typeof text === 'string' && referenceName(text) === undefined ? substituteText(text, scope, encodeURIComponent, 'keep') : text,
    )
  return substitute(value, scope)
}

/** The fields whose schema says that `$name` stays, as they are in the file: the step looks them up itself. */
function withKept(step: Step, config: Json): Json {
  const at = (path: readonly string[]): Json =>
    path.reduce<Json>((value, key) => (value as { readonly [key: string]: Json })[key] ?? null, step.with)
  return keptPaths(step.definition.config, step.with).reduce((value, path) => changed(value, path, () => at(path)), config)
}

function changed(value: Json, [key, ...rest]: readonly string[], change: (value: Json) => Json): Json {
  if (key === undefined) return change(value)
  if (Array.isArray(value)) return value.map((item: Json, i) => (String(i) === key ? changed(item, rest, change) : item))
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, name === key ? changed(item as Json, rest, change) : item]))
}

/** What the step would do: what it wants less what is done. Reads only. */
export async function planStep(options: PlanStepOptions): Promise<StepPlan> {
  const { step, upstream } = options
  const { config, scope, wanted, ledger } = await askStep(options)
  const cut = await cutUnits({ ...options, wanted, ledger })
  const waitsFor = upstream
    .filter(
      (plan) => (wanted.kind === 'rows' && plan.pieces > 0) || (step.inputs.length > 0 && (plan.pieces > 0 || plan.waitsFor.length > 0)),
    )
    .map((plan) => ({ step: plan.step.id, pieces: plan.pieces, word: plan.unitWord }))
  const pieces = cut.units.reduce((sum, unit) => sum + unit.size, 0)
  return {
    step,
    config,
    scope,
    wanted,
    outputs: step.outputs,
    fingerprint: ledger.fingerprint,
    unitWord: WORDS[wanted.kind],
    units: cut.units,
    pieces,
    done: cut.done,
    quarantined: cut.quarantined,
    kept: cut.kept ?? [],
    leftOut: cut.leftOut,
    requests: requestsOf(wanted, cut, pieces, ledger),
    time: cut.time,
    waitsFor,
  }
}

/** Calls that the units take, by what they are and what earlier ones brought. */
function requestsOf(wanted: Wanted, { units }: Cut, pieces: number, ledger: Ledger): number | undefined {
  if ('requests' in wanted) return pieces * wanted.requests
  if (wanted.kind !== 'time') return 0
  if (wanted.rowsPerRequest === undefined && wanted.windowUs !== undefined) return units.length
  const perDay = rowsPerDay(ledger)
  if (units.length === 0) return 0
  if (wanted.rowsPerRequest === undefined || perDay === undefined) return undefined
  const pages = units.reduce((sum, { size, againDays }) => sum + ((size + (againDays ?? 0)) * perDay) / (wanted.rowsPerRequest ?? 1), 0)
  return Math.ceil(pages) + units.length
}

/** Rows that a covered day brought, by the ledger; undefined before there is enough to tell. */
function rowsPerDay({ rows }: Ledger): number | undefined {
  let days = 0
  let written = 0
  for (const row of rows) {
    days += daysOf(count(coveredBy(row)))
    for (const number of Object.values(row.rows)) written += number
  }
  return days >= 0.01 ? written / days : undefined
}

const WORDS: Record<Wanted['kind'], PieceWord> = {
  range: 'blocks',
  rows: 'rows',
  days: 'days',
  once: 'units',
  intervals: 'intervals',
  whole: 'units',
  time: 'days',
  check: 'checks',
}

interface CutOptions {
  pipeline: Pipeline
  step: Step
  wanted: Wanted
  ledger: Ledger
  warehouse: Warehouse
  limit: number | undefined
  moment: Moment
}

export interface Cut {
  units: PlannedUnit[]
  done: number
  leftOut: number
  quarantined: Quarantined[]
  kept?: string[]
  time?: TimeCoverage
}

async function cutUnits(options: CutOptions): Promise<Cut> {
  const { wanted, ledger, limit, step, moment } = options
  switch (wanted.kind) {
    case 'range': {
      const cut = rangeUnits(step.id, wanted, ledger, limit)
      return { ...cut, done: Number(cut.done), leftOut: Number(cut.leftOut) }
    }
    case 'days': {
      const today = new Date(Number(moment.now / 1000n)).toISOString().slice(0, 10)
      // A day is a unit when it is over.
      const days = [...daysBetween(wanted.from, wanted.to)].filter((day) => day < today)
      if (wanted.order === 'newest-first') days.reverse()
      return namedUnits(
        days.map((day) => ({ key: day, piece: { kind: 'day' as const, day }, size: 1 })),
        ledger,
        limit,
      )
    }
    case 'intervals':
      return intervalUnits({ ...options, wanted })
    case 'whole':
      return wholeUnits({ ...options, wanted })
    case 'time': {
      const cut = timeUnits(step.id, wanted, ledger, moment.now)
      return { ...cut, done: daysOf(cut.done), leftOut: 0 }
    }
    case 'once':
      return namedUnits([{ key: 'all', piece: { kind: 'once' }, size: 1 }], ledger, undefined)
    case 'check':
      return {
        units: [{ key: 'check', piece: { kind: 'check', early: false }, size: 1, reason: 'evaluated in every run', redo: false }],
        done: 0,
        leftOut: 0,
        quarantined: [],
      }
    case 'rows':
      return rowsUnits({ ...options, wanted })
  }
}
