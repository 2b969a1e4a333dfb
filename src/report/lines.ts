import type { Writable } from 'node:stream'
import type { Clock, RunEvent } from '../sdk/index.js'
import { escapeText } from './escape.js'
import { lagsOf } from './lag.js'
import { quietWriter, type Reporter } from './reporter.js'
import { elapsedOf, openPieces, rateOf, sum } from './rates.js'
import { reorgInWords } from './reorg-words.js'
import type { RunView, StepView } from './view.js'
import { ownReason } from './words.js'

export interface LineOptions {
  readonly out: Writable
  readonly view: RunView
  readonly clock: Clock
  /** Milliseconds between the `stats` lines of a running step. Default 10,000. */
  readonly everyMs?: number
}

/**
 * A run in plain lines of `word key=value …`, for logs: what starts and ends, what fails, and a `stats` line a running
 * step every ten seconds:
 *
 *     stats pipeline=miners step=balances pending=5 processing=3 done=1000 failed=0 per_sec=8.5 workers=8
 *
 * pending, processing, done and failed count blocks, rows or days; workers is how many requests may be in flight. The same
 * warning or retry comes at most once in ten seconds, then with how often it came.
 */
export function lineReporter(options: LineOptions): Reporter {
  const { view, clock, everyMs = 10_000 } = options
  const write = quietWriter(options.out)
  const line = (word: string, fields: Fields) => write(`${formatLine(word, { pipeline: view.pipeline, ...fields })}\n`)
  const repeats = new Map<string, { word: string; fields: Fields; since: number; held: number }>()
  const stop = new AbortController()

  const throttled = (word: string, fields: Fields, key: string) => {
    const now = clock.monotonic()
    const known = repeats.get(`${word} ${key}`)
    if (known && now - known.since < everyMs) {
      known.held++
      known.fields = fields
      return
    }
    line(word, known && known.held > 0 ? { ...fields, repeated: known.held } : fields)
    if (repeats.size >= maxRepeats) flushRepeats()
    repeats.set(`${word} ${key}`, { word, fields, since: now, held: 0 })
  }
  const flushRepeats = () => {
    for (const { word, fields, held } of repeats.values()) if (held > 0) line(word, { ...fields, repeated: held })
    repeats.clear()
  }
  const stats = () => {
    const at = clock.now()
    // When following, a step is at work for a moment of each round, and what it did in the others counts as well.
    for (const step of view.steps)
      if (step.state === 'running' || (view.follow && step.planned !== null)) line('stats', statsOf(step, view, at))
    if (view.follow)
      for (const { chain, head, behind, ms } of lagsOf(view, at))
        line('head', { chain, head, behind, seconds: ms === null ? undefined : seconds(ms) })
    const now = clock.monotonic()
    for (const [key, { word, fields, since, held }] of repeats) {
      if (now - since < everyMs) continue
      if (held > 0) line(word, { ...fields, repeated: held })
      repeats.delete(key)
    }
  }
  const ticking = (async () => {
    for (;;) {
      await clock.sleep(everyMs, stop.signal)
      stats()
    }
  })().catch(() => undefined)

  const isNews = newsOfRounds(view)
  return {
    onEvent: (event) => isNews(event) && report(event, view, line, throttled),
    async close() {
      stop.abort()
      await ticking
      flushRepeats()
    },
  }
}

type Fields = Readonly<Record<string, string | number | undefined>>
type Line = (word: string, fields: Fields) => void

/** Kinds of warnings whose repetitions are counted at the same time. */
const maxRepeats = 500

/**
 * Whether an event says anything that the round before did not: when following, there is a round every few seconds, and only
 * what changes is told. Numbers in a reason go on changing.
 */
function newsOfRounds(view: RunView): (event: RunEvent) => boolean {
  const told = new Map<string, string>()
  const changed = (what: string, state: string): boolean => {
    const before = told.get(what)
    told.set(what, state)
    return before !== state
  }
  return (event) => {
    if (!view.follow) return true
    switch (event.type) {
      case 'run:resolved':
      case 'step:planned':
      case 'step:started':
      case 'round:started':
        return view.round === null || (view.round.number <= 1 && view.round.nextAt === null)
      // Every round lets something go: it is what a table's retention asks for.
      case 'rows:expired':
        return false
      case 'round:ended':
        return event.reason !== undefined
      // What is tried again in each round fails in the same way each time. What is set aside is named by its own name.
      case 'unit:failed':
        return event.state === 'quarantined' || changed(`${event.step} failed`, `${event.code} ${event.error.replace(/\d[\d,.]*/g, '0')}`)
      case 'step:ended':
        if (event.outcome === 'complete') told.delete(`${event.step} failed`)
        return changed(event.step, `${event.outcome} ${(event.reason ?? '').replace(/\d[\d,.]*/g, '0')}`)
      case 'check:evaluated':
        return changed(`${event.step} ${event.result.name}`, `${event.result.passed} ${event.final}`)
      default:
        return true
    }
  }
}

