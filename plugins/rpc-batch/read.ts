import {
  type Batch,
  isPipeError,
  PipeError,
  type Records,
  type Row,
  type RpcCall,
  type RunContext,
  rowMakers,
  rowsOf,
} from '../../src/sdk/authors.js'
import { compileCalls, type CompiledCall, type Highest } from './calls.js'
import { isBlocks } from './check.js'
import type { Config } from './config.js'

/** A node answered with blocks that do not follow each other, or with another block than was asked for. */
export class ForkedAnswerError extends PipeError {
  readonly code = 'RPC_FORKED'
  override readonly retryable = true
  override readonly hint = 'the chain was reorganized or two endpoints differ; the unit is read again'
  constructor(problem: string) {
    super(problem)
  }
}

/** A result is not what `row` expects of it. */
export class RowShapeError extends PipeError {
  readonly code = 'ROW_SHAPE'
  override readonly hint = 'compare `row` and `each` with what the call answers'
  constructor(problem: string, cause: unknown) {
    super(problem, { cause })
  }
}

/** Items of one batch. Fixed, so that batches of a unit are the same in every run. */
const GROUP = 200
/** Batches under way at once in a unit, whatever the pool would take. */
const GROUPS_AT_ONCE = 32

/** Puts the fields of an item into a record. */
type Fill = (i: number, record: Record<string, unknown>) => void

/**
 * Items that are asked for together. It makes their fields and does not hold them: the loop that gives the groups keeps
 * the last one until there is room for the next.
 */
interface Group {
  readonly size: number
  readonly fields: () => Fill
  /** Names an item in errors and quarantine. */
  key(i: number): string
  readonly covers: readonly [bigint, bigint] | undefined
}

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

async function* groups(ctx: RunContext<Config, never>): AsyncIterable<Group> {
  const { piece } = ctx.unit
  if (piece.kind === 'stretch') {
    const size = BigInt(GROUP)
    const newest = piece.order === 'newest-first'
    for (let first = newest ? piece.to : piece.from; newest ? first >= piece.from : first <= piece.to; first += newest ? -size : size) {
      const edge = newest ? first - size + 1n : first + size - 1n
      const last = newest ? larger(edge, piece.from) : smaller(edge, piece.to)
      const key = (i: number) => String(newest ? first - BigInt(i) : first + BigInt(i))
      const [from, to] = newest ? [last, first] : [first, last]
      yield { size: Number(to - from) + 1, fields: () => numbered(first, last), key, covers: [from, to] }
    }
    return
  }
  for await (const page of ctx.input()) {
    const integers = piece.kind === 'rows' && piece.keys !== undefined
    let edge = integers ? (piece.order === 'newest-first' ? piece.keys[1] : piece.keys[0]) : 0n
    for (let from = 0; from < page.rows.length; from += GROUP) {
      const size = Math.min(GROUP, page.rows.length - from)
      const fields = (): Fill => (i, record) => {
        const row = page.rows[from + i] as Row
        for (const name in row) record[name] = row[name]
      }
      const key = (i: number) => page.keys[from + i] ?? ''
      if (!integers) {
        yield { size, fields, key, covers: undefined }
        continue
      }
      // The last one also covers the numbers behind it, which the query does not have.
      const end = piece.order === 'newest-first' ? piece.keys[0] : piece.keys[1]
      const last = from + GROUP >= page.rows.length ? end : BigInt(key(GROUP - 1))
      yield { size, fields, key, covers: piece.order === 'newest-first' ? [last, edge] : [edge, last] }
      edge = piece.order === 'newest-first' ? last - 1n : last + 1n
    }
  }
}

const smaller = (a: bigint, b: bigint) => (a < b ? a : b)
const larger = (a: bigint, b: bigint) => (a > b ? a : b)

/** An item for each number from `first` to `last`, whichever is larger. */
function numbered(first: bigint, last: bigint): Fill {
  const numbers: bigint[] = []
  const step = first <= last ? 1n : -1n
  for (let number = first; number !== last + step; number += step) numbers.push(number)
  return (i, record) => {
    record.number = numbers[i]
  }
}

/**
 * One group on its way through the levels of calls. Its answers lie call by call, and `record` shows them of one item at a
 * time: an object for each of very many items that wait at once would take longer to make and to keep than to fill again.
 */
