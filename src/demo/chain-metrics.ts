import { fakeApi } from '../sandbox/index.js'
import type { Clock } from '../sdk/index.js'
import { type LiveChain, startLiveChain } from './live-chain.js'

/** A chain that lives, and an API with the prices of its coin. */
export interface LiveDemo extends LiveChain {
  readonly apiUrl: string
}

export interface LiveDemoOptions {
  readonly chainId: number
  /** Keeps what the chain is, so that the next start goes on with the same one. */
  readonly file: string
  readonly clock: Clock
}

const TRANSACTIONS = 6

/** Starts both in this process. */
export async function startLiveDemo(options: LiveDemoOptions): Promise<LiveDemo> {
  const live = await startLiveChain(options, { transactions: TRANSACTIONS, costs })
  const api = await fakeApi({ seed: 1 }).serve({ log: false, clock: options.clock })
  return { ...live, apiUrl: api.url, close: async () => void (await Promise.all([live.close(), api.close()])) }
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
