import { dayAxis, defineStep, formatDay, numberAxis, parseDay, type PlanContext, type Wanted } from '../../src/sdk/authors.js'
import { checkConfig, namesOf, outputsOf } from './check.js'
import { config, type Config, isDays } from './config.js'
import { OverError } from './errors.js'
import { askedOf } from './filters.js'
import { callsPerBlock, SEARCH, sum } from './price.js'
import { readUnit } from './read.js'
import { readsHeaders } from './rows.js'

const DAY_MS = 86_400_000
const DAY_US = 86_400_000_000n

export const shardDays = defineStep({
  type: 'shard-days',
  summary: 'Reads event logs of contracts day by day (UTC), or by ranges of blocks, decodes them and stores them as rows.',
  config,
  requires: ['chain'],
  example: `name: transfers
warehouse: duckdb:data/transfers.duckdb
chains:
  ethereum: { rpc: "\${ETH_RPC_URL}" }
tables:
  transfers:
    columns: { day: date, block_number: bigint, log_index: int, sender: address, recipient: address, value: uint256 }
    key: [block_number, log_index]
steps:
  - id: transfers
    type: shard-days
    chain: ethereum
    with:
      over: { blocks: { from: 0, to: 99 } }
      events:
        - event: Transfer(address indexed from, address indexed to, uint256 value)
          contracts: ["0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48"]
          into: transfers
          row: { day: day, block_number: log.blockNumber, log_index: log.logIndex, sender: args.from, recipient: args.to, value: args.value }
`,

  names: namesOf,
  check: checkConfig,
  outputs: outputsOf,

  *plan(ctx): Iterable<Wanted> {
    const { over, events, verify = 'empty' } = ctx.config
    // Those that stand in the file were checked with it; params are put in by now.
    events.forEach(askedOf)
    const methods = callsPerBlock(verify, readsHeaders(ctx.config))
    const each = sum(methods)
    if (!isDays(over)) {
      const { from, to, chunk = 10_000 } = over.blocks
      if (from > to + 1) throw new OverError(`blocks from ${from} to ${to}: there are none`)
      yield {
        kind: 'stretches',
        axis: numberAxis(chunk),
        domain: [BigInt(from), BigInt(to)],
        due: 'uncovered',
        order: over.order ?? 'oldest-first',
        mustCover: true,
        price: { perPiece: each, methods },
      }
      return
    }
    const [from, to] = daysOf(ctx)
    const asked = BigInt(to + 1) * DAY_US
    const end = beforeConfirmed(asked, ctx)
    yield {
      kind: 'stretches',
      axis: dayAxis,
      domain: [BigInt(from) * DAY_US, end - 1n],
      later: end < asked ? notOver(Math.max(from, Number(end / DAY_US)), to) : undefined,
      due: 'uncovered',
      order: over.order ?? 'oldest-first',
      whenOver: true,
      mustCover: true,
      price: { perPiece: Math.ceil(SEARCH + (each * DAY_MS) / (ctx.chain?.blockTimeMs ?? 12_000)), methods },
    }
  },

  run: readUnit,
})

/** Says of days that they are no units yet. */
function notOver(first: number, last: number): string {
  const days = first === last ? `${formatDay(first)} is` : `${formatDay(first)}..${formatDay(last)} are`
  return `${days} not over yet: a day is read once it is over and a block behind it has its confirmations`
}

/** The end of the last day that is over, and so far that the blocks behind it have their confirmations, at the pace of the chain. */
function beforeConfirmed(end: bigint, { chain, scope }: PlanContext<Config>): bigint {
  const now = scope.get('now')?.value
  if (typeof now !== 'bigint' || !chain) return end
  const confirmed = now - BigInt(chain.confirmations) * BigInt(Math.ceil(chain.blockTimeMs)) * 1000n
  const last = confirmed - (confirmed % DAY_US)
  return end < last ? end : last
}

/** The first and the last day, counted from 1970. @throws {OverError} */
function daysOf({ config: { over }, scope }: PlanContext<Config>): readonly [number, number] {
  if (!isDays(over)) throw new Error('no days')
  const { days } = over
  if ('last' in days) {
    const today = Number((scope.get('now')?.value as bigint) / DAY_US)
    return [today - days.last, today - 1]
  }
  const [from, to] = [days.from, days.to].map((text) => {
    const day = parseDay(text)
    if (day === undefined) throw new OverError(`${text} is no day`)
    return day
  }) as [number, number]
  if (from > to + 1) throw new OverError(`days from ${days.from} to ${days.to}: there are none`)
  return [from, to]
}
