import type { BlockLink, PipeError, Records } from '../../src/sdk/authors.js'
import type { Fill, Group } from './groups.js'
import type { Block } from './links.js'
import type { Near, Pin } from './pin.js'

/**
 * One group on its way through the levels of calls. Its answers lie call by call, and `record` shows them of one item at a
 * time: an object for each of very many items that wait at once would take longer to make and to keep than to fill again.
 */
export class Reading {
  readonly errors = new Map<number, PipeError>()
  /** Items whose answers are refused, each with what it fails with when no endpoint gives better ones. */
  readonly refused = new Map<number, PipeError>()
  /** Items whose answers make no row or can't be decoded, each with the error that says so. */
  readonly unfit = new Map<number, PipeError>()
  /** Heights at which the node says that there is no block. */
  readonly nothing = new Set<number>()
  /** Items that give no row, as the file says of calls that are answered with nothing. */
  readonly skipped = new Set<number>()
  /** Items with a call that was answered with `null`, or reverted, as the file lets it. */
  readonly nulls = new Set<number>()
  readonly reverted = new Set<number>()
  /** Items with a call to which one endpoint answered nothing: others may have something. */
  readonly doubted = new Set<number>()
  /** The block after the last of a stretch, where it was given with it. */
  ahead: Block | undefined
  readonly hosts = new Set<string>()
  /** What holds its answers to one fork, each from a level of calls on; none where no answer needs it. */
  readonly pins: Pin[] = []
  /** Some of its answers need it, and not all would come from one endpoint: none of them was asked for. */
  isTorn = false
  /** Blocks near the head of which it is known that its answers are of them, by number and hash. */
  readonly seen = new Map<string, BlockLink>()
  readonly near: Near
  readonly #fill: Fill
  readonly #answers: { readonly name: string; readonly values: unknown[] }[] = []
  // Empty at first: V8 leaves room for the results of the calls then.
  readonly #record: Record<string, unknown> = {}

  constructor(
    readonly group: Group,
    readonly signal: AbortSignal,
    floor: bigint,
  ) {
    this.#fill = group.fields()
    this.near = { floor, blocks: new Set() }
  }

  see(links: Iterable<BlockLink>): void {
    for (const link of links) this.seen.set(`${link.number} ${link.hash ?? ''}`, link)
  }

  /** The fields of an item and what its calls gave so far. It holds until the next item is asked for. */
  record(i: number): Records {
    const record = this.#record
    this.#fill(i, record)
    for (const { name, values } of this.#answers) record[name] = values[i]
    return record
  }

  /** What a call gave, by item. Undefined for items that have an error. */
  answers(name: string): readonly unknown[] {
    return this.#answers.find((answers) => answers.name === name)?.values ?? []
  }

  add(name: string, values: unknown[]): void {
    this.#answers.push({ name, values })
  }

  put(name: string, i: number, value: unknown): void {
    const answers = this.#answers.find((each) => each.name === name)
    if (answers) answers.values[i] = value
  }

  /** Whether nothing more is to be asked for an item. */
  isOver(i: number): boolean {
    return this.errors.has(i) || this.refused.has(i) || this.unfit.has(i) || this.nothing.has(i) || this.skipped.has(i)
  }

  /** Takes over what another reading found for an item, as its item `j`. */
  take(i: number, other: Reading, j: number): void {
    this.see(other.seen.values())
    for (const { name, values } of other.#answers) {
      const own = this.#answers.find((answers) => answers.name === name)
      if (own) own.values[i] = values[j]
      else this.add(name, Object.assign(new Array<unknown>(this.group.size), { [i]: values[j] }))
    }
    this.refused.delete(i)
    this.unfit.delete(i)
    for (const set of ['nothing', 'skipped', 'nulls', 'reverted', 'doubted'] as const) {
      if (other[set].has(j)) this[set].add(i)
      else this[set].delete(i)
    }
  }
}

export function setError(errors: Map<number, PipeError>, i: number, error: PipeError | undefined): void {
  if (error) errors.set(i, error)
}
