import { bar } from './bar.js'
import { escapeText } from './escape.js'
import { cutLine, padded, type Part, type Tone, widthOf } from './fit.js'
import { lagsOf } from './lag.js'
import { causeLine, causesOf } from './quarantine.js'
import { elapsedOf, etaOf, shownRate, sum } from './rates.js'
import type { EndpointView, RunView, StepView } from './view.js'
import {
  checksOf,
  count,
  counted,
  duration,
  endpointLine,
  lagLine,
  percent,
  rate,
  short,
  pauseLine,
  stepFacts,
  stoppingLine,
} from './words.js'

export interface FrameOptions {
  readonly now: number
  /** Columns that a line may take; at least 1. */
  readonly columns: number
  /** How often it was drawn, which turns the spinners. */
  readonly turn: number
  /** Drawn for the last time: what has not ended is not going to. */
  readonly over: boolean
}

/** More steps than this get one line together. */
const maxStepLines = 12
const maxEndpointLines = 4
const maxCauseLines = 3
/** An icon and a blank before each line. */
const iconColumns = 2

/**
 * What a terminal shows of a run, none of its lines wider than `columns`: a line a step, or one for all and the running ones,
 * a line an endpoint, then what is in quarantine, the heads that are followed, what it waits for and the newest warning.
 * Where there is no room for a text there are the signs alone.
 */
export function frame(view: RunView, given: FrameOptions): Part[][] {
  // What turns would say that something is done.
  const options = view.state === 'paused' ? { ...given, turn: 0 } : given
  return [...stepLines(view, options), ...endpointLines(view, options), ...restLines(view, options)].map((line) =>
    options.columns > iconColumns ? cutLine(line, options.columns) : line.slice(0, 1),
  )
}

type Sign = 'well' | 'bad' | 'busy' | 'waiting' | 'note'

function signed(sign: Sign, { turn }: Pick<FrameOptions, 'turn'>, ...parts: readonly Part[]): Part[] {
  const [icon, tone] = signs[sign]
  return [{ text: icon === '' ? (spinner[turn % spinner.length] ?? '') : icon, tone }, { text: ' ' }, ...parts]
}

const spinner = [...'⠋⠙⠹⠸⠼⠴⠦⠧⠇⠏']

/** No icon: one that turns. */
const signs: Readonly<Record<Sign, readonly [icon: string, tone: Tone]>> = {
  well: ['✔', 'good'],
  bad: ['✖', 'bad'],
  busy: ['', 'busy'],
  waiting: ['·', 'dim'],
  note: ['!', 'busy'],
}

function stepLines(view: RunView, options: FrameOptions): Part[][] {
  if (view.steps.length <= maxStepLines) return view.steps.map((step) => stepLine(step, view.steps, view, options))
  const running = view.steps.filter(({ state }) => state === 'running')
  const shown = running.slice(0, maxStepLines - 1)
  return [manySteps(view, options), ...shown.map((step) => stepLine(step, shown, view, options))]
}

function manySteps(view: RunView, options: FrameOptions): Part[] {
  const signsOf = view.steps.map((step) => signOf(step, false))
  const of = (sign: Sign) => signsOf.filter((each) => each === sign).length
  const [ended, running, waiting, bad] = [of('well'), of('busy'), of('waiting'), of('bad')]
  const parts = [
    counted(view.steps.length, 'steps'),
    `${count(ended)} complete`,
    `${count(running)} running`,
    `${count(waiting)} waiting`,
    ...(bad > 0 ? [`${count(bad)} not complete`] : []),
  ]
  const end = ended === view.steps.length ? 'well' : 'bad'
  return signed(options.over ? end : 'busy', options, { text: parts.join('  ') })
}

function signOf({ state }: StepView, over: boolean): Sign {
  switch (state) {
    case 'complete':
    case 'skipped':
    case 'limited':
      return 'well'
    case 'waiting':
    case 'planned':
      return over ? 'bad' : 'waiting'
    case 'running':
      return over ? 'bad' : 'busy'
    default:
      return 'bad'
  }
}

function stepLine(step: StepView, shown: readonly StepView[], view: RunView, options: FrameOptions): Part[] {
  const { columns, now, over } = options
  const longest = Math.max(...shown.map(({ id }) => widthOf(escapeText(id))))
  const nameColumns = Math.min(longest, 24, Math.max(3, Math.floor(columns / 3)))
  const name: Part = { text: padded(escapeText(step.id), nameColumns) }
  const sign = signOf(step, over)
  if (step.state === 'running' && step.word !== 'checks' && step.total !== null)
    return signed(sign, options, name, ...progress(step, step.total, now, columns - iconColumns - nameColumns, columns))
  const facts = stepFacts(step, checksOf(view, step.id), now).filter((fact) => fact !== '')
  return signed(sign, options, name, { text: `  ${facts.join('  ')}` })
}

