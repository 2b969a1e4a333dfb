import { setMaxListeners } from 'node:events'
import {
  formatInstant,
  type InputPage,
  type LedgerChange,
  type LedgerRow,
  type LedgerStep,
  PipeError,
  timeUnitStart,
} from '../sdk/index.js'
import type { Step } from '../pipeline/pipeline.js'
import { type Interval, namedAs, parseIntervalKey, subtract, timeKey } from '../plan/intervals.js'
import { KEY_COLUMN, missingPage } from '../plan/missing.js'
import {
  coveredBy,
  coveredCursor,
  isCoveredCursor,
  outdated,
  type PlannedUnit,
  RESET_FINGERPRINT,
  type StepPlan,
  tentativeRound,
} from '../plan/plan.js'
import { planStep } from '../plan/plan-step.js'
import { outputTable } from '../plan/rows-units.js'
import type { RunServices, StepEnd } from './services.js'
import { Turns } from './turns.js'
import { runUnit, type UnitOutcome } from './unit.js'

/** A step took longer than its `timeout`. Its units go on in the next run. */
export class StepTimeoutError extends PipeError {
  readonly code = 'STEP_TIMEOUT'
  override readonly blame = 'outage'
  override readonly hint = 'raise `timeout`; what is committed stays, and the next run goes on from there'
  constructor(step: string, ms: number) {
    super(`step ${step} was not done within its timeout of ${ms / 1000} s`)
  }
}

const UNITS_AT_ONCE = 4
/** Rows of a step that may wait for their commit, of all its open units together. */
const ROWS_WAITING = 6_400
/** Units opened by one statement, at first and at most. */
const OPEN_FIRST = 64
const OPEN_MOST = 4_096

/** Plans a step, does its units and plans it again: it is complete when nothing is left to plan. */
export async function runStep(services: RunServices, step: Step, signal: AbortSignal): Promise<StepEnd> {
  const plan = await planStep({ ...services, step, limit: services.limit, upstream: [] })
  announce(services, plan)
  if (plan.wanted.kind === 'check') return runCheck(services, plan, signal)
  const ledger = await services.warehouse.units(services.pipeline.name, step.id)
  await settle(services, plan, ledger)
  const turns = new Turns(mostRequests(plan, services.limit))
  const timeout = new AbortController()
  const all = AbortSignal.any([signal, timeout.signal])
  // One for every unit that is open or waits for its commit.
  setMaxListeners(0, all)
  const timer = new AbortController()
  let computed: ReadonlySet<string> = new Set()
  if (step.timeoutMs !== undefined) {
    const ms = step.timeoutMs
    void services.clock.sleep(ms, timer.signal).then(
      () => timeout.abort(new StepTimeoutError(step.id, ms)),
      () => undefined,
    )
  }
  try {
    if (plan.units.length > 0) {
      services.emit({ type: 'step:started', step: step.id })
      await services.warehouse.checkOutputs(plan.outputs, services.pipeline.tables)
      computed = await runUnits(services, plan, turns, all)
    }
  } finally {
    timer.abort()
  }
  return ended(services, plan, computed, turns, signal)
}

/** Requests that a run may make for steps that ask page by page: for them, `--limit` counts pages. */
function mostRequests({ wanted }: StepPlan, limit: number | undefined): number | undefined {
  if (wanted.kind !== 'time' && wanted.kind !== 'once') return undefined
  return Math.min(limit ?? Infinity, wanted.maxRequests ?? Infinity)
}

/**
 * The outcome by what is left now, not by what the units said. What steps that this one does not wait for changed since it
 * was planned is the next run's: a unit that was computed, one that was not there, one that is due in every run.
 */
