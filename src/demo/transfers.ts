import { fakeChain, type FakeChain, type FakeLog } from '../sandbox/index.js'

/**
 * A chain of a prediction market for `pipelines/transfers.yaml`: markets of two tokens each, a market maker who splits USDC into
 * them, wallets that buy and sell them for USDC, and gifts. A week of it, a block each ten minutes.
 */

const CHAIN_ID = 137
/** 2022-12-22, the first day of the pipeline. */
const FIRST_DAY = Date.UTC(2022, 11, 22) / 1000
const DAYS = 7
const BLOCK_SECONDS = 600
/** Blocks before the first day and behind the last one: so many that the last day is past the chain's confirmations. */
const AROUND = 80
const BLOCKS = (DAYS * 86_400) / BLOCK_SECONDS + 2 * AROUND
/** Every transaction has two logs, and every block so many transactions. */
const TRANSACTIONS = 3
const MARKETS = 12
const WALLETS = 60

const USDC = '0x2791bca1f2de4661ed88a30c99a7a9449aa84174'
const TOKENS = '0x4d97dcd97ec945f40cf65f87097ace5ea0476045'
const EXCHANGE = '0x4bfb41d5b3570defd03c39a9a4d8de6bd8b8982e'
const NOBODY = '0x' + '0'.repeat(40)

/** keccak256 of `Transfer(address,address,uint256)` and so on. */
const TOPICS = {
  transfer: '0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef',
  single: '0xc3d58168c5ae7397731d063d5bbf3d657854427343f4c083240f7aacaa2d0f62',
  batch: '0x4a39dc06d4c0dbc64b70af90fd698a233a518aa5d07e595d983b8c0526c8f7fb',
  registered: '0xbc9a2432e8aeb48327246cddd6e872ef452812b4243c04e6bfb786a2cd8faf0d',
}

export const TRANSFERS_BLOCK_MS = BLOCK_SECONDS * 1000

/** The last moment of the demo's world, in milliseconds UTC: the day after its last one has begun. */
export const TRANSFERS_NOW = (FIRST_DAY + DAYS * 86_400) * 1000 + AROUND * BLOCK_SECONDS * 1000

/** `hasher`: the functions of src/proof, so that the chain's hashes are real and its logs can be proved. */
export function transfersChain(hasher: NonNullable<Parameters<typeof fakeChain>[0]>['hasher']): FakeChain {
  const logs = story()
  return fakeChain({
    seed: 1,
    chainId: CHAIN_ID,
    miners: 1,
    blocks: BLOCKS,
    genesisTime: FIRST_DAY - AROUND * BLOCK_SECONDS,
    blockTime: BLOCK_SECONDS,
    transactions: TRANSACTIONS,
    hasher,
    logs: (block) => (block <= AROUND ? [] : logs.slice(Number(block - BigInt(AROUND) - 1n) * 2 * TRANSACTIONS).slice(0, 2 * TRANSACTIONS)),
  })
}

/** What happens, in order: two logs a transaction. */
function story(): readonly FakeLog[] {
  const draw = numbers(20_221_222)
  const wallets = Array.from({ length: WALLETS }, (_, i) => address(0xa000 + i))
  const maker = address(0xffff)
  const markets = Array.from({ length: MARKETS }, (_, i) => ({
    condition: word(0xc0de00n + BigInt(i)),
    tokens: [token(i, 0), token(i, 1)] as const,
  }))
  const logs: FakeLog[] = []
  for (const { condition, tokens } of markets) {
    // Both orders of the two tokens are registered, as the exchange does.
    for (const [one, other] of [tokens, [tokens[1], tokens[0]] as const])
      logs.push(log(EXCHANGE, [TOPICS.registered, word(one), word(other), condition]))
    const amount = 1_000_000_000_000n
    logs.push(
      log(USDC, [TOPICS.transfer, padded(maker), padded(TOKENS)], word(amount)),
      log(TOKENS, [TOPICS.batch, padded(maker), padded(NOBODY), padded(maker)], listed([...tokens], [amount, amount])),
    )
  }
  // A token that somebody made for himself, in amounts that nobody has.
  for (const wallet of wallets.slice(0, 2)) logs.push(moved(NOBODY, wallet, 7n, 2n ** 256n - 1n))
  const held = new Map<string, bigint>()
  const wanted = (BLOCKS - AROUND) * 2 * TRANSACTIONS
  while (logs.length < wanted) {
    const wallet = wallets[draw(WALLETS)] ?? maker
    const market = markets[draw(MARKETS)] ?? markets[0]
    const id = market?.tokens[draw(2)] ?? 0n
    const own = held.get(`${wallet} ${id}`) ?? 0n
    const amount = BigInt(1 + draw(500)) * 1_000_000n
    const price = BigInt(50_000 + draw(900_000))
    const dice = draw(10)
    if (dice === 0 && own > 2_000_000n) {
      // Two gifts to two others, for nothing.
      const gift = own / 4n
      for (const other of [wallets[draw(WALLETS)] ?? maker, wallets[draw(WALLETS)] ?? maker]) {
        logs.push(moved(wallet, other, id, gift))
        held.set(`${other} ${id}`, (held.get(`${other} ${id}`) ?? 0n) + gift)
        held.set(`${wallet} ${id}`, (held.get(`${wallet} ${id}`) ?? 0n) - gift)
      }
    } else if (dice < 5 && own > 0n) {
      const sold = amount < own ? amount : own
      logs.push(moved(wallet, maker, id, sold), paid(maker, wallet, (sold * price) / 1_000_000n + 1n))
      held.set(`${wallet} ${id}`, own - sold)
    } else {
      logs.push(paid(wallet, maker, (amount * price) / 1_000_000n + 1n), moved(maker, wallet, id, amount))
      held.set(`${wallet} ${id}`, own + amount)
    }
  }
  return logs
}

const log = (of: string, topics: readonly string[], data = '0x'): FakeLog => ({ address: of, topics, data })
const paid = (from: string, to: string, value: bigint) => log(USDC, [TOPICS.transfer, padded(from), padded(to)], word(value))
const moved = (from: string, to: string, id: bigint, value: bigint) =>
  log(TOKENS, [TOPICS.single, padded(EXCHANGE), padded(from), padded(to)], word(id) + word(value).slice(2))

/** Two lists of integers, ABI-encoded. */
function listed(ids: readonly bigint[], values: readonly bigint[]): string {
  const list = (items: readonly bigint[]) => [BigInt(items.length), ...items].map((item) => word(item).slice(2)).join('')
  const second = BigInt(64 + 32 * (ids.length + 1))
  return word(64n) + word(second).slice(2) + list(ids) + list(values)
}

const hex = (value: bigint, width: number) => value.toString(16).padStart(width, '0')
const word = (value: bigint) => `0x${hex(value, 64)}`
const padded = (of: string) => `0x${of.slice(2).padStart(64, '0')}`
const address = (i: number) => `0x${hex(BigInt(i) * 0x1_0000_0001_0000_0001_0000_0001n, 40)}`
/** As ids of conditional tokens are: hashes, far above 2^128. */
const token = (market: number, side: number) => (BigInt(market + 1) << 200n) + BigInt(side + 1) * 0x9e3779b97f4a7c15f39cc0605cedc834n

/** Whole numbers below a bound, always the same ones. Constants of Numerical Recipes. */
function numbers(seed: number): (below: number) => number {
  let state = seed >>> 0
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0
    return Math.floor((state / 2 ** 32) * below)
  }
}
