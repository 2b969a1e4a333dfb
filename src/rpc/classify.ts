import { NOTHING, OVER, REVERT, type RpcErrorClass, saidWait, WORDINGS } from '../sdk/index.js'
import { at } from '../net/at.js'

/** A stretch of blocks, both ends included. */
export interface BlockRange {
  readonly from: bigint
  readonly to: bigint
}

/** What an endpoint said instead of an answer. */
export interface ProviderError {
  /** HTTP status. */
  readonly status?: number
  readonly code?: number | string
  /** The error's own message, or the text of a body that is no JSON. */
  readonly message: string
  readonly data?: unknown
  readonly method?: string
  /** What was asked for, when the call is about a range. */
  readonly range?: BlockRange
  /** How many calls the refused request carried. */
  readonly calls?: number
}

export interface Classified {
  readonly class: RpcErrorClass
  /** How long the provider says to wait. */
  readonly waitMs?: number
  /** Stated limit of calls a request; less than what was sent. */
  readonly maxBatch?: number
  /** Stretch that the provider suggests: starts where the request did and is shorter. */
  readonly next?: BlockRange
  /** Stated limit of blocks a range; less than what was asked for, where that is known. */
  readonly maxBlocks?: number
  /** What there was too much of, where it was not blocks: logs in the answer, or addresses and topics in the filter. */
  readonly over?: 'results' | 'filter'
  /** Stated limit of logs an answer. */
  readonly maxResults?: number
  /** A contract ended the call: its own answer, and no trouble of the node. */
  readonly reverted?: true
}

/** Longer than this is no rate limit any more. */
const QUOTA_AFTER_MS = 600_000

/**
 * What an error means. Message and data decide together; status and code only where no wording is known, since every
 * code carries several meanings and a range may be refused with 413 as well as with 400.
 */
export function classify(error: ProviderError): Classified {
  const text = wholeText(error).slice(0, 4000).toLowerCase()
  if (isRevert(error, text)) return { class: 'BUG', reverted: true }
  const waitMs = statedWait(error.data, text)
  const found = byWording(text, isLogs(error.method)) ?? byStatus(error) ?? byRange(error, text) ?? byCode(error)
  // A day's quota that is renewed in seconds is a rate limit.
  const kind =
    found === 'RATE' && waitMs !== undefined && waitMs > QUOTA_AFTER_MS
      ? 'QUOTA'
      : found === 'QUOTA' && waitMs !== undefined && waitMs <= QUOTA_AFTER_MS
        ? 'RATE'
        : found
  const maxBatch = kind === 'BATCH' ? statedBatch(text, error.calls) : undefined
  const next = kind === 'SPLIT' ? suggestedRange(error.data, text, error.range) : undefined
  const maxBlocks = kind === 'SPLIT' ? statedBlocks(text, error.range) : undefined
  const over = kind === 'SPLIT' ? OVER.find((each) => each.text.test(text))?.over : undefined
  const maxResults = over === 'results' ? statedResults(error.data, text) : undefined
  return {
    class: kind,
    ...(waitMs !== undefined && (kind === 'RATE' || kind === 'QUOTA') ? { waitMs } : {}),
    ...(maxBatch !== undefined ? { maxBatch } : {}),
    ...(next ? { next } : {}),
    ...(maxBlocks !== undefined ? { maxBlocks } : {}),
    ...(over !== undefined ? { over } : {}),
    ...(maxResults !== undefined ? { maxResults } : {}),
  }
}

/** Whether a method reads logs, so that its range can be split. */
export function isLogs(method: string | undefined): boolean {
  return method === 'eth_getLogs' || method === 'eth_newFilter' || method === 'eth_getFilterLogs'
}

/** Whether an error says that there is nothing at a height, for good: a round without a block. */
export function saysNothing(error: ProviderError): boolean {
  return NOTHING.test(wholeText(error))
}

/**
 * Whether a contract ended the call. Its reason is free text: "rate limit" or "pruned" in it means nothing. Out of gas is
 * none, since how much there is depends on the node.
 */
