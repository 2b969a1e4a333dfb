import { type Axis, counted, type InputPage, numberAxis, type Order, type Piece, type Random } from '../sdk/index.js'
import { nameOf, rowStretch } from '../ledger/axis.js'
import { hull, type Interval, intersect, subtract, union } from '../ledger/intervals.js'
import { KEY_COLUMN, missingAt, missingCount, type RowsWanted } from '../plan/missing.js'
import { outputTable, single } from '../plan/rows-units.js'
import { type Choice, choose, type HowMany } from './choice.js'
import { all, type FilledLine, type Findings, linesOf, type StepLook } from './look.js'
import { numberOf, ProofNoBlockError, type ProvedChain } from './proved-chain.js'
import { unexpired } from './rows.js'
import { numberLineOf, stretchesOf } from './stretches.js'
import { numberedUnits } from './whole-units.js'

/** One that is proved: a block, or a row of a query. */
export interface Item {
  readonly unit: string
  /** Undefined: what it depends on is seen when it is read. */
  readonly block: bigint | undefined
  /** The unit that is done again with it, where its rows do not say which. */
  readonly resets?: string | undefined
  /** @throws {PipeError} */
  place(chain: ProvedChain): Promise<Place>
}

/** What is read for it, and where its rows are. */
export interface Place {
  readonly piece: Piece
  readonly page?: InputPage
  /** Where its stored rows lie. Left out: they are looked up by key. */
  readonly within?: Interval
}

export interface Choices {
  readonly word: string
  /** Done ones, and the chosen ones of them. */
  readonly total: number
  readonly size: number
  readonly items: AsyncIterable<Item>
}

/** What of a step is proved. Undefined, with a note: there is nothing that could be chosen one by one. */
export async function choicesOf(look: StepLook, howMany: HowMany, random: Random, findings: Findings): Promise<Choices | undefined> {
  const { wanted, axis } = look.plan
  const choosing = (stretches: readonly Interval[]) => choose(stretches, howMany, random)
  if (wanted.kind === 'rows') return rowsOf(look, wanted, choosing)
  if (wanted.kind === 'stretches' && axis?.of === 'numbers') return numbersOf(look, axis, wanted.order, choosing)
  if (wanted.kind === 'stretches' && axis) return blocksOfTime(look, axis, wanted.order, choosing, findings)
  findings.notes.add('not proved: it does not read block by block')
  return undefined
}

type Choosing = (stretches: readonly Interval[]) => Choice

async function numbersOf(look: StepLook, axis: Axis, order: Order, choosing: Choosing): Promise<Choices> {
  const { plan, done } = look
  const { total, size, numbers } = choosing(await alive(look, stretchesOf(plan.wanted, done), linesOf(look)))
  const itemOf = (number: bigint): Item => ({
    unit: nameOf(axis, [number, number]),
    block: axis.word === 'blocks' ? number : undefined,
    resets: nameOf(axis, [number, number]),
    place: () => Promise.resolve({ piece: { kind: 'stretch', axis, from: number, to: number, order }, within: [number, number] }),
  })
  return { word: axis.word, total, size, items: mapped(numbers, itemOf) }
}

/** Blocks of units of time that say which ones they hold. */
async function blocksOfTime(
  look: StepLook,
  axis: Axis,
  order: Order,
  choosing: Choosing,
  findings: Findings,
): Promise<Choices | undefined> {
  const { plan, done } = look
  const units = numberedUnits(plan.wanted, done).filter(({ whole }) => whole)
  const left = done.length - units.reduce((sum, { rows }) => sum + rows.length, 0)
  if (left > 0)
    findings.notes.add(
      `${left} of ${counted(done.length, 'units')} not proved: they do not say which blocks they hold, or are a part of a ${axis.word.replace(/s$/, '')}`,
    )
  if (units.length === 0) return undefined
  const held = units.map(({ stretch }) => stretch).filter(([from, to]) => from <= to)
  const { total, size, numbers } = choosing(await alive(look, held, linesOf(look, numberLineOf)))
  const times = union(stretchesOf(plan.wanted, done))
  const itemOf = (block: bigint): Item => ({
    unit: nameOf(numberAxis(1), [block, block]),
    block,
    resets: units.find(({ stretch: [from, to] }) => from <= block && block <= to)?.name,
    place: async (chain) => {
      const from = await timeOf(chain, block)
      let next = block + 1n
      // Blocks of one time are read together.
      while ((await timeOf(chain, next)) === from) next++
      const behind = (await timeOf(chain, next)) - 1n
      const within = intersect([[from, behind]], times)[0] ?? [from, from]
      return { piece: { kind: 'stretch', axis, from: within[0], to: within[1], order }, within }
    },
  })
  return { word: 'blocks', total, size, items: mapped(numbers, itemOf) }
}

/** Rows that are asked for at once. */
const PAGE = 200

/** The rows of a query that the table has, in units that are done. */
async function rowsOf({ done, plan, pipeline, warehouse }: StepLook, wanted: RowsWanted, choosing: Choosing): Promise<Choices> {
  const { axis } = plan
  const into = outputTable(pipeline, plan.outputs, wanted)
  const cells = axis ? union(done.flatMap((row) => [rowStretch(axis, row)].filter((cell) => cell !== undefined))) : []
  const [first, last] = hull(cells)
  const there = { redo: true, there: true }
  const filter =
    first !== undefined && last !== undefined ? { ...there, keys: [first, last] as const, except: subtract([[first, last]], cells) } : there
  const rows = done.length === 0 ? 0n : BigInt((await single(warehouse, missingCount(wanted, into, filter))) as bigint)
  const { total, size, numbers } = choosing(rows > 0n ? [[0n, rows - 1n]] : [])
  async function* items(): AsyncIterable<Item> {
    for (const places of inPages(numbers, PAGE))
      for (const row of await all(warehouse, missingAt(wanted, into, filter, places))) {
        const key = String(row[KEY_COLUMN])
        const number = axis && BigInt(key)
        const piece: Piece = { kind: 'rows', order: wanted.order, redo: true, keys: number === undefined ? undefined : [number, number] }
        yield {
          unit: axis && number !== undefined ? nameOf(axis, [number, number]) : key,
          block: undefined,
          place: () => Promise.resolve({ piece, page: { keys: [key], rows: [row] } }),
        }
      }
  }
  return { word: 'rows', total, size, items: items() }
}

/** What is left of stretches when what the tables' retentions let go is taken away. */
async function alive(look: StepLook, stretches: readonly Interval[], lines: readonly FilledLine[]): Promise<Interval[]> {
  let left = union(stretches)
  for (const { line } of lines) {
    const from = await unexpired(look, line)
    left = left
      .filter(([, to]) => from !== undefined && to >= from)
      .map(([first, to]) => [from !== undefined && from > first ? from : first, to])
  }
  return left
}

/** Microseconds UTC. @throws {PipeError} */
async function timeOf(chain: ProvedChain, block: bigint): Promise<bigint> {
  const seconds = numberOf((await chain.header(block))?.value.timestamp)
  if (seconds === undefined) throw new ProofNoBlockError(block)
  return seconds * 1_000_000n
}

async function* mapped<T>(numbers: Iterable<bigint>, make: (number: bigint) => T): AsyncIterable<T> {
  await Promise.resolve()
  for (const number of numbers) yield make(number)
}

function* inPages(numbers: Iterable<bigint>, size: number): Iterable<bigint[]> {
  let page: bigint[] = []
  for (const number of numbers) {
    page.push(number)
    if (page.length < size) continue
    yield page
    page = []
  }
  if (page.length > 0) yield page
}
