import { facts } from '../sdk/events.js'
import type { RunEvent, Served } from '../sdk/index.js'
import { seeHeads } from './lag.js'
import { setAside } from './quarantine.js'
import { forgetRate, pauseTime, resumeTime, sample } from './rates.js'
import { reorgInWords } from './reorg-words.js'
import { type EndpointView, type FailureView, newEndpoint, newStep, type OpenUnit, type RunView, type StepView } from './view.js'

/**
 * The one place where events become what people see. Changes the view in place and gives it back: whoever keeps one must
 * copy it. Steps and endpoints that it has not heard of before are added.
 */
export function reduce(view: RunView, event: RunEvent): RunView {
  view.at = event.at
  if (facts[event.type].moves || event.type === 'run:ended') view.waiting = null
  switch (event.type) {
    case 'run:started':
      view.run = event.run
      view.pipeline = event.pipeline
      view.warehouse = event.warehouse
      view.pid = event.pid
      view.host = event.host
      view.startedAt = event.at
      view.follow = event.follow ?? false
      view.params = { ...event.params }
      view.select = event.select ? [...event.select] : null
      view.limit = event.limit ?? null
      for (const { id, title, type, needs } of event.steps) Object.assign(stepOf(view, id), { title, type, needs: [...needs] })
      return view
    case 'run:resolved':
      view.heads = { ...event.heads }
      if (view.follow) seeHeads(view, event.at)
      return view
    case 'step:planned':
      planned(stepOf(view, event.step), event)
      // What an earlier round found is no result of this one.
      view.checks = view.checks.filter(({ step, final }) => step !== event.step || !final)
      if (view.state === 'starting') view.state = 'running'
      return view
    case 'step:started': {
      const step = stepOf(view, event.step)
      step.state = 'running'
      step.startedAt ??= event.at
      step.endedAt = null
      if (!view.follow || step.samples.length === 0) step.samples = [[event.at, step.done]]
      if (view.state === 'starting') view.state = 'running'
      return view
    }
    case 'step:parallel': {
      const step = stepOf(view, event.step)
      if (step.parallel) step.parallel = { ...step.parallel, most: event.most }
      return view
    }
    case 'unit:started': {
      const step = stepOf(view, event.step)
      closeUnit(step, event.unit)
      const unit = { size: event.size, done: 0, since: event.at }
      openUnits(step).set(event.unit, unit)
      if (step.open.first.length < MOST_FIRST) step.open.first.push({ unit: event.unit, since: event.at })
      step.open.units++
      step.open.pieces += piecesLeft(step, unit)
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
      const unit = openUnits(step).get(event.unit)
      if (unit) {
        const before = piecesLeft(step, unit)
        if (event.of !== undefined) resize(step, unit, event.of)
        unit.done += event.pieces
        step.open.pieces += piecesLeft(step, unit) - before
      }
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
      addFailure(step, event, 'retrying', event.at)
      return view
    }
    case 'unit:done': {
      const step = stepOf(view, event.step)
      closeUnit(step, event.unit)
      step.units.done++
      if (step.failures.length > 0) step.failures = step.failures.filter(({ unit, key }) => unit !== event.unit || key !== null)
      return view
    }
    case 'unit:left':
      closeUnit(stepOf(view, event.step), event.unit)
      return view
    case 'unit:failed': {
      const step = stepOf(view, event.step)
      const unit = closeUnit(step, event.unit)
      step.units[event.state]++
      step.failed += Math.max(1, (unit?.size ?? 1) - (unit?.done ?? 0))
      if (event.state === 'quarantined') {
        step.quarantined++
        const { unit: name, error, code, hint = null, detail = null } = event
        setAside(view, { step: step.id, what: 'units', name, error, code, hint, detail })
      }
      addFailure(step, event, event.state, event.at)
      return view
    }
    case 'key:failed': {
      const step = stepOf(view, event.step)
      step.failed++
      addFailure(step, event, 'failed', event.at)
      return view
    }
    case 'key:quarantined': {
      const step = stepOf(view, event.step)
      step.failed++
      step.quarantined++
      view.quarantined.count++
      const { unit, key, error, code, hint = null } = event
      const failure = { step: step.id, unit, key, error, code, hint }
      setAside(view, { ...failure, what: 'keys', name: key, detail: null })
      if (view.quarantined.first.length < kept.quarantined) view.quarantined.first.push(failure)
      return view
    }
    case 'check:evaluated': {
      const check = { ...event.result, step: event.step, final: event.final, at: event.at }
      const index = view.checks.findIndex(({ step, name }) => step === event.step && name === event.result.name)
      if (index === -1) view.checks.push(check)
      else view.checks[index] = check
      return view
    }
    case 'step:ended': {
      const step = stepOf(view, event.step)
      step.state = event.outcome
      step.reason = event.reason ?? null
      step.gaps = event.gaps ?? null
      step.endedAt = event.at
      resumeTime(step, event.at)
      step.missing = event.missing
      step.quarantined = event.quarantined
      units.delete(step)
      step.open = { units: 0, pieces: 0, first: [] }
      return view
    }
    case 'request': {
      const endpoint = endpointOf(view, event.from, event.figures.endpoint)
      endpoint.requests++
      endpoint.calls += event.figures.calls
      endpoint.bytes += event.figures.bytes
      endpoint.ms += event.figures.ms
      if (event.figures.credits !== undefined) endpoint.credits = (endpoint.credits ?? 0) + event.figures.credits
      return view
    }
    case 'retry': {
      const endpoint = endpointOf(view, event.from, event.endpoint)
      endpoint.retries[event.class] = (endpoint.retries[event.class] ?? 0) + 1
      endpoint.lastError = event.message
      return view
    }
    case 'limits': {
      const endpoint = endpointOf(view, event.from, event.endpoint)
      endpoint.batch = event.batch
      endpoint.parallel = event.parallel
      endpoint.creditsPerSecond = event.creditsPerSecond ?? null
      return view
    }
    case 'hedge':
      endpointOf(view, event.from, event.endpoint).hedged++
      return view
    case 'endpoint': {
      const endpoint = endpointOf(view, event.from, event.endpoint)
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
    case 'head':
      view.heads[event.chain] = event.head
      seeHeads(view, event.at)
      return view
    case 'lag':
    case 'rows:expired':
      return view
    case 'run:waiting':
      view.waiting = { ms: event.ms, for: event.for }
      return view
    case 'reorg':
      warn(view, null, `${event.chain}: ${reorgInWords(event)}`, event.at)
      return view
    case 'warning':
      warn(view, event.step ?? null, event.message, event.at)
      return view
    case 'run:pausing':
      if (view.state === 'starting' || view.state === 'running') view.state = 'pausing'
      return view
    case 'run:paused':
      if (view.state !== 'pausing') return view
      view.state = 'paused'
      view.waiting = null
      pauseTime(view, event.at)
      for (const step of atWork(view)) {
        pauseTime(step, event.at)
        forgetRate(step, event.at)
      }
      return view
    case 'run:resumed':
      if (view.state !== 'pausing' && view.state !== 'paused') return view
      view.state = view.steps.some(({ planned: plan }) => plan !== null) ? 'running' : 'starting'
      goOn(view, event.at)
      return view
    case 'run:stopping':
      goOn(view, event.at)
      view.state = 'stopping'
      view.stopping = event.signal
      return view
    case 'run:ended':
      goOn(view, event.at)
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

const atWork = ({ steps }: RunView) => steps.filter(({ state }) => state === 'running')

/** Ends a pause, where there is one. */
function goOn(view: RunView, at: number): void {
  resumeTime(view, at)
  for (const step of atWork(view)) {
    if (step.pausedAt === null) continue
    resumeTime(step, at)
    forgetRate(step, at)
  }
}

/** How many quarantined keys, kinds of warnings and failures of a step the view holds. The counts go on. */
const kept = { quarantined: 20, warnings: 50, failures: 5 } as const

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
  step.blocks = event.blocks ? { chain: event.blocks.chain, last: Number(event.blocks.last) } : null
  step.parallel = event.parallel ?? null
  step.span = event.span ? { of: event.span.of, from: Number(event.span.from), to: Number(event.span.to) } : null
  // An earlier round's end is no longer how it stands.
  if (step.state !== 'running') Object.assign(step, { state: 'planned', reason: null, gaps: null, missing: 0, endedAt: null })
}

interface Begun {
  readonly since: number
  /** Pieces in it; undefined when nobody knows. */
  size: number | undefined
  done: number
}

/** What `open` of a step counts, by name. Not in the view: where units are small, thousands of them wait for their commit. */
const units = new WeakMap<StepView, Map<string, Begun>>()

/** Of those that are open so many are shown, the first ones; when most of them have ended, the next ones come. */
const MOST_FIRST = 32
const LEAST_FIRST = 8

function openUnits(step: StepView): Map<string, Begun> {
  let open = units.get(step)
  if (!open) units.set(step, (open = new Map()))
  return open
}

/** The unit that was begun first of those that are open, of a view that this process folded. */
export function oldestOpen(step: StepView): string | undefined {
  return openUnits(step).keys().next().value
}

/** Units of no known size are taken to be as large as the planned ones are on average. */
function piecesLeft({ planned }: StepView, { size, done }: Begun): number {
  const each = planned && planned.units > 0 ? planned.pieces / planned.units : 1
  return Math.max(0, Math.round(size ?? each) - done)
}

function closeUnit(step: StepView, name: string): Begun | undefined {
  const open = openUnits(step)
  const unit = open.get(name)
  if (!unit) return undefined
  open.delete(name)
  step.open.units--
  step.open.pieces -= piecesLeft(step, unit)
  step.open.first = step.open.first.filter((shown) => shown.unit !== name)
  if (step.open.first.length < LEAST_FIRST && open.size > step.open.first.length) step.open.first = firstOf(open)
  return unit
}

function firstOf(open: ReadonlyMap<string, Begun>): OpenUnit[] {
  const first: OpenUnit[] = []
  for (const [unit, { since }] of open) if (first.push({ unit, since }) === MOST_FIRST) break
  return first
}

interface Failure {
  readonly unit: string
  readonly key?: string
  readonly error: string
  readonly code: string
  readonly hint?: string
  readonly detail?: string
}

/** Takes note of how large a unit is, which only its step knew. */
function resize(step: StepView, unit: Begun, size: number): void {
  if (step.total !== null) step.total += size - (unit.size ?? 0)
  unit.size = size
}

/** The newest failure of a unit, or of a key, takes the place of the one before. */
function addFailure(step: StepView, failure: Failure, state: FailureView['state'], at: number): void {
  const { unit, error, code } = failure
  const [key, hint, detail] = [failure.key ?? null, failure.hint ?? null, failure.detail ?? null]
  const others = step.failures.filter((other) => other.unit !== unit || other.key !== key)
  step.failures = [...others, { unit, key, error, detail, code, hint, state, at }].slice(-kept.failures)
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

function endpointOf(view: RunView, from: Served, endpoint: string): EndpointView {
  const chain = 'chain' in from ? from.chain : from.source
  const known = view.endpoints.find((candidate) => candidate.endpoint === endpoint && candidate.chain === chain)
  if (known) return known
  const fresh = newEndpoint(chain, endpoint)
  view.endpoints.push(fresh)
  return fresh
}

function never(event: never): never {
  throw new Error(`no case for the event ${JSON.stringify(event)}`)
}