async function ended(
  services: RunServices,
  plan: StepPlan,
  computed: ReadonlySet<string>,
  turns: Turns,
  signal: AbortSignal,
): Promise<StepEnd> {
  const { step } = plan
  const left =
    plan.units.length > 0
      ? await planStep({ ...services, step, limit: undefined, upstream: [] })
      : { ...plan, pieces: plan.pieces + plan.leftOut }
  const planned = new Set(plan.units.map(({ key }) => key))
  const isNew = (key: string) => plan.leftOut === 0 && !planned.has(key)
  const later = step.inputs.length > 0 ? left.units.filter(({ key }) => computed.has(key) || isNew(key)) : []
  const missing = left.pieces - later.length
  const quarantined = left.quarantined.length
  const rest = { missing, quarantined }
  if (signal.aborted) return { outcome: 'stopped', ...rest }
  if (missing === 0 && quarantined === 0) {
    await forgetOld(services, plan)
    return { outcome: 'complete', ...rest }
  }
  if (turns.refused && quarantined === 0) {
    const resume = `${turns.most} pages read; the next run goes on ${resumePoint(left.units)}`
    return turns.most === services.limit
      ? { outcome: 'limited', ...rest, reason: `--limit: ${resume}` }
      : { outcome: 'incomplete', ...rest, reason: `max_pages reached: ${resume}` }
  }
  const limited = missing > 0 && quarantined === 0 && missing <= plan.leftOut
  if (limited) return { outcome: 'limited', ...rest, reason: `--limit left ${amount(missing)} ${plan.unitWord} out` }
  const parts = [missing > 0 ? `${amount(missing)} ${plan.unitWord} missing` : '', quarantined > 0 ? `${quarantined} in quarantine` : '']
  return { outcome: 'incomplete', ...rest, reason: parts.filter(Boolean).join(', ') }
}

function resumePoint(units: readonly PlannedUnit[]): string {
  const tops = units.flatMap(({ piece }) => (piece.kind === 'time' ? [formatInstant(piece.to)] : []))
  return tops.length > 0 ? `from ${tops.slice(0, 3).join(' and from ')}${tops.length > 3 ? ', …' : ''}` : 'where this one ended'
}

/** Days may be parts of one: two digits say enough, and less than that is still something. */
const amount = (pieces: number) => Math.max(0.01, Math.round(pieces * 100) / 100)

function announce(services: RunServices, plan: StepPlan): void {
  const reasons: Record<string, number> = {}
  for (const unit of plan.units) reasons[unit.reason] = (reasons[unit.reason] ?? 0) + unit.size
  services.emit({
    type: 'step:planned',
    step: plan.step.id,
    units: plan.units.length,
    pieces: plan.pieces,
    done: plan.done,
    requests: plan.requests ?? 0,
    reasons,
    unit: plan.unitWord,
    ...(plan.time ? { time: plan.time } : {}),
  })
}

async function runCheck(services: RunServices, plan: StepPlan, signal: AbortSignal): Promise<StepEnd> {
  const [unit] = plan.units
  const left = services.incompleteNeeds(plan.step)
  const allowGaps = plan.wanted.kind === 'check' && plan.wanted.allowGaps === true
  if (left !== undefined && !allowGaps) return { outcome: 'closed', missing: 0, quarantined: 0, reason: `not evaluated: ${left}` }
  if (!unit) throw new Error(`gate ${plan.step.id} has no unit`)
  services.emit({ type: 'step:started', step: plan.step.id })
  const failed = services.collectChecks(plan.step.id)
  const outcome = await runUnit({
    services,
    plan,
    unit,
    opened: noRow(plan, unit),
    rpc: services.rpc(plan.step),
    turns: NO_LIMIT,
    room: 0,
    signal,
    input: noInput,
  })
  if (outcome === 'stopped') return { outcome: 'stopped', missing: 0, quarantined: 0 }
  const closed = failed()
  if (outcome !== 'done') return { outcome: 'closed', missing: 0, quarantined: 0, reason: 'its checks could not be evaluated' }
  if (closed.length > 0) return { outcome: 'closed', missing: 0, quarantined: 0, reason: closed.join('; ') }
  if (left !== undefined) return { outcome: 'closed', missing: 0, quarantined: 0, reason: `evaluated with gaps: ${left}` }
  return { outcome: 'complete', missing: 0, quarantined: 0 }
}

