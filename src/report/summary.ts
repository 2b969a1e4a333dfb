import { type About, typable } from '../sdk/index.js'
import { escapeText } from './escape.js'
import { type Cause, causesOf, namesOf } from './quarantine.js'
import { type MissingReport, report, type RunReport, type StepReport } from './report.js'
import type { RunView } from './view.js'
import { bytes, checkLine, count, counted, nothingMissing, rate, sampleLines, took } from './words.js'

/** The end report of a run as text. `about`: what the run was asked for. */
export function renderSummary(view: RunView, { about, columns }: { readonly about: About; readonly columns?: number }): string {
  return summary(report(view, about), columns)
}

/**
 * The end report as text for people, ending in a newline: what was done, what it took, what is missing and what to run
 * next. Everything that came from a chain or a provider is escaped. Lines longer than `columns` are broken between words.
 */
export function summary(of: RunReport, columns = Infinity): string {
  const sections = [headline(of), steps(of), figures(of), checks(of), missing(of), warnings(of), next(of)]
  const text = sections
    .filter((lines) => lines.length > 0)
    .map((lines) => lines.flatMap((line) => broken(typable(line, of.about), columns)).join('\n'))
  return `${text.join('\n\n')}\n`
}

/**
 * A line as lines of at most `columns` characters, those after the first indented by two more. A longer word stays whole, and
 * so does a command, which could not be typed as it stands.
 */
function broken(line: string, columns: number): string[] {
  if (/^ *pipe /.test(line)) return [line]
  const indent = ' '.repeat((/^ */.exec(line)?.[0].length ?? 0) + 2)
  const lines: string[] = []
  let rest = line
  while (rest.length > columns) {
    const lead = /^ */.exec(rest)?.[0].length ?? 0
    let at = rest.lastIndexOf(' ', columns)
    if (at < lead) at = rest.indexOf(' ', Math.max(columns, lead))
    if (at === -1) break
    lines.push(rest.slice(0, at).trimEnd())
    rest = indent + rest.slice(at).trimStart()
  }
  return [...lines, rest]
}

function headline(of: RunReport): string[] {
  const name = escapeText(of.pipeline)
  const time = `${took(of.elapsedMs)}${of.pausedMs > 0 ? `, paused for ${took(of.pausedMs)}` : ''}`
  switch (of.outcome) {
    case 'done':
      return [
        of.nothingToDo === null
          ? `${name}: done in ${time}`
          : `${name}: ${of.nothingToDo}; everything was done before (checked in ${time})`,
      ]
    case 'incomplete':
      return [
        `${name}: incomplete after ${time}${of.error === null ? '' : `: ${escapeText(of.error)}`}; what is committed is kept, what is missing is listed below`,
      ]
    case 'stopped':
      return [`${name}: stopped after ${time}; what is committed is kept`]
    case 'error':
      // The error itself is the last that the command says.
      return [`${name}: ended by an error after ${time}`]
    case null:
      return [`${name}: has run for ${time}`]
    default:
      return of.outcome satisfies never
  }
}

function steps(of: RunReport): string[] {
  const width = Math.max(0, ...of.steps.map((step) => escapeText(step.id).length))
  return of.steps.map((step) => `  ${escapeText(step.id).padEnd(width)}  ${stepText(step, of)}`)
}

function stepText(step: StepReport, of: RunReport): string {
  const state = step.reason === null ? step.state : `${step.state}: ${escapeText(step.reason)}`
  if (step.word === 'checks') {
    const own = of.checks.filter((check) => check.step === step.id && check.final)
    const passed = own.filter((check) => check.passed).length
    return own.length === 0 || step.state === 'closed'
      ? state
      : `${passed === own.length && step.state === 'complete' && step.gaps === null ? 'passed' : state} (${passed} of ${counted(own.length, 'checks')})`
  }
  if (step.total === null) return state
  const rows = Object.entries(step.rows).map(([table, number]) => `${counted(number, 'rows')} into ${escapeText(table)}`)
  const did =
    step.total === 0 && step.done === 0 ? nothingMissing(step.word) : `${count(step.done)} of ${counted(step.total, step.word ?? 'units')}`
  const parts = [
    did,
    step.state === 'complete' && step.reason !== null ? escapeText(step.reason) : '',
    step.before > 0 ? `${count(step.before)} done before` : '',
    ...rows,
    ...Object.entries(step.counts).map(([name, number]) => `${count(number)} ${escapeText(name)}`),
    step.done > 0 && step.elapsedMs !== null ? took(step.elapsedMs) : '',
    step.perSecond === null ? '' : rate(step.perSecond),
  ]
  const text = parts.filter((part) => part !== '').join(', ')
  return step.state === 'complete' ? text : `${state}; ${text}`
}

