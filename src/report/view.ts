import type { CheckResult, RunEvent, RunFact, StepOutcome, TimeCoverage } from '../sdk/index.js'

export type PieceWord = Extract<RunFact, { type: 'step:planned' }>['word']

/** What is known of a run, folded from its events. Plain data: it goes through JSON unchanged. Times are milliseconds UTC. */
export interface RunView {
  run: string
  pipeline: string
  warehouse: string
  pid: number | null
  host: string
  state: 'starting' | 'running' | 'stopping' | 'ended'
  outcome: Extract<RunFact, { type: 'run:ended' }>['outcome'] | null
  exitCode: number | null
  error: string | null
  /** The signal that asked it to stop. */
  stopping: string | null
  /** With rounds: the one that runs, or ran last, and when the next one begins while it waits for it. */
  round: { number: number; nextAt: number | null } | null
  startedAt: number | null
  endedAt: number | null
  /** Of the last event. */
  at: number | null
  heads: Record<string, string>
  params: Record<string, string>
  steps: StepView[]
  endpoints: EndpointView[]
  commits: { count: number; units: number; rows: number; ms: number; maxMs: number }
  /** The newest result of each check. */
  checks: CheckView[]
  /** Keys that failed for good in this run: how many, and the first ones. */
  quarantined: { count: number; first: QuarantinedView[] }
  warnings: WarningView[]
  /** Warnings beyond the kinds that are kept. */
  moreWarnings: number
}

export interface StepView {
  id: string
  title: string
  type: string
  needs: string[]
  state: 'waiting' | 'planned' | 'running' | StepOutcome
  reason: string | null
  /** What its pieces are called. Null until it is planned. */
  word: PieceWord | null
  /** Pieces (blocks, rows, days) of this run: those done and those planned. Null until it is planned. */
  total: number | null
  /** Pieces committed in this run. */
  done: number
  /** Pieces that were done before this run. */
  before: number
  /** What the plan said: units, pieces and calls of this run, and units by reason. */
  planned: { units: number; pieces: number; calls: number; reasons: Record<string, number> } | null
  units: { done: number; failed: number; quarantined: number }
  running: RunningUnit[]
  /** Pieces of units and keys that failed in this run. */
  failed: number
  /** Rows committed, by table. */
  rows: Record<string, number>
  /** Rows that came twice in one batch. */
  doubles: number
  /** What the step itself counted: late rows, changed ones. */
  counts: Record<string, number>
  /** Of a step that walks through time: what is covered by now of what it wants. */
  time: TimeCoverage | null
  startedAt: number | null
  endedAt: number | null
  /** Pieces a second when its last batch was committed, over the last ten seconds. Null until it is known. */
  perSecond: number | null
  /** `[at, done]` of the last ten seconds, for `rateOf`. */
  samples: [number, number][]
  /** Retried units, by error code. */
  retries: Record<string, number>
  /** The newest failures, at most five, newest last. */
  failures: FailureView[]
  /** Pieces that are not there, as the step said when it ended. */
  missing: number
  /** Quarantined keys and units, as the step said when it ended; before that, those of this run. */
  quarantined: number
}

export interface RunningUnit {
  unit: string
  /** Pieces in it; null when unknown. */
  size: number | null
  done: number
}

export interface FailureView {
  unit: string
  error: string
  code: string
  hint: string | null
  state: 'failed' | 'quarantined' | 'retrying'
  at: number
}

export interface EndpointView {
  /** The chain, or the source, that it serves. */
  chain: string
  /** Host only. */
  endpoint: string
  health: 'up' | 'waiting' | 'down'
  reason: string | null
  requests: number
  calls: number
  bytes: number
  /** Milliseconds of all requests together. */
  ms: number
  /** Calls a request and requests in flight, as found; null before the first one. */
  batch: number | null
  parallel: number | null
  /** Requests that were sent again, by class. */
  retries: Record<string, number>
  /** Of the last of them. */
  lastError: string | null
}

export type CheckView = CheckResult & { step: string; final: boolean; at: number }

export interface QuarantinedView {
  step: string
  unit: string
  key: string
  error: string
  code: string
}

export interface WarningView {
  step: string | null
  message: string
  count: number
  /** When it was last given. */
  at: number
}

