import type { RpcErrorClass } from './events.js'

/** A way of providers to say something. `text` is matched against message and data together, in lower case. */
export interface Wording {
  readonly class: RpcErrorClass
  readonly text: RegExp
  /** Only for calls that read logs (`logs`), only for others, or for all. */
  readonly only?: 'logs' | 'others'
}

/** A contract ended a call. Geth, Erigon, anvil; Hardhat and Ganache; Nethermind and Parity, which keep it in `data`; Lotus. */
export const REVERT =
  /\bexecution reverted\b|^(error: )?((vm exception|evm).*|transaction )?revert(ed)?\b|^(error: )?vm exception while processing transaction: (invalid opcode|invalid jump)|^vm execution error\.? *(err: )?(revert|bad ?(instruction|jump))|^(err: )?(evm(:| error:?) )?(invalid ?(fe ?)?(opcode|jump)|opcode ?not ?found|stack ?(under|over)flow|write protection)|^message execution failed.*\brevert/

/** There is no block at a height and never will be: Lotus, Forest, Venus. */
export const NOTHING = /\bnull (round|tipset)\b|\b(slot|epoch|round|height) (\d+ )?(was|is) (a )?(null|skipped|empty)\b/i

/**
 * What providers and nodes say, by what it means; the first that matches decides. No HTTP status and no code is looked
 * at here: -32602, -32000, -32600, -32603 and -32005 all carry several meanings. Within a class the order is free, the
 * order of the classes is not: "archive requests require a token" is no login problem of the whole endpoint, "batch of
 * requests" is no rate limit. Verbatim texts with their sources are in fixtures/rpc-errors.json, one test each.
 */