class Reading {
  readonly errors = new Map<number, PipeError>()
  readonly hosts = new Set<string>()
  readonly #fill: Fill
  readonly #answers: { readonly name: string; readonly values: readonly unknown[] }[] = []
  // Empty at first: V8 leaves room for the results of the calls then.
  readonly #record: Record<string, unknown> = {}

  constructor(
    readonly group: Group,
    readonly signal: AbortSignal,
  ) {
    this.#fill = group.fields()
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

  add(name: string, values: readonly unknown[]): void {
    this.#answers.push({ name, values })
  }
}

async function createReader(ctx: RunContext<Config, never>) {
  const { config, scope, unit, rpc } = ctx
  const blocks = isBlocks(config.over)
  const needsHead = !blocks && Object.values(config.calls).some((call) => 'function' in call && call.block === undefined)
  const calls = await compileCalls(config.calls, scope, blocks ? '$number' : needsHead ? await ctx.head() : 0n)
  const stages = levels(calls)
  const makers = rowMakers(rowsOf(config, ctx.into), ctx.outputs, ctx.tables, scope)
  const answers = new Answers(!blocks)
  const header = blocks
    ? Object.entries(config.calls).find(([, call]) => 'method' in call && call.method === 'eth_getBlockByNumber')?.[0]
    : undefined

  const read = async (group: Group, signal: AbortSignal): Promise<Batch<never>> => {
    const { covers, size } = group
    const reading = new Reading(group, signal)
    const { errors, hosts } = reading
    for (const level of stages) await askLevel(level, reading)
    const rows = makeRows(reading)
    const link = header === undefined ? {} : checkChain(reading, header, unit.piece)
    const failed = [...errors].map(([i, error]) => ({ key: group.key(i), error }))
    return {
      rows,
      progress: { done: size - failed.length },
      endpoints: [...hosts],
      ...(covers
        ? { covers: unit.piece.kind === 'stretch' || (unit.piece.kind === 'rows' && unit.piece.redo) ? without(covers, failed) : [covers] }
        : {}),
      ...(failed.length > 0 ? { failed } : {}),
      ...link,
    }
  }

  const askLevel = async (level: readonly CompiledCall[], reading: Reading): Promise<void> => {
    const { errors, hosts, signal } = reading
    const { size } = reading.group
    const asked: RpcCall[] = []
    const highest: Highest = { block: undefined }
    // Of each call by item: where its answer will be, then the answer itself.
    const found = level.map(() => new Array<unknown>(size))
    for (let i = 0; i < size; i++) {
      if (errors.has(i)) continue
      const record = reading.record(i)
      for (let c = 0; c < level.length; c++) {
        const call = level[c] as CompiledCall
        try {
          ;(found[c] as unknown[])[i] = answers.take(call.build(record, highest), asked)
        } catch (error) {
          errors.set(
            i,
            isPipeError(error) ? error : new RowShapeError(`call ${call.name}: ${(error as Error).message.split('\n', 1)[0] ?? ''}`, error),
          )
        }
      }
    }
    // `take` gave the places, and nothing else is in `found` yet.
    const places = found as (number | Answer | undefined)[][]
    const { block } = highest
    const given = asked.length > 0 ? await answers.ask(asked, () => rpc.batch(asked, { signal, block })) : undefined
    for (const host of given?.endpoints ?? []) hosts.add(host)
    // Answers that another batch of this unit asked for.
    for (const of of places) await answers.settled(of)
    for (let i = 0; i < size; i++) {
      for (let c = 0; c < level.length; c++) {
        const place = places[c]?.[i]
        if (place === undefined) continue
        const error = typeof place === 'number' ? given?.errors?.get(place) : place.error
        if (error) {
          errors.set(i, error)
          continue
        }
        const call = level[c] as CompiledCall
        try {
          ;(found[c] as unknown[])[i] = call.decode(typeof place === 'number' ? given?.values[place] : place.value)
        } catch (failure) {
          errors.set(i, isPipeError(failure) ? failure : new RowShapeError(`call ${call.name}: ${(failure as Error).message}`, failure))
        }
      }
    }
    for (let c = 0; c < level.length; c++) reading.add((level[c] as CompiledCall).name, found[c] as unknown[])
  }

  /** All rows of an item, or none and an error. */
  const makeRows = (reading: Reading): Record<string, Row[]> => {
    const { group, errors } = reading
    const lists = makers.map((): Row[] => [])
    const before = makers.map(() => 0)
    for (let i = 0; i < group.size; i++) {
      if (errors.has(i)) continue
      const record = reading.record(i)
      for (let m = 0; m < lists.length; m++) before[m] = (lists[m] as Row[]).length
      try {
        for (let m = 0; m < lists.length; m++) makers[m]?.make(record, lists[m] as Row[])
      } catch (error) {
        for (let m = 0; m < lists.length; m++) (lists[m] as Row[]).length = before[m] as number
        errors.set(
          i,
          isPipeError(error) ? error : new RowShapeError(`${blocks ? 'block' : 'row'} ${group.key(i)}: ${(error as Error).message}`, error),
        )
      }
    }
    return Object.fromEntries(makers.map(({ id }, m) => [id, lists[m] as Row[]]))
  }

  return { read }
}

interface Answer {
  value: unknown
  error: PipeError | undefined
  asking: Promise<unknown> | undefined
}

type Asked = Awaited<ReturnType<RunContext<Config, never>['rpc']['batch']>>

/** Answers of one unit. Where items share calls (N's balance after is N+1's before), each is asked once. */
class Answers {
  readonly #known: Map<string, Answer> | undefined
  readonly #fresh: Answer[] = []

