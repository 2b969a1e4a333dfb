import type { RpcCall } from '../sdk/index.js'

/** Bytes that the answers to one request should weigh at most. */
export const REQUEST_BYTES = 8_000_000
/** Bytes that the answers to all requests should weigh that one endpoint has under way. */
export const ENDPOINT_BYTES = 48_000_000

/** Answers that hold what is in a block: until one has come there is no telling how much that is, so one is asked for at a time. */
const OF_BLOCK = /^(eth_getBlockReceipts|trace_block|trace_replayBlockTransactions|debug_traceBlockBy.*|.*, full)$/

/** What a call is weighed by: a block with its transactions weighs ten times one with their hashes. */
export const kindOf = ({ method, params }: RpcCall): string =>
  params[1] === true && method.startsWith('eth_getBlockBy') ? `${method}, full` : method

/**
 * What an answer to a call of each kind weighs, in bytes of JSON, as the answers of one step have shown. It goes up at once and down
 * slowly, since the next answer may be as large as the last one.
 */
export class Weights {
  readonly #bytes = new Map<string, number>()
  /** Methods whose weight was only seen in requests with others. */
  readonly #guessed = new Set<string>()

  /** Bytes of an answer. While none has come: as many as may be under way, where it may be any number, else 0. */
  of(kind: string): number {
    return this.#bytes.get(kind) ?? (OF_BLOCK.test(kind) ? ENDPOINT_BYTES : 0)
  }

  /** Bytes of the answers to calls. */
  sum(calls: readonly RpcCall[]): number {
    let bytes = 0
    for (const [method, count] of countsOf(calls.length, (i) => calls[i] as RpcCall)) bytes += count * this.of(method)
    return bytes
  }

  /**
   * The answers to `count` calls came in so many bytes. What a request with several methods weighs is told apart by those that are
   * known: the rest is of those that are not, else of the heaviest.
   */
  answered(count: number, call: (i: number) => RpcCall, bytes: number): void {
    const counts = countsOf(count, call)
    const unknown = [...counts.keys()].filter((method) => !this.#bytes.has(method) || this.#guessed.has(method))
    const heaviest = [...counts.keys()].reduce((one, other) => (this.of(other) > this.of(one) ? other : one))
    const asked = unknown.length > 0 ? unknown : [heaviest]
    let rest = bytes
    let among = 0
    for (const [method, of] of counts) {
      if (asked.includes(method)) among += of
      else rest -= of * this.of(method)
    }
    for (const method of asked) this.#saw(method, Math.max(0, rest) / among, counts.size === 1)
  }

  #saw(method: string, bytes: number, alone: boolean): void {
    const known = this.#bytes.get(method)
    const first = known === undefined || (alone && this.#guessed.delete(method))
    if (known === undefined && !alone) this.#guessed.add(method)
    this.#bytes.set(method, first || bytes > known ? bytes : known * 0.98 + bytes * 0.02)
  }
}

function countsOf(count: number, call: (i: number) => RpcCall): ReadonlyMap<string, number> {
  const counts = new Map<string, number>()
  let start = 0
  for (let i = 1; i <= count; i++) {
    const first = call(start)
    if (i < count && isLike(call(i), first)) continue
    const kind = kindOf(first)
    counts.set(kind, (counts.get(kind) ?? 0) + i - start)
    start = i
  }
  return counts
}

const isLike = (one: RpcCall, other: RpcCall): boolean =>
  one.method === other.method && (one.params[1] === true) === (other.params[1] === true)
