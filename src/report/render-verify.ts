import { confidence } from '../verify/confidence.js'
import type { Finding, StepProof, VerifyReport } from '../verify/report.js'
import { count, counted } from './words.js'

/** The report as people read it. `again`: the command that looks at the same once more. */
export function renderVerify(report: VerifyReport, again: string): string {
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
  for (const alike of byKind(report.findings)) lines.push(...renderFindings(alike))
  const more = report.steps.reduce((sum, step) => sum + step.more, 0)
  if (more > 0) lines.push('', `and ${count(more)} more of the kinds above`)
  if (report.seed !== null && report.steps.every(({ proof }) => proof === null))
    lines.push('', 'nothing was proved: no step that was looked at reads blocks, logs or balances of a chain')
  const unproved = report.steps.reduce((sum, { proof }) => sum + (proof?.unproved ?? 0), 0)
  lines.push(
    '',
    report.ok
      ? `nothing found${unproved > 0 ? `, though ${count(unproved)} of what was chosen could not be proved` : ''}`
      : `${counted(report.findings.length + more, 'findings')}; ${again} again when they are mended`,
  )
  return `${lines.join('\n')}\n`
}

/** What was proved, what it means, and what it rests on. */
function renderProof(proof: StepProof): string[] {
  const { word, chosen, proved, unproved, reasons, endpoints, agreed, linked } = proof
  if (chosen === 0) return [`no ${word} to prove: nothing is done`]
  const many = (n: number) => counted(n, word)
  const lines = [[`${count(proved)} of ${count(chosen)} ${word} proved`, ...meaningOf(proof)].join(': ')]
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

/** What follows from what was proved; nothing where nothing was. */
function meaningOf({ word, total, proved, wrong }: StepProof): string[] {
  if (wrong > 0) return [`${counted(wrong, word)} with findings`]
  if (proved === 0) return []
  return [proved === total ? 'each one that is done' : `${confidence(proved)} (of ${count(total)})`]
}

/** Findings of one kind that are shown. `--json` has all that are kept. */
const SHOWN = 5

/** Findings of one check in one table of a step, each kind where its first one is. */
function byKind(findings: readonly Finding[]): readonly (readonly Finding[])[] {
  const kinds = new Map<string, Finding[]>()
  for (const finding of findings) {
    const kind = JSON.stringify([finding.step, finding.check, finding.table])
    const known = kinds.get(kind)
    if (known) known.push(finding)
    else kinds.set(kind, [finding])
  }
  return [...kinds.values()]
}

/** The first findings of a kind, each with what mends it; those that are mended by the same are told together. */
function renderFindings(alike: readonly Finding[]): string[] {
  const shown = alike.slice(0, SHOWN)
  const fixOf = (finding: Finding | undefined) => finding?.fix.join('\n') ?? ''
  const lines = shown.flatMap((finding, i) => [
    ...(i > 0 && fixOf(finding) === fixOf(shown[i - 1]) ? [] : ['']),
    wordsOf(finding),
    ...(fixOf(finding) === fixOf(shown[i + 1])
      ? []
      : fixOf(finding)
          .split('\n')
          .filter(Boolean)
          .map((line) => `    ${line}`)),
  ])
  const rest = alike.slice(SHOWN)
  if (rest.length === 0) return lines
  const same = rest.every((finding) => shown.some((one) => fixOf(one) === fixOf(finding)))
  return [
    ...lines,
    `and ${count(rest.length)} more like these${same ? ', mended by the same' : ', each with its own command'} (--json lists them)`,
  ]
}

function wordsOf({ check, step, unit, key, problem }: Finding): string {
  const where = [step, unit ?? '', key === null ? '' : `key ${key}`].filter(Boolean).join(' ')
  return `${where}: ${problem} (${check})`
}
