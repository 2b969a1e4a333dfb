import { count, counted, noun } from '../sdk/index.js'
import { escapeText } from './escape.js'
import type { Lag } from './lag.js'
import { elapsedOf, etaOf, rateOf, sum } from './rates.js'
import { oldestOpen } from './reduce.js'
import type { CheckView, EndpointView, PieceWord, RunView, StepView } from './view.js'

export { count, counted } from '../sdk/index.js'

/** Exact below a million, then three digits (`4.50M`, `21.0M`), so that a line fits a terminal. */
export function short(number: number): string {
  if (number < 1_000_000) return count(number)
  return number < 999_500_000 ? `${(number / 1_000_000).toPrecision(3)}M` : `${(number / 1_000_000_000).toPrecision(3)}G`
}

/** `0:01`, `1:02:03`, `2d 03:04`. */
export function duration(ms: number): string {
  const seconds = Math.floor(Math.max(0, ms) / 1_000)
  const two = (value: number) => String(Math.floor(value)).padStart(2, '0')
  if (seconds >= 86_400) return `${Math.floor(seconds / 86_400)}d ${two((seconds % 86_400) / 3_600)}:${two((seconds % 3_600) / 60)}`
  if (seconds >= 3_600) return `${Math.floor(seconds / 3_600)}:${two((seconds % 3_600) / 60)}:${two(seconds % 60)}`
  return `${Math.floor(seconds / 60)}:${two(seconds % 60)}`
}

/** `0.3 s` for short times, else as `duration`. */
export function took(ms: number): string {
  return ms < 60_000 ? `${(Math.max(0, ms) / 1_000).toFixed(1)} s` : duration(ms)
}

/** `820/s`, `8.5/s`, `0.02/s`. */
export function rate(perSecond: number): string {
  if (perSecond >= 10) return `${count(perSecond)}/s`
  return `${Number(perSecond.toPrecision(2))}/s`
}

/** `512 B`, `34.1 MB`. */
export function bytes(number: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB']
  let value = number
  let unit = 0
  while (value >= 999.95 && unit < units.length - 1) {
    value /= 1_000
    unit++
  }
  return `${unit === 0 ? value : value.toFixed(1)} ${units[unit]}`
}

/** Why requests were sent again, in words: by class of `RpcErrorClass`, else the error code as it is. */
export function cause(code: string): string {
  return causes[code] ?? code.toLowerCase().replaceAll('_', ' ')
}

const causes: Readonly<Record<string, string>> = {
  RATE: 'rate limit',
  QUOTA: 'quota used up',
  AUTH: 'login refused',
  SPLIT: 'range too large',
  BATCH: 'batch too large',
  STATE: 'history missing',
  LAG: 'node behind',
  UNSUP: 'method not supported',
  SERVER: 'server or network error',
  BUG: 'wrong reply',
}

/** `2 (rate limit)`, `3 (2 rate limit, 1 node behind)`; empty for none. */
export function retriesInWords(retries: Readonly<Record<string, number>>): string {
  const entries = Object.entries(retries).sort(([, a], [, b]) => b - a)
  if (entries.length === 0) return ''
  if (entries.length === 1) return `${count(sum(retries))} (${cause(entries[0]?.[0] ?? '')})`
  return `${count(sum(retries))} (${entries.map(([code, times]) => `${count(times)} ${cause(code)}`).join(', ')})`
}

/** The line of a step on a terminal, without icon: `balances  640/999 rows  64 %  820/s  0:01  ETA 0:00  retries 2`. */
export function stepLine(step: StepView, checks: readonly CheckView[], now: number, width: number): string {
  return [escapeText(step.id).padEnd(width), ...stepFacts(step, checks, now)].filter((part) => part !== '').join('  ')
}

