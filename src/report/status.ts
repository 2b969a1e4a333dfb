import { type CheckResult, command, typable } from '../sdk/index.js'
import { tidy } from '../plan/tidy.js'
import { escapeText } from './escape.js'
import { type Lag, lagsOf } from './lag.js'
import { causesOf, namesOf } from './quarantine.js'
import { elapsedOf, etaOf, rateOf, sum } from './rates.js'
import { type EndpointView, initialView, newEndpoint, newStep, type QuarantinedView, type RunView, type StepView } from './view.js'
import { checkLine, checksOf, count, counted, duration, endpointLine, lagLine, sampleLines, stepLine, took } from './words.js'
import type { CheckRecord, RunRecord } from '../state/store.js'

/** What `pipe status --json` prints. Times are ISO 8601 in UTC. */
export interface StatusReport {
  readonly pipeline: string
  readonly file: string
  /** The running run, else the last one. Null when the state store knows of none. */
  readonly run: StatusRun | null
  readonly steps: readonly StatusStep[]
  /** The newest result of every check of that run. */
  readonly checks: readonly StatusCheck[]
  /** Keys that failed for good in that run: how many, and the first ones. */
  readonly quarantined: { readonly count: number; readonly first: readonly QuarantinedView[] }
  readonly endpoints: readonly EndpointView[]
  /** Of a run that follows: how far what is read of each chain lies behind its head. */
  readonly lag: readonly Lag[]
  readonly warnings: readonly { readonly step: string | null; readonly message: string; readonly count: number }[]
  /** The last five runs, newest first. */
  readonly history: readonly StatusRun[]
}

export interface StatusRun {
  readonly id: string
  /** `crashed`: its process is gone and it did not say how it ended. */
  readonly outcome: RunRecord['outcome']
  /** How far it is; `ended` also where its process is gone. */
  readonly state: RunView['state']
  readonly exitCode: number | null
  readonly error: string | null
  readonly warehouse: string
  readonly pid: number
  readonly host: string
  readonly startedAt: string
  readonly endedAt: string | null
  /** When it was last heard of. */
  readonly updatedAt: string
  readonly elapsedMs: number
  /** Rows committed, by table. */
  readonly rows: Readonly<Record<string, number>>
}

export interface StatusStep {
  readonly id: string
  readonly title: string
  readonly state: StepView['state']
  readonly reason: string | null
  /** Of a gate that opened: what is incomplete above it (`allow_gaps`). Of what is computed: what it can't be any more. */
  readonly gaps: string | null
  /** What done and total count. */
  readonly word: StepView['word']
  /** In this run. */
  readonly done: number
  readonly total: number | null
  /** Done before this run. */
  readonly before: number
  readonly failed: number
  readonly missing: number
  readonly quarantined: number
  readonly rows: Readonly<Record<string, number>>
  readonly perSecond: number | null
  readonly elapsedMs: number | null
  readonly etaMs: number | null
  readonly retries: number
  /** How much it does at once. Null until it is planned, and where it does one thing. */
  readonly parallel: StepView['parallel']
}

export interface StatusCheck extends CheckResult {
  readonly step: string
  /** It decided whether the gate opens. False: it was evaluated while the needs of the gate still ran. */
  readonly final: boolean
  readonly at: string
  /** Its results in this run and in earlier ones, the newest first, this one included: at most 20. */
  readonly history: readonly PastCheck[]
}

export interface PastCheck extends Pick<CheckResult, 'passed' | 'value' | 'expect' | 'problem' | 'gaps'> {
  readonly run: string
  readonly final: boolean
  readonly at: string
}

export interface StatusInput {
  readonly pipeline: string
  readonly file: string
  /** Whether it is about runs of `run --demo`. */
  readonly demo?: boolean
  /** Where there is no run: into which warehouse there was one of the other kind, with or without `--demo`. */
  readonly others?: string | undefined
  /** Newest first, as the state store gives them. */
  readonly runs: readonly RunRecord[]
  /** Of all runs, the newest first. */
  readonly checks: readonly CheckRecord[]
  /** Milliseconds UTC. */
  readonly now: number
}

/** What the state store tells of a pipeline. Asks no warehouse and no chain. */
export function statusReport({ pipeline, file, runs, checks, now }: StatusInput): StatusReport {
  const [last] = runs
  const view = last ? viewOf(last) : initialView()
  const at = last ? lastHeard(last, now) : now
  return {
    pipeline,
    file,
    run: last ? runOf(last, now) : null,
    steps: view.steps.map((step) => stepOf(step, at)),
    checks: checksWithHistory(checks).filter(({ history }) => history[0]?.run === last?.id),
    quarantined: view.quarantined,
    endpoints: view.endpoints,
    lag: view.follow ? lagsOf(view, at) : [],
    warnings: view.warnings.map(({ step, message, count }) => ({ step, message, count })),
    history: runs.slice(0, 5).map((run) => runOf(run, now)),
  }
}

