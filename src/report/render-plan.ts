import type { PlanReport, StepForecast } from '../plan/forecast.js'
import { type About, command, formatDuration, typable } from '../sdk/index.js'
import { count, counted, duration, rate } from './words.js'

const UNITS_SHOWN = 5

/** The plan as people read it. `about`: what it was asked for. */
export function renderPlan(report: PlanReport, about: About, limit?: number): string {
  const lines = [`plan for ${report.pipeline} into ${report.warehouse}`]
  for (const [chain, head] of Object.entries(report.heads)) lines.push(`  head of ${chain}: ${head}`)
  lines.push('')
  for (const step of report.steps) lines.push(...renderStep(step), '')
  if (report.budgets.length > 0) lines.push(...report.budgets.map(renderBudget), '')
  const requests = report.steps.reduce((sum, step) => sum + (step.requests ?? 0), 0)
  const unknown = report.steps.filter((step) => step.pieces > 0 && step.requests === null).map(({ id }) => id)
  const seconds = report.steps.reduce((sum, step) => sum + (step.estimate.seconds ?? 0), 0)
  const bytes = report.steps.reduce((sum, step) => sum + step.estimate.diskBytes, 0)
  const credits = report.steps.reduce((sum, step) => sum + (step.budget?.credits ?? 0), 0)
  const open = report.steps.filter((step) => step.open).length
  if (open > 0) lines.push(`can't say what is left: ${open} ${open === 1 ? 'step needs' : 'steps need'} a head (leave out --offline)`)
  else if (!report.work) lines.push('nothing to do: no missing blocks, rows or days')
  else
    lines.push(
      unknown.length > 0
        ? `in all not known yet: ${unknown.join(', ')} ${unknown.length === 1 ? 'has' : 'have'} not run${requests > 0 ? `; the rest takes about ${counted(requests, 'requests')}` : ''}`
        : `in all about ${counted(requests, 'requests')}${credits > 0 ? `, ${counted(credits, 'credits')}` : ''}, ${duration(seconds * 1000)}, ${megabytes(bytes)} on disk`,
      `do it with: ${command('run', about, ...(limit === undefined ? [] : ['--limit', String(limit)]))}`,
    )
  return typable(`${lines.join('\n')}\n`, about)
}

function renderStep(step: StepForecast): string[] {
  const head = `${step.id}  (${step.type}${step.needs.length > 0 ? `, after ${step.needs.join(', ')}` : ''})`
  if (step.unknown !== null) return [head, `  ${step.unknown}`]
  const later = laterOf(step)
  const lines = [head, `  ${step.piece} to do: ${count(step.pieces)} now${later}; ${count(step.done)} done`]
  if (step.later !== null) lines.push(`  ${step.later}`)
  if (step.everyMs !== null) lines.push(`  asked at most every ${formatDuration(step.everyMs)} by run --follow`)
  if (step.expired.length > 0) lines.push(`  ${count(step.expired.length)} kept: inputs expired`)
  if (step.leftOut > 0) lines.push(`  ${count(step.leftOut)} left out by --limit`)
  if (step.quarantined.length > 0)
    lines.push(
      `  ${count(step.quarantined.length)} in quarantine: ${step.quarantined
        .slice(0, 3)
        .map(({ key }) => key)
        .join(', ')}${step.quarantined.length > 3 ? ', …' : ''} (pipe retry FILE tries them again)`,
    )
  for (const [reason, pieces] of Object.entries(step.reasons)) lines.push(`  ${reason}: ${counted(pieces, step.piece)}`)
  if (step.units.length > 0) {
    const shown = step.units
      .slice(0, UNITS_SHOWN)
      .map(({ unit, againDays }) => (againDays === undefined ? unit : `${unit} (reads ${counted(againDays, 'days')} above it again)`))
    lines.push(`  ${counted(step.units.length, 'units')}: ${shown.join(', ')}${step.units.length > UNITS_SHOWN ? ', …' : ''}`)
  }
  if (step.swaps.length > 0) {
    lines.push(`  builds ${step.swaps.map(({ builds }) => builds).join(', ')}`)
    lines.push(`  then swaps all at once: ${step.swaps.map(({ table }) => table).join(', ')} (version ${step.swaps[0]?.version ?? 1})`)
    const kept = step.swaps.flatMap((swap) => swap.kept)
    if (kept.length > 0) lines.push(`  kept of before: ${kept.join(', ')}`)
  }
  if (step.calls === null) lines.push('  requests: unknown before its first run')
  else if (step.calls > 0)
    lines.push(
      `  ${counted(step.calls, 'calls')}, about ${counted(step.requests ?? 0, 'requests')}, ${duration((step.estimate.seconds ?? 0) * 1000)}${step.estimate.basis === 'guess' ? ' (a guess: no run yet)' : ''}`,
    )
  if (step.budget !== null && step.budget.credits > 0) {
    const { credits, seconds, perSecond } = step.budget
    lines.push(`  ${counted(credits, 'credits')}, at least ${duration(seconds * 1000)} by a budget of ${rate(perSecond)}`)
  }
  return lines
}

/** What one key pays for several steps. */
function renderBudget({ provider, chains, steps, credits, perSecond, seconds }: PlanReport['budgets'][number]): string {
  const of = chains.length > 1 ? chains.join(', ') : steps.join(', ')
  return `one budget of ${rate(perSecond)} at ${provider} for ${of}: ${counted(credits, 'credits')} in all, at least ${duration(seconds * 1000)}`
}

/** What steps before it may bring: rows, or changes of what it is computed from. */
function laterOf({ piece, pieces: now, upTo }: StepForecast): string {
  const steps = upTo.map(({ step }) => step).join(' and ')
  if (upTo.length > 0 && piece === 'intervals') return ` + the intervals that ${steps} ${upTo.length === 1 ? 'touches' : 'touch'}`
  if (upTo.length > 0 && piece === 'units')
    return now > 0 ? '' : ` + all of it again when ${steps} ${upTo.length === 1 ? 'changes' : 'change'} its input`
  return upTo.map(({ step, pieces, piece: word }) => ` + up to ${count(pieces)} from ${step}${word === piece ? '' : ` (${word})`}`).join('')
}
const megabytes = (bytes: number) => (bytes < 1e6 ? `${Math.ceil(bytes / 1e3)} kB` : `${(bytes / 1e6).toFixed(1)} MB`)
