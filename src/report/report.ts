import { type About, command, type StepOutcome } from '../sdk/index.js'
import { cause, nothingMissing, ownReason } from './words.js'
import { elapsedOf, sum } from './rates.js'
import type { CheckView, FailureView, PieceWord, RunView, StepView } from './view.js'

/** What a run did and what is left, for its end report. Plain data. Times are milliseconds. */
export interface RunReport {
  readonly about: About
  readonly pipeline: string
  readonly warehouse: string
  readonly outcome: RunView['outcome']
  readonly exitCode: number | null
  readonly error: string | null
  /** Without pauses. */
  readonly elapsedMs: number
  readonly pausedMs: number
  /** `no missing blocks` and the like, when everything was done before; else null. */
  readonly nothingToDo: string | null
  readonly steps: readonly StepReport[]
  /** Rows committed, by table. */
  readonly rows: Readonly<Record<string, number>>
  readonly rowsPerSecond: number | null
  readonly commits: { readonly count: number; readonly avgMs: number | null; readonly maxMs: number }
  readonly requests: number
  readonly calls: number
  readonly bytes: number
  /** Requests that were late at one endpoint, and were sent to another one, too. */
  readonly hedged: number
  /** Of each endpoint with a budget, what was spent. */
  readonly credits: readonly CreditsReport[]
  /** Requests and units that were tried again, the most frequent cause first. */
  readonly retries: readonly { readonly cause: string; readonly count: number }[]
  /** What the plans of all steps said, and what came of it. Pieces are blocks, rows and days together. */
  readonly plan: {
    readonly calls: number
    readonly callsMade: number
    readonly pieces: number
    readonly piecesDone: number
    readonly units: number
    readonly unitsDone: number
  }
  readonly checks: readonly CheckView[]
  readonly missing: readonly MissingReport[]
  readonly quarantined: RunView['quarantined']
  readonly warnings: RunView['warnings']
  /** What to do next, most useful first: a command and what it does. Empty when there is nothing to do. */
  readonly next: readonly { readonly command: string; readonly why: string }[]
}

export interface CreditsReport {
  /** The chain that it serves. */
  readonly chain: string
  readonly endpoint: string
  readonly credits: number
  readonly perSecond: number
  /** Of what it could have spent in the time of the run, from 0 to 1. */
  readonly share: number
}

export interface StepReport {
  readonly id: string
  readonly title: string
  readonly state: StepView['state']
  /** What no other line of the report says. */
  readonly reason: string | null
  /** Of a gate that opened: what is incomplete above it (`allow_gaps`). Of what is computed: what it can't be any more. */
  readonly gaps: string | null
  readonly word: PieceWord | null
  readonly done: number
  readonly total: number | null
  readonly before: number
  readonly elapsedMs: number | null
  readonly perSecond: number | null
  readonly rows: Readonly<Record<string, number>>
  /** What the step itself counted: late rows, changed ones. */
  readonly counts: Readonly<Record<string, number>>
  readonly retries: number
}

/** A step that is not complete, or opened with gaps, and why. */
export interface MissingReport {
  readonly step: string
  readonly state: StepOutcome | 'waiting' | 'planned' | 'running'
  readonly word: PieceWord | null
  readonly missing: number
  readonly quarantined: number
  readonly reason: string | null
  readonly failures: readonly FailureView[]
}

/** The end report of a view. `about`: what the run was asked for, for the commands to run next. */
export function report(view: RunView, about: About): RunReport {
  const now = view.endedAt ?? view.at ?? 0
  const elapsedMs = elapsedOf(view, now) ?? 0
  const rows = totals(view.steps.map((step) => step.rows))
  const committed = sum(rows)
  const missing = view.steps.filter((step) => !ended(step)).map((step) => missingOf(step, view))
  const of = (pick: (step: StepView) => number) => view.steps.reduce((total, step) => total + pick(step), 0)
  const calls = view.endpoints.reduce((total, endpoint) => total + endpoint.calls, 0)
  return {
    about,
    pipeline: view.pipeline,
    warehouse: view.warehouse,
    outcome: view.outcome,
    exitCode: view.exitCode,
    error: view.error,
    elapsedMs,
    pausedMs: view.pausedMs,
    nothingToDo: nothingToDo(view),
    steps: view.steps.map((step) => stepReport(step, view, now)),
    rows,
    rowsPerSecond: committed > 0 && elapsedMs > 0 ? (committed * 1_000) / elapsedMs : null,
    commits: {
      count: view.commits.count,
      avgMs: view.commits.count > 0 ? view.commits.ms / view.commits.count : null,
      maxMs: view.commits.maxMs,
    },
    requests: view.endpoints.reduce((total, endpoint) => total + endpoint.requests, 0),
    calls,
    bytes: view.endpoints.reduce((total, endpoint) => total + endpoint.bytes, 0),
    hedged: view.endpoints.reduce((total, endpoint) => total + endpoint.hedged, 0),
    credits: creditsOf(view, elapsedMs),
    retries: retriesByCause(view),
    plan: {
      calls: of((step) => step.planned?.calls ?? 0),
      callsMade: calls,
      pieces: of((step) => (step.word === 'checks' ? 0 : (step.planned?.pieces ?? 0))),
      piecesDone: of((step) => (step.word === 'checks' ? 0 : step.done)),
      units: of((step) => (step.word === 'checks' ? 0 : (step.planned?.units ?? 0))),
      unitsDone: of((step) => (step.word === 'checks' ? 0 : step.units.done)),
    },
    checks: view.checks,
    missing,
    quarantined: view.quarantined,
    warnings: view.warnings,
    next: view.outcome === 'done' ? [] : nextCommands(view, missing, about),
  }
}