  constructor(shared: boolean) {
    this.#known = shared ? new Map() : undefined
  }

  /** Where a call's answer will be: an index of what is asked now, or a place shared with others. A call that was not asked before is added to `asked`. */
  take(call: RpcCall, asked: RpcCall[]): number | Answer {
    if (!this.#known) return asked.push(call) - 1
    const key = call.method + JSON.stringify(call.params)
    const known = this.#known.get(key)
    if (known) return known
    const answer: Answer = { value: undefined, error: undefined, asking: undefined }
    this.#known.set(key, answer)
    asked.push(call)
    this.#fresh.push(answer)
    return answer
  }

  /** Asks what `take` added since the last time. */
  ask(asked: readonly RpcCall[], send: () => Promise<Asked>): Promise<Asked> {
    if (!this.#known) return send()
    const answers = this.#fresh.splice(0, asked.length)
    const asking = send().then((found) => {
      answers.forEach((answer, i) => {
        answer.value = found.values[i]
        answer.error = found.errors?.get(i)
        answer.asking = undefined
      })
      return found
    })
    for (const answer of answers) answer.asking = asking
    return asking
  }

  async settled(places: readonly (number | Answer | undefined)[]): Promise<void> {
    if (!this.#known) return
    let waiting: Promise<unknown> | undefined
    for (const place of places) {
      if (typeof place === 'object' && place.asking && place.asking !== waiting) await (waiting = place.asking)
    }
  }
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

/** Refuses blocks that are not the asked ones or do not follow each other, and gives the links to the unit's neighbours. */
function checkChain(
  reading: Reading,
  header: string,
  piece: RunContext<Config, never>['unit']['piece'],
): { parentHash?: string; lastHash?: string } {
  if (piece.kind !== 'stretch') return {}
  const { group, errors } = reading
  const byNumber = new Map<bigint, { hash?: unknown; parentHash?: unknown }>()
  reading.answers(header).forEach((answer, i) => {
    const block = answer as { number?: unknown; hash?: unknown; parentHash?: unknown } | undefined
    if (errors.has(i) || !block) return
    const number = BigInt(group.key(i))
    if (typeof block.number === 'string' && BigInt(block.number) !== number)
      throw new ForkedAnswerError(`asked for block ${number} and got ${BigInt(block.number)}`)
    byNumber.set(number, block)
  })
  for (const [number, { parentHash }] of byNumber) {
    const parent = byNumber.get(number - 1n)
    if (parent?.hash !== undefined && parentHash !== undefined && parent.hash !== parentHash)
      throw new ForkedAnswerError(`blocks ${number - 1n} and ${number} are of different forks`)
  }
  const first = byNumber.get(piece.from)?.parentHash
  const last = byNumber.get(piece.to)?.hash
  return { ...(typeof first === 'string' ? { parentHash: first } : {}), ...(typeof last === 'string' ? { lastHash: last } : {}) }
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
