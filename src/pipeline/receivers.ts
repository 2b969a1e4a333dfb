import { urlFault } from '../sdk/index.js'
import { ofVariables, readHeaders } from './connections.js'
import { secretsOf } from './secrets.js'
import { type Field, fieldOf, itemsOf, textOf } from './yaml/node.js'
import type { Problems } from './yaml/problems.js'

/** What people can be told of. */
export const NOTICE_KINDS = ['failure', 'gate_closed', 'stall', 'recovery', 'completion'] as const

export type NoticeKind = (typeof NOTICE_KINDS)[number]

/** A completion is no news where a pipeline runs each hour. */
export const DEFAULT_KINDS: readonly NoticeKind[] = ['failure', 'gate_closed', 'stall', 'recovery']

/** Who is told of a run, and of what. */
export type Receiver = WebReceiver | MailReceiver

export interface WebReceiver {
  readonly type: 'webhook' | 'slack'
  /** Never print it: whoever has it can write there. */
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  readonly on: readonly NoticeKind[]
}

export interface MailReceiver {
  readonly type: 'smtp'
  /** `smtp://user:password@host:587`, `smtps://…`. Never print it. */
  readonly url: string
  readonly from: string
  readonly to: readonly string[]
  readonly on: readonly NoticeKind[]
}

/** The receivers of a file. One whose URL is empty by its own default is left out, as is one whose variable is not set (validate). */
export function readReceivers(notify: Field, problems: Problems): readonly Receiver[] {
  return itemsOf(notify).flatMap((field) => readReceiver(field, problems) ?? [])
}

function readReceiver(field: Field, problems: Problems): Receiver | undefined {
  const type = textOf(fieldOf(field, 'type'))
  const at = fieldOf(field, 'url')
  const url = textOf(at)?.trim() ?? ''
  const kinds = itemsOf(fieldOf(field, 'on')).map((item) => textOf(item))
  const on = fieldOf(field, 'on').node ? NOTICE_KINDS.filter((kind) => kinds.includes(kind)) : DEFAULT_KINDS
  if (type === 'smtp') {
    foreign(field, ['headers'], 'webhook and slack', problems)
    const from = mailbox(fieldOf(field, 'from'), field, 'from', problems)
    const to = mailboxes(field, problems)
    if (url === '' || !isAddress(url, at, ['smtp:', 'smtps:'], problems)) return undefined
    return { type, url, from, to, on }
  }
  foreign(field, ['from', 'to'], 'smtp', problems)
  const headers = readHeaders(fieldOf(field, 'headers'), problems)
  // Another type is refused by the schema.
  if (type !== 'webhook' && type !== 'slack') return undefined
  if (url === '' || !isAddress(url, at, ['https:', 'http:'], problems)) return undefined
  return { type, url, headers, on }
}

function foreign(field: Field, keys: readonly string[], types: string, problems: Problems): void {
  for (const key of keys) {
    const found = fieldOf(field, key)
    if (found.node) problems.error(found, `\`${key}\` is for ${types} alone`, 'take it out')
  }
}

/** Whether a URL can be told something. It is not shown: whoever has it can write there. */
function isAddress(url: string, at: Field, protocols: readonly string[], problems: Problems): boolean {
  const scheme = `${protocols[0]}//`
  const fault = urlFault(url)
  if (fault) {
    problems.error(at, `${ofVariables(at)}${fault.message}`, fault.hint)
    return false
  }
  const { protocol, hostname, pathname, search } = new URL(url)
  if (!protocols.includes(protocol) || hostname === '') {
    problems.error(
      at,
      `${ofVariables(at)}must be a URL that begins with ${protocols.map((each) => `${each}//`).join(' or ')}`,
      `such as ${scheme}host`,
    )
    return false
  }
  if (scheme === 'smtp://' && (pathname.length > 1 || search !== '')) {
    problems.error(at, `${ofVariables(at)}has more than a host and a port`, 'write smtp://user:password@host:587')
    return false
  }
  const named = at.node?.kind === 'scalar' && at.node.env.length > 0
  if (!named && secretsOf([{ url, headers: {} }], [], '', []).length > 0)
    problems.warning(at, 'holds a secret, and the file shows it to whoever reads it', 'put it into the environment: url: ${NOTIFY_URL}')
  return true
}

function mailboxes(field: Field, problems: Problems): readonly string[] {
  const to = fieldOf(field, 'to')
  const several = to.node?.kind === 'list' ? itemsOf(to) : [to]
  return several.map((each) => mailbox(each, field, 'to', problems))
}

function mailbox(at: Field, receiver: Field, key: string, problems: Problems): string {
  if (!at.node) {
    problems.error(receiver, `a mail needs \`${key}\``, `give it: ${key}: ops@example.com`)
    return ''
  }
  const text = textOf(at)?.trim()
  if (text === undefined) return ''
  if (!/^(?:[^<>@,;\r\n]*<[^\s<>@,;]+@[^\s<>@,;]+>|[^\s<>@,;]+@[^\s<>@,;]+)$/.test(text))
    problems.error(at, `${ofVariables(at)}is no mail address`, 'write ops@example.com or Operations <ops@example.com>')
  return text
}