/** Evaluates a gate with `every` at that distance for as long as its needs are open. */
export async function runEarlyChecks(services: RunServices, step: Step, signal: AbortSignal, open: () => boolean): Promise<void> {
  if (typeof step.with !== 'object' || step.with === null || !('every' in step.with)) return
  try {
    const plan = await planStep({ ...services, step, limit: undefined, upstream: [] })
    const everyMs = plan.wanted.kind === 'check' ? plan.wanted.everyMs : undefined
    if (everyMs === undefined) return
    for (;;) {
      await services.clock.sleep(everyMs, signal)
      if (!open()) return
      const unit: PlannedUnit = { key: 'check', piece: { kind: 'check', early: true }, size: 1, reason: 'every', redo: false }
      await runUnit({
        services,
        plan,
        unit,
        opened: noRow(plan, unit),
        rpc: services.rpc(step),
        turns: NO_LIMIT,
        room: 0,
        signal,
        input: noInput,
      })
    }
  } catch (error) {
    // The evaluation after the needs will fail with the same error, and then it counts.
    if (!signal.aborted)
      services.emit({
        type: 'warning',
        step: step.id,
        message: `not evaluated while its needs run: ${services.redact(error instanceof Error ? error.message : String(error))}`,
      })
  }
}

const NO_LIMIT = new Turns(undefined)

/** Does all units of a plan. Resolves to the names of those that are done. */
async function runUnits(services: RunServices, plan: StepPlan, turns: Turns, signal: AbortSignal): Promise<ReadonlySet<string>> {
  const { step } = plan
  const { definition } = step
  const { committer, slots } = services
  const byRequests = definition.parallel === 'requests'
  const width = byRequests || step.parallel === undefined ? (definition.units ?? UNITS_AT_ONCE) : step.parallel
  const rpc = services.rpc(step)
  const opener = new Opener(services, plan)
  const outages = new OutageGuard()
  const ending = new Set<Promise<void>>()
  const done = new Set<string>()
  let next = 0
  let failure: { readonly error: unknown } | undefined
  /** Does a unit up to its last batch. The commit of that one is waited for in `ending`, while the next unit begins. */
  const begin = async (unit: PlannedUnit, opened: LedgerRow) => {
    if (signal.aborted) return
    services.emit({ type: 'unit:started', step: step.id, unit: unit.key, resumed: opened.cursor !== undefined, size: unit.size })
    let produced: () => void = () => undefined
    const given = new Promise<void>((resolve) => (produced = resolve))
    const end: Promise<void> = runUnit({
      services,
      plan,
      unit,
      opened,
      rpc,
      turns,
      room: ROWS_WAITING / Math.min(width, plan.units.length),
      signal,
      input: () => input(services, plan, unit),
      produced,
    }).then(
      (outcome) => {
        ending.delete(end)
        outages.saw(outcome)
        if (outcome === 'done' && unit.limit === undefined) done.add(unit.key)
        produced()
      },
      (error: unknown) => {
        ending.delete(end)
        failure ??= { error }
        produced()
      },
    )
    ending.add(end)
    await given
  }
  const worker = async () => {
    const producer = committer.join()
    try {
      while (!signal.aborted && !outages.tripped && !failure && !turns.refused) {
        const index = next++
        const unit = plan.units[index]
        if (!unit) return
        const opened = await opener.take(index)
        await producer.wait(slots.use(() => begin(unit, opened)))
        await producer.wait(committer.room())
      }
    } finally {
      producer.leave()
    }
  }
  const workers = await Promise.allSettled(Array.from({ length: Math.min(width, plan.units.length) }, worker))
  await Promise.all(ending)
  for (const result of workers) if (result.status === 'rejected') throw result.reason
  if (failure) throw failure.error
  return done
}

