import type { BlockLink, Json, PipeError, RpcAnswers, RpcCall } from '../../src/sdk/authors.js'
import { contradiction } from './agree.js'
import type { CompiledCall } from './calls.js'
import { type ForkedAnswerError as Forked, ForkedAnswerError, GapUnprovedError, LooseBlockError } from './refused.js'

/** A block, as far as it says where it hangs. */
interface Link {
  readonly number: bigint
  readonly hash: string | undefined
  readonly parentHash: string | undefined
}

/** A block as a node gives it. */
export type Block = Readonly<Record<string, unknown>>

/** What was found at a height: a block, nothing (the node says that there is none), or nobody knows. */
export type Found = Block | 'none' | undefined

export interface LinksOptions {
  readonly from: bigint
  readonly to: bigint
  readonly found: (number: bigint) => Found
  /** The call for the header of a height. */
  readonly header: (number: bigint) => RpcCall
  readonly ask: (calls: readonly RpcCall[]) => Promise<RpcAnswers>
  /** Blocks at heights that were not read, or why nobody gives them. Undefined above the head, and where there is none. */
  readonly others: (numbers: readonly bigint[]) => Promise<ReadonlyMap<bigint, Block | PipeError | undefined>>
  /** Why another endpoint does not say the same hash of a block; undefined when all that have the block do. */
  readonly doubt: (number: bigint, hash: string) => Promise<PipeError | undefined>
  /** Whether heights may have no block. */
  readonly maySkip: boolean
  readonly head: () => Promise<bigint>
}

export interface Links {
  /** Two blocks that do not follow each other. */
  readonly forked: Forked | undefined
  /** Heights that nothing proves to be without a block. */
  readonly unproved: ReadonlyMap<bigint, GapUnprovedError>
  /** Blocks whose next one nobody gives, so that nothing says that they are of the chain. */
  readonly loose: ReadonlyMap<bigint, LooseBlockError>
  /** Gaps that are proved, for the ledger. */
  readonly gaps: Json[]
  /** Every block that was read, in their order. */
  readonly blocks: BlockLink[]
  /** Hash before the first height, and of the last block. */
  readonly parentHash: string | undefined
  readonly lastHash: string | undefined
}

/** How far a gap is followed beyond what was asked for. */
const FAR = 10_000n

/**
 * Whether the blocks of a stretch follow each other, and the next one follows the last. A height without a block is proved by
 * the next block, which goes on from the last one before the gap; where the gap reaches the end of the stretch, blocks beyond
 * it are asked for.
 */
export async function linksOf(options: LinksOptions): Promise<Links> {
  const { from, to, found, others, maySkip } = options
  const unproved = new Map<bigint, GapUnprovedError>()
  const loose = new Map<bigint, LooseBlockError>()
  const gaps: Json[] = []
  const blocks: BlockLink[] = []
  let forked: Forked | undefined
  let before: Link | undefined
  let begin: { readonly hash: string | undefined } | undefined
  let gap: bigint | undefined
  /** Closes the gap that ends below `next`. Returns the block before it, when it is proved. */
  const close = async (last: bigint, next: Link | undefined): Promise<Link | undefined> => {
    const first = gap as bigint
    gap = undefined
    const heights = first === last ? String(first) : `${first}-${last}`
    const lower = first === from ? await lookDown(first - 1n, options) : before
    const proved = lower?.hash !== undefined && lower.hash === next?.parentHash
    if (proved) gaps.push({ no_block: heights, parent_hash: lower.hash, next: String(next?.number) })
    else {
      const error = new GapUnprovedError(heights, whyUnproved(lower, next))
      for (let number = first; number <= last; number++) unproved.set(number, error)
    }
    return proved ? lower : undefined
  }
  const open: bigint[] = []
  for (let number = from; number <= to; number++)
    if (isBlock(found(number)) && (number === to || found(number + 1n) === undefined)) open.push(number + 1n)
  const known = await others(open)
  for (let number = from; number <= to; number++) {
    const here = found(number)
    if (here === 'none') {
      gap ??= number
      continue
    }
    const link = here && linkOf(number, here)
    if (gap !== undefined) {
      const lower = await close(number - 1n, link)
      begin ??= { hash: lower?.hash }
    } else {
      forked ??= forkOf(before, link)
    }
    begin ??= { hash: link?.parentHash }
    before = link
    if (link) blocks.push(link)
    if (!link || !known.has(number + 1n)) continue
    const next = known.get(number + 1n)
    if (next && !(next instanceof Error)) {
      forked ??= forkOf(link, linkOf(number + 1n, next))
      continue
    }
    // The next one that there is goes on from it where there is none between them.
    const far = maySkip || (next && saysNoBlock(next)) ? await lookUp(number + 1n, options) : undefined
    if (maySkip) forked ??= forkOf(link, far)
    else if (next && !(far?.parentHash !== undefined && far.parentHash === link.hash)) {
      // What no endpoint can give for good costs itself alone.
      const doubt = next.blame === 'own' && link.hash !== undefined ? await options.doubt(number, link.hash) : next
      if (doubt) loose.set(number, new LooseBlockError(number, doubt))
    }
  }
  if (gap !== undefined) {
    const whole = gap === from
    const lower = await close(to, await lookUp(to + 1n, options))
    if (whole) begin = { hash: lower?.hash }
    before = lower
  }
  return { forked, unproved, loose, gaps, blocks, parentHash: begin?.hash, lastHash: before?.hash }
}

