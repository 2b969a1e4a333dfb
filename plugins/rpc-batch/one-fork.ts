import type { BlockLink, PipeError } from '../../src/sdk/authors.js'
import { Answers } from './answers.js'
import { answered, readGroup } from './ask.js'
import type { CompiledCall } from './calls.js'
import { type Ask, type Compiled, highestOf } from './compiled.js'
import { partOf } from './groups.js'
import { type Block, type Found, linkCall, type Links, linksOf } from './links.js'
import { linksAt } from './pin.js'
import { type Reading, setError } from './reading.js'
import { ForkedAnswerError } from './refused.js'

/**
 * All of a group from one endpoint, of which it is known that it stayed on one fork. What no endpoint can answer alone is left to the pool,
 * between the same two looks. What is refused is asked elsewhere by and by.
 */
export async function readPinned(step: Compiled, { group, signal, near }: Reading): Promise<Reading> {
  const block = [...near.blocks].reduce((high, number) => (number > high ? number : high))
  let best: Reading | undefined
  for await (const turn of step.ctx.rpc.turns({ signal, block, rounds: 1 })) {
    const reading = await readGroup(step, group, signal, (asked, options) => turn.batch(asked, options), new Answers(!step.blocks))
    if (!best || reading.errors.size < best.errors.size) best = reading
    if (best.errors.size === 0) return best
  }
  const ask: Ask = (asked, options) => step.ctx.rpc.batch(asked, { ...options, block: options.block ?? block })
  if (!best) return readGroup(step, group, signal, ask, new Answers(!step.blocks))
  const items = [...best.errors.keys()]
  const rest = await readGroup(step, partOf(group, items), signal, ask, new Answers(!step.blocks))
  best.errors.clear()
  for (const [j, i] of items.entries()) {
    best.take(i, rest, j)
    for (const kind of ['errors', 'refused', 'unfit'] as const) setError(best[kind], i, rest[kind].get(j))
  }
  for (const host of rest.hosts) best.hosts.add(host)
  return best
}

/** The blocks near the head that a reading without links depends on. Of rows of a query with one that no reorg reaches. */
export async function seenBlocks(step: Compiled, reading: Reading): Promise<BlockLink[]> {
  const { covers } = reading.group
  const { floor } = step
  if (step.blocks) {
    const own = [...reading.seen.values()].filter(({ number }) => covers && number >= covers[0] && number <= covers[1])
    return own.sort((a, b) => (a.number < b.number ? -1 : 1))
  }
  reading.see(answered(step, reading).map(({ number, hash }) => ({ number, hash })))
  const known = [...reading.seen.values()]
  if (known.length > 0 && floor > 0n && !known.some(({ number }) => number <= floor))
    known.push(...(await linksAt((asked) => step.ctx.rpc.batch(asked, { signal: reading.signal, block: floor }), [floor])))
  return known.map(({ number, hash }) => ({ number, hash }))
}

/** All of a group from one endpoint, the first whose blocks follow each other. Undefined: there is none. */
export async function readFromOne(
  step: Compiled,
  reading: Reading,
): Promise<{ readonly reading: Reading; readonly links: Links } | undefined> {
  const { group, signal, errors } = reading
  for await (const turn of step.ctx.rpc.turns({ signal, block: highestOf(step, group) })) {
    const ask: Ask = (asked, options) => turn.batch(asked, options)
    const again = await readGroup(step, group, signal, ask, new Answers(false))
    again.hosts.add(turn.endpoint)
    const [problem] = again.refused.values()
    const links = await linksIn(step, again, ask)
    const error = problem ?? links?.forked ?? [...(links?.unproved.values() ?? [])][0]
    if (error) turn.refuse(group.size, error.message)
    // An endpoint that answers less proves nothing.
    else if (links && again.errors.size <= errors.size) return { reading: again, links }
  }
  return undefined
}

export async function linksIn(step: Compiled, reading: Reading, ask: Ask): Promise<Links | undefined> {
  const { ctx, header, maySkip } = step
  const { covers } = reading.group
  if (!header || !covers || ctx.unit.piece.kind !== 'stretch') return undefined
  const [from, to] = covers
  const { group, errors, refused, unfit, nothing, signal } = reading
  const values = reading.answers(header.name)
  const newest = group.size > 1 && group.key(0) !== String(from)
  const found = (number: bigint): Found => {
    const i = Number(newest ? to - number : number - from)
    if (nothing.has(i)) return 'none'
    return errors.has(i) || refused.has(i) || unfit.has(i) ? undefined : ((values[i] ?? undefined) as Found)
  }
  return linksOf({
    from,
    to,
    found,
    header: (number) => header.build({ number }, { block: undefined }),
    ask: (asked) => ask(asked, { signal, block: undefined }),
    others: (numbers) => blocksAt(step, numbers, reading, header, ask),
    doubt: (number, hash) => doubtOf(step, number, hash, reading, header),
    maySkip,
    head: () => ctx.head(),
  })
}

async function doubtOf(
  step: Compiled,
  number: bigint,
  hash: string,
  { group, signal }: Reading,
  header: CompiledCall,
): Promise<PipeError | undefined> {
  const asked = [linkCall(header, number)]
  for await (const turn of step.ctx.rpc.turns({ signal, block: highestOf(step, group), rounds: 1 })) {
    const { values, errors } = await turn.batch(asked, { signal, block: number })
    const error = errors?.get(0)
    if (error?.blame === 'outage') return error
    const said = (values[0] as Block | null | undefined)?.hash
    if (typeof said === 'string' && said.toLowerCase() !== hash)
      return new ForkedAnswerError(`block ${number} is ${hash}, and ${said.toLowerCase()} at ${turn.endpoint}`)
  }
  return undefined
}

/** What nothing proves gives no row: heights without a block, and blocks whose next one nobody gives. */
export function markUnproved({ group, errors, nothing }: Reading, { unproved, loose }: Links): void {
  for (const i of nothing) setError(errors, i, unproved.get(BigInt(group.key(i))))
  if (loose.size > 0) for (let i = 0; i < group.size; i++) setError(errors, i, loose.get(BigInt(group.key(i))))
}

/** Blocks beside those that were read, asked of the same endpoint where there is one and it has them. */
async function blocksAt(step: Compiled, numbers: readonly bigint[], { ahead, group, signal }: Reading, header: CompiledCall, ask: Ask) {
  const known = new Map<bigint, Block | PipeError | undefined>(numbers.map((number) => [number, undefined]))
  const above = highestOf(step, group) ?? 0n
  if (ahead && known.has(above + 1n)) known.set(above + 1n, ahead)
  let open = numbers.filter((number) => !known.get(number))
  if (open.some((number) => number > above) && above >= (await step.ctx.head())) open = open.filter((number) => number <= above)
  for (const each of [ask, step.ctx.rpc.batch]) {
    const block = open.at(-1)
    if (block === undefined) break
    const { values, errors } = await each(
      open.map((number) => linkCall(header, number)),
      { signal, block },
    )
    open.forEach((number, i) => known.set(number, errors?.get(i) ?? ((values[i] ?? undefined) as Block | undefined)))
    open = open.filter((number) => known.get(number) instanceof Error)
  }
  return known
}