/** What is said of a step behind its id. */
export function stepFacts(step: StepView, checks: readonly CheckView[], now: number): string[] {
  const elapsed = elapsedOf(step, now)
  const perSecond = rateOf(step, now)
  const retries = sum(step.retries)
  const tail = retries > 0 ? [`retries ${count(retries)}`] : []
  if (step.failed > 0) tail.push(`failed ${count(step.failed)}`)
  const time = elapsed === null ? [] : [duration(elapsed)]
  switch (step.state) {
    case 'waiting':
      return [step.needs.length > 0 ? `waiting for ${step.needs.map(escapeText).join(', ')}` : 'waiting']
    case 'planned':
      return [todo(step)]
    case 'running': {
      if (step.word === 'checks' || step.total === null) return ['checking', ...time]
      const eta = etaOf(step, now)
      return [
        `${short(step.done)}/${short(step.total)} ${noun(step.total, step.word ?? 'units')}`,
        percent(step.done, step.total),
        perSecond === null ? '' : rate(perSecond),
        ...time,
        eta === null ? '' : `ETA ${duration(eta)}`,
        ...tail,
      ]
    }
    case 'complete': {
      if (step.word === 'checks') return [checked(checks), step.gaps === null ? '' : `open with gaps: ${escapeText(step.gaps)}`, ...time]
      if (step.done === 0) return [step.reason === null ? nothingMissing(step.word) : escapeText(step.reason), before(step)]
      const whole = elapsed !== null && elapsed >= 1_000 ? rate((step.done * 1_000) / elapsed) : ''
      return [
        `${counted(step.done, step.word ?? 'units')} done`,
        step.reason === null ? '' : escapeText(step.reason),
        whole,
        ...time,
        ...tail,
      ]
    }
    case 'closed':
      return [`closed: ${escapeText(step.reason ?? checked(checks))}`]
    case 'skipped':
      return [`skipped${step.reason === null ? '' : `: ${escapeText(step.reason)}`}`]
    case 'blocked':
      return [`not run${step.reason === null ? '' : `: ${escapeText(step.reason)}`}`]
    case 'limited':
    case 'incomplete':
    case 'failed':
    case 'stopped': {
      const of = step.total === null ? '' : `${count(step.done)}/${counted(step.total, step.word ?? 'units')}`
      const why = step.reason === null ? gaps(step) : [escapeText(step.reason)]
      return [step.state, of, ...why, ...time, ...(retries > 0 ? [`retries ${count(retries)}`] : [])]
    }
    default:
      return [step.state satisfies never]
  }
}

/** `49 %`: rounded down, so that it is 100 only when all is done. */
export function percent(done: number, total: number): string {
  return total > 0 ? `${Math.min(100, Math.floor((done * 100) / total))} %` : ''
}

/** `2 missing`, `1 quarantined`, as the step said when it ended. */
function gaps(step: Pick<StepView, 'missing' | 'quarantined'>): string[] {
  return [
    ...(step.missing > 0 ? [`${count(step.missing)} missing`] : []),
    ...(step.quarantined > 0 ? [`${count(step.quarantined)} quarantined`] : []),
  ]
}

/** What a step says that had nothing to do. */
export function nothingMissing(word: PieceWord | null): string {
  return word === null || word === 'units' || word === 'checks' ? 'nothing to do' : `no missing ${word}`
}

function before(step: StepView): string {
  return step.before > 0 ? `(${count(step.before)} done before)` : ''
}

function todo(step: StepView): string {
  return step.total === 0 ? nothingMissing(step.word) : `${counted(step.total ?? 0, step.word ?? 'units')} to do`
}

function checked(checks: readonly CheckView[]): string {
  const final = checks.filter((check) => check.final)
  const passed = final.filter((check) => check.passed).length
  return passed === final.length ? `${counted(passed, 'checks')} passed` : `${count(passed)} of ${counted(final.length, 'checks')} passed`
}

/** The line of an endpoint: `a.example  up  31 requests  52 ms  batch 100 x 5  620 credits  1 hedged  retries 2 (rate limit)`. */
export function endpointLine(endpoint: EndpointView): string {
  const { requests, ms } = endpoint
  const found = endpoint.batch === null || endpoint.parallel === null ? '' : `batch ${count(endpoint.batch)} x ${count(endpoint.parallel)}`
  const retries = retriesInWords(endpoint.retries)
  return [
    escapeText(endpoint.endpoint),
    endpoint.health === 'up' || endpoint.reason === null ? endpoint.health : `${endpoint.health}: ${escapeText(endpoint.reason)}`,
    counted(requests, 'requests'),
    requests === 0 ? '' : `${count(ms / requests)} ms`,
    found,
    endpoint.credits === null ? '' : `${count(endpoint.credits)} credits`,
    endpoint.hedged === 0 ? '' : `${count(endpoint.hedged)} hedged`,
    retries === '' ? '' : `retries ${retries}`,
  ]
    .filter((part) => part !== '')
    .join('  ')
}

