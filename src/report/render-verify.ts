import { shellWord } from './commands.js'
import type { Finding, VerifyReport } from '../verify/report.js'
import { count, counted } from './words.js'

/** The report as people read it. */
export function renderVerify(report: VerifyReport, demo = false): string {
  const lines = [`verify ${report.pipeline} in ${report.warehouse}`, '']
  for (const step of report.steps) {
    const { units, rows } = step.sampled
    const found = report.findings.filter((finding) => finding.step === step.id).length + step.more
    const looked = [
      step.closes ? '' : counted(step.units, 'units'),
      units > 0 ? `${counted(units, 'units')} fetched again, ${counted(rows, 'rows')} compared` : '',
      found > 0 ? counted(found, 'findings') : 'nothing found',
    ]
    lines.push(`${step.id}  ${looked.filter(Boolean).join(', ')}`)
    for (const note of step.notes) lines.push(`  ${note}`)
  }
  for (const finding of report.findings) lines.push('', ...renderFinding(finding))
  const more = report.steps.reduce((sum, step) => sum + step.more, 0)
  if (more > 0) lines.push('', `and ${count(more)} more of the kinds above`)
  lines.push(
    '',
    report.ok
      ? 'nothing found'
      : `${counted(report.findings.length + more, 'findings')}; pipe verify ${shellWord(report.file)}${demo ? ' --demo' : ''} again when they are mended`,
  )
  return `${lines.join('\n')}\n`
}

function renderFinding({ check, step, unit, key, problem, fix }: Finding): string[] {
  const where = [step, unit ?? '', key === null ? '' : `key ${key}`].filter(Boolean).join(' ')
  return [`${where}: ${problem} (${check})`, ...fix.flatMap((command) => command.split('\n')).map((line) => `    ${line}`)]
}
