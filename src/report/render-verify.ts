import { shellWord } from './commands.js'
import { confidence } from '../verify/confidence.js'
import type { Finding, StepProof, VerifyReport } from '../verify/report.js'
import { count, counted } from './words.js'

/** The report as people read it. */
export function renderVerify(report: VerifyReport, demo = false): string {
  const lines = [`verify ${report.pipeline} in ${report.warehouse}`]
  if (report.seed !== null) lines.push(`--seed ${report.seed} chooses what is proved here again`)
  lines.push('')
  for (const step of report.steps) {
    const { units, rows } = step.sampled
    const found = report.findings.filter((finding) => finding.step === step.id).length + step.more
    const looked = [
      step.closes ? '' : counted(step.units, 'units'),
      units > 0 ? `${counted(units, 'units')} fetched again, ${counted(rows, 'rows')} compared` : '',
      found > 0 ? counted(found, 'findings') : 'nothing found',
    ]
    lines.push(`${step.id}  ${looked.filter(Boolean).join(', ')}`)
    if (step.proof) lines.push(...renderProof(step.proof).map((line) => `  ${line}`))
    for (const note of step.notes) lines.push(`  ${note}`)
  }
  for (const finding of report.findings) lines.push('', ...renderFinding(finding))
  const more = report.steps.reduce((sum, step) => sum + step.more, 0)
  if (more > 0) lines.push('', `and ${count(more)} more of the kinds above`)
  if (report.seed !== null && report.steps.every(({ proof }) => proof === null))
    lines.push('', 'nothing was proved: no step that was looked at reads blocks, logs or balances of a chain')
  const unproved = report.steps.reduce((sum, { proof }) => sum + (proof?.unproved ?? 0), 0)
  lines.push(
    '',
    report.ok
      ? `nothing found${unproved > 0 ? `, though ${count(unproved)} of what was chosen could not be proved` : ''}`
      : `${counted(report.findings.length + more, 'findings')}; pipe verify ${shellWord(report.file)}${demo ? ' --demo' : ''} again when they are mended`,
  )
  return `${lines.join('\n')}\n`
}

/** What was proved, what it means, and what it rests on. */
function renderProof({ word, total, chosen, proved, wrong, unproved, reasons, endpoints, agreed, linked }: StepProof): string[] {
  if (chosen === 0) return [`no ${word} to prove: nothing is done`]
  const many = (n: number) => `${count(n)} ${n === 1 ? word.replace(/s$/, '') : word}`
  const meaning =
    wrong > 0
      ? `${many(wrong)} with findings`
      : proved === 0
        ? ''
        : proved === total
          ? 'each one that is done'
          : `${confidence(proved)} (of ${count(total)})`
  const lines = [`${count(proved)} of ${count(chosen)} ${word} proved${meaning === '' ? '' : `: ${meaning}`}`]
  if (unproved > 0) lines.push(`${many(unproved)} could not be proved:`)
  for (const { reason, count: times } of reasons) lines.push(`  ${many(times)}: ${reason}`)
  const blocks = agreed.reduce((sum, each) => sum + each.blocks, 0)
  if (blocks === 0) return lines
  const by = agreed.map((each) => `${count(each.blocks)} the same at ${each.endpoints} of ${counted(endpoints, 'endpoints')}`).join(', ')
  return [
    ...lines,
    `proofs rest on the hashes of ${counted(blocks, 'blocks')}: ${by}; the next block goes on from ${count(linked)} of them`,
  ]
}

function renderFinding({ check, step, unit, key, problem, fix }: Finding): string[] {
  const where = [step, unit ?? '', key === null ? '' : `key ${key}`].filter(Boolean).join(' ')
  return [`${where}: ${problem} (${check})`, ...fix.flatMap((command) => command.split('\n')).map((line) => `    ${line}`)]
}
