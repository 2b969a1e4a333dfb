import { type About, type HttpClient, isPipeError, type Json, type LedgerReader, type PlanContext, type Random } from '../sdk/index.js'
import type { Pipeline, Step } from '../pipeline/pipeline.js'
import { ancestors } from '../pipeline/steps/graph.js'
import { leftOf } from '../plan/left.js'
import { planContext, planStep } from '../plan/plan-step.js'
import type { Moment } from '../plan/scope.js'
import { isGate } from '../plan/select.js'
import { whenHolds } from '../plan/when.js'
import { createAdvice } from './advice.js'
import type { HowMany } from './choice.js'
import { checkGate, type GateGaps } from './gate.js'
import { checkLedger } from './ledger.js'
import type { Finding, VerifiedStep, VerifyReport } from './report.js'
import { checkRows } from './rows.js'
import { type Fetcher, sample } from './sample.js'
import { selectsOf } from './step-selects.js'
import { checkTables } from './tables.js'
import { Findings, isComputed, type StepLook } from './look.js'

export interface VerifyOptions {
  readonly pipeline: Pipeline
  /** With the pipeline's tables assumed where they are missing. */
  readonly warehouse: LedgerReader
  /** Those that are assumed although steps filled them. */
  readonly gone: readonly { readonly table: string; readonly steps: readonly { readonly id: string; readonly units: number }[] }[]
  /** Heads as the last run had them: what came after it is no gap. */
  readonly moment: Moment
  /** Steps that rested in the last round: up to when they have read, microseconds UTC. */
  readonly rests: ReadonlyMap<string, bigint>
  /** Of the last run, and `--param`. */
  readonly given: Readonly<Record<string, string>>
  /** Of the warehouse of the demo: the commands that mend say so. */
  readonly demo?: boolean
  /** Where the state is kept, when the commands must say it. */
  readonly state?: string | undefined
  /** Microseconds UTC. */
  readonly now: bigint
  readonly step: string | undefined
  /** Units of each step to fetch again. */
  readonly sample: number | undefined
  /** Blocks of each step to prove, and what they are chosen by. */
  readonly proof: { readonly howMany: HowMany; readonly seed: number } | undefined
  /** Each endpoint of a step's chain by itself. `config`: its `with` with every param put in. */
  fetchers(step: Step, config: Json): readonly Fetcher[]
  /** The REST source of a step. */
  http(step: Step): HttpClient
  readonly random: Random
  readonly signal: AbortSignal
}

/** Looks at every step for what is not as it should be. Reads only. @throws {PipeError} when it can't look. */
export async function verifyPipeline(options: VerifyOptions): Promise<VerifyReport> {
  const { pipeline, warehouse } = options
  const selected = pipeline.steps.filter(
    ({ id }) => options.step === undefined || id === options.step || id.replace(/\[.*\]$/, '') === options.step,
  )
  const drifted = new Map<string, string[]>()
  const findings: Finding[] = []
  for (const { table, problem, fix } of await warehouse.drift([...pipeline.tables.values()])) {
    const steps = selected.filter((step) => step.outputs.some((output) => output.table === table))
    drifted.set(table, [...(drifted.get(table) ?? []), problem])
    for (const step of steps.slice(0, 1))
      findings.push({
        check: 'schema',
        step: step.id,
        table,
        unit: null,
        key: null,
        problem: `${table} ${problem}`,
        fix: fix === undefined ? [] : [fix],
        difference: null,
      })
  }
  for (const { table, steps } of options.gone) {
    for (const { id, units } of steps.filter((step) => selected.some((one) => one.id === step.id)))
      findings.push({
        check: 'schema',
        step: id,
        table,
        unit: null,
        key: null,
        problem: `${table} is gone, and the ledger says that ${units} ${units === 1 ? 'unit is' : 'units are'} done`,
        fix: createAdvice(aboutRuns(options), id, undefined).reset(),
        difference: null,
      })
  }
  const wrong = new Set<string>()
  const steps: VerifiedStep[] = []
  for (const step of selected) {
    options.signal.throwIfAborted()
    const found = new Findings(step.id)
    const tables = new Set(step.outputs.map(({ table }) => table).filter((table) => drifted.has(table)))
    const result = await verifyStep(options, step, { tables, wrong, selected: new Set(selected.map(({ id }) => id)) }, found)
    if (found.list.length > 0) wrong.add(step.id)
    findings.push(...found.list)
    const { type, closes = false } = step.definition
    steps.push({ id: step.id, title: step.title, type, closes, ...result, more: found.more, notes: [...found.notes] })
  }
  return {
    pipeline: pipeline.name,
    warehouse: warehouse.display,
    file: pipeline.file,
    ok: findings.length === 0,
    seed: options.proof?.seed ?? null,
    steps,
    findings,
  }
}

