import { isPipeError, type LogFilter, type LogsOptions, type LogsPage, type PipeError } from '../../sdk/index.js'
import { type AskOptions, askLogs, type Count, type Given, isOfTheCall, type TooMuch } from './ask.js'
import { askBlock, merged } from './block.js'
import { RpcLogsError } from './errors.js'
import { longestHalvesOf, placesOf, wantedBy } from './filter.js'
import { type Piece, Pieces } from './pieces.js'
import type { LogsPort } from './port.js'
import type { Sizes, SizesByFilter } from './sizes.js'

/** Ranges of one call that are being read, or are read and not yet taken. */
const RANGES = 8

/** See `RpcPool.logs`. */
export async function* readAllLogs(
  port: LogsPort,
  sizesOf: SizesByFilter,
  asked: LogFilter,
  options: LogsOptions,
): AsyncGenerator<LogsPage, void, undefined> {
  const { filter } = wantedBy(asked)
  const stopping = new AbortController()
  const signal = AbortSignal.any([options.signal, stopping.signal])
  const reader = new Reader(port, filter, { ...options, signal }, sizesOf.of(filter))
  try {
    yield* reader.pages()
  } finally {
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
  readonly #filter: LogFilter
  readonly #options: LogsOptions
  readonly #sizes: Sizes
  readonly #pieces: Pieces
  readonly #done: LogsPage[] = []
  readonly #failed: Failure[] = []
  #reading = 0
  /** What is no error of one stretch: nothing goes on. */
  #thrown: { readonly error: unknown } | undefined
  #wake = (): void => undefined

  constructor(port: LogsPort, filter: LogFilter, options: LogsOptions, sizes: Sizes) {
    this.#port = port
    this.#filter = filter
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
      else if (this.#thrown || !this.#pieces.left) break
    }
    if (this.#thrown) throw this.#thrown.error
    if (this.#failed.length > 0) throw failureOf(this.#failed)
  }

  /** Starts to read as much as may be read at once. What an outage has ended is not begun again. */
  async #start(): Promise<void> {
    while (this.#pieces.left && !this.#thrown) {
      // The first answer says how wide the others may be.
      if (this.#reading + this.#done.length >= (this.#sizes.known ? RANGES : 1)) return
      await this.#port.ready(this.#options.signal)
      const piece = this.#pieces.take(Math.min(this.#sizes.blocks(this.#options.expect), this.#port.mostBlocks()))
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
    if (isPipeError(error) && !this.#options.signal.aborted) {
      this.#failed.push({ piece, error })
      if (error.blame !== 'outage') return
      error = failureOf(this.#failed)
    }
    this.#thrown ??= { error }
  }

  async #read(piece: Piece): Promise<void> {
    const { from, to } = piece
    const count: Count = { refused: new Map() }
    const options = { signal: this.#options.signal, sizes: this.#sizes, count }
    const given = await this.#ask(piece, options)
    if (!('logs' in given)) {
      // What one endpoint takes is no limit where another takes more.
      const most = this.#port.mostBlocks()
      const { next, blocks } = given
      return this.#pieces.split(piece, { next, blocks: blocks === undefined ? undefined : Math.max(blocks, most) })
    }
    const { logs, endpoints } = given
    this.#sizes.answered(Number(to - from) + 1, logs.length)
    const evidence = { logs: logs.length, verified: this.#options.verify, ...refusedBy(count) }
    this.#done.push({ from, to, logs, evidence, endpoints })
  }

  /** The logs of a piece, asked for in as many parts of the filter as need be. */
  async #ask({ from, to }: Piece, options: AskOptions): Promise<Given | TooMuch> {
    const parts: Given[] = []
    const open = partsOf(this.#filter, this.#sizes.places)
    for (let part = open.pop(); part; part = open.pop()) {
      const given = await askLogs(this.#port, part, from, to, options)
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
        parts.push(await askBlock(this.#port, part, from, options, given.why))
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

function refusedBy({ refused }: Count): { readonly refused?: Readonly<Record<string, number>> } {
  return refused.size > 0 ? { refused: Object.fromEntries(refused) } : {}
}

/** One error for all stretches that failed. An outage comes first: what it ended may be read another time. */
function failureOf(failed: readonly Failure[]): RpcLogsError {
  const cause = (failed.find(({ error }) => error.blame === 'outage') ?? failed[0])?.error
  if (!cause) throw new Error('nothing failed')
  return new RpcLogsError(joined(failed.map(({ piece }) => [piece.from, piece.to])), cause)
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