/** How many quarantined keys, kinds of warnings and failures of a step the view holds. The counts go on. */
const kept = { quarantined: 20, warnings: 50, failures: 5 } as const
const rateWindowMs = 10_000
const sampleMs = 250

export function initialView(): RunView {
  return {
    run: '',
    pipeline: '',
    warehouse: '',
    pid: null,
    host: '',
    state: 'starting',
    outcome: null,
    exitCode: null,
    error: null,
    stopping: null,
    round: null,
    startedAt: null,
    endedAt: null,
    at: null,
    heads: {},
    params: {},
    steps: [],
    endpoints: [],
    commits: { count: 0, units: 0, rows: 0, ms: 0, maxMs: 0 },
    checks: [],
    quarantined: { count: 0, first: [] },
    warnings: [],
    moreWarnings: 0,
  }
}

/**
 * The one place where events become what people see. Changes the view in place and gives it back: whoever keeps one must
 * copy it. Steps and endpoints that it has not heard of before are added.
 */
export function reduce(view: RunView, event: RunEvent): RunView {
  view.at = event.at
  switch (event.type) {
    case 'run:started':
      view.run = event.run
      view.pipeline = event.pipeline
      view.warehouse = event.warehouse
      view.pid = event.pid
      view.host = event.host
      view.startedAt = event.at
      for (const { id, title, type, needs } of event.steps) Object.assign(stepOf(view, id), { title, type, needs: [...needs] })
      return view
    case 'run:resolved':
      view.heads = { ...event.heads }
      view.params = { ...event.params }
      return view
    case 'step:planned':
      planned(stepOf(view, event.step), event)
      if (view.state === 'starting') view.state = 'running'
      return view
    case 'step:started': {
      const step = stepOf(view, event.step)
      step.state = 'running'
      step.startedAt ??= event.at
      step.endedAt = null
      step.samples = [[event.at, step.done]]
      if (view.state === 'starting') view.state = 'running'
      return view
    }
    case 'unit:started': {
      const step = stepOf(view, event.step)
      closeUnit(step, event.unit)
      step.running.push({ unit: event.unit, size: event.size ?? null, done: 0 })
      return view
    }
    case 'batch:committed': {
      const step = stepOf(view, event.step)
      step.done += event.pieces
      step.doubles += event.doubles
      for (const [name, number] of Object.entries(event.counts ?? {})) step.counts[name] = (step.counts[name] ?? 0) + number
      if (event.time && step.time) {
        const { oldest, newest, coveredDays, targetDays } = step.time
        step.time = {
          oldest: Math.min(oldest ?? Infinity, event.time.oldest),
          newest: Math.max(newest ?? -Infinity, event.time.newest),
          coveredDays: coveredDays + event.pieces,
          targetDays,
        }
      }
      for (const [table, rows] of Object.entries(event.rows)) step.rows[table] = (step.rows[table] ?? 0) + rows
      const unit = step.running.find((running) => running.unit === event.unit)
      if (unit) unit.done += event.pieces
      sample(step, event.at)
      return view
    }
    case 'commit:done':
      view.commits.count++
      view.commits.units += event.units
      view.commits.rows += event.rows
      view.commits.ms += event.ms
      view.commits.maxMs = Math.max(view.commits.maxMs, event.ms)
      return view
    case 'unit:retrying': {
      const step = stepOf(view, event.step)
      step.retries[event.code] = (step.retries[event.code] ?? 0) + 1
      addFailure(step, { unit: event.unit, error: event.error, code: event.code, hint: null, state: 'retrying', at: event.at })
      return view
    }
    case 'unit:done': {
      const step = stepOf(view, event.step)
      closeUnit(step, event.unit)
      step.units.done++
      step.failures = step.failures.filter((failure) => failure.unit !== event.unit)
      return view
    }
    case 'unit:failed': {
      const step = stepOf(view, event.step)
      const unit = closeUnit(step, event.unit)
      step.units[event.state]++
      step.failed += Math.max(1, (unit?.size ?? 1) - (unit?.done ?? 0))
      if (event.state === 'quarantined') step.quarantined++
      addFailure(step, {
        unit: event.unit,
        error: event.error,
        code: event.code,
        hint: event.hint ?? null,
        state: event.state,
        at: event.at,
      })
      return view
    }
    case 'key:quarantined': {
      const step = stepOf(view, event.step)
      step.failed++
      step.quarantined++
      view.quarantined.count++
      const { unit, key, error, code } = event
      if (view.quarantined.first.length < kept.quarantined) view.quarantined.first.push({ step: step.id, unit, key, error, code })
      return view
    }
    case 'check:evaluated': {
      const check = { ...event.result, step: event.step, final: event.final, at: event.at }
      const at = view.checks.findIndex(({ step, name }) => step === event.step && name === event.result.name)
      if (at === -1) view.checks.push(check)
      else view.checks[at] = check
      return view
    }
    case 'step:ended': {
      const step = stepOf(view, event.step)
      step.state = event.outcome
      step.reason = event.reason ?? null
      step.endedAt = event.at
      step.missing = event.missing
      step.quarantined = event.quarantined
      step.running = []
      return view
    }
    case 'rpc:request':
    case 'http:request': {
      const endpoint = endpointOf(view, servedBy(event), event.figures.endpoint)
      endpoint.requests++
      endpoint.calls += event.figures.calls
      endpoint.bytes += event.figures.bytes
      endpoint.ms += event.figures.ms
      return view
    }
    case 'rpc:retry':
    case 'http:retry': {
      const endpoint = endpointOf(view, servedBy(event), event.endpoint)
      endpoint.retries[event.class] = (endpoint.retries[event.class] ?? 0) + 1
      endpoint.lastError = event.message
      return view
    }
    case 'rpc:limits': {
      const endpoint = endpointOf(view, event.chain, event.endpoint)
      endpoint.batch = event.batch
      endpoint.parallel = event.parallel
      return view
    }
    case 'rpc:endpoint':
    case 'http:endpoint': {
      const endpoint = endpointOf(view, servedBy(event), event.endpoint)
      endpoint.health = event.health
      endpoint.reason = event.reason ?? null
      return view
    }
    case 'round:started':
      view.round = { number: event.round, nextAt: null }
      return view
    case 'round:ended':
      view.round = { number: event.round, nextAt: event.at + event.waitMs }
      if (view.state === 'starting') view.state = 'running'
      if (event.reason !== undefined) warn(view, null, `run ${event.round} was ended by an outage: ${event.reason}`, event.at)
      return view
    case 'warning':
      warn(view, event.step ?? null, event.message, event.at)
      return view
    case 'run:stopping':
      view.state = 'stopping'
      view.stopping = event.signal
      return view
    case 'run:ended':
      view.state = 'ended'
      view.outcome = event.outcome
      view.exitCode = event.exitCode
      view.error = event.error ?? null
      view.endedAt = event.at
      return view
    default:
      return never(event)
  }
}

