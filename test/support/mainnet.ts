import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { Accounts } from '../../src/sandbox/accounts.js'
import { recordedChain, type RecordedChain } from '../../src/sandbox/index.js'

/** A row that miners.yaml must give for a block, computed by others and proved against the block's state root. Wei. */
export interface MinedBlock {
  readonly number: bigint
  readonly hash: string
  readonly parentHash: string
  /** Unix seconds. */
  readonly timestamp: bigint
  readonly miner: string
  readonly balanceBefore: bigint
  readonly balanceAfter: bigint
  readonly balanceIncrease: bigint
}

export interface Mainnet {
  /** Ethereum's first 8,192 blocks, as a node. */
  readonly chain: RecordedChain
  /** Of blocks 1 to 8191, in order. */
  readonly expected: readonly MinedBlock[]
}

const blockReward = 5n * 10n ** 18n

/**
 * Where recorded data lies: `PIPE_TEST_DATA`, or `../shared/data` beside the project. Undefined when there is none;
 * tests that need it are skipped then (`test.skipIf(!dataFolder)`).
 */
export const dataFolder: string | undefined = [process.env.PIPE_TEST_DATA, join(import.meta.dirname, '../../../shared/data')].find(
  (folder) => folder !== undefined && existsSync(join(folder, 'ethereum-mainnet-blocks')),
)

/**
 * A node that replays Ethereum's first blocks. None of them holds a transaction, so a balance is the genesis
 * allocation, 5 ether for each block mined and 1/32 of that for each uncle included in it, and the rewards of uncles.
 */
export function loadMainnet(folder: string): Mainnet {
  const read = (name: string): string => gunzipSync(readFileSync(join(folder, 'ethereum-mainnet-blocks', name))).toString()
  const blocks = read('blocks.eth_getBlockByNumber.ndjson.gz').trimEnd().split('\n')
  // The casts hold for the folder's own files.
  const genesis = JSON.parse(read('genesis_alloc_balances.json.gz')) as Readonly<Record<string, string>>
  const gains = Object.entries(genesis).map(([address, wei]) => ({ address, block: 0, wei: BigInt(wei) }))
  for (const text of blocks.slice(1)) {
    const block = JSON.parse(text) as { readonly number: string; readonly miner: string; readonly uncles: readonly string[] }
    gains.push({ address: block.miner, block: Number(block.number), wei: blockReward + (blockReward / 32n) * BigInt(block.uncles.length) })
  }
  for (const uncle of csv(read('uncles.csv.gz'))) {
    gains.push({ address: uncle.uncle_miner!, block: Number(uncle.included_in), wei: BigInt(uncle.uncle_reward_wei!) })
  }
  const accounts = new Accounts()
  for (const { address, block, wei } of gains.sort((one, other) => one.block - other.block)) {
    accounts.set(address, block, accounts.latest(address) + wei)
  }
  const chain = recordedChain({ chainId: 1, blocks, balanceAt: (address, block) => accounts.at(address, Number(block)) })
  const expected = csv(read('miners_balance_expected.csv.gz'))
    .slice(1)
    .map((row) => ({
      number: BigInt(row.number!),
      hash: row.hash!,
      parentHash: row.parent_hash!,
      timestamp: BigInt(row.timestamp!),
      miner: row.miner!,
      balanceBefore: BigInt(row.balance_before!),
      balanceAfter: BigInt(row.balance_after!),
      balanceIncrease: BigInt(row.balance_increase!),
    }))
  return { chain, expected }
}

/** Rows by column name. No field here holds a comma or a quote. */
function csv(text: string): readonly Readonly<Record<string, string>>[] {
  const [names = [], ...rows] = text
    .trimEnd()
    .split(/\r?\n/)
    .map((line) => line.split(','))
  return rows.map((row) => Object.fromEntries(names.map((name, i) => [name, row[i] ?? ''])))
}
