import { type Interval, isPipeError, type LedgerRow, micros, type OwnRows, PipeError, type Stretch, type Table } from '../sdk/index.js'
import { asksRows, blockEnds, hashesOf } from '../ledger/hashes.js'
import { RESET_FINGERPRINT } from '../ledger/fingerprints.js'
import { BLOCKS_KEPT, horizon } from '../ledger/horizon.js'
import { union } from '../ledger/intervals.js'
import { type Rewind, rewound } from '../ledger/rewind.js'
import type { Chain, Step } from '../pipeline/pipeline.js'
import { commonBlocks, type Remembered } from './common-blocks.js'
import type { ForkSeenError } from './links.js'
import type { RunOptions } from './services.js'

/** More blocks were replaced than hashes are kept of. Nothing was deleted. */
export class DeepReorgError extends PipeError {
  readonly code = 'REORG_DEEP'
  override readonly hint =
    'look whether the endpoints are of the right chain, and by `pipe verify FILE` whether what was read contradicts itself; `pipe run FILE --force` deletes what was read of the replaced blocks and reads them again'
  constructor(chain: string, { block, newest, kept }: { readonly block: bigint; readonly newest: bigint; readonly kept: bigint }) {
    super(
      `chain ${chain} was reorganized deeper than ${kept} blocks, of which hashes are kept: ${newest - block + 1n} blocks that were read, ${block} to ${newest}, may be replaced by others; nothing was deleted`,
    )
  }
}

/** Blocks were replaced, and no column tells which rows of a table are theirs. */
export class ReorgColumnError extends PipeError {
  readonly code = 'REORG_COLUMN'
  override readonly hint = 'name the column that holds the block: `range:` of the table; of rows of a query, put the block into one'
  constructor(step: string, table: string) {
    super(
      `step ${step}: blocks were replaced by a reorg, and table ${table} has no column by which their rows can be found; nothing was deleted`,
    )
  }
}

/** A step of a chain whose blocks were replaced. */
interface Hit {
  readonly step: Step
  readonly rewind: Rewind
  /** The first block that is read again. */
  readonly from: bigint
  readonly newest: bigint
}

/** Reorgs in one round: what is found before its steps begin, and what they meet. */
export class Reorgs {
  readonly #met = new Map<Step, { readonly blocks: Set<bigint>; readonly error: ForkSeenError }>()
  readonly #refused = new Map<string, PipeError>()
  /** Chains that were read since the last look at them. */
  readonly #read = new Set<string>()