export const WORDINGS: readonly Wording[] = [
  {
    class: 'STATE',
    text: /archive (requests?|node|data|state|access)\b.*\b(require|need|not available|upgrade|token)|(require|need)s? (an )?archive/,
  },
  {
    class: 'AUTH',
    text: /must be authenticated|you must authenticate|unauthori[sz]ed|invalid (api|access|project|auth)[ -]?(key|token|id)|(token|api key|access key) is (invalid|missing|expired|required|disabled)|api key not found|no api key (was )?(found|provided|given|supplied)|authentication (failed|required)|project id (is )?(invalid|not found)|missing api key|forbidden origin/,
  },
  {
    class: 'QUOTA',
    text: /monthly capacity limit|monthly (request|quota|credit)|daily (rate|api|call|usage) ?limit|reached the free tier|limit for your current plan|daily request (count|limit) (exceeded|reached)|payment required|out of credits|insufficient credits|quota (is )?(exhausted|used up)/,
  },
  // "batch" first: a limit on requests in one batch is not one on requests per second.
  {
    class: 'BATCH',
    text: /max(imum)? batch( size)?|batch (size|limit|is too|too|of \d+|length|requests? (limit|count))|too many (calls|requests|items) in (the |a )?batch|batch(es|ed|ing)?( (rpc|json-rpc))?( requests?| calls?)? (are |is )?(not (supported|allowed|available|enabled)|disabled|unsupported)|(not|n't) support(ed)? batch/,
  },
  {
    class: 'RATE',
    text: /rate[ -]?limit|too many requests|too many api calls|request rate exceeded|compute units per second|requests? (are )?limited to(?! (a |an |[\d,. -]+k? ?)*(range|blocks?)\b)|exceeded the quota|under too much load|no server available|upgrade your tier|request limit (was )?reached|request limit exceeded|code: ?1015|error 1015|throughput limit|(requests|calls) per (second|minute)|throttl|slow down/,
  },
  { class: 'RATE', text: /^limit exceeded\b/, only: 'others' },
  { class: 'SPLIT', text: /^limit exceeded\b/, only: 'logs' },
  {
    class: 'LAG',
    text: /range extends beyond current head|greater than latest|after last accepted block|cannot query unfinalized|height must be less than or equal/,
  },
  {
    class: 'SPLIT',
    text: /log response size exceeded|up to an? [\d,.k]+ block range|query timeout exceeded\. consider reducing|query returned more than|returned more than allowed number of logs|exceeds? max results|results? exceeds? (the )?limit|logs matched by query exceeds|too many logs|narrow your (filter|fromblock)|reduce (query |your )?block range/,
  },
  {
    class: 'SPLIT',
    text: /block range (is )?(too|greater than|larger than|bigger than|limit exceeded)|blocks? range,? (is )?(too|the limit)|range (is )?too (large|wide)|too wide blocks? range|too large\. max range|range \d+ (exceeds|is bigger than)|exceed(s|ed)? (max(imum)?|the)?( rpc)? ?(block )?range|exceeds (max|maximum) block range|blocks distance|requested too many blocks|limited to (a |an )?[\d,. -]+k?( -)? ?(blocks? )?range|limited to (a |an )?[\d,]+(k| - [\d,]+)? ?blocks?|ranges over [\d,]+ blocks|requested block range|block range exceeds|maximum allowed number of requested blocks|at most [\d,]+ blocks|max is [\d,]+k? blocks|query must be smaller than size|query exceeds range|range threshold exceeded|larger than max block range|maximum rpc range limit/,
  },
  {
    class: 'SPLIT',
    text: /response (is )?too (big|large)|response size should not|response size exceeded|query timeout exceeded/,
    only: 'logs',
  },
  {
    class: 'SPLIT',
    text: /max addresses or topics|too many (addresses|topics)|less number of address|(addresses|topics) (exceeds?|are limited)/,
  },
  {
    class: 'BATCH',
    text: /response (is )?too (big|large)|response size (should not|exceed)|request (entity |body )?too large|payload too large|request timed out/,
  },
  {
    class: 'STATE',
    text: /missing trie node|(historical )?state (0x[0-9a-f]+ |at .{0,80})?is not available|historical state.*(unavailable|not available)|pruned|data before txnum|no state available|trie does not|world state unavailable|unexpected error \(code=40000\)|requested data is not available|genesis is not traceable|old data not available|state (histories|history)|state (is )?(not found|unavailable|missing)/,
  },
  {
    class: 'LAG',
    text: /header not found|(unknown|could not find) block|block (with (such|this) (id|hash|number) )?(is )?not (found|available)|[0-9a-fx]+ could not be found|not currently canonical|initial sync is still in progress|node is (still )?(syncing|behind)|header for hash not found|block .{0,80}not found/,
  },
  {
    class: 'UNSUP',
    text: /method \S+ .{0,80}?(does not exist|not (found|supported|available|allowed|enabled|whitelisted|implemented)|is (disabled|unsupported))|not available on the .{0,20}tier|unsupported method|custom trace|method not found|unknown method|not supported on (this|your) (network|chain|plan)/,
  },
  {
    class: 'BUG',
    text: /revert|invalid argument|missing value for required argument|cannot unmarshal|invalid opcode|out of gas|stack (under|over)flow|gas required exceeds|insufficient funds|invalid jump|hex string|parse error/,
  },
  {
    class: 'SERVER',
    text: /no backend is currently healthy|internal (server )?error|bad gateway|service (temporarily )?unavailable|gateway time-?out|timed? ?out|temporar|try again|overloaded|server error|connection (reset|refused|closed)|context (canceled|deadline)|upstream|could not proxy/,
  },
  { class: 'BUG', text: /invalid (params|request|parameters?)/ },
]

/** What there was too much of in a refused call for logs, where it was not blocks; the first that matches decides. */
export const OVER: readonly { readonly over: 'results' | 'filter'; readonly text: RegExp }[] = [
  {
    over: 'filter',
    text: /max addresses or topics|too many (addresses|topics)|less number of address|(addresses|topics) (exceeds?|are limited)/,
  },
  {
    over: 'results',
    text: /log response size|\bresults\b|number of logs|logs matched|too many logs|response (is )?too (big|large)|response size/,
  },
]

/** Milliseconds after which a provider's text, in lower case, says to ask again: "try again in 30 s". */
export function saidWait(text: string): number | undefined {
  const said = /(?:retry|try again|wait)(?: after| in)? (\d{1,6}(?:\.\d+)?) ?(ms|milliseconds|s\b|sec|minutes?)/.exec(text)
  if (!said) return undefined
  const unit = said[2] ?? ''
  return Number(said[1]) * (unit.startsWith('mi') && !unit.startsWith('mil') ? 60_000 : unit.startsWith('m') ? 1 : 1000)
}

/** What a source says about itself instead of an answer. */
export interface Saying {
  readonly class: Extract<RpcErrorClass, 'RATE' | 'QUOTA' | 'AUTH' | 'SERVER'>
  /** Milliseconds after which it says to ask again. */
  readonly waitMs: number | undefined
}

/** The first that is told decides: "missing api key, rate limit of 1 per 5 s applied" is a rate limit. */
const SAYINGS = ['QUOTA', 'RATE', 'AUTH', 'SERVER'] as const

/** What a text of a REST source means for all that is asked of it; undefined when it is about this request, or nothing that is known. */
export function sayingOf(text: string): Saying | undefined {
  // `RATE_LIMIT_EXCEEDED` is said as well.
  const words = text.slice(0, 4000).toLowerCase().replaceAll('_', ' ')
  const kind = SAYINGS.find((saying) =>
    WORDINGS.some(({ class: of, only, text: said }) => of === saying && only !== 'logs' && said.test(words)),
  )
  return kind && { class: kind, waitMs: saidWait(words) }
}
