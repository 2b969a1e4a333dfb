import {
  type BlockLink,
  isList,
  isPipeError,
  PackedList,
  type PipeError,
  type Row,
  type RpcAnswers,
  type RpcCall,
  turn,
} from '../../src/sdk/authors.js'
import { askApart } from './apart.js'
import { contradiction, isCompared, isHeader, isKnownEmpty, isListOfBlock, type Told } from './agree.js'
import type { Answer, Answers } from './answers.js'
import type { CompiledCall, Highest, OnNothing } from './calls.js'
import { type Ask, type Compiled, highestOf, nameOf } from './compiled.js'
import type { Group } from './groups.js'
import { linkCall, saysNoBlock, type Block } from './links.js'
import { Pin, saidBy } from './pin.js'
import { refuseUnproved } from './proof.js'
import { Reading } from './reading.js'
import { BlockInconsistentError, ForkedAnswerError, NullAnswerError, RowShapeError } from './refused.js'

/** Of an item for which a call is not asked, since one that it uses was answered with nothing. */
const UNASKED = -1

/** Rows that are made, and elements of lists that are compared, in one go: it takes some milliseconds. Then signals and timers have their turn. */
const AT_ONCE = 10_000

/** @param from Whether one endpoint is asked, or each call may go to another one. */
export async function readGroup(
  step: Compiled,
  group: Group,
  signal: AbortSignal,
  ask: Ask,
  answers: Answers,
  from: 'one' | 'any' = 'one',
): Promise<Reading> {
  const reading = new Reading(group, signal, step.floor)
  for (const level of step.levels) {
    await askLevel(step, level, reading, ask, answers, from)
    if (reading.isTorn) return reading
  }
  if (step.compared.length > 0) await refuseContradictions(step, reading)
  if (step.ctx.config.verify === 'proof') await refuseUnproved(step, reading)
  if (reading.pins.length > 0) await endPins(step, reading)
  return reading
}

async function endPins(step: Compiled, reading: Reading): Promise<void> {
  const open = Array.from({ length: reading.group.size }, (_, i) => i).filter((i) => !reading.isOver(i))
  try {
    const seen = (await Promise.all(reading.pins.map((pin) => pin.end(reading.near)))).flat()
    const lacking = [...reading.near.blocks].find((number) => !step.maySkip && !seen.some((link) => link.number === number))
    if (lacking !== undefined) throw new ForkedAnswerError(`block ${lacking} is not there`)
    const hashes = new Map(seen.map(({ number, hash }) => [number, hash]))
    const other = answered(step, reading).find(({ number, hash }) => (hashes.get(number) ?? hash) !== hash)
    if (other)
      throw new ForkedAnswerError(`block ${other.number} was ${other.hash ?? ''}, and is ${hashes.get(other.number) ?? ''} afterwards`)
    reading.see(seen)
  } catch (error) {
    if (!isPipeError(error)) throw error
    for (const i of open) (error instanceof ForkedAnswerError ? reading.refused : reading.errors).set(i, error)
  }
}

/** The blocks near the head of which answers say that they are of them. */
export const answered = ({ calls, floor }: Compiled, reading: Reading): BlockLink[] =>
  calls.flatMap(({ name }) => reading.answers(name).flatMap(saidBy)).filter(({ number }) => number > floor)

/** The call for the block behind the last one of a stretch: it says whether the last one is what it goes on from. */
const callBehind = async ({ ctx }: Compiled, { covers }: Group, header: CompiledCall): Promise<RpcCall | undefined> =>
  covers && ctx.unit.piece.kind === 'stretch' && covers[1] < (await ctx.head()) ? linkCall(header, covers[1] + 1n) : undefined

async function askLevel(
  step: Compiled,
  level: readonly CompiledCall[],
  reading: Reading,
  ask: Ask,
  answers: Answers,
  from: 'one' | 'any',
): Promise<void> {
  const { header, floor, maySkip } = step
  const { unfit, hosts, signal, group, near } = reading
  const { size } = group
  const asked: RpcCall[] = []
  // What is asked for a block depends on it, whatever the method.
  const highest: Highest = { block: highestOf(step, group) }
  // Of each call by item: the call, then where its answer will be, then the answer itself.
  const found = level.map(() => new Array<unknown>(size))
  for (let i = 0; i < size; i++) {
    if (reading.isOver(i)) continue
    const record = reading.record(i)
    for (let c = 0; c < level.length; c++) {
      const call = level[c] as CompiledCall
      highest.near = saysBlock(step, call) ? undefined : near
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
  const behind = header && level.includes(header) ? await callBehind(step, group, header) : undefined
  if (behind) asked.push(behind)
  // `take` gave the places, and nothing else is in `found` yet.
  const places = found as (number | Answer | undefined)[][]
  const { block } = highest
  const given = asked.length > 0 ? await answers.ask(asked, () => askApart(ask)(asked, { signal, block })) : undefined
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
      ;(found[c] as unknown[])[i] = place === UNASKED ? nothingOf(step, call) : answerOf(step, call, i, place, given, reading)
    }
  }
  for (let c = 0; c < level.length; c++) reading.add((level[c] as CompiledCall).name, found[c] as unknown[])
  for (let c = 0; c < level.length; c++) judgeLists(step, level[c] as CompiledCall, reading)
}