function report(event: RunEvent, view: RunView, line: Line, throttled: (word: string, fields: Fields, key: string) => void): void {
  switch (event.type) {
    case 'run:started':
      return line('start', { run: event.run, warehouse: event.warehouse, steps: event.steps.length, pid: event.pid, host: event.host })
    case 'run:resolved':
      return line('resolved', { ...prefixed('head.', event.heads), ...prefixed('', event.params) })
    case 'step:planned': {
      const reasons = Object.entries(event.reasons).map(([reason, units]) => `${reason}:${digits(units)}`)
      return line('plan', {
        step: event.step,
        [event.word]: digits(event.pieces),
        done_before: digits(event.done),
        units: event.units,
        calls: event.requests,
        reasons: reasons.join(',') || undefined,
      })
    }
    case 'step:started':
      return line('step', { step: event.step, state: 'running' })
    case 'step:parallel':
      return line('parallel', { step: event.step, most: event.most })
    case 'step:ended': {
      const step = view.steps.find(({ id }) => id === event.step)
      return line('step', {
        step: event.step,
        state: event.outcome,
        ...(step ? endOf(step, event.at) : {}),
        missing: digits(event.missing),
        quarantined: event.quarantined,
        reason: step ? (ownReason(step, view) ?? undefined) : event.reason,
      })
    }
    case 'reorg':
      return line('reorg', { chain: event.chain, message: reorgInWords(event), steps: event.steps.join(',') })
    case 'unit:retrying':
      return throttled(
        'retry',
        {
          step: event.step,
          unit: event.unit,
          attempt: event.attempt,
          wait_ms: Math.round(event.waitMs),
          code: event.code,
          error: event.error,
        },
        `${event.step} ${event.code}`,
      )
    case 'unit:failed':
      return line('failed', {
        step: event.step,
        unit: event.unit,
        state: event.state,
        code: event.code,
        error: event.error,
        hint: event.hint,
      })
    case 'key:failed':
      return throttled(
        'failed',
        { step: event.step, unit: event.unit, key: event.key, code: event.code, error: event.error, hint: event.hint },
        `${event.step} ${event.code}`,
      )
    case 'key:quarantined':
      return throttled(
        'quarantined',
        { step: event.step, unit: event.unit, key: event.key, code: event.code, error: event.error, hint: event.hint },
        `${event.step} ${event.code}`,
      )
    case 'check:evaluated': {
      const { name, passed, severity, value, expect, problem, sample, gaps } = event.result
      return line('check', {
        step: event.step,
        name,
        passed: String(passed),
        severity,
        value: value ?? 'none',
        expect,
        problem,
        sample: sample?.rows[0] && JSON.stringify(sample.rows[0]),
        gaps,
        final: String(event.final),
      })
    }
    case 'retry': {
      const { endpoint, from, calls, message: error } = event
      return throttled(
        'retry',
        { endpoint, ...from, class: event.class, calls: 'chain' in from ? calls : undefined, wait_ms: Math.round(event.waitMs), error },
        `${endpoint} ${event.class}`,
      )
    }
    case 'endpoint': {
      const { endpoint, from, health, reason } = event
      return throttled('endpoint', { endpoint, ...from, health, reason }, `${endpoint} ${health} ${reason ?? ''}`)
    }
    case 'rows:expired':
      return line('expired', { table: event.table, rows: event.rows })
    case 'run:waiting':
      return line('waiting', { seconds: seconds(event.ms), for: event.for })
    case 'warning':
      return throttled('warning', { step: event.step, message: event.message }, `${event.step ?? ''} ${event.message}`)
    case 'round:started':
      return line('round', { round: event.round })
    case 'round:ended':
      return line('wait', { round: event.round, seconds: seconds(event.waitMs), reason: event.reason })
    case 'run:pausing':
      return line('pausing', {})
    case 'run:paused':
      return line('paused', {})
    case 'run:resumed':
      return line('resumed', { paused_seconds: seconds(view.pausedMs) })
    case 'run:stopping':
      return line('stopping', { signal: event.signal })
    case 'run:ended':
      return line('end', {
        outcome: event.outcome,
        exit_code: event.exitCode,
        seconds: seconds((view.endedAt ?? event.at) - (view.startedAt ?? event.at)),
        error: event.error,
      })
    case 'unit:started':
    case 'unit:done':
    case 'unit:left':
    case 'batch:committed':
    case 'commit:done':
    case 'request':
    case 'limits':
    case 'hedge':
    case 'lag':
    case 'head':
      return
    default:
      return event satisfies never
  }
}

/** Days may be fractions. */
const digits = (number: number) => Math.round(number * 1000) / 1000

function statsOf(step: StepView, view: RunView, now: number): Fields {
  const { pending, processing } = openPieces(step)
  const parallel = view.endpoints.reduce((total, endpoint) => total + (endpoint.health === 'down' ? 0 : (endpoint.parallel ?? 0)), 0)
  return {
    step: step.id,
    pending: digits(pending),
    processing: digits(processing),
    done: digits(step.done),
    failed: digits(step.failed),
    per_sec: perSecond(rateOf(view.follow ? { ...step, state: 'running' } : step, now) ?? 0),
    workers: parallel > 0 ? parallel : step.open.units,
  }
}

function endOf(step: StepView, at: number): Fields {
  const rows = sum(step.rows)
  const elapsed = elapsedOf(step, at)
  return {
    done: digits(step.done),
    rows: rows > 0 ? rows : undefined,
    seconds: elapsed === null ? undefined : seconds(elapsed),
  }
}

function prefixed(prefix: string, values: Readonly<Record<string, string>>): Fields {
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [`${prefix}${name}`, value]))
}

function perSecond(value: number): number {
  return value >= 100 ? Math.round(value) : Math.round(value * 10) / 10
}

function seconds(ms: number): number {
  return Math.round(ms / 100) / 10
}

/** `word key=value key="a value with spaces"`. Fields without a value are left out. */
function formatLine(word: string, fields: Fields): string {
  const parts = Object.entries(fields).flatMap(([key, value]) => (value === undefined ? [] : [`${fieldName(key)}=${fieldText(value)}`]))
  return [word, ...parts].join(' ')
}

function fieldName(name: string): string {
  return name.replace(/[^\w.[\]-]/g, '_')
}

function fieldText(value: string | number): string {
  if (typeof value === 'number') return String(value)
  const text = escapeText(value)
  return /^[^\s"=\\]+$/.test(text) ? text : `"${text.replaceAll('"', '\\"')}"`
}