function figures(of: RunReport): string[] {
  const lines: [string, string][] = []
  const tables = Object.entries(of.rows)
  if (tables.length > 0) {
    const speed = of.rowsPerSecond === null ? '' : ` (${rate(of.rowsPerSecond)})`
    lines.push(['rows written', `${tables.map(([table, number]) => `${escapeText(table)} ${count(number)}`).join(', ')}${speed}`])
  }
  if (of.requests > 0) lines.push(['requests', `${count(of.requests)} with ${counted(of.calls, 'calls')}, ${bytes(of.bytes)}`])
  if (of.hedged > 0) lines.push(['hedged', `${counted(of.hedged, 'requests')}: late at one endpoint, and sent to another one, too`])
  const chains = new Set(of.credits.map(({ chain }) => chain)).size
  for (const { chain, endpoint, credits, perSecond, share } of of.credits) {
    const name = chains > 1 ? `${escapeText(endpoint)} (${escapeText(chain)})` : escapeText(endpoint)
    lines.push(['credits', `${name} ${count(credits)}, ${count(share * 100)} % of its budget of ${rate(perSecond)}`])
  }
  if (of.requests > 0 || of.retries.length > 0) {
    lines.push([
      'retries',
      of.retries.length === 0 ? 'none' : of.retries.map((retry) => `${count(retry.count)} ${escapeText(retry.cause)}`).join(', '),
    ])
  }
  const { plan } = of
  if (plan.pieces > 0 || plan.piecesDone > 0) {
    const made = plan.calls > 0 || plan.callsMade > 0 ? `, ${counted(plan.callsMade, 'calls')}` : ''
    const planned = plan.calls > 0 ? `, ${counted(plan.calls, 'calls')}` : made === '' ? '' : ', how many calls was not known'
    lines.push(['planned', `${piecesText(of, (step) => step.total ?? 0)}${planned}`])
    lines.push(['done', `${piecesText(of, (step) => step.done)}${made}`])
  }
  if (of.commits.count > 0) {
    lines.push([
      'commits',
      `${count(of.commits.count)}${of.commits.avgMs === null ? '' : `, ${count(of.commits.avgMs)} ms each, the longest ${count(of.commits.maxMs)} ms`}`,
    ])
  }
  if (lines.length > 0) lines.push(['warehouse', escapeText(of.warehouse)])
  const width = Math.max(0, ...lines.map(([name]) => name.length))
  return lines.map(([name, text]) => `  ${name.padEnd(width)}  ${text}`)
}

/** `1,000 blocks + 999 rows`. */
function piecesText(of: RunReport, number: (step: StepReport) => number): string {
  const words = new Map<string, number>()
  for (const step of of.steps) {
    if (step.word !== null && step.word !== 'checks') words.set(step.word, (words.get(step.word) ?? 0) + number(step))
  }
  const parts = [...words].filter(([, pieces]) => pieces > 0).map(([word, pieces]) => counted(pieces, word))
  return parts.length === 0 ? 'nothing' : parts.join(' + ')
}

function checks(of: RunReport): string[] {
  const failed = of.checks.filter((check) => !check.passed)
  return failed.length === 0
    ? []
    : [
        'Checks that did not pass:',
        ...failed.flatMap((check) => [
          `  ${escapeText(check.step)}: ${checkLine(check)}${check.severity === 'warn' ? ' (warning only)' : ''}`,
          ...sampleLines(check).map((line) => `    ${line}`),
        ]),
      ]
}

