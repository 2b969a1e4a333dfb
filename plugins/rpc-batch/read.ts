import {
  type Batch,
  type BlockLink,
  blockTimes,
  isPipeError,
  type Json,
  pathRoot,
  PipeError,
  type Records,
  type Row,
  type RpcAnswers,
  type RpcCall,
  type RpcOptions,
  type RunContext,
  rowMakers,
  rowsOf,
  type TimeRule,
  USUAL_TIMES,
} from '../../src/sdk/authors.js'
import { contradiction, isCompared, isHeader, isKnownEmpty, isListOfBlock, type Told } from './agree.js'
import { type Answer, Answers } from './answers.js'
import { compileCalls, type CompiledCall, type Highest, type OnNothing } from './calls.js'
import { headerCall, isBlocks } from './check.js'
import type { Config } from './config.js'
import { type Group, groups, partOf } from './groups.js'
import { type Block, type Found, type Links, linksOf, saysNoBlock } from './links.js'
import { linksAt, Pin, saidBy } from './pin.js'
import { Reading } from './reading.js'
import { BlockInconsistentError, ForkedAnswerError, NullAnswerError } from './refused.js'

/** A result is not what `row` expects of it. */
export class RowShapeError extends PipeError {
  readonly code = 'ROW_SHAPE'
  override readonly hint = 'compare `row` and `each` with what the call answers'
  constructor(problem: string, cause: unknown) {
    super(problem, { cause })
  }
}

/** Batches under way at once in a unit, whatever the pool would take. All of them may wait for one commit, in each of the units at once. */
const GROUPS_AT_ONCE = 5

