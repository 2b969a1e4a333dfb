import { type Interval, isPipeError, micros, type OwnRows, PipeError, type Stretch, type Table } from '../sdk/index.js'
import { hashesOf, type Known } from '../ledger/hashes.js'
import { RESET_FINGERPRINT } from '../ledger/fingerprints.js'
import { BLOCKS_KEPT, horizon } from '../ledger/horizon.js'
import { type Rewind, rewound } from '../ledger/rewind.js'
import type { Chain, Step } from '../pipeline/pipeline.js'
import { commonBlocks, type Remembered } from './common-blocks.js'
import type { ForkSeenError } from './links.js'
import type { RunOptions } from './services.js'

/** More blocks were replaced than hashes are kept of. Nothing was deleted. */
export class DeepReorgError extends PipeError {
  readonly code = 'REORG_DEEP'
  override readonly hint =
    'look whether the endpoints are of the right chain; `pipe run FILE --force` deletes what was read of the replaced blocks and reads them again'
  constructor(chain: string, { block, newest, kept }: { readonly block: bigint; readonly newest: bigint; readonly kept: bigint }) {
    super(
      `chain ${chain} was reorganized deeper than ${kept} blocks, of which hashes are kept: ${newest - block + 1n} blocks that were read, ${block} to ${newest}, may be replaced by others; nothing was deleted`,
    )
  }
}

/** Blocks were replaced, and no column tells which rows of a table are theirs. */
export class ReorgColumnError extends PipeError {
  readonly code = 'REORG_COLUMN'
  override readonly hint = 'name the column that holds the block: `range:` of the table'
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

  /**
   * Compares what the steps of each chain read near its head with the chain. What was read of blocks that were replaced is deleted, and
   * uncovered with it, for all steps of the chain in one transaction. `acting`: chains of other steps are not asked.
   */
  async settle(options: RunOptions, acting: readonly Step[]): Promise<void> {
    const met = new Map([...this.#met].map(([step, { blocks }]) => [step, blocks]))
    this.#met.clear()
    const names = new Set(acting.flatMap(({ chain }) => chain ?? []))
    const settle = async (chain: Chain) => {
      try {
        await settleChain(options, chain, met)
      } catch (error) {
        if (options.signal.aborted || !isPipeError(error)) throw error
        if (error.blame === 'outage')
          options.emit({ type: 'warning', message: `whether ${chain.name} was reorganized is not known: ${options.redact(error.message)}` })
        else this.#refused.set(chain.name, error)
      }
    }
    await Promise.all([...options.pipeline.chains.values()].filter(({ name }) => names.has(name)).map(settle))
  }
}

async function settleChain(options: RunOptions, chain: Chain, met: ReadonlyMap<Step, ReadonlySet<bigint>>): Promise<void> {
  const { pipeline, warehouse, signal } = options
  const steps = pipeline.steps.filter((step) => step.chain === chain.name)
  const remembered: Remembered<Step>[] = []
  for (const step of steps) {
    const hashes = hashesOf(await warehouse.linked(pipeline.name, step.id, chain.confirmations + 2 * Number(BLOCKS_KEPT)))
    if (hashes.size > 0) remembered.push(suspected(step, hashes, met.get(step)))
  }
  const [first] = steps
  if (!first || remembered.length === 0 || !(await isDoubted(options, chain, remembered))) return
  // Headers alone: nothing of the step's own settings matters.
  const pool = options.rpc({ ...first, definition: { ...first.definition, rpc: undefined } }, {})
  const common = await commonBlocks(remembered, pool, signal)
  if (common.size === 0) return
  const known = new Set(remembered.map(({ step }) => step))
  const hits: Hit[] = []
  for (const [step, ancestor] of common) hits.push(await hitOf(options, step, ancestor))
  const [lowest] = hits.toSorted((a, b) => (a.from < b.from ? -1 : 1))
  if (!lowest) return
  const { from, newest } = lowest
  if (from <= horizon(newest, chain.confirmations) && options.force !== true)
    throw new DeepReorgError(chain.name, { block: from, newest, kept: BigInt(chain.confirmations) + BLOCKS_KEPT })
  // Steps that keep no hashes may have read the replaced blocks, too.
  for (const step of steps) if (!known.has(step)) hits.push(await hitOf(options, step, from - 1n))
  await rewind(options, hits, known)
  options.emit({
    type: 'reorg',
    chain: chain.name,
    block: String(from),
    replaced: Number(newest - from + 1n),
    steps: hits.map(({ step }) => step.id),
  })
}

/**
 * Whether the chain is to be asked: where steps met another fork, and while what they read has not all its confirmations. What has them is
 * looked at again where the next block is read.
 */
async function isDoubted(
  { moment }: RunOptions,
  { name, confirmations }: Chain,
  remembered: readonly Remembered<Step>[],
): Promise<boolean> {
  const [first, ...others] = remembered.flatMap(({ looked }) => looked)
  if (first === undefined) return false
  if (confirmations === 0 || remembered.some(({ doubted }) => doubted)) return true
  const newest = others.reduce((high, number) => (number > high ? number : high), first)
  // A chain whose head nobody gives is told of by the steps that read it.
  const head = await moment.head(name).catch(() => undefined)
  return head !== undefined && newest > head - BigInt(confirmations)
}

/**
 * Looked at are the highest block that was read, those about which units contradict each other, and those where the step met another fork. A
 * unit that knows its ends alone, as those of older versions do, is compared where its neighbour is read.
 */
function suspected(step: Step, hashes: ReadonlyMap<bigint, Known>, met: ReadonlySet<bigint> = new Set()): Remembered<Step> {
  const doubted = [...hashes].flatMap(([number, known]) => (known.hashes.size > 1 || met.has(number) ? [number] : []))
  const read = [...hashes].flatMap(([number, known]) => (known.read ? [number] : [])).sort((a, b) => (a < b ? 1 : -1))
  return { step, hashes, looked: [...new Set([...read.slice(0, 1), ...doubted, ...met])], doubted: doubted.length > 0 || met.size > 0 }
}

async function hitOf({ pipeline, warehouse }: RunOptions, step: Step, ancestor: bigint): Promise<Hit> {
  const rewind = rewound({ pipeline: pipeline.name, step: step.id }, await warehouse.units(pipeline.name, step.id), ancestor)
  const [lowest] = rewind.blocks
  const first = lowest && lowest[0] > ancestor ? lowest[0] : ancestor + 1n
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
    const held = keys.filter((key) => /^\d+$/.test(key) && BigInt(key) >= hit.from && BigInt(key) <= top)
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
  return step.outputs.flatMap(({ table: name, range, number, constants }) => {
    const table = tables.get(name)
    const column = range ?? table?.range
    const kind = table?.columns.find((each) => each.name === column)?.type.kind
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