const nothingOf = ({ walked }: Compiled, { name }: CompiledCall): unknown => (walked.has(name) ? [] : null)

/** What an item sees of an answer. Marks the item when there is none that it can use. */
function answerOf(
  step: Compiled,
  call: CompiledCall,
  i: number,
  place: number | Answer,
  given: RpcAnswers | undefined,
  reading: Reading,
): unknown {
  const { errors, unfit, doubted } = reading
  const error = errorOf(place, given)
  const value = error ? undefined : valueOf(place, given)
  const reverted = error ? 'reverted' in error && error.reverted === true : value === '0x'
  if (reverted && call.onRevert !== 'error') {
    if (!error) doubted.add(i)
    return letPass(step, call, call.onRevert, i, reading.reverted, reading)
  }
  if (error) {
    ;(error instanceof BlockInconsistentError ? reading.refused : errors).set(i, error)
    return undefined
  }
  if (value === null || value === undefined) {
    if (call.onNull !== 'error') {
      doubted.add(i)
      return letPass(step, call, call.onNull, i, reading.nulls, reading)
    }
    // Of a list, the block decides.
    if (!isListOfBlock(call.method))
      reading.refused.set(i, new NullAnswerError(nameOf(step, reading.group, i), `${call.name} (${call.method}) is null`))
    return null
  }
  try {
    return call.decode(value)
  } catch (failure) {
    unfit.set(i, isPipeError(failure) ? failure : new RowShapeError(`call ${call.name}: ${(failure as Error).message}`, failure))
    return undefined
  }
}

function letPass(step: Compiled, call: CompiledCall, as: OnNothing, i: number, counted: Set<number>, reading: Reading): unknown {
  if (as === 'skip') reading.skipped.add(i)
  else counted.add(i)
  return nothingOf(step, call)
}

/** A list that is `null` is empty where the block is known to have no transactions, and refused where it is not. */
function judgeLists(step: Compiled, call: CompiledCall, reading: Reading): void {
  if (call.onNull !== 'error' || !isListOfBlock(call.method)) return
  const { group, refused } = reading
  const values = reading.answers(call.name)
  for (let i = 0; i < group.size; i++) {
    if (values[i] !== null || reading.isOver(i)) continue
    const told = toldOf(step, reading, i)
    const mine = told.find(({ name }) => name === call.name)
    if (mine && isKnownEmpty(mine.call, told)) reading.put(call.name, i, [])
    else {
      const problem = `${call.name} (${call.method}) is null, and the block is not known to have no transactions`
      refused.set(i, new NullAnswerError(nameOf(step, group, i), problem))
    }
  }
}

async function refuseContradictions(step: Compiled, reading: Reading): Promise<void> {
  const { group, refused } = reading
  let since = 0
  for (let i = 0; i < group.size; i++) {
    if (reading.isOver(i)) continue
    const told = toldOf(step, reading, i)
    since += told.reduce((sum, { value }) => sum + (isList(value) ? value.length : 1), 0)
    if (since >= AT_ONCE) {
      since = 0
      await turn()
    }
    const problem = await contradiction(told)
    if (problem !== undefined) refused.set(i, new BlockInconsistentError(nameOf(step, group, i), problem))
  }
}

/** The comparable calls of an item that were answered so far. */
function toldOf(step: Compiled, reading: Reading, i: number): Told[] {
  const record = reading.record(i)
  return step.compared.flatMap((call) => {
    const value = record[call.name]
    if (value === undefined) return []
    return [
      { name: call.name, call: call.build(record, { block: undefined }), value, listed: step.taken.includes(`${call.name}.transactions`) },
    ]
  })
}

/** All rows of an item, or none where it is found to be unfit. */
export async function makeRows(step: Compiled, reading: Reading): Promise<Record<string, PackedList<Row>>> {
  const { makers } = step
  const { group, unfit } = reading
  const lists = makers.map(() => new PackedList<Row>())
  const before = makers.map(() => 0)
  let since = 0
  for (let i = 0; i < group.size; i++) {
    if (reading.isOver(i)) continue
    const record = reading.record(i)
    for (let m = 0; m < lists.length; m++) before[m] = (lists[m] as PackedList<Row>).length
    try {
      for (let m = 0; m < lists.length; m++) {
        for (const row of makers[m]?.each(record) ?? []) {
          ;(lists[m] as PackedList<Row>).push(row)
          if (++since % AT_ONCE === 0) await turn()
        }
      }
    } catch (error) {
      for (let m = 0; m < lists.length; m++) lists[m]?.truncate(before[m] as number)
      unfit.set(i, isPipeError(error) ? error : new RowShapeError(`${nameOf(step, group, i)}: ${(error as Error).message}`, error))
    }
  }
  return Object.fromEntries(makers.map(({ id }, m) => [id, lists[m] as PackedList<Row>]))
}

/** Whether an answer to it says of which block it is, or is compared with one that does. */
const saysBlock = ({ header }: Compiled, { method }: CompiledCall): boolean =>
  isHeader(method) || (header !== undefined && isCompared(method))

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
