import { readFileSync } from 'node:fs'
import { type FakeChain, fakeChain, type FakeEndpoint } from '../sandbox/index.js'
import type { Clock } from '../sdk/index.js'
import { writeWhole } from '../session/write-whole.js'

/** All that makes a demo's chain what it is, so that the next start goes on with the same one. */
interface History {
  /** Of its genesis block, too: a chain that begins anew is another one. */
  readonly seed: number
  /** The newest one. */
  blocks: number
  /** From each of these blocks on there is one every `LIVE_BLOCK_MS`, the first at this time (unix seconds). */
  readonly stretches: { readonly from: number; readonly time: number }[]
  /** The `REORG_DEPTH` newest blocks were replaced when this was the newest one, and one more came. */
  readonly reorgs: number[]
}

export interface LiveChain {
  readonly chain: FakeChain
  readonly node: FakeEndpoint
  /** @throws {FileNotWrittenError} where the chain stood still since its history could not be kept. */
  close(): Promise<void>
}

export const LIVE_BLOCK_MS = 2_000
const BLOCK_SECONDS = LIVE_BLOCK_MS / 1000
/** How many blocks there are at the first start, and come at most while nobody looks: the chain rests then. */
const MOST_BLOCKS = 300
const REORG_DEPTH = 3
/** The reorg comes when somebody has gone with the head for so many blocks. */
const BLOCKS_FOLLOWED = 3

/**
 * Starts a chain that has grown up to now and goes on growing, with a reorg at each start, when blocks near the head are being read.
 * What is kept in `file` is written before it happens: killed at any moment, the chain is the same at the next start, and older.
 */
export async function startLiveChain(
  { chainId, file, clock }: { readonly chainId: number; readonly file: string; readonly clock: Clock },
  options: Parameters<typeof fakeChain>[0],
): Promise<LiveChain> {
  const seconds = () => Math.floor(clock.now() / 1000)
  const history = known(file) ?? { seed: seconds(), blocks: 0, stretches: [], reorgs: [] }
  const { stretches, reorgs, seed } = history
  const timeOf = (block: number): number => {
    const { from, time } = stretches.findLast((stretch) => stretch.from <= block) ?? { from: 0, time: seed }
    return time + (block - from) * BLOCK_SECONDS
  }
  const chain = fakeChain({ ...options, seed, chainId, timeOf })
  const keep = () => writeWhole(file, `${JSON.stringify(history)}\n`)
  const mine = () => {
    for (const at of reorgs.filter((each) => each >= Number(chain.head))) {
      chain.add(at - Number(chain.head))
      chain.fork(REORG_DEPTH)
    }
    chain.add(history.blocks - Number(chain.head))
  }
  /** What is due by the clock, also after a pause of the machine. */
  const grow = async (reorg: boolean) => {
    const due = Math.floor((seconds() - timeOf(history.blocks)) / BLOCK_SECONDS)
    if (due > MOST_BLOCKS || stretches.length === 0)
      stretches.push({ from: stretches.length === 0 ? 0 : history.blocks + 1, time: seconds() - MOST_BLOCKS * BLOCK_SECONDS })
    if (reorg && due > 0) reorgs.push(history.blocks)
    history.blocks += Math.max(0, Math.floor((seconds() - timeOf(history.blocks)) / BLOCK_SECONDS))
    await keep()
    mine()
  }
  await grow(false)
  const node = await chain.serve()
  const stop = new AbortController()
  const growing = (async () => {
    for (let followed = 0; !stop.signal.aborted;) {
      await clock.sleep(LIVE_BLOCK_MS, stop.signal).catch(() => undefined)
      if (stop.signal.aborted) return
      if (readsHead(node)) followed++
      node.clearLog()
      await grow(followed === BLOCKS_FOLLOWED)
      if (followed === BLOCKS_FOLLOWED) followed = Infinity
    }
  })()
  growing.catch(() => undefined)
  return {
    chain,
    node,
    close: async () => {
      stop.abort()
      await node.close()
      await growing
    },
  }
}

/** Whether one of the blocks that a reorg would replace was read. */
function readsHead({ log, head }: FakeEndpoint): boolean {
  const isNear = (block: unknown) => typeof block === 'string' && block.startsWith('0x') && BigInt(block) > head - BigInt(REORG_DEPTH)
  return log.some(({ calls }) => calls.some(({ method, params }) => method === 'eth_getBlockReceipts' && isNear(params?.[0])))
}

/** Undefined where there is no file, or one that something else wrote. */
function known(file: string): History | undefined {
  try {
    const read = JSON.parse(readFileSync(file, 'utf8')) as Partial<History>
    return Number.isSafeInteger(read.blocks) && Array.isArray(read.stretches) && Array.isArray(read.reorgs) ? (read as History) : undefined
  } catch {
    return undefined
  }
}
