import { createPublicClient, http, parseAbiItem } from 'viem'
import { BLOCKS, TOKEN, TRANSFER } from './peers-world.js'

/** Blocks of one HTTP request, and requests in flight. */
const [BATCH, PARALLEL] = [10, 5]

/**
 * A loop as people write it with viem: the logs of 10 blocks and their headers in one batch, 5 batches at once, rows kept in memory.
 */
const [, , url] = process.argv
const client = createPublicClient({ transport: http(url, { batch: true }) })
const event = parseAbiItem(`event ${TRANSFER}`)
const rows: unknown[] = []
let next = 1

async function worker(): Promise<void> {
  while (next <= BLOCKS) {
    const from = next
    next += BATCH
    const to = Math.min(BLOCKS, next - 1)
    const numbers = Array.from({ length: to - from + 1 }, (_, i) => BigInt(from + i))
    const [logs, ...blocks] = await Promise.all([
      client.getLogs({ address: TOKEN as `0x${string}`, event, fromBlock: BigInt(from), toBlock: BigInt(to), strict: true }),
      ...numbers.map((blockNumber) => client.getBlock({ blockNumber })),
    ])
    for (const { args, blockNumber, blockHash, logIndex, transactionHash } of logs) {
      const block_time = blocks[Number(blockNumber) - from]?.timestamp
      rows.push({ blockNumber, logIndex, blockHash, block_time, transactionHash, ...args })
    }
  }
}

await Promise.all(Array.from({ length: PARALLEL }, worker))
process.send?.({ ended: Date.now(), logs: rows.length }, () => process.exit())