/** Whether a node says that there is no block at a height. A later block must prove it, so that any words will do. */
export const saysNoBlock = ({ code, message }: PipeError): boolean =>
  code === 'RPC_NULL_RESULT' || /not found|no (such )?block|null round|skipped/i.test(message)

const isBlock = (found: Found): found is Block => found !== undefined && found !== 'none'

function forkOf(lower: Link | undefined, upper: Link | undefined): Forked | undefined {
  if (lower?.hash === undefined || upper?.parentHash === undefined || upper.parentHash === lower.hash) return undefined
  return new ForkedAnswerError(`blocks ${lower.number} and ${upper.number} are of different forks`)
}

function whyUnproved(lower: Link | undefined, next: Link | undefined): string {
  if (!lower) return 'the block before is not known'
  if (!next) return 'no later block proves it'
  return `block ${next.number} goes on from ${next.parentHash ?? 'nothing'}, not from block ${lower.number} (${lower.hash ?? 'without a hash'})`
}

async function lookUp(start: bigint, options: LinksOptions): Promise<Link | undefined> {
  const head = await options.head()
  const limit = start + FAR < head ? start + FAR : head
  return look((i) => start + i, limit - start + 1n, options)
}

async function lookDown(start: bigint, options: LinksOptions): Promise<Link | undefined> {
  const limit = start < FAR ? start + 1n : FAR
  return look((i) => start - i, limit, options)
}

/** The first block of so many heights, asked for in growing numbers. */
async function look(at: (i: bigint) => bigint, many: bigint, { header, ask }: LinksOptions): Promise<Link | undefined> {
  let size = 1n
  for (let i = 0n; i < many; size = size < 64n ? size * 2n : size) {
    const numbers = Array.from({ length: Number(size < many - i ? size : many - i) }, (_, n) => at(i + BigInt(n)))
    const calls = numbers.map((number) => ({ ...header(number), nullable: true }))
    const { values, errors } = await ask(calls)
    for (const [n, number] of numbers.entries()) {
      const value = values[n]
      if (errors?.has(n)) return undefined
      if (value === null || value === undefined) continue
      const call = calls[n] as RpcCall
      return (await contradiction([{ name: 'block', call, value }])) === undefined ? linkOf(number, value as Block) : undefined
    }
    i += BigInt(numbers.length)
  }
  return undefined
}

function linkOf(number: bigint, { hash, parentHash }: Block): Link {
  const text = (value: unknown) => (typeof value === 'string' ? value.toLowerCase() : undefined)
  return { number, hash: text(hash), parentHash: text(parentHash) }
}

/** The call for a block that is read for its links alone: transactions in full would take tens of megabytes. */
export function linkCall(header: CompiledCall, number: bigint): RpcCall {
  const call = header.build({ number }, { block: undefined })
  return { ...call, params: [call.params[0], false] }
}
