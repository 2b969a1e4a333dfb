import { showText } from '../net/text.js'
import type { NoticeKind } from '../pipeline/receivers.js'
import type { Notice } from './watch.js'

/** Whose run it is. */
export interface From {
  readonly pipeline: string
  readonly run: string
  readonly warehouse: string
  readonly host: string
}

const WORDS: Readonly<Record<NoticeKind, string>> = {
  failure: 'failed',
  gate_closed: 'gate closed',
  stall: 'stalled',
  recovery: 'recovered',
  completion: 'complete',
}
const NAMED = 3
const LINES = 20
const LINE_LENGTH = 500

/** `miners: failed (balances, prices and 3 more)`. One line without control characters: what it names may come from outside. */
export function titleOf({ kind, about }: Notice, { pipeline }: From): string {
  const named = about.filter((each) => each !== '')
  const names = named.slice(0, NAMED).join(', ') + (named.length > NAMED ? ` and ${named.length - NAMED} more` : '')
  return shown(`${pipeline}: ${WORDS[kind]}${names === '' ? '' : ` (${names})`}`)
}

/** What happened, at most twenty lines. */
export function linesOf({ lines }: Notice): readonly string[] {
  const more = lines.length - LINES
  return [...lines.slice(0, LINES).map(shown), ...(more > 0 ? [`and ${more} more`] : [])]
}

/** The notice as it is sent to a webhook. */
export function webhookBody(notice: Notice, from: From): string {
  const { kind, about, at } = notice
  return JSON.stringify({
    kind,
    ...from,
    title: titleOf(notice, from),
    steps: about.filter((each) => each !== ''),
    lines: linesOf(notice),
    at: new Date(at).toISOString(),
  })
}

/** The same for an incoming webhook of Slack, in its markup. */
export function slackBody(notice: Notice, from: From): string {
  const text = [`*${slackText(titleOf(notice, from))}*`, ...linesOf(notice).map(slackText), `_${slackText(footerOf(notice, from))}_`]
  return JSON.stringify({ text: text.join('\n') })
}

/** The same as a mail. */
export function mailOf(notice: Notice, from: From): { readonly subject: string; readonly text: string } {
  return { subject: titleOf(notice, from), text: `${[...linesOf(notice), '', footerOf(notice, from)].join('\n')}\n` }
}

const footerOf = ({ at }: Notice, { run, warehouse, host }: From) =>
  shown(`run ${run} on ${host} into ${warehouse}, ${new Date(at).toISOString().slice(0, 19)}Z`)

/** Secrets were taken out when it was told. */
const shown = (text: string) => showText(text, (same) => same, LINE_LENGTH)

const slackText = (text: string) => text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