const HISTORY = 20

/** The newest result of each check of a run with those before it. */
/** The newest result of each check with those before it. `all`: of all runs, the newest first. */
export function checksWithHistory(all: readonly CheckRecord[]): StatusCheck[] {
  const byName = new Map<string, [CheckRecord, ...CheckRecord[]]>()
  // In the order in which they were first evaluated.
  for (const check of [...all].reverse()) {
    const name = JSON.stringify([check.step, check.result.name])
    byName.set(name, [check, ...(byName.get(name) ?? [])])
  }
  return [...byName.values()].map((history) => {
    const [{ step, result, final, at }] = history
    return { ...result, step, final, at: iso(at), history: history.slice(0, HISTORY).map(pastCheck) }
  })
}

function pastCheck({ run, result: { passed, value, expect, problem, gaps }, final, at }: CheckRecord): PastCheck {
  return { run, at: iso(at), final, passed, value, expect, problem, gaps }
}

/** The same as text for people, ending in a newline. */
export function renderStatus(input: StatusInput): string {
  const report = statusReport(input)
  const [last] = input.runs
  if (!last || !report.run) {
    const { demo = false, file, others } = input
    const other =
      others === undefined
        ? ''
        : `; its ${demo ? 'runs' : 'demo'} went into ${escapeText(others)}: ${escapeText(command('status', { file, demo: !demo }))}`
    const run = escapeText(command('run', { file, demo }))
    return `${escapeText(input.pipeline)} has not run yet${demo ? ' as a demo' : ''}, as far as this state store knows${other}\n  ${run}\n`
  }
  const view = viewOf(last)
  const sections = [
    [`${escapeText(input.pipeline)}: ${headline(report.run, last, input.now)}`, `  warehouse ${escapeText(last.warehouse)}`],
    stepLines(view, lastHeard(last, input.now)),
    [...view.endpoints.map(endpointLine), ...report.lag.map(lagLine)].map((line) => `  ${line}`),
    titled(
      'Checks:',
      report.checks.flatMap((check) => checkLines(check)),
    ),
    titled('In quarantine:', quarantineLines(view)),
    titled('Last runs:', historyLines(report.history)),
  ]
  const text = sections.filter((lines) => lines.length > 0).map((lines) => lines.join('\n'))
  return `${typable(text.join('\n\n'), input)}\n`
}

const SHOWN_BEFORE = 3

/** A check with its rows at fault, and what it gave before. */
function checkLines(check: StatusCheck): string[] {
  const state = check.passed ? 'passed' : check.severity === 'warn' ? 'warning' : 'not passed'
  const before = check.history.slice(1, 1 + SHOWN_BEFORE).map((past) => {
    const value = past.value === null ? 'no value' : escapeText(past.value)
    return `${value}${past.passed ? '' : ' (not passed)'} at ${moment(past.at)}${past.final ? '' : ' while its needs ran'}`
  })
  return [
    `  ${state}  ${escapeText(check.step)}: ${checkLine({ ...check, at: 0 })}`,
    ...sampleLines(check).map((line) => `      ${line}`),
    ...(before.length > 0 ? [`      before: ${before.join(', ')}`] : []),
  ]
}

/** A run that is silent for longer may be on another machine that is gone; nobody here can tell. */
const silentMs = 60_000

/** The view of a run as it was last written. Of one whose process is gone, no step runs. */
export function viewOf(run: RunRecord): RunView {
  // What the run wrote: a RunView, or that of an older version with fewer fields.
  const found = { ...initialView(), ...(run.view as Partial<RunView> | undefined) }
  const view: RunView = {
    ...found,
    state: stateOf(run, found),
    steps: found.steps.map((step) => ({ ...newStep(step.id), ...step, open: { ...newStep(step.id).open, ...step.open } })),
    endpoints: found.endpoints.map((endpoint) => ({ ...newEndpoint(endpoint.chain, endpoint.endpoint), ...endpoint })),
  }
  if (run.outcome !== 'crashed') return view
  const steps = view.steps.map((step) =>
    step.state === 'running' ? { ...step, state: 'stopped' as const, reason: 'its process is gone', endedAt: run.updatedAt } : step,
  )
  return { ...view, steps }
}

