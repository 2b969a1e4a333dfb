import { isPipeError, type LogFilter, type LogsOptions, type LogsPage, type PipeError } from '../../sdk/index.js'
import {
  RpcBehindError,
  RpcClosedError,
  RpcLoginError,
  RpcMethodError,
  RpcQuotaError,
  RpcRateError,
  RpcUnreachableError,
  WrongChainError,
} from '../errors.js'
import { type AskOptions, askLogs, type Count, type Given, isOfTheCall, takeRefused, type TooMuch } from './ask.js'
import { Believer, CHUNK } from './believe.js'
import { askBlock, merged } from './block.js'
import { RpcLogsError, RpcUnprovableError } from './errors.js'
import { longestHalvesOf, placesOf, type Wanted, wantedBy } from './filter.js'
import { type Piece, Pieces } from './pieces.js'
import type { LogsPort } from './port.js'
import { loadProver } from './prover.js'
import type { Sizes, SizesByFilter } from './sizes.js'

/** Ranges of one call that are being read, or are read and not yet taken. */
const RANGES = 8

/** Blocks of a range whose headers are all read: more would save nothing. */
const BELIEVED_BLOCKS = 4 * Number(CHUNK)

/** Errors of all endpoints, whatever they are asked: the others of a call would end with them, too. */
const OF_ALL = [RpcClosedError, RpcLoginError, RpcQuotaError, RpcRateError, RpcUnreachableError, WrongChainError]

/** See `RpcPool.logs`. */
export async function* readAllLogs(
  port: LogsPort,
  sizesOf: SizesByFilter,
  asked: LogFilter,
  options: LogsOptions,
): AsyncGenerator<LogsPage, void, undefined> {
  const wanted = wantedBy(asked)
  const stopping = new AbortController()
  const stop = (): void => stopping.abort(options.signal.reason)
  options.signal.throwIfAborted()
  options.signal.addEventListener('abort', stop, { once: true })
  const reader = new Reader(port, wanted, { ...options, signal: stopping.signal }, sizesOf.of(wanted.filter))
  try {
    yield* reader.pages()
  } finally {
    options.signal.removeEventListener('abort', stop)
    stopping.abort(new Error('the logs are not wanted any more'))
  }
}

interface Failure {
  readonly piece: Piece
  readonly error: PipeError
}

/** Reads one range of blocks. */
class Reader {
  readonly #port: LogsPort
  readonly #wanted: Wanted
  readonly #options: LogsOptions
  readonly #sizes: Sizes
  readonly #pieces: Pieces
  readonly #done: LogsPage[] = []
  readonly #failed: Failure[] = []
  #reading = 0
  /** What is no error of one stretch: nothing goes on. */
  #thrown: { readonly error: unknown } | undefined
  /** Nobody can be asked any more: what is not begun is left. */
  #stopped = false
  #wake = (): void => undefined

  constructor(port: LogsPort, wanted: Wanted, options: LogsOptions, sizes: Sizes) {
    this.#port = port
    this.#wanted = wanted
    this.#options = options
    this.#sizes = sizes
    this.#pieces = new Pieces(options.from, options.to)
  }