/** Pieces a second of a running step over the ten seconds before `now`, so that it falls when nothing comes. Null until known. */
export function rateOf(step: StepView, now: number): number | null {
  if (step.state !== 'running') return step.perSecond
  const recent = step.samples.filter(([at]) => at >= now - rateWindowMs)
  const [from, done] = recent[0] ?? step.samples.at(-1) ?? [now, step.done]
  return now > from ? ((step.done - done) * 1_000) / (now - from) : step.perSecond
}

/** How long a running step still takes at its present rate; null when nobody can tell. Milliseconds. */
export function etaOf(step: StepView, now: number): number | null {
  const rate = rateOf(step, now)
  if (step.state !== 'running' || step.total === null || rate === null || rate <= 0) return null
  return (Math.max(0, step.total - step.done) * 1_000) / rate
}

/** How long a step has run, or ran. Null before it started. Milliseconds. */
export function elapsedOf(step: Pick<StepView, 'startedAt' | 'endedAt'>, now: number): number | null {
  return step.startedAt === null ? null : Math.max(0, (step.endedAt ?? now) - step.startedAt)
}

/** Pieces in open units, and those that nobody has begun. Without sizes, units are taken to be of one size. */
export function openPieces(step: StepView): { processing: number; pending: number } {
  const each = step.planned && step.planned.units > 0 ? step.planned.pieces / step.planned.units : 1
  const processing = step.running.reduce((sum, unit) => sum + Math.max(0, Math.round(unit.size ?? each) - unit.done), 0)
  const left = Math.max(0, (step.total ?? 0) - step.done - step.failed)
  return { processing: Math.min(processing, left), pending: Math.max(0, left - processing) }
}