/** `base: head 123, 2 blocks behind, 3.1 s`. */
export function lagLine({ chain, head, behind, ms }: Lag): string {
  if (behind === 0) return `${escapeText(chain)}: at the head, ${head}`
  return `${escapeText(chain)}: head ${head}, ${counted(behind, 'blocks')} behind${ms === null ? '' : `, ${took(ms)}`}`
}

/** What a run that does not get on waits for: `balances (unit 0-999); node.example is waiting: 429`. */
export function waitsFor(view: RunView): string {
  const running = view.steps.filter(({ state }) => state === 'running')
  const steps = running.map((step) => {
    const unit = oldestOpen(step)
    return `${escapeText(step.id)}${unit === undefined ? '' : ` (unit ${escapeText(unit)})`}`
  })
  const endpoints = view.endpoints.map(({ endpoint, health, reason, lastError, requests }) => {
    const why = reason ?? lastError
    return `${escapeText(endpoint)} is ${health}${why === null ? ` and has answered ${counted(requests, 'requests')}` : `: ${escapeText(why)}`}`
  })
  // Between two rounds nothing runs: what is left waits for what made it fail.
  const left = running.length > 0 ? [] : view.steps.filter(({ state }) => state === 'failed' || state === 'incomplete')
  const why = left.map(({ id, failures, reason }) => `${escapeText(id)} (${escapeText(failures.at(-1)?.error ?? reason ?? 'not done')})`)
  return [[...steps, ...why].join(', ') || 'its first plan', ...endpoints].join('; ')
}

/** How a run that was asked to stop ends, by the signal that asked. */
export function stoppingLine(signal: string | null): string {
  const words =
    signal === 'SIGUSR2'
      ? 'finishing the units under way; Ctrl-C ends them at their last commit'
      : 'committing what is in flight; once more stops at once'
  return `stopping (${escapeText(signal ?? '')}): ${words}`
}

/** What a run says that is paused, or is about to be; undefined for any other. */
export function pauseLine(view: RunView, now: number): string | undefined {
  if (view.state === 'pausing') return 'pausing: what is under way comes to its end, nothing further is begun'
  if (view.state !== 'paused') return undefined
  return `paused for ${duration(now - (view.pausedAt ?? now))}: nothing is begun until somebody resumes it (pipe serve)`
}

/** `every block has a balance: 3, expected 0`. */
export function checkLine(check: CheckView): string {
  const found = check.value === null ? 'no value' : escapeText(check.value)
  const problem = check.problem === undefined ? '' : ` (${escapeText(check.problem)})`
  const early = check.final ? '' : ' (while its needs ran)'
  const gaps = check.gaps === undefined ? '' : ` (with gaps: ${escapeText(check.gaps)})`
  return `${escapeText(check.name)}: ${found}${check.passed ? '' : `, expected ${escapeText(check.expect)}`}${problem}${gaps}${early}`
}

const SAMPLED = 3

/** The first rows at fault that were kept with a check, a line each. */
export function sampleLines({ sample }: Pick<CheckView, 'sample'>): string[] {
  if (!sample) return []
  if (sample.problem !== undefined) return [`its sample could not be read: ${escapeText(sample.problem)}`]
  const lines = sample.rows.slice(0, SAMPLED).map((row) =>
    Object.entries(row)
      .map(([name, value]) => `${escapeText(name)}=${value === null ? 'NULL' : escapeText(value)}`)
      .join('  '),
  )
  const kept = sample.rows.length - lines.length
  if (kept > 0) lines.push(`${count(kept)} more kept${sample.more ? ', and there are others' : ''} (pipe status FILE --json)`)
  return lines
}

/**
 * Why a step ended as it did, where all lines are shown: without the results of the checks that closed it and without why another
 * step ended as that one did, which have lines of their own.
 */
export function ownReason({ id, state, reason }: Pick<StepView, 'id' | 'state' | 'reason'>, view: RunView): string | null {
  if (reason === null) return null
  const musts = checksOf(view, id).filter(({ final, severity }) => final && severity === 'error')
  const failed = musts.filter(({ passed }) => !passed)
  if (state === 'closed' && failed.length > 0) return `${count(failed.length)} of ${counted(musts.length, 'checks')} did not pass`
  const told = view.steps.find((other) => other.id !== id && other.reason !== null && reason.endsWith(`: ${other.reason}`))?.reason
  return told ? reason.slice(0, -`: ${told}`.length) : reason
}

/** The checks of a step. */
export function checksOf(view: RunView, step: string): CheckView[] {
  return view.checks.filter((check) => check.step === step)
}