/** Reads one unit: groups of items in flight side by side, each yielded when its calls are answered. */
export async function* readUnit(ctx: RunContext<Config, never>): AsyncIterable<Batch<never>> {
  const reader = await createReader(ctx)
  const stop = new AbortController()
  const signal = AbortSignal.any([ctx.signal, stop.signal])
  const finished: Batch<never>[] = []
  let failure: { readonly error: unknown } | undefined
  const active = new Set<Promise<void>>()
  const begin = (group: Group) => {
    const work: Promise<void> = reader
      .read(group, signal)
      .then(
        (batch) => void finished.push(batch),
        (error: unknown) => (failure ??= { error }),
      )
      .then(() => void active.delete(work))
    active.add(work)
  }
  try {
    for await (const group of groups(ctx)) {
      await ctx.rpc.ready(signal)
      begin(group)
      while (active.size >= GROUPS_AT_ONCE) await Promise.race(active)
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

/** Who is asked: the pool, or one endpoint of it. */
type Ask = (calls: readonly RpcCall[], options: RpcOptions) => Promise<RpcAnswers>

/** Of an item for which a call is not asked, since one that it uses was answered with nothing. */
const UNASKED = -1

async function createReader(ctx: RunContext<Config, never>) {
  const { config, scope, unit, rpc } = ctx
  const { over } = config
  const blocks = isBlocks(over)
  const maySkip = blocks && over.may_skip === true
  const needsHead = !blocks && Object.values(config.calls).some((call) => 'function' in call && call.block === undefined)
  const calls = await compileCalls(config.calls, scope, blocks ? '$number' : needsHead ? await ctx.head() : 0n, maySkip)
  const stages = levels(calls)
  const rowsConfig = rowsOf(config, ctx.into)
  const makers = rowMakers(rowsConfig, ctx.outputs, ctx.tables, scope, timesOf(ctx))
  const shared = new Answers(!blocks)
  const header = calls.find(({ name }) => name === headerCall(config))
  const compared = calls.filter(({ method }) => isCompared(method))
  const floor = await nearFrom(ctx)
  /** Whether an answer to it says of which block it is, or is compared with one that does. */
  const saysBlock = ({ method }: CompiledCall) => isHeader(method) || (header !== undefined && isCompared(method))
  // What the file lets be null is an empty list where `each` walks it.
  const walked = new Set(rowsConfig.flatMap(({ each }) => Object.values(each ?? {})))
  const where = (group: Group, i: number): string => `${blocks ? 'block' : 'row'} ${group.key(i)}`

  const read = async (group: Group, signal: AbortSignal): Promise<Batch<never>> => {
    const { covers, size } = group
    let reading = await readGroup(group, signal, (asked, options) => rpc.batch(asked, options), shared, 'any')
    if (reading.isTorn) reading = await readPinned(reading)
    if (reading.refused.size > 0) await askElsewhere(reading, reading.refused)
    if (reading.doubted.size > 0) await askAll(reading)
    let links = await linksIn(reading, rpc.batch)
    if (links && (links.forked || links.unproved.size > 0)) {
      const whole = await readFromOne(reading)
      if (whole) ({ reading, links } = whole)
    }
    if (links) markUnproved(reading, links)
    let rows = makeRows(reading)
    if (reading.unfit.size > 0) {
      // Once: mostly it is the file that does not fit, and every endpoint says the same.
      await askElsewhere(reading, reading.unfit, 1)
      links = await linksIn(reading, rpc.batch)
      if (links) markUnproved(reading, links)
      rows = makeRows(reading)
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
        ? { ...borders(links, covers[0] === unit.piece.from, covers[1] === unit.piece.to), blocks: readBlocks(links, floor) }
        : { blocks: await seenBlocks(reading) }),
      ...tellNothing(reading, links),
    }
  }

  /** @param from Whether one endpoint is asked, or each call may go to another one. */
  const readGroup = async (
    group: Group,
    signal: AbortSignal,
    ask: Ask,
    answers: Answers,
    from: 'one' | 'any' = 'one',
  ): Promise<Reading> => {
    const reading = new Reading(group, signal, floor)
    for (const level of stages) {
      await askLevel(level, reading, ask, answers, from)
      if (reading.isTorn) return reading
    }
    if (compared.length > 0) refuseContradictions(reading)
    if (reading.pins.length > 0) await endPins(reading)
    return reading
  }

  /**
   * All of a group from one endpoint, of which it is known that it stayed on one fork. What no endpoint can answer alone is left to the pool,
   * between the same two looks. What is refused is asked elsewhere by and by.
   */
  const readPinned = async ({ group, signal, near }: Reading): Promise<Reading> => {
    const block = [...near.blocks].reduce((high, number) => (number > high ? number : high))
    let best: Reading | undefined
    for await (const turn of rpc.turns({ signal, block, rounds: 1 })) {
      const reading = await readGroup(group, signal, (asked, options) => turn.batch(asked, options), new Answers(!blocks))
      if (!best || reading.errors.size < best.errors.size) best = reading
      if (best.errors.size === 0) return best
    }
    const ask: Ask = (asked, options) => rpc.batch(asked, { ...options, block: options.block ?? block })
    if (!best) return readGroup(group, signal, ask, new Answers(!blocks))
    const items = [...best.errors.keys()]
    const rest = await readGroup(partOf(group, items), signal, ask, new Answers(!blocks))
    best.errors.clear()
    for (const [j, i] of items.entries()) {
      best.take(i, rest, j)
      for (const kind of ['errors', 'refused', 'unfit'] as const) setError(best[kind], i, rest[kind].get(j))
    }
    for (const host of rest.hosts) best.hosts.add(host)
    return best
  }

  const endPins = async (reading: Reading): Promise<void> => {
    const open = Array.from({ length: reading.group.size }, (_, i) => i).filter((i) => !reading.isOver(i))
    try {
      const seen = (await Promise.all(reading.pins.map((pin) => pin.end(reading.near)))).flat()
      const lacking = [...reading.near.blocks].find((number) => !maySkip && !seen.some((link) => link.number === number))
      if (lacking !== undefined) throw new ForkedAnswerError(`block ${lacking} is not there`)
      const hashes = new Map(seen.map(({ number, hash }) => [number, hash]))
      const other = answered(reading).find(({ number, hash }) => (hashes.get(number) ?? hash) !== hash)
      if (other)
        throw new ForkedAnswerError(`block ${other.number} was ${other.hash ?? ''}, and is ${hashes.get(other.number) ?? ''} afterwards`)
      reading.see(seen)
    } catch (error) {
      if (!isPipeError(error)) throw error
      for (const i of open) (error instanceof ForkedAnswerError ? reading.refused : reading.errors).set(i, error)
    }
  }

  /** The blocks near the head of which answers say that they are of them. */
  const answered = (reading: Reading): BlockLink[] =>
    calls.flatMap(({ name }) => reading.answers(name).flatMap(saidBy)).filter(({ number }) => number > floor)

  /** The blocks near the head that a reading without links depends on. Of rows of a query with one that no reorg reaches. */
  const seenBlocks = async (reading: Reading): Promise<BlockLink[]> => {
    const { covers } = reading.group
    if (blocks) {
      const own = [...reading.seen.values()].filter(({ number }) => covers && number >= covers[0] && number <= covers[1])
      return own.sort((a, b) => (a.number < b.number ? -1 : 1))
    }
    reading.see(answered(reading).map(({ number, hash }) => ({ number, hash })))
    const known = [...reading.seen.values()]
    if (known.length > 0 && floor > 0n && !known.some(({ number }) => number <= floor))
      known.push(...(await linksAt((asked) => rpc.batch(asked, { signal: reading.signal, block: floor }), [floor])))
    return known.map(({ number, hash }) => ({ number, hash }))
  }

  /**
   * Items whose answers were refused or do not fit, `open` of the reading, are read again, each time from one endpoint alone,
   * until one gives answers that agree and make rows. What not all endpoints were asked for is an outage.
   */
  const askElsewhere = async (reading: Reading, open: Map<number, PipeError>, rounds?: number): Promise<void> => {
    const { group, signal, errors, hosts } = reading
    for await (const turn of rpc.turns({ signal, block: highestOf(group), rounds })) {
      const items = [...open.keys()]
      const again = await readGroup(partOf(group, items), signal, (asked, options) => turn.batch(asked, options), new Answers(false))
      makeRows(again)
      for (const host of again.hosts) hosts.add(host)
      for (const [j, i] of items.entries()) {
        const said = again.refused.get(j)
        const error = said ?? again.unfit.get(j) ?? again.errors.get(j)
        if (!error) reading.take(i, again, j)
        else if (said ?? (error.blame === 'outage' && open.get(i)?.blame !== 'outage')) open.set(i, error)
      }
      const useless = [...again.refused.values(), ...again.unfit.values()]
      if (useless[0]) turn.refuse(useless.length, useless[0].message)
      if (open.size === 0) return
    }
    for (const [i, error] of open) errors.set(i, error)
  }

  /** Nothing is the answer where all endpoints say so: items for which one said it are read from each of them, until one has something. */
  const askAll = async (reading: Reading): Promise<void> => {
    const { group, signal, doubted, errors, hosts } = reading
    const open = new Map<number, PipeError | undefined>([...doubted].map((i) => [i, undefined]))
    for await (const turn of rpc.turns({ signal, block: highestOf(group), rounds: 1 })) {
      const items = [...open.keys()]
      const again = await readGroup(partOf(group, items), signal, (asked, options) => turn.batch(asked, options), new Answers(false))
      makeRows(again)
      for (const [j, i] of items.entries()) {
        const error = again.refused.get(j) ?? again.unfit.get(j) ?? again.errors.get(j)
        if (error?.blame === 'outage') open.set(i, error)
        if (error || again.doubted.has(j)) continue
        reading.take(i, again, j)
        open.delete(i)
      }
      for (const host of again.hosts) hosts.add(host)
      if (open.size === 0) return
    }
    for (const [i, error] of open) setError(errors, i, error)
  }

  /** All of a group from one endpoint, the first whose blocks follow each other. Undefined: there is none. */
  const readFromOne = async (reading: Reading): Promise<{ readonly reading: Reading; readonly links: Links } | undefined> => {
    const { group, signal, errors } = reading
    for await (const turn of rpc.turns({ signal, block: highestOf(group) })) {
      const ask: Ask = (asked, options) => turn.batch(asked, options)
      const again = await readGroup(group, signal, ask, new Answers(false))
      again.hosts.add(turn.endpoint)
      const [problem] = again.refused.values()
      const links = await linksIn(again, ask)
      const error = problem ?? links?.forked ?? [...(links?.unproved.values() ?? [])][0]
      if (error) turn.refuse(group.size, error.message)
      // An endpoint that answers less proves nothing.
      else if (links && again.errors.size <= errors.size) return { reading: again, links }
    }
    return undefined
  }

  const linksIn = async (reading: Reading, ask: Ask): Promise<Links | undefined> => {
    const { covers } = reading.group
    if (!header || !covers || unit.piece.kind !== 'stretch') return undefined
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
      others: (numbers) => blocksAt(numbers, reading, header, ask),
      doubt: (number, hash) => doubtOf(number, hash, reading, header),
      maySkip,
      head: () => ctx.head(),
    })
  }

  const doubtOf = async (
    number: bigint,
    hash: string,
    { group, signal }: Reading,
    header: CompiledCall,
  ): Promise<PipeError | undefined> => {
    const asked = [linkCall(header, number)]
    for await (const turn of rpc.turns({ signal, block: highestOf(group), rounds: 1 })) {
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
  const markUnproved = ({ group, errors, nothing }: Reading, { unproved, loose }: Links): void => {
    for (const i of nothing) setError(errors, i, unproved.get(BigInt(group.key(i))))
    if (loose.size > 0) for (let i = 0; i < group.size; i++) setError(errors, i, loose.get(BigInt(group.key(i))))
  }

  /** Blocks beside those that were read, asked of the same endpoint where there is one and it has them. */
  const blocksAt = async (numbers: readonly bigint[], { ahead, group, signal }: Reading, header: CompiledCall, ask: Ask) => {
    const known = new Map<bigint, Block | PipeError | undefined>(numbers.map((number) => [number, undefined]))
    const above = highestOf(group) ?? 0n
    if (ahead && known.has(above + 1n)) known.set(above + 1n, ahead)
    let open = numbers.filter((number) => !known.get(number))
    if (open.some((number) => number > above) && above >= (await ctx.head())) open = open.filter((number) => number <= above)
    for (const each of [ask, rpc.batch]) {
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

  /** The call for the block behind the last one of a stretch: it says whether the last one is what it goes on from. */
  const callBehind = async ({ covers }: Group, header: CompiledCall): Promise<RpcCall | undefined> =>
    covers && unit.piece.kind === 'stretch' && covers[1] < (await ctx.head()) ? linkCall(header, covers[1] + 1n) : undefined

  const highestOf = ({ covers }: Group): bigint | undefined => (blocks ? covers?.[1] : undefined)

  const askLevel = async (
    level: readonly CompiledCall[],
    reading: Reading,
    ask: Ask,
    answers: Answers,
    from: 'one' | 'any',
  ): Promise<void> => {
    const { unfit, hosts, signal, group, near } = reading
    const { size } = group
    const asked: RpcCall[] = []
    // What is asked for a block depends on it, whatever the method.
    const highest: Highest = { block: highestOf(group) }
    // Of each call by item: the call, then where its answer will be, then the answer itself.
    const found = level.map(() => new Array<unknown>(size))
    for (let i = 0; i < size; i++) {
      if (reading.isOver(i)) continue
      const record = reading.record(i)
      for (let c = 0; c < level.length; c++) {
        const call = level[c] as CompiledCall
        highest.near = saysBlock(call) ? undefined : near
        try {
          ;(found[c] as unknown[])[i] = call.after.some((name) => record[name] === null) ? UNASKED : call.build(record, highest)
        } catch (error) {
          unfit.set(
            i,
            isPipeError(error) ? error : new RowShapeError(`call ${call.name}: ${(error as Error).message.split('\n', 1)[0] ?? ''}`, error),
          )
        }
      }
    }
    const above = reading.pins.at(-1)?.top ?? floor
    if ([...near.blocks].some((number) => number > above)) {
      if (from === 'any') {
        reading.isTorn = true
        return
      }
      try {
        reading.pins.push(await Pin.begin((headers) => ask(headers, { signal, block: undefined }), near))
      } catch (error) {
        if (!isPipeError(error)) throw error
        for (let i = 0; i < size; i++) if (!reading.isOver(i)) reading.errors.set(i, error)
        return
      }
    }
    for (let i = 0; i < size; i++) for (const of of found) if (typeof of[i] === 'object') of[i] = answers.take(of[i] as RpcCall, asked)
    const ahead = asked.length
    const behind = header && level.includes(header) ? await callBehind(group, header) : undefined
    if (behind) asked.push(behind)
    // `take` gave the places, and nothing else is in `found` yet.
    const places = found as (number | Answer | undefined)[][]
    const { block } = highest
    const given = asked.length > 0 ? await answers.ask(asked, () => ask(asked, { signal, block })) : undefined
    for (const host of given?.endpoints ?? []) hosts.add(host)
    // Answers that another batch of this unit asked for.
    for (const of of places) await answers.settled(of)
    if (behind) reading.ahead = (given?.values[ahead] ?? undefined) as Block | undefined
    const first = header ? level.indexOf(header) : -1
    for (let i = 0; i < size; i++) {
      const at = places[first]?.[i]
      if (maySkip && at !== undefined && isNoBlock(at, given)) {
        reading.nothing.add(i)
        for (const values of found) values[i] = undefined
        continue
      }
      for (let c = 0; c < level.length; c++) {
        const place = places[c]?.[i]
        if (place === undefined) continue
        const call = level[c] as CompiledCall
        ;(found[c] as unknown[])[i] = place === UNASKED ? nothingOf(call) : answerOf(call, i, place, given, reading)
      }
    }
    for (let c = 0; c < level.length; c++) reading.add((level[c] as CompiledCall).name, found[c] as unknown[])
    for (let c = 0; c < level.length; c++) judgeLists(level[c] as CompiledCall, reading)
  }

  const nothingOf = ({ name }: CompiledCall): unknown => (walked.has(name) ? [] : null)

  /** What an item sees of an answer. Marks the item when there is none that it can use. */
  const answerOf = (call: CompiledCall, i: number, place: number | Answer, given: RpcAnswers | undefined, reading: Reading): unknown => {
    const { errors, unfit, doubted } = reading
    const error = errorOf(place, given)
    const value = error ? undefined : valueOf(place, given)
    const reverted = error ? 'reverted' in error && error.reverted === true : value === '0x'
    if (reverted && call.onRevert !== 'error') {
      if (!error) doubted.add(i)
      return letPass(call, call.onRevert, i, reading.reverted, reading)
    }
    if (error) {
      errors.set(i, error)
      return undefined
    }
    if (value === null || value === undefined) {
      if (call.onNull !== 'error') {
        doubted.add(i)
        return letPass(call, call.onNull, i, reading.nulls, reading)
      }
      // Of a list, the block decides.
      if (!isListOfBlock(call.method))
        reading.refused.set(i, new NullAnswerError(where(reading.group, i), `${call.name} (${call.method}) is null`))
      return null
    }
    try {
      return call.decode(value)
    } catch (failure) {
      unfit.set(i, isPipeError(failure) ? failure : new RowShapeError(`call ${call.name}: ${(failure as Error).message}`, failure))
      return undefined
    }
  }

  const letPass = (call: CompiledCall, as: OnNothing, i: number, counted: Set<number>, reading: Reading): unknown => {
    if (as === 'skip') reading.skipped.add(i)
    else counted.add(i)
    return nothingOf(call)
  }

  /** A list that is `null` is empty where the block is known to have no transactions, and refused where it is not. */
  const judgeLists = (call: CompiledCall, reading: Reading): void => {
    if (call.onNull !== 'error' || !isListOfBlock(call.method)) return
    const { group, refused } = reading
    const values = reading.answers(call.name)
    for (let i = 0; i < group.size; i++) {
      if (values[i] !== null || reading.isOver(i)) continue
      const told = toldOf(reading, i)
      const mine = told.find(({ name }) => name === call.name)
      if (mine && isKnownEmpty(mine.call, told)) reading.put(call.name, i, [])
      else {
        const problem = `${call.name} (${call.method}) is null, and the block is not known to have no transactions`
        refused.set(i, new NullAnswerError(where(group, i), problem))
      }
    }
  }

  const refuseContradictions = (reading: Reading): void => {
    const { group, refused } = reading
    for (let i = 0; i < group.size; i++) {
      if (reading.isOver(i)) continue
      const problem = contradiction(toldOf(reading, i))
      if (problem !== undefined) refused.set(i, new BlockInconsistentError(where(group, i), problem))
    }
  }

  const taken = JSON.stringify([rowsConfig, config.calls])

  /** The comparable calls of an item that were answered so far. */
  const toldOf = (reading: Reading, i: number): Told[] => {
    const record = reading.record(i)
    return compared.flatMap((call) => {
      const value = record[call.name]
      if (value === undefined) return []
      return [
        { name: call.name, call: call.build(record, { block: undefined }), value, listed: taken.includes(`${call.name}.transactions`) },
      ]
    })
  }

  /** All rows of an item, or none where it is found to be unfit. */
  const makeRows = (reading: Reading): Record<string, Row[]> => {
    const { group, unfit } = reading
    const lists = makers.map((): Row[] => [])
    const before = makers.map(() => 0)
    for (let i = 0; i < group.size; i++) {
      if (reading.isOver(i)) continue
      const record = reading.record(i)
      for (let m = 0; m < lists.length; m++) before[m] = (lists[m] as Row[]).length
      try {
        for (let m = 0; m < lists.length; m++) makers[m]?.make(record, lists[m] as Row[])
      } catch (error) {
        for (let m = 0; m < lists.length; m++) (lists[m] as Row[]).length = before[m] as number
        unfit.set(
          i,
          isPipeError(error) ? error : new RowShapeError(`${blocks ? 'block' : 'row'} ${group.key(i)}: ${(error as Error).message}`, error),
        )
      }
    }
    return Object.fromEntries(makers.map(({ id }, m) => [id, lists[m] as Row[]]))
  }

  return { read }
}

/** Times that calls give: those of blocks, but for block 0, which many chains give none. */
function timesOf({ config, into, scope }: RunContext<Config, never>): TimeRule {
  const now = scope.get('now')?.value
  const range = typeof now === 'bigint' ? blockTimes(now) : USUAL_TIMES
  // A column of a query is no answer; an element of a list is one.
  const answered = new Set([...Object.keys(config.calls), ...rowsOf(config, into).flatMap(({ each }) => Object.keys(each ?? {}))])
  const isGenesis = (records: Records) =>
    records.number === 0n ||
    Object.keys(config.calls).some((name) => (records[name] as { number?: unknown } | null | undefined)?.number === '0x0')
  return {
    range,
    holdsFor: (path) => answered.has(pathRoot(path)),
    except: (records, instant) => instant < range.from && isGenesis(records),
  }
}

/** The call for a block that is read for its links alone: transactions in full would take tens of megabytes. */
function linkCall(header: CompiledCall, number: bigint): RpcCall {
  const call = header.build({ number }, { block: undefined })
  return { ...call, params: [call.params[0], false] }
}

/** Calls in the order in which their inputs are known; calls of one level are asked together. */
function levels(calls: readonly CompiledCall[]): CompiledCall[][] {
  const result: CompiledCall[][] = []
  const levelOf = new Map<string, number>()
  for (const call of calls) {
    const level = Math.max(-1, ...call.after.map((name) => levelOf.get(name) ?? -1)) + 1
    levelOf.set(call.name, level)
    ;(result[level] ??= []).push(call)
  }
  return result
}

function valueOf(place: number | Answer, given: RpcAnswers | undefined): unknown {
  return typeof place === 'number' ? given?.values[place] : place.value
}

function errorOf(place: number | Answer, given: RpcAnswers | undefined): PipeError | undefined {
  return typeof place === 'number' ? given?.errors?.get(place) : place.error
}

function isNoBlock(place: number | Answer, given: RpcAnswers | undefined): boolean {
  const error = errorOf(place, given)
  return error ? saysNoBlock(error) : valueOf(place, given) === null
}

function setError(errors: Map<number, PipeError>, i: number, error: PipeError | undefined): void {
  if (error) errors.set(i, error)
}

/** The links to the neighbours of a unit, from the groups that lie at its ends. */
function borders(links: Links, from: boolean, to: boolean): { parentHash?: string; lastHash?: string } {
  const { parentHash, lastHash } = links
  return {
    ...(from && parentHash !== undefined ? { parentHash } : {}),
    ...(to && lastHash !== undefined ? { lastHash } : {}),
  }
}

/** Blocks behind the confirmations that a reorg may reach. */
const NEAR = 64n

/** Blocks above this one may be replaced by others. */
const nearFrom = async ({ head, chain }: Pick<RunContext<Config, never>, 'head' | 'chain'>): Promise<bigint> =>
  (await head()) - BigInt(chain?.confirmations ?? 0) - NEAR

/** The ends of what is stored, and all of it near the head, with the highest block that no reorg reaches. Blocks of which nothing says that they are of the chain are not stored. */
function readBlocks({ blocks, loose }: Links, near: bigint): BlockLink[] {
  const stored = loose.size === 0 ? blocks : blocks.filter(({ number }) => !loose.has(number))
  return stored.filter(({ number }, i) => i === 0 || i === stored.length - 1 || number >= near)
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
