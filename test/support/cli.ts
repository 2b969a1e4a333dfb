import { join } from 'node:path'
import { runCli } from '../../src/cli/main.js'
import type { FakeChain } from '../../src/sandbox/index.js'
import type { Clock } from '../../src/sdk/index.js'
import { fakeIo } from '../cli/fake-io.js'
import { projectFolder } from './folder.js'

export interface Answer {
  readonly code: number
  readonly out: string
  readonly err: string
}

/** One command line in this process, with a world of its own. */
export async function pipe(
  args: readonly string[],
  world: {
    readonly cwd: string
    readonly env?: Readonly<Record<string, string>>
    readonly signal?: AbortSignal
    readonly clock?: Clock
  },
): Promise<Answer> {
  const { cwd, env = {}, signal, clock } = world
  const io = fakeIo({ cwd, env, ...(signal ? { signal } : {}), ...(clock ? { clock } : {}) })
  const code = await runCli(args, io)
  return { code, out: io.out(), err: io.err() }
}

export const minersFile = join(projectFolder, 'pipelines/miners.yaml')

/** What miners_balance must hold for blocks `from` to `to`, by the chain's own books. Values as DuckDB prints them. */
export function expectedBalances(chain: FakeChain, from: number, to: number): Record<string, string>[] {
  return Array.from({ length: to - from + 1 }, (_, i) => {
    const block = chain.block(from + i)
    const before = chain.balance(block.miner, block.number - 1n)
    const after = chain.balance(block.miner, block.number)
    return {
      block_number: String(block.number),
      miner: block.miner,
      block_hash: block.hash,
      balance_before: String(before),
      balance_after: String(after),
      balance_increase: String(after - before),
    }
  })
}
