import {
  type Axis,
  formatColumnType,
  isPipeError,
  type Json,
  type LedgerRow,
  PipeError,
  type PlanContext,
  type Scope,
  type TimeCoverage,
  type Wanted,
  type LedgerReader,
  type WarehouseReader,
  withoutShadows,
} from '../sdk/index.js'
import { fingerprint as fingerprintOf } from '../pipeline/steps/fingerprint.js'
import type { Pipeline, Step } from '../pipeline/pipeline.js'
import { keptPaths, urlPaths } from '../pipeline/schema/tuning.js'
import { referenceName } from '../sdk/names.js'
import { substitute, substituteText } from '../sdk/references.js'
import { checkConfig } from './config.js'
import { axisOf, rowStretch } from '../ledger/axis.js'
import { count } from '../ledger/intervals.js'
import { coveredBy, type Ledger, type Quarantined } from '../ledger/standing.js'
import { youngRows } from './expired.js'
import { onlyWanted } from './only-wanted.js'
import type { PlannedUnit, StepPlan } from './plan.js'
import { rowsUnits } from './rows-units.js'
import { type Moment, stepScope } from './scope.js'
import { pieces as piecesOf, stretchUnits, timeCoverage } from './stretch-units.js'
import { taskUnits, touchedUnits } from './touched-units.js'

export interface PlanStepOptions {
  readonly pipeline: Pipeline
  readonly step: Step
  readonly moment: Moment
  /** `--param`. */
  readonly given: Readonly<Record<string, string>>
  readonly warehouse: LedgerReader
  /** What the ledger says of the step, where somebody looked already. Left out: it is looked at. */
  readonly rows?: readonly LedgerRow[]
  /** `--limit`: at most so many blocks, rows or days. */
  readonly limit: number | undefined
  /** Plans of the steps before it that are not carried out yet, and whose rows it takes. */
  readonly upstream: readonly StepPlan[]
}