  /** Where steps met two forks since `settle` was called. */
  get met(): readonly ForkSeenError[] {
    return [...this.#met.values()].map(({ error }) => error)
  }

  meet(step: Step, error: ForkSeenError): void {
    const known = this.#met.get(step)
    if (known) known.blocks.add(error.block)
    else this.#met.set(step, { blocks: new Set([error.block]), error })
  }

  /** Why nothing may be read of a chain; undefined: it may. */
  refusal(chain: string | undefined): PipeError | undefined {
    return chain === undefined ? undefined : this.#refused.get(chain)
  }

  /** A step of a chain reads from it. */
  reads({ chain }: Step): void {
    if (chain !== undefined) this.#read.add(chain)
  }

  /**
   * Compares what the steps of each chain read near its head with the chain. What was read of blocks that were replaced is deleted, and
   * uncovered with it, for all steps of the chain in one transaction. `acting`: chains of other steps are not asked.
   */
  async settle(options: RunOptions, acting: readonly Step[]): Promise<void> {
    const met = new Map([...this.#met].map(([step, { blocks }]) => [step, blocks]))
    this.#met.clear()
    await this.#look(options, new Set(acting.flatMap(({ chain }) => chain ?? [])), met)
  }

  /** The same once steps have read: whether the chains are no more what they were. */
  async settleAfter(options: RunOptions): Promise<boolean> {
    const changed = await this.#look(options, new Set(this.#read), new Map())
    this.#read.clear()
    return changed
  }

  async #look(options: RunOptions, names: ReadonlySet<string>, met: ReadonlyMap<Step, ReadonlySet<bigint>>): Promise<boolean> {
    const settle = async (chain: Chain): Promise<boolean> => {
      const { unsettled = new Set() } = options
      try {
        const changed = await settleChain(options, chain, met)
        unsettled.delete(chain.name)
        return changed
      } catch (error) {
        if (options.signal.aborted) return false
        if (!isPipeError(error)) throw error
        if (error.blame === 'outage') {
          const message = `whether ${chain.name} was reorganized is not known: ${options.redact(error.message)}`
          if (!unsettled.has(chain.name)) options.emit({ type: 'warning', message })
          unsettled.add(chain.name)
          return false
        }
        this.#refused.set(chain.name, error)
        return true
      }
    }
    const changed = await Promise.all([...options.pipeline.chains.values()].filter(({ name }) => names.has(name)).map(settle))
    return changed.includes(true)
  }
}

/** Whether blocks were replaced. */
async function settleChain(options: RunOptions, chain: Chain, met: ReadonlyMap<Step, ReadonlySet<bigint>>): Promise<boolean> {
  const { pipeline, warehouse, signal } = options
  const steps = pipeline.steps.filter((step) => step.chain === chain.name)
  const known: { readonly step: Step; readonly rows: readonly LedgerRow[] }[] = []
  for (const step of steps) {
    const linked = await warehouse.linked(pipeline.name, step.id, chain.confirmations + 2 * Number(BLOCKS_KEPT))
    // A stretch that is to be read again contradicts nobody; rows of a query may be asked about other blocks then.
    const rows = linked.filter((row) => row.fingerprint !== RESET_FINGERPRINT || asksRows(row))
    if (hashesOf(rows).size > 0) known.push({ step, rows })
  }
  const remembered = suspects(known, met)
  const [first] = steps
  if (!first || remembered.length === 0) return false
  // A chain whose head nobody gives is told of by the steps that read it; only where it is doubted is more needed.
  const head = await options.moment.head(chain.name).catch((error: unknown) => {
    if (isDoubted(undefined, chain, remembered)) throw error
  })
  if (head === undefined || !isDoubted(head, chain, remembered)) return false
  // Headers alone: nothing of the step's own settings matters.
  const pool = options.rpc({ ...first, definition: { ...first.definition, rpc: undefined } }, {})
  const common = await commonBlocks(remembered, pool, head, signal)
  if (common.size === 0) return false
  const found = await Promise.all([...common].map(([step, ancestor]) => hitOf(options, step, ancestor)))
  const [lowest] = found.toSorted((a, b) => (a.from < b.from ? -1 : 1))
  if (!lowest) return false
  const { from } = lowest
  // Steps that keep no hashes may have read the replaced blocks, too, and what a query asked for may come of them.
  const knowing = new Set(remembered.map(({ step }) => step))
  const follow = steps.filter((step) => ofQuery(step) || !knowing.has(step))
  const hits = found.filter(({ step }) => !follow.includes(step))
  for (const step of follow) hits.push(await hitOf(options, step, from - 1n))
  const newest = found.reduce((high, hit) => (hit.newest > high ? hit.newest : high), lowest.newest)
  if (options.force !== true && from <= horizon(newest, chain.confirmations))
    throw new DeepReorgError(chain.name, { block: from, newest, kept: BigInt(chain.confirmations) + BLOCKS_KEPT })
  await rewind(options, hits, knowing)
  options.emit({
    type: 'reorg',
    chain: chain.name,
    block: String(from),
    replaced: Number(newest - from + 1n),
    steps: hits.filter(({ step, rewind: { blocks } }) => ofQuery(step) || blocks.length > 0).map(({ step }) => step.id),
  })
  return true
}

/** Whether a step asks for rows of a query. */
const ofQuery = ({ outputs }: Step): boolean => outputs.some(({ atBlock }) => atBlock !== undefined)

/**
 * Whether the chain is to be asked: where steps met another fork, and as long as a reorg may reach what they read. Below that what
 * was read is looked at again where the next block is.
 */
function isDoubted(head: bigint | undefined, { confirmations }: Chain, remembered: readonly Remembered<Step>[]): boolean {
  const [first, ...others] = remembered.flatMap(({ looked }) => looked)
  if (first === undefined) return false
  if (confirmations === 0 || remembered.some(({ doubted }) => doubted)) return true
  const newest = others.reduce((high, number) => (number > high ? number : high), first)
  return head !== undefined && newest > horizon(head, confirmations)
}

/**
 * What is looked at of each step: where its readings end, all of them where they do not go on from each other, what units or
 * steps contradict each other about, and where the step met another fork. What follows from a block that another step read
 * need not be asked for. A unit that knows its ends alone, as those of older versions do, is compared where its neighbour is read.
 */
function suspects(
  known: readonly { readonly step: Step; readonly rows: readonly LedgerRow[] }[],
  met: ReadonlyMap<Step, ReadonlySet<bigint>>,
): Remembered<Step>[] {
  const others = hashesOf(known.flatMap(({ rows }) => rows))
  const chained = hashesOf(known.flatMap(({ rows }) => rows.filter((row) => !asksRows(row))))
  return known.map(({ step, rows }) => {
    const hashes = hashesOf(rows)
    const metHere = [...(met.get(step) ?? [])]
    const doubted = [...hashes.keys()].filter((number) => (others.get(number)?.hashes.size ?? 0) > 1)
    const loose = hashesOf(rows.filter(asksRows))
    const alone = [...loose.keys()].filter((number) => chained.get(number)?.read !== true)
    const ends = rows.flatMap((row) => {
      const at = asksRows(row) ? undefined : blockEnds(row)
      return at ? [at] : []
    })
    const tops = union(ends).flatMap(([first, last]) => {
      const read = [...hashes].flatMap(([number, { read: own }]) => (own && first <= number && number <= last ? [number] : []))
      return read.length > 0 ? [read.reduce((high, number) => (number > high ? number : high))] : []
    })
    return {
      step,
      hashes,
      others,
      looked: [...new Set([...tops, ...alone, ...doubted, ...metHere])],
      doubted: doubted.length > 0 || metHere.length > 0,
    }
  })
}

async function hitOf({ pipeline, warehouse }: RunOptions, step: Step, ancestor: bigint): Promise<Hit> {
  const rows = await warehouse.units(pipeline.name, step.id)
  const rewind = rewound({ pipeline: pipeline.name, step: step.id }, rows, ancestor, ofQuery(step))
  const [lowest] = rewind.blocks
  // Rows of a query may be of any block above the one that stays.
  const first = lowest && lowest[0] > ancestor && !ofQuery(step) ? lowest[0] : ancestor + 1n
  return { step, rewind, from: first, newest: rewind.blocks.at(-1)?.[1] ?? ancestor }
}

/**
 * Deletes rows and uncovers units in one transaction. Where there are none, the units are marked to be done again before their first row
 * is deleted: cut off in between, the next run replaces what they wrote.
 */
async function rewind({ pipeline, warehouse, clock }: RunOptions, hits: readonly Hit[], known: ReadonlySet<Step>): Promise<void> {
  const at = micros(clock)
  const top = hits.reduce((high, { newest }) => (newest > high ? newest : high), 0n)
  const deletes: (OwnRows | Stretch)[] = []
  const release: { step: string; keys: readonly string[] }[] = []
  for (const hit of hits) {
    deletes.push(...rowsOf(hit, top, pipeline.tables, known.has(hit.step)))
    const keys = (await warehouse.quarantined(pipeline.name, hit.step.id)).map(({ key }) => key)
    // Which blocks rows of a query were asked about is not known by their keys.
    const held = keys.filter((key) => ofQuery(hit.step) || (/^\d+$/.test(key) && BigInt(key) >= hit.from && BigInt(key) <= top))
    if (held.length > 0) release.push({ step: hit.step.id, keys: held })
  }
  const put = hits.flatMap((hit) => hit.rewind.put)
  const drop = hits.flatMap((hit) => hit.rewind.drop)
  const marked = drop.map(({ step, unit }) => ({
    step: { pipeline: pipeline.name, step, fingerprint: RESET_FINGERPRINT },
    unit,
    state: 'done' as const,
  }))
  if (!warehouse.transactional) await warehouse.amend(pipeline.name, { put: marked }, at)
  await warehouse.amend(pipeline.name, { put, drop, release, deletes }, at)
}

/** The rows of a step that are deleted. @throws {ReorgColumnError} for a step that `reads` blocks. */
function rowsOf({ step, rewind, from }: Hit, top: bigint, tables: ReadonlyMap<string, Table>, reads: boolean): Stretch[] {
  const stretches = (table: string, column: string, constants: OwnRows['constants'], some: readonly Interval[]) =>
    some.map(([first, last]): Stretch => ({ table, column, constants, from: first, to: last }))
  return step.outputs.flatMap(({ table: name, range, number, atBlock, constants }) => {
    const table = tables.get(name)
    if (atBlock) {
      const named = table?.rangeNamed === true ? [table.range] : []
      const columns = (atBlock.length > 0 ? atBlock : named).filter((each) => INTEGERS.has(kindOf(table, each) ?? ''))
      if (columns.length === 0 && reads) throw new ReorgColumnError(step.id, name)
      return columns.flatMap((each) => stretches(name, each as string, constants, [[from, top]]))
    }
    const column = range ?? table?.range
    const kind = kindOf(table, column)
    const isTime = kind === 'timestamp' || kind === 'date'
    const [lowest] = rewind.blocks
    const first = lowest && lowest[0] < from ? lowest[0] : from
    if (column !== undefined && !isTime) return stretches(name, column, constants, first <= top ? [[first, top]] : [])
    if (column !== undefined && rewind.times.length > 0) return stretches(name, column, constants, rewind.times)
    if (number !== undefined) return stretches(name, number, constants, first <= top ? [[first, top]] : [])
    if (reads) throw new ReorgColumnError(step.id, name)
    return []
  })
}

const INTEGERS: ReadonlySet<string> = new Set(['int', 'bigint', 'uint256', 'int256'])

const kindOf = (table: Table | undefined, column: string | undefined) => table?.columns.find(({ name }) => name === column)?.type.kind
