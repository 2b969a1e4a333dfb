import { at } from './at.js'

/** A body that is being read. */
export interface Flying {
  /** Reads no further until `goOn`. */
  hold(): void
  goOn(): void
  /** Drops what was read and ends. */
  crowdOut(): void
}

/** Bytes of all bodies of a run together, where the pipeline says nothing else. */
export const FLIGHT_BYTES = 256_000_000

/**
 * Bounds the bytes of all bodies that are being read, over every endpoint and source of a run. Beyond half of `most` no new
 * request goes and only the oldest body is read on; the half that is left is for that one. When it needs more, the newest ones
 * are dropped, to be asked for again. So the oldest always comes to its end.
 */
export class Flight {
  #bytes = 0
  /** Bytes that each body has here, the oldest body first. */
  readonly #bodies = new Map<Flying, number>()
  readonly #held = new Set<Flying>()
  readonly #works: ((ended: () => void) => void)[] = []
  readonly #listeners = new Set<() => void>()

  constructor(readonly most: number = FLIGHT_BYTES) {}

  /** Whether another request has to wait. */
  get full(): boolean {
    return this.#bytes > this.most / 2
  }

  /** More of a body was read. */
  took(body: Flying, bytes: number): void {
    this.#bytes += bytes
    this.#bodies.set(body, (this.#bodies.get(body) ?? 0) + bytes)
    if (!this.full) return
    if (body !== this.#oldest()) {
      this.#held.add(body)
      body.hold()
    } else if (this.#bytes > this.most) {
      for (const other of [...this.#bodies.keys()].slice(1).reverse()) if (this.#bytes > this.most) other.crowdOut()
    }
  }

  /** A body is held here no more. Does nothing for one that is not known. */
  ended(body: Flying): void {
    const bytes = this.#bodies.get(body)
    if (bytes === undefined) return
    const was = this.full
    this.#bytes -= bytes
    this.#bodies.delete(body)
    this.#held.delete(body)
    const oldest = this.#oldest()
    for (const held of [...this.#held]) {
      if (this.full && held !== oldest) continue
      this.#held.delete(held)
      held.goOn()
    }
    if (was && !this.full) for (const listener of [...this.#listeners]) listener()
  }

  /** Calls `listener` each time that there is room again. Calling the result ends that. */
  whenRoom(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => void this.#listeners.delete(listener)
  }

  /** Resolves when a request may go. */
  async room(signal: AbortSignal): Promise<void> {
    while (this.full) {
      signal.throwIfAborted()
      await new Promise<void>((resolve, reject) => {
        const stop = () => {
          leave()
          reject(signal.reason as Error)
        }
        const leave = this.whenRoom(() => {
          leave()
          signal.removeEventListener('abort', stop)
          resolve()
        })
        signal.addEventListener('abort', stop, { once: true })
      })
    }
  }

  /** Does a work that takes much memory when no other such is under way. It calls `ended`, also when it failed. */
  alone(work: (ended: () => void) => void): void {
    this.#works.push(work)
    if (this.#works.length === 1) this.#next()
  }

  #next(): void {
    this.#works[0]?.(() => {
      this.#works.shift()
      this.#next()
    })
  }

  #oldest(): Flying | undefined {
    return this.#bodies.keys().next().value
  }
}

/** From this size on a piece of a body is kept as it came; smaller ones keep far larger buffers alive. */
const PIECE = 16_384
const PAGE = 65_536

/** The pieces of a body, in memory of about their own size. */
export class Pieces {
  #pieces: Buffer[] = []
  #page: Buffer | undefined
  #used = 0

  add(piece: Buffer): void {
    // Most bodies come in one piece.
    if (piece.length >= PIECE || (this.#pieces.length === 0 && !this.#page)) {
      this.#turnPage()
      this.#pieces.push(piece)
      return
    }
    if (this.#used + piece.length > PAGE) this.#turnPage()
    this.#page ??= Buffer.allocUnsafeSlow(PAGE)
    piece.copy(this.#page, this.#used)
    this.#used += piece.length
  }

  drop(): void {
    this.#pieces = []
    this.#page = undefined
    this.#used = 0
  }

  /** The whole body. Nothing is left here. */
  take(): Buffer {
    this.#turnPage()
    const pieces = this.#pieces
    this.#pieces = []
    return pieces.length === 1 ? at(pieces, 0) : Buffer.concat(pieces)
  }

  #turnPage(): void {
    if (this.#page) this.#pieces.push(this.#page.subarray(0, this.#used))
    this.#page = undefined
    this.#used = 0
  }
}