  async *pages(): AsyncGenerator<LogsPage, void, undefined> {
    for (;;) {
      this.#options.signal.throwIfAborted()
      const woken = new Promise<void>((resolve) => (this.#wake = resolve))
      await this.#start()
      const page = this.#done.shift()
      if (page) yield page
      else if (this.#reading > 0) await woken
      else if (this.#thrown || this.#stopped || !this.#pieces.left) break
    }
    if (this.#thrown) throw this.#thrown.error
    if (this.#failed.length > 0) throw failureOf(this.#failed, this.#pieces.rest)
  }

  /** Starts to read as much as may be read at once. What an outage has ended is not begun again. */
  async #start(): Promise<void> {
    while (this.#pieces.left && !this.#thrown && !this.#stopped) {
      // The first answer says how wide the others may be.
      if (this.#reading + this.#done.length >= (this.#sizes.known ? RANGES : 1)) return
      await this.#port.ready(this.#options.signal)
      const { expect, verify } = this.#options
      const most = verify === 'none' || verify === 'empty' ? Infinity : BELIEVED_BLOCKS
      const piece = this.#pieces.take(Math.min(this.#sizes.blocks(expect), this.#port.mostBlocks(), most))
      this.#reading++
      this.#read(piece)
        .catch((error: unknown) => this.#fail(piece, error))
        .finally(() => {
          this.#reading--
          this.#wake()
        })
    }
  }

  #fail(piece: Piece, error: unknown): void {
    const single = piece.from === piece.to
    // One block of them may be what nobody can answer; how much may be asked for is another matter.
    if (isOfTheCall(error) && !single) return this.#pieces.split(piece, { next: undefined, blocks: undefined })
    const newest = this.#port.newest()
    // What is above every head may come later; what is not is there.
    if (error instanceof RpcBehindError && newest !== undefined && newest >= piece.from && newest < piece.to)
      return this.#pieces.split(piece, { next: newest, blocks: undefined })
    if (isPipeError(error) && !(error instanceof RpcUnprovableError) && !this.#options.signal.aborted) {
      this.#failed.push({ piece, error })
      this.#stopped ||= OF_ALL.some((each) => error instanceof each)
      return
    }
    this.#thrown ??= { error }
  }

  async #read(piece: Piece): Promise<void> {
    const { from, to } = piece
    const { verify } = this.#options
    const port = this.#port.begin()
    const count: Count = { refused: new Map() }
    const options = { signal: this.#options.signal, sizes: this.#sizes, count }
    const given = await this.#askIfOffered(port, piece, options)
    if (!('logs' in given)) {
      // What one endpoint takes is no limit where another takes more.
      const most = this.#port.mostBlocks()
      const { next, blocks } = given
      return this.#pieces.split(piece, { next, blocks: blocks === undefined ? undefined : Math.max(blocks, most) })
    }
    const { logs, endpoints } = given
    this.#sizes.answered(Number(to - from) + 1, logs.length)
    if (verify !== 'none' && (verify !== 'empty' || logs.length === 0)) return this.#believe(port, piece, given, options)
    this.#done.push({ from, to, logs, evidence: { logs: logs.length, verified: verify, ...takeRefused(count) }, endpoints })
  }

  /** No logs where nobody offers them and the receipts are read anyway: they say all that there is. */
  async #askIfOffered(port: LogsPort, piece: Piece, options: AskOptions): Promise<Given | TooMuch> {
    const { verify } = this.#options
    const spared = verify === 'receipts' || verify === 'proof'
    const none = { logs: [], endpoints: [] }
    if (spared && !this.#sizes.offered) return none
    try {
      return await this.#ask(port, piece, options)
    } catch (error) {
      if (!spared || !(error instanceof RpcMethodError)) throw error
      this.#sizes.offered = false
      return none
    }
  }

  /** Gives what was answered in pages, each as soon as it is believed. */
  async #believe(port: LogsPort, { from, to }: Piece, { logs, endpoints }: Given, options: AskOptions): Promise<void> {
    const believer = new Believer(port, this.#wanted, this.#options.verify, await loadProver(), options)
    let next = 0
    for (let first = from; first <= to; first += CHUNK) {
      if (this.#thrown || this.#stopped) return this.#pieces.giveBack({ from: first, to, most: Infinity })
      const last = first + CHUNK - 1n < to ? first + CHUNK - 1n : to
      const start = next
      while (next < logs.length && (logs[next]?.blockNumber ?? 0n) <= last) next++
      try {
        this.#done.push(await believer.page(first, last, { logs: logs.slice(start, next), endpoints }))
      } catch (error) {
        this.#fail({ from: first, to: last, most: Infinity }, error)
      }
      this.#wake()
    }
  }

  /** The logs of a piece, asked for in as many parts of the filter as need be. */
  async #ask(port: LogsPort, { from, to }: Piece, options: AskOptions): Promise<Given | TooMuch> {
    const parts: Given[] = []
    const open = partsOf(this.#wanted.filter, this.#sizes.places)
    for (let part = open.pop(); part; part = open.pop()) {
      const given = await askLogs(port, part, from, to, options)
      if ('logs' in given) {
        parts.push(given)
        continue
      }
      const halves = given.over === 'filter' ? longestHalvesOf(part) : undefined
      if (halves) {
        this.#sizes.places = Math.min(this.#sizes.places, Math.max(...halves.map(placesOf)))
        open.push(...halves)
      } else if (from < to) {
        return given
      } else {
        parts.push(await askBlock(port, part, from, options, given))
      }
    }
    return merged(parts)
  }
}

/** Filters that together find what one finds, each with at most so many addresses, and topics of one position. */
function partsOf(filter: LogFilter, places: number): LogFilter[] {
  if (placesOf(filter) <= places) return [filter]
  return longestHalvesOf(filter)?.flatMap((half) => partsOf(half, places)) ?? [filter]
}

/** One error for all stretches that failed. An outage comes first: what it ended may be read another time. */
function failureOf(failed: readonly Failure[], left: readonly Piece[]): RpcLogsError {
  const cause = (failed.find(({ error }) => error.blame === 'outage') ?? failed[0])?.error
  if (!cause) throw new Error('nothing failed')
  const stretches = [...failed.map(({ piece }) => piece), ...left].map(({ from, to }) => [from, to] as const)
  return new RpcLogsError(joined(stretches), cause)
}

/** In order, those that touch as one. */
function joined(stretches: readonly (readonly [bigint, bigint])[]): readonly (readonly [bigint, bigint])[] {
  const all: [bigint, bigint][] = []
  for (const [from, to] of [...stretches].sort((a, b) => (a[0] < b[0] ? -1 : 1))) {
    const last = all.at(-1)
    if (last && last[1] + 1n === from) last[1] = to
    else all.push([from, to])
  }
  return all
}
