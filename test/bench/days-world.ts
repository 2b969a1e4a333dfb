import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Pipeline } from '../../src/pipeline/pipeline.js'
import { readPipeline } from '../../src/pipeline/read.js'
import { event, formatDay } from '../../src/sdk/authors.js'
import type { Warehouse } from '../../src/sdk/index.js'
import { drive, openPool } from './drive.js'

/** What the server of days and those who read it agree on. */
export const BLOCKS_OF_DAY = 100
export const BLOCK_SECONDS = 864
/** Unix seconds: 2020-01-01, when block 0 was. */
export const FIRST_DAY = 1_577_836_800
export const MOST_DAYS = 1_048
export const HEAD = (MOST_DAYS + 2) * BLOCKS_OF_DAY
export const LOG_ADDRESS = `0x${'2a'.repeat(20)}`
const TEXT = 'Transfer(address indexed from, address indexed to, uint256 value)'
export const LOG_TOPIC = event(TEXT).topic0 ?? ''

const DAY_SECONDS = 86_400

/** A pipeline that reads so many days, so many at once. Its DuckDB file lies in the folder. */
export async function daysPipeline(folder: string, days: number, parallel: number): Promise<Pipeline> {
  const day = (i: number) => formatDay(FIRST_DAY / DAY_SECONDS + i)
  const file = join(folder, `days-${days}-${parallel}.yaml`)
  await writeFile(
    file,
    `name: days
warehouse: duckdb:${join(folder, 'days.duckdb')}
chains: { ethereum: { rpc: http://127.0.0.1:1 } }
tables: { transfers: { columns: { day: date, block_number: bigint, log_index: int, sender: address, recipient: address, value: uint256 }, key: [block_number, log_index] } }
steps:
  - id: transfers
    type: shard-days
    chain: ethereum
    parallel: ${parallel}
    with:
      over: { days: { from: ${day(0)}, to: ${day(days - 1)} } }
      events:
        - event: ${TEXT}
          contracts: ["${LOG_ADDRESS}"]
          into: transfers
          row: { day: day, block_number: log.blockNumber, log_index: log.logIndex, sender: args.from, recipient: args.to, value: args.value }
`,
  )
  const { pipeline, problems } = await readPipeline(file, { cwd: folder, env: {}, environment: 'require' })
  if (!pipeline) throw new Error(problems.map(({ message }) => message).join('; '))
  return pipeline
}

/** Reads all days of the pipeline as for the first time: what a pool has found out of the chain before is not used. */
export async function readDays(pipeline: Pipeline, warehouse: Warehouse, url: string): Promise<void> {
  const rpc = openPool(url, { batch: 100, parallel: 64 })
  const now = BigInt(FIRST_DAY + (MOST_DAYS + 2) * DAY_SECONDS) * 1_000_000n
  try {
    await drive({ pipeline, warehouse, rpc: rpc.lane, now, head: BigInt(HEAD) })
  } finally {
    await rpc.close()
  }
}