/** What the run is about that mends what is found. */
const aboutRuns = ({ pipeline, given, demo, state }: VerifyOptions): About => ({ file: pipeline.file, demo, params: given, state })

/** What a step was asked for in the last round, or in the one before in which it did not rest. */
const momentOf = ({ moment, rests }: VerifyOptions, { id }: Step): Moment => ({ ...moment, now: rests.get(id) ?? moment.now })

const NOTHING = { units: 0, sampled: { units: 0, rows: 0 }, proof: null }

async function verifyStep(
  options: VerifyOptions,
  step: Step,
  /** Tables that are not as declared, and steps that something was found in. */
  about: { readonly tables: ReadonlySet<string>; readonly wrong: ReadonlySet<string>; readonly selected: ReadonlySet<string> },
  findings: Findings,
): Promise<Pick<VerifiedStep, 'units' | 'sampled' | 'proof'>> {
  const { pipeline, warehouse, now } = options
  if (!whenHolds(step, options)) {
    findings.notes.add(`not looked at: when ${JSON.stringify(step.when)}`)
    return NOTHING
  }
  try {
    const plan = await planStep({ ...options, step, moment: momentOf(options, step), limit: undefined, upstream: [] })
    const ledger = plan.ledger.rows
    for (const note of [plan.note, plan.later]) if (note !== undefined) findings.notes.add(note)
    const base: StepLook = {
      pipeline,
      step,
      warehouse,
      plan,
      ledger,
      done: ledger.filter((row) => row.state === 'done' && row.fingerprint === plan.fingerprint),
      replaced: new Set(),
      advice: createAdvice(aboutRuns(options), step.id, plan.axis),
      now,
    }
    const context = () => planContext({ pipeline, warehouse, step }, plan.config, plan.scope)
    const look = { ...base, replaced: await replacedOutputs(base, context(), options.signal) }
    if (step.definition.closes === true) {
      const gaps = await gapsAbove(options, step, about)
      await checkGate(look, context(), gaps, options.signal, findings)
      return NOTHING
    }
    await checkLedger(look, findings)
    if (plan.wanted.kind === 'task' && step.outputs.length === 0) {
      findings.notes.add('it fills no table that is known: only a gate behind it says what it left')
      return { ...NOTHING, units: look.done.length }
    }
    await checkRows(look, (other) => warehouse.units(pipeline.name, other), findings)
    const unkeyed = new Set(warehouse.kind === 'clickhouse' ? step.outputs.map(({ table }) => table) : about.tables)
    await checkTables(look, unkeyed, findings)
    const sampled =
      options.sample === undefined ? NOTHING.sampled : await sample({ ...options, look, context, number: options.sample }, findings)
    // What proves is loaded where something is to be proved.
    const proof = options.proof && (await (await import('./prove.js')).prove({ ...options, ...options.proof, look, context }, findings))
    return { units: look.done.length, sampled, proof: proof ?? null }
  } catch (error) {
    // Columns that are not there are said by the schema.
    if (!isPipeError(error) || error.code !== 'SQL_REFUSED' || about.tables.size === 0) throw error
    findings.notes.add(`not looked at further, as the table is not as declared: ${error.message}`)
    return NOTHING
  }
}

/** What is wrong above a gate: steps with findings, and what is missing of steps that are not verified. */
async function gapsAbove(
  options: VerifyOptions,
  { id: gate }: Step,
  { wrong, selected }: { readonly wrong: ReadonlySet<string>; readonly selected: ReadonlySet<string> },
): Promise<GateGaps> {
  const { steps } = options.pipeline
  const above = ancestors(steps, [gate])
  const unseen: string[] = []
  for (const step of steps.filter(({ id }) => above.has(id) && !selected.has(id))) {
    if (isGate(step) || !whenHolds(step, options)) continue
    const { words } = await leftOf({ ...options, step, moment: momentOf(options, step) })
    if (words !== '') unseen.push(`${words} (${step.id})`)
  }
  return { found: [...above].filter((id) => wrong.has(id)), unseen }
}

async function replacedOutputs(look: StepLook, context: PlanContext<never>, signal: AbortSignal): Promise<ReadonlySet<string>> {
  // What is renewed as a whole is replaced by that. Its queries read tables that are there only while it is built.
  const renewed = look.step.outputs.filter(({ shadow }) => shadow)
  if (renewed.length > 0) return new Set(renewed.map(({ id }) => id))
  const [row] = look.done
  if (!isComputed(look.plan.wanted) || look.step.outputs.length === 0 || !row) return new Set()
  const selects = await selectsOf(look, context, row, signal)
  const kept = new Set(selects.filter(({ replace }) => !replace).map(({ output }) => output))
  return new Set(selects.map(({ output }) => output).filter((output) => !kept.has(output)))
}
