import type { Clock } from '../sdk/index.js'

/** A block that every endpoint of a chain must have with this hash. */
export interface Anchor {
  readonly block: bigint
  readonly hash: string
}

/** What an endpoint gave for a block: its hash, or in words why it says nothing about it. */
export type Given = { readonly hash: string; readonly parent: string | undefined } | { readonly nothing: string }

/** An endpoint that is checked. */
export interface Member {
  readonly name: string
  readonly head: bigint | undefined
  /** Whether it gave the anchor that is kept, so that its word counts. */
  readonly vouched: boolean
  /** Resolves when its first check has come as far as its word on block 0, or has failed. */
  readonly met: Promise<void>
  /** The hash that it gives for a block. @throws {AskError} when it did not answer at all. */
  block(number: bigint): Promise<Given>
}

/** How a check ended. `vouched`: by the anchor that is kept. */
export type Checked = { readonly vouched: boolean } | { readonly refused: string }

export interface AnchorsOptions {
  readonly chain: string
  readonly clock: Clock
  readonly closed: AbortSignal
  /** What `keep` was called with in an earlier run. */
  readonly kept: string | undefined
  /** Keeps an anchor for later runs. Undefined when nothing is kept: then nothing is checked that is not known already. */
  readonly keep: ((anchor: string) => Promise<void>) | undefined
  readonly warn: (message: string) => void
}

/** Blocks below the head at which another anchor is looked for. Old ones are never reorganized, recent ones are not pruned. */
const DEPTHS = [100_000n, 10_000n, 1_000n, 256n]
/** How long an endpoint without block 0 waits for one that has it. */
const OTHERS_MS = 2_000

/**
 * Tells whether endpoints are of one chain: by block 0 or, where a node does not give that, by another old block that it gives
 * and the others are asked for. A node that says nothing is never refused for it, and nothing that it says of another block is
 * taken for block 0.
 */
export class Anchors {
  readonly members: Member[] = []
  readonly #options: AnchorsOptions
  #kept: Anchor | undefined
  /** Found in this run at endpoints that do not give the kept one. */
  readonly #found: (Anchor & { readonly by: string })[] = []
  readonly #told = new Set<string>()
  #turn: Promise<unknown> = Promise.resolve()

  constructor(options: AnchorsOptions) {
    this.#options = options
    this.#kept = options.kept === undefined ? undefined : parse(options.kept)
  }

  /** Whether there is anything to check. */
  get wanted(): boolean {
    return this.#kept !== undefined || this.#options.keep !== undefined
  }

  /** Checks an endpoint whose head is known. `met` is called when it has no word on the kept anchor and waits for others. */
  async check(member: Member, met: () => void): Promise<Checked> {
    const given = await this.#askKept(member)
    if (given) return given
    met()
    // One after the other, so that each is compared with what the one before found.
    const checked = this.#turn.then(() => this.#another(member))
    this.#turn = checked.catch(() => undefined)
    return checked
  }

  /** Compares with the kept anchor; where there is none, block 0 becomes it. Undefined when the endpoint says nothing of it. */
  async #askKept(member: Member): Promise<Checked | undefined> {
    const block = this.#kept?.block ?? 0n
    const given = await member.block(block)
    if (!('hash' in given)) return undefined
    const { hash } = given
    if (!this.#kept) {
      if (!(await this.#agrees(member, { block, hash }))) return undefined
      if (!this.#kept) await this.#keep({ block, hash })
    }
    // Another endpoint may have been the first meanwhile.
    if (this.#kept?.block !== block) return this.#askKept(member)
    if (hash !== this.#kept.hash) return { refused: `${nameOf(block)} ${hash}, expected ${this.#kept.hash}` }
    // What others are checked by must be its own, too.
    for (const found of this.#found) {
      const same = await member.block(found.block)
      if ('hash' in same && same.hash !== found.hash)
        return { refused: `${nameOf(found.block)} ${same.hash}, expected ${found.hash} as at ${found.by}` }
    }
    return { vouched: true }
  }

  /** Checks an endpoint that does not give the kept anchor by another block. */
  async #another(member: Member): Promise<Checked> {
    const { clock, closed } = this.#options
    const others = Promise.all(this.members.filter((other) => other !== member).map(({ met }) => met))
    await Promise.race([others, clock.sleep(OTHERS_MS, closed).catch(() => undefined)])
    // The first may have kept another anchor than block 0.
    const kept = this.#kept && this.#kept.block > 0n ? await this.#askKept(member) : undefined
    if (kept) return kept
    for (const found of this.#found) {
      const given = await member.block(found.block)
      if (!('hash' in given)) continue
      if (given.hash !== found.hash) return { refused: `${nameOf(found.block)} ${given.hash}, expected ${found.hash} as at ${found.by}` }
      this.#say(member, found.block)
      return { vouched: false }
    }
    return this.#byOwn(member)
  }

  /** Takes an old block of the endpoint itself and asks the others for it. */
  async #byOwn(member: Member): Promise<Checked> {
    const own = await this.#oldBlock(member)
    if (!own) {
      this.#say(member, undefined)
      return { vouched: false }
    }
    for (const other of this.members) {
      if (other === member || !other.vouched) continue
      const given = await other.block(own.block).catch(() => undefined)
      if (!given || !('hash' in given)) continue
      if (given.hash !== own.hash) return { refused: `${nameOf(own.block)} ${own.hash}, expected ${given.hash} as at ${other.name}` }
      break
    }
    this.#found.push({ ...own, by: member.name })
    // A young one may be reorganized, and would then refuse the right chain for ever.
    if (!this.#kept && this.#options.keep && (member.head ?? 0n) - own.block >= 256n) await this.#keep(own)
    this.#say(member, own.block)
    return { vouched: false }
  }

  async #oldBlock(member: Member): Promise<Anchor | undefined> {
    const { head = 0n } = member
    const deep = DEPTHS.flatMap((depth) => (depth < head ? [head - depth] : []))
    for (const block of deep.length > 0 ? deep : [head / 2n]) {
      const given = block > 0n ? await member.block(block) : { nothing: '' }
      if ('hash' in given && (await this.#agrees(member, { block, hash: given.hash }))) return { block, hash: given.hash }
    }
    return undefined
  }

  /** Whether the next block is given and follows this one: a hash that is not so would refuse the right chain for ever. */
  async #agrees(member: Member, { block, hash }: Anchor): Promise<boolean> {
    const next = await member.block(block + 1n)
    return 'hash' in next && (next.parent === undefined || next.parent === hash)
  }

  async #keep(anchor: Anchor): Promise<void> {
    this.#kept = anchor
    await this.#options.keep?.(format(anchor))
  }

  #say(member: Member, instead: bigint | undefined): void {
    if (this.#told.has(member.name)) return
    this.#told.add(member.name)
    const block = this.#kept && this.#options.kept !== undefined ? this.#kept.block : 0n
    const said =
      instead === undefined
        ? `gives neither block ${block} nor another old one: that it is of this chain is checked by its chain id alone`
        : `does not give block ${block}: it is checked by block ${instead} instead`
    this.#options.warn(`${this.#options.chain}: ${member.name} ${said}`)
  }
}

const nameOf = (block: bigint) => (block === 0n ? 'genesis' : `block ${block}`)

/** As it is kept: the hash alone for block 0. */
function format({ block, hash }: Anchor): string {
  return block === 0n ? hash : `${block}:${hash}`
}

function parse(text: string): Anchor {
  const [block, hash] = text.split(':')
  return hash === undefined ? { block: 0n, hash: text.toLowerCase() } : { block: BigInt(block ?? 0), hash: hash.toLowerCase() }
}
