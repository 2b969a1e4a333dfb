import type { TooMuch } from './ask.js'

/** A stretch of blocks that is not read yet. */
export interface Piece {
  readonly from: bigint
  readonly to: bigint
  /** Most blocks of it to ask for at once. */
  readonly most: number
}

/** What is not read yet and not being read: stretches that have no block in common. */
export class Pieces {
  /** The next one is the last. */
  readonly #open: Piece[]

  constructor(from: bigint, to: bigint) {
    this.#open = from <= to ? [{ from, to, most: Infinity }] : []
  }

  get left(): boolean {
    return this.#open.length > 0
  }

  /** What nobody has taken. */
  get rest(): readonly Piece[] {
    return this.#open
  }

  giveBack(piece: Piece): void {
    this.#open.push(piece)
  }

  /** Takes at most so many blocks off the front. */
  take(blocks: number): Piece {
    const piece = this.#open.pop()
    if (!piece) throw new Error('no piece is left')
    const size = BigInt(Math.max(1, Math.floor(Math.min(blocks, piece.most))))
    const last = piece.from + size - 1n
    if (last >= piece.to) return piece
    this.#open.push({ ...piece, from: last + 1n })
    return { ...piece, to: last }
  }

  /** Gives a piece back that was too much, in smaller ones. It has several blocks. */
  split({ from, to }: Piece, { next, blocks }: Pick<TooMuch, 'next' | 'blocks'>): void {
    const size = Number(to - from) + 1
    if (next !== undefined && next >= from && next < to) return this.#put([from, next], [next + 1n, to])
    if (blocks !== undefined && blocks >= 1 && blocks < size) return void this.#open.push({ from, to, most: blocks })
    const middle = from + BigInt(size >> 1) - 1n
    this.#put([from, middle], [middle + 1n, to])
  }

  #put(first: readonly [bigint, bigint], second: readonly [bigint, bigint]): void {
    this.#open.push({ from: second[0], to: second[1], most: Infinity }, { from: first[0], to: first[1], most: Infinity })
  }
}