/** As it was last written, or what it is about to be: a run that somebody paused says so a second later. */
function stateOf({ outcome, wish }: RunRecord, { state }: RunView): RunView['state'] {
  if (outcome !== 'running') return 'ended'
  return wish.paused && (state === 'starting' || state === 'running') ? 'pausing' : state
}

function lastHeard(run: RunRecord, now: number): number {
  return run.outcome === 'running' ? now : (run.endedAt ?? run.updatedAt)
}

function runOf(run: RunRecord, now: number): StatusRun {
  const view = viewOf(run)
  const rows: Record<string, number> = {}
  for (const [table, number] of view.steps.flatMap((step) => Object.entries(step.rows))) rows[table] = (rows[table] ?? 0) + number
  return {
    id: run.id,
    outcome: run.outcome,
    state: view.state,
    exitCode: run.exitCode ?? null,
    error: view.error,
    warehouse: run.warehouse,
    pid: run.pid,
    host: run.host,
    startedAt: iso(run.startedAt),
    endedAt: run.endedAt === undefined ? null : iso(run.endedAt),
    updatedAt: iso(run.updatedAt),
    elapsedMs: Math.max(0, lastHeard(run, now) - run.startedAt),
    rows,
  }
}

function stepOf(step: StepView, now: number): StatusStep {
  const { id, title, state, reason, gaps, word, done, total, before, failed, missing, quarantined, rows } = step
  return {
    id,
    title,
    state,
    reason,
    gaps,
    word,
    done: tidy(done),
    total: total === null ? null : tidy(total),
    before: tidy(before),
    failed: tidy(failed),
    missing: tidy(missing),
    quarantined,
    rows,
    perSecond: rateOf(step, now),
    elapsedMs: elapsedOf(step, now),
    etaMs: etaOf(step, now),
    retries: sum(step.retries),
    parallel: step.parallel,
  }
}

function headline(run: StatusRun, record: RunRecord, now: number): string {
  const started = `started ${moment(run.startedAt)}`
  switch (run.outcome) {
    case 'running': {
      const silent = now - record.updatedAt
      const heard = silent > silentMs ? `, not heard of for ${duration(silent)}` : ''
      const word = run.state === 'pausing' || run.state === 'paused' ? `${run.state}, ` : ''
      return `${word}running for ${duration(run.elapsedMs)} (pid ${run.pid} on ${escapeText(run.host)}, ${started})${heard}`
    }
    case 'crashed':
      return `crashed: pid ${run.pid} on ${escapeText(run.host)} is gone (${started}, last heard of ${moment(run.updatedAt)}); the next run goes on where it ended`
    case 'error':
      return `ended by an error after ${took(run.elapsedMs)}${run.error === null ? '' : `: ${escapeText(run.error)}`} (${started})`
    default:
      return `${run.outcome} after ${took(run.elapsedMs)}${run.exitCode === null ? '' : `, exit code ${run.exitCode}`} (${started})`
  }
}

function stepLines(view: RunView, now: number): string[] {
  const width = Math.max(0, ...view.steps.map((step) => escapeText(step.id).length))
  return view.steps.map((step) => `  ${stepLine(step, checksOf(view, step.id), now, width)}`)
}

function quarantineLines(view: RunView): string[] {
  const keys = causesOf(view.quarantined).filter(({ what }) => what === 'keys')
  const shown = keys.slice(0, 5)
  const bySteps = view.steps.filter((step) => step.quarantined > 0).map((step) => `  ${escapeText(step.id)}: ${count(step.quarantined)}`)
  const lines = [...bySteps, ...shown.map((cause) => `    ${escapeText(cause.step)} ${namesOf(cause)}: ${escapeText(cause.error)}`)]
  const more = view.quarantined.count - shown.reduce((all, cause) => all + cause.count, 0)
  if (more > 0) lines.push(`    and ${count(more)} more`)
  return lines
}

function historyLines(history: readonly StatusRun[]): string[] {
  return history.map((run) => {
    const exit = run.exitCode === null ? '' : `exit ${run.exitCode}`
    return `  ${moment(run.startedAt)}  ${run.outcome.padEnd(10)}  ${exit.padEnd(8)}  ${duration(run.elapsedMs).padStart(7)}  ${counted(sum(run.rows), 'rows')}`.trimEnd()
  })
}

function titled(title: string, lines: readonly string[]): readonly string[] {
  return lines.length === 0 ? [] : [title, ...lines]
}

function iso(ms: number): string {
  return new Date(ms).toISOString()
}

/** `2026-11-22 06:28:01 UTC`. */
function moment(text: string): string {
  return `${text.slice(0, 10)} ${text.slice(11, 19)} UTC`
}