/** What the `plan` of a step type gave is nothing that can be wanted. */
export class WantedShapeError extends PipeError {
  readonly code = 'WANTED_SHAPE'
  override readonly hint = 'this is a mistake in the step type; `Wanted` of pipe/sdk says what may be wanted'
  constructor(step: string, problem: string) {
    super(`step ${step}: plan gave ${problem}`)
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

export type AskStepOptions = Pick<PlanStepOptions, 'pipeline' | 'step' | 'moment' | 'given' | 'warehouse' | 'rows'>

/** What the step and its surroundings are to its definition. */
export function planContext(
  { pipeline, step, warehouse }: Pick<AskStepOptions, 'pipeline' | 'step' | 'warehouse'>,
  config: Json,
  scope: Scope,
): PlanContext<never> {
  const chain = step.chain === undefined ? undefined : pipeline.chains.get(step.chain)
  // A shadow is made when the step runs; queries that read it are described before.
  const shadows = step.outputs.filter(({ shadow }) => shadow).map(({ table }) => table)
  return {
    pipeline: pipeline.name,
    step: step.id,
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
    warehouse: shadows.length === 0 ? warehouse : describing(warehouse, shadows),
  }
}

/** The same reader, which describes queries that name shadows of these tables also where they are not made. */
function describing<T extends WarehouseReader>(warehouse: T, tables: readonly string[]): T {
  const describe: T['describe'] = (statement) => warehouse.describe(withoutShadows(statement, tables))
  return new Proxy(warehouse, {
    get: (target, key) => {
      if (key === 'describe') return describe
      const value: unknown = Reflect.get(target, key, target)
      return typeof value === 'function' ? (value.bind(target) as unknown) : value
    },
  })
}

/** Asks a step what should exist. Reads only. */
export async function askStep(options: AskStepOptions): Promise<AskedStep> {
  const { pipeline, step, moment, given, warehouse } = options
  const { definition } = step
  const rows = options.rows ?? (await warehouse.units(pipeline.name, step.id))
  const ledger: Ledger = { rows, fingerprint: await stepFingerprint(options) }
  const scope = await stepScope(pipeline, step, given, moment, ledger)
  const config = await checkConfig(step, withKept(step, filled(step, scope)))
  const wanted = await onlyWanted(step, () => definition.plan(planContext(options, config, scope))).catch((error: unknown) => {
    throw isPipeError(error) ? error : new StepPlanError(step.id, definition.type, error)
  })
  checkWanted(step, wanted)
  return { config, scope, wanted: youngRows(wanted, step, pipeline, moment.now), ledger }
}

/** Under which definition units of a step are done that count as done now, with these params. @throws {PipeError} where a param has no value. */
export async function stepFingerprint({ pipeline, step, moment, given }: Pick<AskStepOptions, 'pipeline' | 'step' | 'moment' | 'given'>) {
  // The value of `covered` is looked up in the ledger by the fingerprint, so the fingerprint is made without fields that use it.
  const scope = await stepScope(pipeline, step, given, moment, undefined)
  const chainId = step.chain === undefined ? undefined : pipeline.chains.get(step.chain)?.id
  const outputs = step.outputs.map((output) => {
    const table = pipeline.tables.get(output.table)
    return {
      ...output,
      key: table?.key ?? [],
      types: Object.fromEntries((table?.columns ?? []).map(({ name, type }) => [name, formatColumnType(type)])),
    }
  })
  return fingerprintOf({ definition: step.definition, with: filled(step, scope), chainId, outputs, scope })
}

/** A step type of somebody else may give anything. @throws {WantedShapeError} */
function checkWanted({ id, definition }: Step, wanted: Wanted): void {
  const { kind } = wanted as { readonly kind: unknown }
  if (kind !== 'stretches' && kind !== 'rows' && kind !== 'task')
    throw new WantedShapeError(id, `kind ${JSON.stringify(kind)}, which is none of "stretches", "rows", "task"`)
  if (definition.closes === true && kind !== 'task') throw new WantedShapeError(id, `${kind}, and a step that closes wants a task`)
  if (wanted.kind !== 'stretches') return
  const { axis, domain } = wanted as { readonly axis: Partial<Axis> | undefined; readonly domain: unknown }
  if (!axis || (axis.of !== 'numbers' && axis.of !== 'time') || typeof axis.each !== 'bigint' || axis.each <= 0n)
    throw new WantedShapeError(id, 'stretches of no axis: one has `of`, `cut`, `word` and `each`')
  if (axis.cut !== undefined && (typeof axis.cut !== 'bigint' || axis.cut <= 0n))
    throw new WantedShapeError(id, 'an axis whose `cut` is no bigint above 0')
  const ends = Array.isArray(domain) && domain.length === 2 && domain.every((end) => typeof end === 'bigint')
  if (domain !== 'inputs' && !ends) throw new WantedShapeError(id, 'a domain that is neither "inputs" nor [from, to], both bigint')
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
  return planAsked(options, await askStep(options))
}

/** The same plan over what the ledger says now: what a step wants is the same all through a round. */
export async function planAgain(options: PlanStepOptions, { config, scope, wanted, ledger }: StepPlan): Promise<StepPlan> {
  const { pipeline, step, warehouse } = options
  const rows = options.rows ?? (await warehouse.units(pipeline.name, step.id))
  return planAsked(options, { config, scope, wanted, ledger: { ...ledger, rows } })
}

async function planAsked(options: PlanStepOptions, { config, scope, wanted, ledger }: AskedStep): Promise<StepPlan> {
  const { step, upstream } = options
  const cut = await cutUnits({ ...options, wanted, ledger })
  const axis = axisOf(wanted, cut.integerKey ?? false)
  const waitsFor = upstream
    .filter(
      (plan) => (wanted.kind === 'rows' && plan.pieces > 0) || (step.inputs.length > 0 && (plan.pieces > 0 || plan.waitsFor.length > 0)),
    )
    .map((plan) => ({ step: plan.step.id, pieces: plan.pieces, word: plan.word }))
  const pieces = cut.units.reduce((sum, unit) => sum + unit.size, 0)
  return {
    step,
    config,
    scope,
    wanted,
    outputs: step.outputs,
    fingerprint: ledger.fingerprint,
    ledger,
    axis,
    word: wordOf(step, wanted),
    units: cut.units,
    pieces,
    done: cut.done,
    quarantined: cut.quarantined,
    expired: cut.expired ?? [],
    lost: cut.lost ?? [],
    leftOut: cut.leftOut,
    requests: requestsOf(step, wanted, cut, pieces, ledger),
    time: cut.time,
    note: cut.note,
    later: wanted.kind === 'stretches' ? wanted.later : undefined,
    waitsFor,
  }
}

function wordOf({ definition }: Step, wanted: Wanted): string {
  if (wanted.kind === 'stretches') return wanted.axis.word
  if (wanted.kind === 'rows') return 'rows'
  return definition.closes === true ? 'checks' : 'units'
}

/**
 * Calls that the units take, by what they are and what earlier ones brought. Undefined when nobody knows: also of a step that asks
 * a chain or a source and says no price.
 */
function requestsOf({ definition }: Step, wanted: Wanted, { units }: Cut, pieces: number, ledger: Ledger): number | undefined {
  const price = wanted.kind === 'task' ? undefined : wanted.price
  if (units.length === 0) return 0
  if (price === undefined) return definition.requires?.some((need) => need === 'chain' || need === 'source') === true ? undefined : 0
  if ('perPiece' in price) return Math.ceil(pieces * price.perPiece)
  if ('perUnit' in price) return units.length * price.perUnit
  const perDay = wanted.kind === 'stretches' ? rowsPerPiece(wanted.axis, ledger) : undefined
  const { rowsPerRequest } = price
  if (rowsPerRequest === undefined || perDay === undefined) return undefined
  const pages = units.reduce((sum, { size, againDays }) => sum + ((size + (againDays ?? 0)) * perDay) / rowsPerRequest, 0)
  return Math.ceil(pages) + units.length
}

/** Rows that a covered piece brought, by the ledger; undefined before there is enough to tell. */
function rowsPerPiece(axis: Axis, { rows }: Ledger): number | undefined {
  let covered = 0
  let written = 0
  for (const row of rows) {
    covered += piecesOf(count(coveredBy(row, rowStretch(axis, row))), axis.each)
    for (const number of Object.values(row.rows)) written += number
  }
  return covered >= 0.01 ? written / covered : undefined
}

interface CutOptions {
  pipeline: Pipeline
  step: Step
  wanted: Wanted
  ledger: Ledger
  warehouse: LedgerReader
  limit: number | undefined
  moment: Moment
}

export interface Cut {
  units: PlannedUnit[]
  done: number
  leftOut: number
  quarantined: Quarantined[]
  expired?: string[]
  lost?: string[]
  time?: TimeCoverage
  /** Of `rows`: whether its key is one integer, so that its units are stretches of it. */
  integerKey?: boolean
  /** Why nothing is to be done, where that is not simply done. */
  note?: string
}

async function cutUnits(options: CutOptions): Promise<Cut> {
  const { wanted, ledger, limit, step, moment } = options
  switch (wanted.kind) {
    case 'stretches': {
      const { axis, domain } = wanted
      if (domain === 'inputs') return touchedUnits({ ...options, wanted })
      const asked = { ...wanted, domain }
      const cut = stretchUnits(asked, ledger, { step: step.id, limit: wanted.limitBy === 'requests' ? undefined : limit, now: moment.now })
      return {
        ...cut,
        done: piecesOf(cut.done, axis.each),
        leftOut: piecesOf(cut.leftOut, axis.each),
        time: axis.of === 'time' ? timeCoverage(asked, ledger, moment.now) : undefined,
      }
    }
    case 'rows':
      return rowsUnits({ ...options, wanted })
    case 'task':
      return step.definition.closes === true ? CHECK : taskUnits({ ...options, wanted })
  }
}

/** Checks are evaluated in every run and never done. */
const CHECK: Cut = {
  units: [{ key: 'check', piece: { kind: 'task', early: false }, size: 1, reason: 'evaluated in every run', redo: false }],
  done: 0,
  leftOut: 0,
  quarantined: [],
}