function ended(step: StepView): boolean {
  return (step.state === 'complete' && step.gaps === null) || step.state === 'skipped'
}

function missingOf(step: StepView, view: RunView): MissingReport {
  return {
    step: step.id,
    state: step.state,
    word: step.word,
    missing: step.missing,
    quarantined: step.quarantined,
    reason: ownReason(step, view),
    failures: step.failures,
  }
}

/** The word of the first step that counts blocks, else rows or days. Null when something was done or is not well. */
function nothingToDo(view: RunView): string | null {
  const work = view.steps.filter((step) => step.word !== null && step.word !== 'checks')
  if (view.outcome !== 'done' || work.length === 0 || work.some((step) => step.done > 0 || step.units.done > 0 || step.total !== 0))
    return null
  const words = work.map((step) => step.word)
  return nothingMissing((['blocks', 'rows', 'days'] as const).find((word) => words.includes(word)) ?? null)
}

function stepReport(step: StepView, view: RunView, now: number): StepReport {
  const elapsedMs = elapsedOf(step, now)
  const { id, title, state, gaps, word, done, total, before, rows, counts } = step
  const reason = ownReason(step, view)
  const perSecond = done > 0 && elapsedMs !== null && elapsedMs > 0 ? (done * 1_000) / elapsedMs : null
  return { id, title, state, reason, gaps, word, done, total, before, elapsedMs, perSecond, rows, counts, retries: sum(step.retries) }
}

function creditsOf(view: RunView, elapsedMs: number): readonly CreditsReport[] {
  return view.endpoints.flatMap(({ chain, endpoint, credits, creditsPerSecond: perSecond }) =>
    credits === null || perSecond === null
      ? []
      : [{ chain, endpoint, credits, perSecond, share: Math.min(1, credits / (perSecond * Math.max(1, elapsedMs / 1_000))) }],
  )
}

function retriesByCause(view: RunView): RunReport['retries'] {
  const all = totals([...view.endpoints.map((endpoint) => endpoint.retries), ...view.steps.map((step) => step.retries)])
  return Object.entries(all)
    .map(([code, count]) => ({ cause: cause(code), count }))
    .sort((a, b) => b.count - a.count || (a.cause < b.cause ? -1 : 1))
}

function totals(counts: readonly Readonly<Record<string, number>>[]): Record<string, number> {
  const all: Record<string, number> = {}
  for (const [key, value] of counts.flatMap((one) => Object.entries(one))) all[key] = (all[key] ?? 0) + value
  return all
}

function nextCommands(view: RunView, missing: readonly MissingReport[], about: About): RunReport['next'] {
  const next: { command: string; why: string }[] = []
  const run = command('run', about)
  const open = missing.some(
    (step) => step.missing > 0 || ['failed', 'stopped', 'limited', 'waiting', 'planned', 'running'].includes(step.state),
  )
  const closed = missing.filter((step) => step.state === 'closed')
  if (view.outcome === 'error') return [{ command: run, why: 'when the cause is mended; what is committed is kept' }]
  if (open || view.outcome === 'stopped') next.push({ command: run, why: 'does what is missing; what is done is not fetched again' })
  if (missing.some((step) => step.quarantined > 0))
    next.push({ command: command('retry', about), why: 'lets the quarantined ones be tried again by the next run' })
  if (closed.length > 0)
    next.push({
      command: command('status', about),
      why: `shows what each check gave; ${closed.map((step) => step.step).join(', ')} is checked again by each run`,
    })
  if (next.length === 0) next.push({ command: command('status', about), why: 'shows the state of every step' })
  return next
}