function isRevert({ code, data }: ProviderError, text: string): boolean {
  return REVERT.test(text) || (Number(code) === 3 && typeof data === 'string' && /^0x([\da-f]{2})*$/i.test(data))
}

/** Message and data as one text; Nethermind and Ronin keep the whole text in `data` behind "invalid params". */
function wholeText(error: ProviderError): string {
  const data = dataText(error.data)
  return data && data !== error.message ? `${error.message} ${data}` : error.message
}

/** Where providers keep words in `data`, at whatever depth. */
const WORDS = ['message', 'payload', 'reason', 'details', 'detail', 'description', 'error', 'errors', 'cause', 'data']
const MOST_DEPTH = 4

function dataText(data: unknown, depth = 0): string {
  if (typeof data === 'string') return data
  if (typeof data !== 'object' || data === null || depth === MOST_DEPTH) return ''
  const parts: readonly unknown[] = Array.isArray(data) ? data.slice(0, 10) : WORDS.map((name) => (data as Record<string, unknown>)[name])
  return parts
    .map((part) => dataText(part, depth + 1))
    .filter((text) => text !== '')
    .join(' ')
}

function byWording(text: string, logs: boolean): RpcErrorClass | undefined {
  return WORDINGS.find((wording) => (wording.only === undefined || (wording.only === 'logs') === logs) && wording.text.test(text))?.class
}

function byStatus({ status, calls }: ProviderError): RpcErrorClass | undefined {
  if (status === undefined || status < 300) return undefined
  if (status === 429) return 'RATE'
  if (status === 402) return 'QUOTA'
  if (status === 401 || status === 403 || status === 407) return 'AUTH'
  if (status === 413) return 'BATCH'
  if (status >= 500 || status === 408 || status === 425) return 'SERVER'
  return status < 500 && (calls ?? 1) > 1 ? 'BATCH' : undefined
}

/** What a limit of a range is about, and that it is one. */
const OF_RANGE = /\b(blocks?|ranges?|logs?|results?|events?|records?|responses?|filters?|spans?)\b/
const OF_LIMIT =
  /\b(limit(s|ed)?|max(imum)?|most|exceed(s|ed|ing)?|too|allow(s|ed)?|larg(e|er)|wide(r)?|narrow(er)?|small(er)?|reduce|restrict(ed)?)\b/
/** What a smaller range would change nothing about: a limit in time, and the state of a server. */
const OF_RATE = /\b(seconds?|minutes?|hours?|days?|daily|month(s|ly)?|concurrent|queues?|flight|later|credits?|units?|quer(y|ies) limit)\b/
const OF_SERVER =
  /\b(internal|server|backends?|upstreams?|nodes?|endpoints?|network|transport|connect(ion)?|handler|service|database|db|leveldb|pebble|eof|panic|crash(ed)?|canceled|cancelled|memory|capacity|overload(ed)?|busy|(un)?available|(un)?healthy|retry|try again)\b/

/**
 * What is said in words that nobody knows to a call for the logs of several blocks: these may be too many, so fewer are asked for,
 * unless the words speak of a rate or of the server.
 */
function byRange(error: ProviderError, text: string): RpcErrorClass | undefined {
  const { method, range, code } = error
  if (!isLogs(method) || !range || range.from === range.to || OF_RATE.test(text)) return undefined
  const limit = OF_RANGE.test(text) && OF_LIMIT.test(text)
  if (!limit && OF_SERVER.test(text)) return undefined
  const of = byCode(error)
  // The code of any limit, be it of a rate or of a range.
  return of === 'SERVER' || of === 'BUG' || (limit && Number(code) === -32005) ? 'SPLIT' : undefined
}

function byCode({ status, code }: ProviderError): RpcErrorClass {
  switch (Number(code)) {
    case 429:
    case -32005:
    case -32007:
    case -32009:
      return 'RATE'
    case 4444:
      return 'STATE'
    case -39001:
      return 'LAG'
    case -32601:
    case -32612:
    case -32613:
      return 'UNSUP'
    case -32602:
    case -32700:
    case 3:
      return 'BUG'
    case -32600:
      return 'BUG'
    default:
      return status !== undefined && status >= 400 && status < 500 ? 'BUG' : 'SERVER'
  }
}

