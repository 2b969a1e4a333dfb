import { type Batch, type BlockLink, type Json, type List, type Row, rowsOf, type RunContext } from '../../src/sdk/authors.js'
import { Answers } from './answers.js'
import { makeRows, readGroup } from './ask.js'
import { compile, type Compiled } from './compiled.js'
import type { Config } from './config.js'
import { askAll, askElsewhere, throwUnprovable } from './elsewhere.js'
import { type Group, groups, GroupSizes } from './groups.js'
import type { Links } from './links.js'
import { linksIn, markUnproved, readFromOne, readPinned, seenBlocks } from './one-fork.js'
import type { Reading } from './reading.js'

/** Reads one unit: groups of items in flight side by side, each yielded when its calls are answered. */
export async function* readUnit(ctx: RunContext<Config, never>): AsyncIterable<Batch<never>> {
  const step = await compile(ctx)
  const shared = new Answers(!step.blocks)
  const sizes = new GroupSizes(rowsOf(ctx.config, ctx.into).some(({ each }) => each !== undefined))
  const stop = new AbortController()
  const signal = AbortSignal.any([ctx.signal, stop.signal])
  const finished: Batch<never>[] = []
  let failure: { readonly error: unknown } | undefined
  const active = new Set<Promise<void>>()
  const begin = (group: Group) => {
    const work: Promise<void> = read(step, shared, group, signal)
      .then(
        (batch) => {
          sizes.made(group.size, rowsIn(batch))
          finished.push(batch)
        },
        (error: unknown) => (failure ??= { error }),
      )
      .then(() => void active.delete(work))
    active.add(work)
  }
  try {
    for await (const group of groups(ctx, sizes)) {
      await ctx.rpc.ready(signal)
      begin(group)
      while (active.size >= sizes.atOnce) await Promise.race(active)
      if (failure) throw failure.error
      while (finished.length > 0) yield finished.shift() as Batch<never>
    }
    while (active.size > 0 || finished.length > 0) {
      if (finished.length === 0) await Promise.race(active)
      if (failure) throw failure.error
      while (finished.length > 0) yield finished.shift() as Batch<never>
    }
  } finally {
    // An abort makes an error with its stack, which takes as long as a dozen calls.
    if (active.size > 0) stop.abort()
  }
}

const rowsIn = ({ rows = {} }: Batch<never>): number => Object.values<List<Row>>(rows).reduce((sum, { length }) => sum + length, 0)

async function read(step: Compiled, shared: Answers, group: Group, signal: AbortSignal): Promise<Batch<never>> {
  const { floor } = step
  const { rpc, unit } = step.ctx
  const { covers, size } = group
  let reading = await readGroup(step, group, signal, (asked, options) => rpc.batch(asked, options), shared, 'any')
  if (reading.isTorn) reading = await readPinned(step, reading)
  if (reading.refused.size > 0) {
    await throwUnprovable(step, reading)
    await askElsewhere(step, reading, reading.refused)
  }
  if (reading.doubted.size > 0) await askAll(step, reading)
  let links = await linksIn(step, reading, rpc.batch)
  if (links && (links.forked || links.unproved.size > 0)) {
    const whole = await readFromOne(step, reading)
    if (whole) ({ reading, links } = whole)
  }
  if (links) markUnproved(reading, links)
  let rows = await makeRows(step, reading)
  if (reading.unfit.size > 0) {
    // Once: mostly it is the file that does not fit, and every endpoint says the same.
    await askElsewhere(step, reading, reading.unfit, 1)
    links = await linksIn(step, reading, rpc.batch)
    if (links) markUnproved(reading, links)
    rows = await makeRows(step, reading)
  }
  if (links?.forked) throw links.forked
  const { errors, hosts } = reading
  const failed = [...errors].map(([i, error]) => ({ key: group.key(i), error }))
  return {
    rows,
    progress: { done: size - failed.length },
    endpoints: [...hosts],
    ...(covers
      ? { covers: unit.piece.kind === 'stretch' || (unit.piece.kind === 'rows' && unit.piece.redo) ? without(covers, failed) : [covers] }
      : {}),
    ...(failed.length > 0 ? { failed } : {}),
    ...(links && covers && unit.piece.kind === 'stretch'
      ? { ...borders(links, covers[0] === unit.piece.from, covers[1] === unit.piece.to), blocks: readBlocks(links, covers, failed, floor) }
      : { blocks: await seenBlocks(step, reading) }),
    ...tellNothing(reading, links),
  }
}

/** The links to the neighbours of a unit, from the groups that lie at its ends. */
function borders(links: Links, from: boolean, to: boolean): { parentHash?: string; lastHash?: string } {
  const { parentHash, lastHash } = links
  return {
    ...(from && parentHash !== undefined ? { parentHash } : {}),
    ...(to && lastHash !== undefined ? { lastHash } : {}),
  }
}

/**
 * The ends of what is stored, also beside what failed, and all of it near the head, with the highest block that no reorg reaches. An end
 * without a block says what lies before it, but near the head, where that would be taken for a block that was replaced.
 */
function readBlocks(
  { blocks, parentHash, lastHash }: Links,
  [from, to]: readonly [bigint, bigint],
  failed: readonly { readonly key: string }[],
  near: bigint,
): BlockLink[] {
  const holes = new Set(failed.map(({ key }) => BigInt(key)))
  const isEnd = (number: bigint) => number === from || number === to || holes.has(number - 1n) || holes.has(number + 1n)
  const stored = blocks.filter(({ number }) => !holes.has(number))
  const kept = stored.filter(({ number }) => number >= near || isEnd(number))
  if (stored[0]?.number !== from && !holes.has(from)) kept.unshift({ number: from, hash: undefined, parentHash })
  if (stored.at(-1)?.number !== to && !holes.has(to) && to < near) kept.push({ number: to, hash: lastHash, parentHash: undefined })
  return kept
}

/** What a group lacks with reason: counted for people, and kept as evidence. */
function tellNothing(reading: Reading, links: Links | undefined): { counts?: Record<string, number>; evidence?: Json } {
  const { group, nothing, skipped, nulls, reverted, errors } = reading
  const unblocked = [...nothing].filter((i) => !errors.has(i)).length
  const counts = Object.entries({ 'without a block': unblocked, skipped: skipped.size, null: nulls.size, reverted: reverted.size })
  const some = counts.filter(([, count]) => count > 0)
  if (some.length === 0) return {}
  return {
    counts: Object.fromEntries(some),
    evidence: {
      ...(links && links.gaps.length > 0 ? { gaps: links.gaps } : {}),
      ...(skipped.size > 0 ? { skipped: [...skipped].map((i) => group.key(i)) } : {}),
      ...(nulls.size > 0 ? { null: nulls.size } : {}),
      ...(reverted.size > 0 ? { reverted: reverted.size } : {}),
    },
  }
}

/** What of a stretch was read, when some of its blocks failed. */
function without([from, to]: readonly [bigint, bigint], failed: readonly { readonly key: string }[]): [bigint, bigint][] {
  const holes = failed.map(({ key }) => BigInt(key)).sort((a, b) => (a < b ? -1 : 1))
  const result: [bigint, bigint][] = []
  let at = from
  for (const hole of holes) {
    if (hole > at) result.push([at, hole - 1n])
    at = hole + 1n
  }
  if (at <= to) result.push([at, to])
  return result
}