/** All counts of a record added up. */
export function sum(counts: Readonly<Record<string, number>>): number {
  return Object.values(counts).reduce((total, count) => total + count, 0)
}

function planned(step: StepView, event: Extract<RunEvent, { type: 'step:planned' }>): void {
  // A plan after the step did something is that of a new round: its work comes on top.
  const earlier = step.done > 0 && step.planned ? step.planned : { units: 0, pieces: 0, calls: 0, reasons: {} as Record<string, number> }
  const reasons = { ...earlier.reasons }
  for (const [reason, units] of Object.entries(event.reasons)) reasons[reason] = (reasons[reason] ?? 0) + units
  step.planned = {
    units: earlier.units + event.units,
    pieces: earlier.pieces + event.pieces,
    calls: earlier.calls + event.requests,
    reasons,
  }
  step.word = event.word
  step.total = step.done + event.pieces
  step.before = Math.max(0, event.done - step.done)
  step.time = event.time ?? null
  // An earlier round's end is no longer how it stands.
  if (step.state !== 'running') Object.assign(step, { state: 'planned', reason: null, missing: 0, endedAt: null })
}

function sample(step: StepView, at: number): void {
  const [first] = step.samples
  // The clock was set back, or the step did not say that it started.
  if (!first || at < first[0]) step.samples = [[at, step.done]]
  const last = step.samples.at(-1)
  if (last && at - last[0] >= sampleMs) step.samples.push([at, step.done])
  while (step.samples.length > 2 && (step.samples[1]?.[0] ?? at) <= at - rateWindowMs) step.samples.shift()
  const [from, done] = step.samples[0] ?? [at, step.done]
  if (at > from) step.perSecond = ((step.done - done) * 1_000) / (at - from)
}

function closeUnit(step: StepView, unit: string): RunningUnit | undefined {
  const at = step.running.findIndex((running) => running.unit === unit)
  return at === -1 ? undefined : step.running.splice(at, 1)[0]
}

function addFailure(step: StepView, failure: FailureView): void {
  step.failures = [...step.failures.filter(({ unit }) => unit !== failure.unit), failure].slice(-kept.failures)
}

function warn(view: RunView, step: string | null, message: string, at: number): void {
  const known = view.warnings.find((warning) => warning.step === step && warning.message === message)
  if (known) {
    known.count++
    known.at = at
  } else if (view.warnings.length < kept.warnings) view.warnings.push({ step, message, count: 1, at })
  else view.moreWarnings++
}

/** Finds steps by id without a search: runs have up to a thousand steps and a million events. */
const stepIndex = new WeakMap<RunView, Map<string, StepView>>()

function stepOf(view: RunView, id: string): StepView {
  let index = stepIndex.get(view)
  if (!index) stepIndex.set(view, (index = new Map(view.steps.map((step) => [step.id, step]))))
  let step = index.get(id)
  if (!step) {
    step = newStep(id)
    index.set(id, step)
    view.steps.push(step)
  }
  return step
}

function newStep(id: string): StepView {
  return {
    id,
    title: id,
    type: '',
    needs: [],
    state: 'waiting',
    reason: null,
    word: null,
    total: null,
    done: 0,
    before: 0,
    planned: null,
    units: { done: 0, failed: 0, quarantined: 0 },
    running: [],
    failed: 0,
    rows: {},
    doubles: 0,
    counts: {},
    time: null,
    startedAt: null,
    endedAt: null,
    perSecond: null,
    samples: [],
    retries: {},
    failures: [],
    missing: 0,
    quarantined: 0,
  }
}

const servedBy = (event: { readonly chain: string } | { readonly source: string }) => ('chain' in event ? event.chain : event.source)

function endpointOf(view: RunView, chain: string, endpoint: string): EndpointView {
  const known = view.endpoints.find((candidate) => candidate.endpoint === endpoint && candidate.chain === chain)
  if (known) return known
  const fresh: EndpointView = {
    chain,
    endpoint,
    health: 'up',
    reason: null,
    requests: 0,
    calls: 0,
    bytes: 0,
    ms: 0,
    batch: null,
    parallel: null,
    retries: {},
    lastError: null,
  }
  view.endpoints.push(fresh)
  return fresh
}

function never(event: never): never {
  throw new Error(`no case for the event ${JSON.stringify(event)}`)
}