/** What fits of `━━━━━━╸───  12,500/25,432  49 %  2,910/s  0:04  ETA 0:05`: the share first, then what is done, then the rest. */
function progress(step: StepView, total: number, now: number, room: number, columns: number): Part[] {
  const perSecond = shownRate(step, now)
  const elapsed = elapsedOf(step, now)
  const eta = etaOf(step, now, perSecond)
  const retries = sum(step.retries)
  const { full, rest } = bar(step.done, total, barColumns(columns))
  // In the order of the line, each with how early it is let go where not all of it fits.
  const facts: readonly { readonly parts: readonly Part[]; readonly rank: number }[] = [
    {
      parts: [
        { text: full, tone: 'good' },
        { text: rest, tone: 'dim' },
      ],
      rank: 5,
    },
    { parts: [{ text: `${short(step.done)}/${short(total)}` }], rank: 2 },
    { parts: [{ text: percent(step.done, total) }], rank: 1 },
    { parts: [{ text: perSecond === null ? '' : rate(perSecond) }], rank: 6 },
    { parts: [{ text: elapsed === null ? '' : duration(elapsed) }], rank: 7 },
    { parts: [{ text: eta === null ? '' : `ETA ${duration(eta)}` }], rank: 4 },
    { parts: [{ text: retries > 0 ? `retries ${count(retries)}` : '', tone: 'busy' }], rank: 8 },
    { parts: [{ text: step.failed > 0 ? `failed ${count(step.failed)}` : '', tone: 'bad' }], rank: 3 },
  ]
  const kept = new Set<(typeof facts)[number]>()
  let left = room
  for (const fact of [...facts].sort((a, b) => a.rank - b.rank)) {
    const width = fact.parts.reduce((all, { text }) => all + widthOf(text), 0)
    if (width === 0 || width + gap.length > left) continue
    kept.add(fact)
    left -= width + gap.length
  }
  return facts.filter((fact) => kept.has(fact)).flatMap(({ parts }) => [{ text: gap }, ...parts])
}

const gap = '  '

/** By the width of the terminal alone: a bar that grew and shrank with the text behind it would say something false. */
function barColumns(columns: number): number {
  if (columns < 60) return 5
  return columns < 100 ? 10 : 20
}

function endpointLines(view: RunView, options: FrameOptions): Part[][] {
  if (view.endpoints.length === 0) return []
  const shown = view.endpoints.slice(0, maxEndpointLines)
  const lines = shown.map((endpoint) => signed(healthSign(endpoint, options), options, { text: endpointLine(endpoint) }))
  const more = view.endpoints.length - shown.length
  if (more > 0) lines.push(signed('waiting', options, { text: `and ${counted(more, 'endpoints')} more`, tone: 'dim' }))
  return lines
}

function healthSign({ health }: EndpointView, { over }: FrameOptions): Sign {
  if (health === 'down') return 'bad'
  if (health === 'waiting') return 'waiting'
  return over ? 'well' : 'busy'
}

function restLines(view: RunView, options: FrameOptions): Part[][] {
  const { now } = options
  const lines: Part[][] = []
  const say = (sign: Sign, text: string) => void lines.push(signed(sign, options, { text }))
  const causes = causesOf(view.quarantined)
  for (const cause of causes.slice(0, maxCauseLines)) say('bad', causeLine(cause))
  const more = causes.length - maxCauseLines
  if (more > 0) say('bad', `and ${counted(more, 'errors')} more in quarantine`)
  const next = view.round?.nextAt ?? null
  if (view.follow) for (const lag of lagsOf(view, now)) say('waiting', lagLine(lag))
  else if (next !== null && view.state === 'running')
    say('waiting', `run ${count((view.round?.number ?? 0) + 1)} begins in ${duration(next - now)}: something is still missing`)
  const pause = pauseLine(view, now)
  if (pause !== undefined) say('note', pause)
  if (view.state === 'stopping') say('note', stoppingLine(view.stopping))
  if (view.waiting) say('note', `nothing moved for ${duration(view.waiting.ms)}; waiting for: ${escapeText(view.waiting.for)}`)
  const newest = view.warnings.reduce<(typeof view.warnings)[number] | undefined>(
    (last, warning) => (last && last.at > warning.at ? last : warning),
    undefined,
  )
  if (newest) say('note', `warning: ${escapeText(newest.message)}${newest.count > 1 ? ` (${count(newest.count)} times)` : ''}`)
  return lines
}
