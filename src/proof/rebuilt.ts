import { BlockUnreadableError, shown } from './read.js'

/** A block, or a part of it, whose hash can't be made of what nodes give: its chain has a form of its own. Nothing is proved or refuted. */
export interface NotRebuildable {
  readonly rebuildable: 'no'
  /** A clause: `it has no mixHash, which each header of Ethereum has`. */
  readonly reason: string
}

/** A hash of 32 bytes in hex, or why there is none. */
export type Rebuilt = string | NotRebuildable

/** The first thing that contradicts. */
export interface Difference {
  /** Where it is: `hash`, `receiptsRoot`, `receipts[3].logs[0].logIndex`. */
  readonly field: string
  /** What the node says, shortened. */
  readonly said: string
  /** What follows from the rest of its answer. */
  readonly computed: string
}

export const notRebuildable = (reason: string): NotRebuildable => ({ rebuildable: 'no', reason })

export const differs = (field: string, said: unknown, computed: string): Difference => ({
  field,
  said: shown(said),
  computed: shown(computed),
})

/** What can't be read contradicts. */
export function readable<T>(check: () => T): T | Difference {
  try {
    return check()
  } catch (error) {
    if (error instanceof BlockUnreadableError) return { field: error.field, said: error.said, computed: error.wanted }
    throw error
  }
}