/** Opens units ahead of those who do them: about as many as a second takes, so that a killed run leaves little behind. */
class Opener {
  readonly #services: RunServices
  readonly #plan: StepPlan
  readonly #opened = new Map<string, LedgerRow>()
  #next = 0
  #size = OPEN_FIRST
  #openedAt = -Infinity
  #opening: Promise<void> | undefined

  constructor(services: RunServices, plan: StepPlan) {
    this.#services = services
    this.#plan = plan
  }

  /** The unit at `index`, opened. Each is taken once, in order. */
  async take(index: number): Promise<LedgerRow> {
    const key = this.#plan.units[index]?.key ?? ''
    while (index >= this.#next || this.#opening) {
      if (this.#opened.has(key)) break
      this.#more()
      await this.#opening
    }
    const row = this.#opened.get(key)
    if (!row) throw new Error(`unit ${key} was not opened`)
    this.#opened.delete(key)
    if (this.#opened.size < this.#size / 2) this.#more()
    return row
  }

  #more(): void {
    if (this.#opening || this.#next >= this.#plan.units.length) return
    const { clock, warehouse, pipeline } = this.#services
    const lasted = clock.monotonic() - this.#openedAt
    if (lasted < 500) this.#size = Math.min(OPEN_MOST, this.#size * 2)
    else if (lasted > 2_000) this.#size = Math.max(OPEN_FIRST, this.#size / 2)
    const units = this.#plan.units.slice(this.#next, this.#next + this.#size)
    this.#next += units.length
    const step = { pipeline: pipeline.name, step: this.#plan.step.id, fingerprint: this.#plan.fingerprint }
    const keys = units.map(({ key }) => key)
    this.#opening = warehouse.open(step, keys, BigInt(Math.round(clock.now() * 1000))).then((rows) => {
      for (const [unit, row] of rows) this.#opened.set(unit, row)
      this.#opening = undefined
      this.#openedAt = clock.monotonic()
    })
    // Whoever takes the next unit meets the error.
    this.#opening.catch(() => undefined)
  }
}

/** Stops a step whose units fail one after the other: the outage is the same for the next thousand. */
class OutageGuard {
  #failures = 0

  get tripped(): boolean {
    return this.#failures >= 10
  }

