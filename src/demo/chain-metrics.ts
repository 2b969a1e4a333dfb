import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { type FakeChain, fakeChain, fakeApi } from '../sandbox/index.js'
import type { Clock } from '../sdk/index.js'

/** A chain that has grown up to now and goes on growing, and an API with the prices of its coin. */
export interface LiveDemo {
  readonly chainUrl: string
  readonly apiUrl: string
  readonly chain: FakeChain
  close(): Promise<void>
}

export interface LiveDemoOptions {
  readonly chainId: number
  /** Milliseconds. */
  readonly blockTimeMs: number
  /** Keeps the time of the first block, so that the next start goes on with the same chain. */
  readonly file: string
  readonly clock: Clock
}

/** How many blocks there are at the first start. */
const BLOCKS = 300
const TRANSACTIONS = 6

/** Starts both in this process. Every start with the same file has the same blocks, and those that were mined in the meantime. */
export async function startLiveDemo({ chainId, blockTimeMs, file, clock }: LiveDemoOptions): Promise<LiveDemo> {
  const blockTime = Math.max(1, Math.round(blockTimeMs / 1000))
  const genesisTime = firstBlock(file, Math.floor(clock.now() / 1000) - BLOCKS * blockTime)
  const chain = fakeChain({ seed: 1, chainId, genesisTime, blockTime, transactions: TRANSACTIONS, costs })
  const stop = new AbortController()
  // What is due by the clock, also after a pause of the machine.
  const grow = () => {
    const due = Math.floor((clock.now() / 1000 - genesisTime) / blockTime) - Number(chain.head)
    if (due > 0) chain.add(due)
  }
  grow()
  const node = await chain.serve({ log: false })
  const api = await fakeApi({ seed: 1 }).serve({ log: false, clock })
  const growing = (async () => {
    while (!stop.signal.aborted) {
      await clock.sleep(blockTime * 1000, stop.signal).catch(() => undefined)
      if (!stop.signal.aborted) grow()
    }
  })()
  return {
    chainUrl: node.url,
    apiUrl: api.url,
    chain,
    close: async () => {
      stop.abort()
      await Promise.all([growing, node.close(), api.close()])
    },
  }
}

/** Calls of every size at prices that rise and fall with the blocks; now and then one creates a contract. */
function costs(block: bigint, index: number) {
  const wave = 1 + Math.sin(Number(block) / 40) / 2
  return {
    gas: 21_000 + ((Number(block) * 31 + index * 17) % 50) * 2_900,
    price: BigInt(Math.round(wave * 3e9)) + BigInt(index) * 100_000_000n,
    creates: (Number(block) * 7 + index) % 29 === 0,
  }
}

/** The time that the file keeps, in unix seconds; a first one is written there. */
function firstBlock(file: string, first: number): number {
  const kept = known(file)
  if (kept !== undefined) return kept
  mkdirSync(dirname(file), { recursive: true })
  writeFileSync(file, JSON.stringify({ genesisTime: first }) + '\n')
  return first
}

function known(file: string): number | undefined {
  try {
    const { genesisTime } = JSON.parse(readFileSync(file, 'utf8')) as { readonly genesisTime?: unknown }
    return typeof genesisTime === 'number' && Number.isSafeInteger(genesisTime) ? genesisTime : undefined
  } catch {
    return undefined
  }
}