function statedWait(data: unknown, text: string): number | undefined {
  if (typeof data === 'object' && data !== null) {
    const { rate } = data as { rate?: unknown }
    for (const holder of [rate, data]) {
      if (typeof holder !== 'object' || holder === null) continue
      const { backoff_seconds: seconds } = holder as { backoff_seconds?: unknown }
      if (typeof seconds === 'number' && seconds >= 0) return seconds * 1000
    }
  }
  return saidWait(text)
}

/** The largest number in the text that is smaller than what was refused: "batch of 100 exceeds the limit of 50". */
function statedBatch(text: string, calls: number | undefined): number | undefined {
  if (calls === undefined || !text.includes('batch') || /response|bytes|\bmb\b/.test(text)) return undefined
  if (/not supported|disabled|unsupported|not allowed|n't support|not enabled/.test(text)) return 1
  const stated = [...text.matchAll(/(?<![\w.-])\d{1,3}(?:,\d{3})+(?![\w])|(?<![\w.-])\d{1,6}(?![\w])/g)].map((match) =>
    Number(match[0].replaceAll(',', '')),
  )
  const fitting = stated.filter((n) => n >= 1 && n < calls)
  return fitting.length > 0 ? Math.max(...fitting) : undefined
}

function suggestedRange(data: unknown, text: string, asked: BlockRange | undefined): BlockRange | undefined {
  if (!asked) return undefined
  const hex = /\[\s*(0x[\da-f]+|\d+)\s*,\s*(0x[\da-f]+|\d+)\s*\]/.exec(text) ?? /retry with the range (\d+)-(\d+)/.exec(text)
  const { from, to } = typeof data === 'object' && data !== null ? (data as { from?: unknown; to?: unknown }) : {}
  const pair = hex
    ? [hex[1] ?? '', hex[2] ?? '']
    : typeof from === 'string' && typeof to === 'string' && /^(0x[\da-f]+|\d+)$/i.test(from) && /^(0x[\da-f]+|\d+)$/i.test(to)
      ? [from, to]
      : undefined
  if (!pair) return undefined
  const range = { from: BigInt(at(pair, 0)), to: BigInt(at(pair, 1)) }
  // Some providers suggest the very range that they refused, one outside of it, or one that is reversed.
  return range.from === asked.from && range.to >= range.from && range.to < asked.to ? range : undefined
}

const STATED_RESULTS = /(?:more than|max results|limit of|cap of|maximum of|limit is|filter:) ([\d,]+)( ?k)?\b(?! blocks?)/

/** Most logs an answer may have. */
function statedResults(data: unknown, text: string): number | undefined {
  const found = /results|logs/.test(text) ? STATED_RESULTS.exec(text) : null
  const { limit } = typeof data === 'object' && data !== null ? (data as { limit?: unknown }) : {}
  const results = found ? Number(at(found, 1).replaceAll(',', '')) * (found[2] ? 1000 : 1) : limit
  if (typeof results !== 'number') return undefined
  return results >= 1 && Number.isSafeInteger(results) ? results : undefined
}

const STATED_BLOCKS =
  /(?:limited to (?:a |an |0 - )?|up to an? |max(?:imum)?(?: block)? range:? (?:= |is )?|blocks distance: ?|maximum is set to |max is |at most |requested blocks is |range limit |limit is |limit of |greater than |maximum |narrow your filter: ?|max: ?|over )([\d,]+)( ?k)?/g

/** Most blocks a range may have. Only where the text speaks of blocks: "limit of 10000" alone may count logs. */
function statedBlocks(text: string, asked: BlockRange | undefined): number | undefined {
  if (!/block|range|distance/.test(text) || /results|too many logs|logs matched/.test(text)) return undefined
  const blocks = [...text.matchAll(STATED_BLOCKS)]
    .map((found) => Number(at(found, 1).replaceAll(',', '')) * (found[2] ? 1000 : 1))
    .find((n) => n >= 1 && Number.isSafeInteger(n))
  if (blocks === undefined) return undefined
  return asked && BigInt(blocks) > asked.to - asked.from ? undefined : blocks
}