  saw(outcome: UnitOutcome): void {
    this.#failures = outcome === 'failed' ? this.#failures + 1 : 0
  }
}

async function* input({ pipeline, warehouse }: RunServices, plan: StepPlan, unit: PlannedUnit): AsyncIterable<InputPage> {
  if (plan.wanted.kind !== 'rows' || !unit.rows) throw new Error(`unit ${unit.key} has no input`)
  const { wanted } = plan
  const into = outputTable(pipeline, plan.outputs, wanted)
  const rows = []
  for await (const page of warehouse.query(missingPage(wanted, into, unit.rows, unit.limit))) rows.push(...page)
  if (rows.length > 0) yield { keys: rows.map((row) => String(row[KEY_COLUMN])), rows }
}

/**
 * Brings the ledger into the shape that the plan speaks of: units that an earlier run left half done become a done part
 * and an open part, and rows of an older definition lose their fingerprint before the first of them is overwritten.
 */
async function settle({ pipeline, warehouse, clock, moment }: RunServices, plan: StepPlan, ledger: readonly LedgerRow[]): Promise<void> {
  const at = BigInt(Math.round(clock.now() * 1000))
  const name = { pipeline: pipeline.name, step: plan.step.id }
  const current = { ...name, fingerprint: plan.fingerprint }
  const put: Amendment[] = []
  const drop: { step: string; unit: string }[] = []
  const planned = new Set(plan.units.map(({ key }) => key))
  const round = plan.wanted.kind === 'time' ? moment.now : undefined
  const redoes = plan.units.some((unit) => unit.redo || unit.piece.kind === 'interval' || (unit.piece.kind === 'rows' && unit.piece.redo))
  for (const row of ledger) {
    const all = parseIntervalKey(row.unit)
    if (row.fingerprint !== plan.fingerprint) {
      if (redoes && row.fingerprint !== outdated(row.fingerprint))
        put.push({ step: { ...name, fingerprint: outdated(row.fingerprint) }, unit: row.unit, state: row.state })
      continue
    }
    if (!all) continue
    const tentative = tentativeRound(row)
    if (tentative !== undefined && tentative !== round) drop.push({ step: plan.step.id, unit: row.unit })
    if (row.state === 'done') continue
    const covered = coveredBy(row)
    const { redo, at: place } = isCoveredCursor(row.cursor) ? row.cursor : { redo: undefined, at: undefined }
    // The upper end of a lane moves with the clock, so what is open of it is named anew in every run.
    const renamed = round !== undefined && row.state !== 'quarantined' && !planned.has(row.unit)
    if (covered.length === 0 && !renamed) continue
    const nameOf = namedAs(row.unit)
    if (covered.length > 0 || redo === undefined) drop.push({ step: plan.step.id, unit: row.unit })
    for (const [i, interval] of covered.entries())
      put.push({
        step: current,
        unit: nameOf(interval),
        state: 'done',
        // Where the list is at the lower end of what was read of it.
        ...(i === 0 && place !== undefined ? { cursor: coveredCursor([], undefined, place) } : {}),
        // It was read by batches that said what they cover, so its count is what the table holds.
        ...(round === undefined ? { cursor: coveredCursor([interval], undefined) } : {}),
        ...(covered.length === 1 ? { rows: row.rows } : {}),
        ...(row.endpoint === undefined ? {} : { endpoint: row.endpoint }),
      })
    for (const interval of subtract([all], covered)) {
      if (redo !== undefined)
        put.push({
          step: { ...name, fingerprint: redo === 'reset' ? RESET_FINGERPRINT : outdated('') },
          unit: nameOf(interval),
          state: 'done',
        })
      else if (!renamed)
        put.push({
          step: current,
          unit: nameOf(interval),
          state: row.state === 'running' ? 'pending' : row.state,
          attempts: row.attempts,
          error: row.error ?? null,
        })
    }
  }
  const change = plan.wanted.kind === 'time' && plan.wanted.windowUs === undefined ? joined(ledger, { put, drop }, current) : { put, drop }
  if (change.put.length > 0 || change.drop.length > 0) await warehouse.amend(pipeline.name, change, at)
}

interface LedgerAmendment {
  readonly put: readonly Amendment[]
  readonly drop: readonly { readonly step: string; readonly unit: string }[]
}

/** Covered stretches that touch become one: a lane that is read every few minutes would leave a row each time. */
function joined(ledger: readonly LedgerRow[], { put, drop }: LedgerAmendment, current: LedgerStep): LedgerAmendment {
  const gone = new Set(drop.map(({ unit }) => unit))
  const covered = [
    ...ledger.filter(
      (row) => row.fingerprint === current.fingerprint && row.state === 'done' && !gone.has(row.unit) && tentativeRound(row) === undefined,
    ),
    ...put.filter(({ step, state }) => step.fingerprint === current.fingerprint && state === 'done'),
  ].flatMap((entry) => {
    const interval = parseIntervalKey(entry.unit)
    return interval ? [{ interval, entry }] : []
  })
  covered.sort((a, b) => (a.interval[0] < b.interval[0] ? -1 : 1))
  const groups: (typeof covered)[] = []
  for (const each of covered) {
    const group = groups.at(-1)
    const last = group?.at(-1)
    if (group && last && last.interval[1] + 1n === each.interval[0]) group.push(each)
    else groups.push([each])
  }
  const whole = groups.filter((group) => group.length > 1)
  const parts = new Set(whole.flatMap((group) => group.map(({ entry }) => entry.unit)))
  return {
    put: [...put.filter(({ unit }) => !parts.has(unit)), ...whole.map((group) => joinedRow(group, current))],
    drop: [...drop, ...ledger.filter(({ unit }) => parts.has(unit)).map(({ unit }) => ({ step: current.step, unit }))],
  }
}

function joinedRow(
  group: readonly { readonly interval: readonly [bigint, bigint]; readonly entry: LedgerRow | Amendment }[],
  current: LedgerStep,
): Amendment {
  // The lowest comes first: a list goes on from its cursor.
  const { interval: first, entry: lowest } = group[0] as (typeof group)[number]
  const last = (group.at(-1) as (typeof group)[number]).interval
  const rows: Record<string, number> = {}
  for (const { entry } of group) for (const [table, n] of Object.entries(entry.rows ?? {})) rows[table] = (rows[table] ?? 0) + n
  return {
    step: current,
    unit: timeKey([first[0], last[1]]),
    state: 'done',
    rows,
    ...(lowest.cursor === undefined ? {} : { cursor: lowest.cursor }),
    ...(lowest.endpoint === undefined ? {} : { endpoint: lowest.endpoint }),
  }
}

type Amendment = LedgerChange & { readonly step: LedgerStep; readonly unit: string }

/**
 * Drops what the ledger says of older definitions, once everything is read under this one, and of attempts that came to
 * nothing where other units have done the work since.
 */
async function forgetOld({ pipeline, warehouse, clock }: RunServices, plan: StepPlan): Promise<void> {
  const { wanted } = plan
  if (wanted.kind === 'check') return
  const rows = await warehouse.units(pipeline.name, plan.step.id)
  const asked = wanted.kind === 'range' || wanted.kind === 'time' ? ([[wanted.from, wanted.to]] as const) : undefined
  const keysOf = (some: readonly LedgerRow[]) => some.map((row) => parseIntervalKey(row.unit)).filter((key) => key !== undefined)
  const current = rows.filter((row) => row.fingerprint === plan.fingerprint)
  const failed = current.filter((row) => row.state !== 'done' && row.state !== 'quarantined')
  const left = subtract(keysOf(failed), keysOf(current.filter((row) => row.state === 'done')))
  const within = (row: LedgerRow, intervals: readonly Interval[]) => {
    const key = parseIntervalKey(row.unit)
    return key !== undefined && subtract([key], intervals).length === 0
  }
  const doneSince = (row: LedgerRow) => {
    const key = parseIntervalKey(row.unit)
    return key !== undefined && !left.some(([from, to]) => from <= key[1] && to >= key[0])
  }
  const replaced = (row: LedgerRow) => {
    // What is kept because its inputs have expired stays as it was done.
    if (wanted.kind === 'intervals') return timeUnitStart(row.unit, wanted.everyUs) === undefined
    return !asked || within(row, asked)
  }
  const older = plan.units.length > 0 ? rows.filter((row) => row.fingerprint !== plan.fingerprint && replaced(row)) : []
  const drop = [...older, ...failed.filter(doneSince)].map((row) => ({ step: plan.step.id, unit: row.unit }))
  if (drop.length > 0) await warehouse.amend(pipeline.name, { drop }, BigInt(Math.round(clock.now() * 1000)))
}

function noRow(plan: StepPlan, unit: PlannedUnit): LedgerRow {
  return {
    step: plan.step.id,
    unit: unit.key,
    state: 'running',
    fingerprint: plan.fingerprint,
    epoch: 0n,
    cursor: undefined,
    rows: {},
    attempts: 0,
    endpoint: undefined,
    parentHash: undefined,
    lastHash: undefined,
    evidence: undefined,
    error: undefined,
    startedAt: 0n,
    updatedAt: 0n,
  }
}

async function* noInput(): AsyncIterable<InputPage> {
  throw new Error('this unit has no input')
}