function missing(of: RunReport): string[] {
  if (of.outcome === 'done') return []
  const lines = of.missing.flatMap((step) => [
    ...missingLines(step, causesOfStep(step, of, 'units')),
    ...causeLines(causesOfStep(step, of, 'keys')),
  ])
  const named = causesOf(of.quarantined).reduce((all, cause) => (cause.what === 'keys' ? all + cause.count : all), 0)
  const more = of.quarantined.count - named
  if (more > 0) lines.push(`  and ${counted(more, 'keys')} more in quarantine`)
  return lines.length === 0 ? [] : ['What is missing:', ...lines]
}

const causesOfStep = ({ step }: MissingReport, of: RunReport, what: Cause['what']) =>
  causesOf(of.quarantined).filter((cause) => cause.step === step && cause.what === what)

/** A line a cause: thousands of keys that failed alike are one. */
function causeLines(causes: readonly Cause[]): string[] {
  const hints = new Set(causes.flatMap(({ hint }) => (hint === null ? [] : [hint])))
  return [
    ...causes.flatMap((cause) => {
      const why = `in quarantine: ${escapeText(cause.error)} (${escapeText(cause.code)})`
      const one = cause.what === 'keys' ? 'key' : 'unit'
      const what = cause.count === 1 ? `${one} ${namesOf(cause)} ${why}` : `${counted(cause.count, cause.what)} ${why}: ${namesOf(cause)}`
      return [`    ${what}`, ...detailLines(cause)]
    }),
    ...[...hints].map((hint) => `      ${escapeText(hint)}`),
  ]
}

const detailLines = ({ detail }: { readonly detail: string | null }) =>
  (detail?.split('\n') ?? []).map((line) => `      ${escapeText(line)}`)

/** `causes`: why units of it are in quarantine; none where that is not known of all of them. */
function missingLines(step: MissingReport, causes: readonly Cause[]): string[] {
  // What did not begin is among the steps above, and has nothing to say.
  if (step.state === 'waiting') return []
  const word = step.word === null || step.word === 'checks' ? 'units' : step.word
  const parts = [
    step.missing > 0 ? `${counted(step.missing, word)} missing` : '',
    step.quarantined > 0 ? `${count(step.quarantined)} in quarantine (their attempts are used up)` : '',
  ].filter((part) => part !== '')
  // A reason that says the same again is left out.
  const reason = step.reason === null || (parts.length > 0 && step.state === 'incomplete') ? '' : escapeText(step.reason)
  const text = [parts.join(', '), reason].filter((part) => part !== '').join('; ')
  const lines = [`  ${escapeText(step.step)}: ${text === '' ? step.state : text}`]
  for (const failure of step.failures) {
    if (failure.state === 'retrying' || (failure.state === 'quarantined' && failure.key === null && causes.length > 0)) continue
    const what = failure.key === null ? `unit ${escapeText(failure.unit)}` : `key ${escapeText(failure.key)}`
    lines.push(`    ${what} ${failure.state}: ${escapeText(failure.error)} (${escapeText(failure.code)})`)
    if (failure.hint !== null) lines.push(`      ${escapeText(failure.hint)}`)
    lines.push(...detailLines(failure))
  }
  return [...lines, ...causeLines(causes)]
}

function warnings(of: RunReport): string[] {
  if (of.warnings.length === 0) return []
  const shown = of.warnings.slice(0, 10)
  const lines = shown.map(
    (warning) =>
      `  ${warning.step === null ? '' : `${escapeText(warning.step)}: `}${escapeText(warning.message)}${warning.count > 1 ? ` (${count(warning.count)} times)` : ''}`,
  )
  if (of.warnings.length > shown.length) lines.push(`  and ${count(of.warnings.length - shown.length)} more`)
  return ['Warnings:', ...lines]
}

function next(of: RunReport): string[] {
  if (of.next.length === 0) return []
  return ['What to do next:', ...of.next.flatMap(({ command, why }) => [`  ${command}`, `    ${why}`])]
}
