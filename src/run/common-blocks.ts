import type { RpcAnswers, RpcCall, RpcPool } from '../sdk/index.js'
import type { Known } from '../ledger/hashes.js'

/** What a node gives at a height: a hash; null, there is no block; undefined, it did not say. */
type Given = string | null | undefined

/** Blocks of which one step knows the hashes, and those that are to be looked at. */
export interface Remembered<Step> {
  readonly step: Step
  readonly hashes: ReadonlyMap<bigint, Known>
  /** What all steps of the chain know of a block, for those that this one does not know. */
  readonly others: ReadonlyMap<bigint, Known>
  readonly looked: readonly bigint[]
  /** Two forks were met there: what one endpoint says is not enough. */
  readonly doubted: boolean
}

/** A chain as one endpoint shows it. */
interface View {
  readonly head: bigint
  readonly given: Map<bigint, Given>
  /** How many of the blocks that were looked at are as they are known. */
  readonly agrees: number
  ask(calls: readonly RpcCall[]): Promise<RpcAnswers>
}

/**
 * For each step whose blocks are not of the chain any more: the highest block that still is, -1 where none is known to be. One request
 * where nothing moved. Where it did, every endpoint is asked for its head, and the longest fork counts, of equally long ones the
 * known one: an endpoint that lags, or is alone with a shorter fork, undoes nothing. `head`: the highest, as far as one is known.
 */
export async function commonBlocks<Step>(
  remembered: readonly Remembered<Step>[],
  pool: RpcPool,
  head: bigint | undefined,
  signal: AbortSignal,
): Promise<ReadonlyMap<Step, bigint>> {
  const looked = [...new Set(remembered.flatMap((each) => each.looked))]
  if (!remembered.some(({ doubted }) => doubted)) {
    // An endpoint that lags is not asked, unless all of them do.
    const block = head !== undefined && looked.every((number) => number <= head) ? highest(looked) : undefined
    const given = await headers(looked, (calls) => pool.batch(calls, { signal, block }))
    if (remembered.every(({ hashes, looked: own }) => own.every((number) => isSame(hashes.get(number), given.get(number)) === true)))
      return new Map()
  }
  const view = await longest(remembered, looked, pool, signal)
  const found = new Map<Step, bigint>()
  for (const each of view ? remembered : []) {
    const block = await commonBlock(each, view as View)
    if (block !== undefined) found.set(each.step, block)
  }
  return found
}

/** The highest known block that is of the chain; undefined where all that was looked at is. */
async function commonBlock<Step>({ hashes, others, looked }: Remembered<Step>, view: View): Promise<bigint | undefined> {
  const descending = (some: Iterable<bigint>) => [...new Set(some)].filter((number) => number <= view.head).sort((a, b) => (a < b ? 1 : -1))
  const first = [...descending(hashes.keys()).slice(0, 1), ...descending(looked)]
  await fetchInto(view, first)
  const wrong = first.filter((number) => isSame(hashes.get(number), view.given.get(number)) === false)
  const [lowest] = wrong.sort((a, b) => (a < b ? -1 : 1))
  if (lowest === undefined) return undefined
  const isCommon = (number: bigint): boolean => {
    const given = view.given.get(number)
    const own = hashes.get(number)
    // Where steps know different ones, one of them is that of the chain.
    return own ? isSame(own, given) === true : typeof given === 'string' && others.get(number)?.hashes.has(given) === true
  }
  const below = descending([...hashes.keys(), ...others.keys()]).filter((number) => number < lowest)
  for (let from = 0, size = 1; from < below.length; from += size, size *= 2) {
    const some = below.slice(from, from + size)
    await fetchInto(view, some)
    const common = some.find(isCommon)
    if (common !== undefined) return common
  }
  return -1n
}

/** The endpoint with the highest head; undefined when none answers. */
async function longest<Step>(
  remembered: readonly Remembered<Step>[],
  looked: readonly bigint[],
  pool: RpcPool,
  signal: AbortSignal,
): Promise<View | undefined> {
  let best: View | undefined
  for await (const turn of pool.turns({ signal, rounds: 1 })) {
    const ask = (calls: readonly RpcCall[]) => turn.batch(calls, { signal })
    const { values, errors } = await ask([headerCall('latest'), ...looked.map(headerCall)])
    const { number } = (values[0] ?? {}) as { readonly number?: unknown }
    if (typeof number !== 'string' || errors?.has(0)) continue
    const given = new Map(looked.map((at, i): [bigint, Given] => [at, errors?.has(i + 1) ? undefined : hashOf(values[i + 1])]))
    const own = remembered.flatMap(({ hashes, looked: numbers }) => numbers.map((at) => isSame(hashes.get(at), given.get(at))))
    const view: View = { head: BigInt(number), given, agrees: own.filter((same) => same === true).length, ask }
    if (!best || view.head > best.head || (view.head === best.head && view.agrees > best.agrees)) best = view
  }
  return best
}

async function fetchInto(view: View, numbers: readonly bigint[]): Promise<void> {
  const open = [...new Set(numbers)].filter((number) => view.given.get(number) === undefined)
  for (const [number, hash] of await headers(open, view.ask)) view.given.set(number, hash)
}

async function headers(
  numbers: readonly bigint[],
  ask: (calls: readonly RpcCall[]) => Promise<RpcAnswers>,
): Promise<ReadonlyMap<bigint, Given>> {
  if (numbers.length === 0) return new Map()
  const { values, errors } = await ask(numbers.map(headerCall))
  return new Map(numbers.map((number, i): [bigint, Given] => [number, errors?.has(i) ? undefined : hashOf(values[i])]))
}

const headerCall = (block: bigint | 'latest'): RpcCall => ({
  method: 'eth_getBlockByNumber',
  params: [typeof block === 'bigint' ? `0x${block.toString(16)}` : block, false],
  nullable: true,
})

function hashOf(block: unknown): Given {
  if (block === null || block === undefined) return null
  const { hash } = block as { readonly hash?: unknown }
  return typeof hash === 'string' ? hash.toLowerCase() : undefined
}

/** Undefined: nobody knows. A unit's end may lie at a height that has no block. */
function isSame(known: Known | undefined, given: Given): boolean | undefined {
  if (!known || given === undefined) return undefined
  if (given === null) return known.read ? false : undefined
  return known.hashes.size === 1 && known.hashes.has(given)
}

const highest = (numbers: readonly bigint[]): bigint | undefined =>
  numbers.reduce<bigint | undefined>((high, number) => (high === undefined || number > high ? number : high), undefined)
