import { createRequire } from 'node:module'
import { join } from 'node:path'
import type { Block } from './peers-subsquid-types.js'
import { BLOCKS, TOKEN, TOPIC } from './peers-world.js'

/** What is used here of @subsquid/evm-processor, which is no dependency of this project. */
interface Processor {
  setRpcEndpoint(url: string): Processor
  setFinalityConfirmation(blocks: number): Processor
  setBlockRange(range: { from: number; to: number }): Processor
  setFields(fields: object): Processor
  addLog(request: object): Processor
  run(database: object, handler: (context: { store: unknown[]; blocks: readonly Block[] }) => Promise<void>): void
}

/**
 * Subsquid's evm-processor with its own settings, reading from the node alone. Its database is as cheap as can be: a list in memory.
 * The handler decodes by cutting texts.
 */
const [, , url = '', peers = ''] = process.argv
const { EvmBatchProcessor } = createRequire(join(peers, 'package.json'))('@subsquid/evm-processor') as {
  EvmBatchProcessor: new () => Processor
}
const rows: unknown[] = []
const database = {
  connect: () => Promise.resolve({ height: -1, hash: '0x' }),
  transact: async ({ nextHead }: { nextHead: { height: number } }, work: (store: unknown[]) => Promise<void>) => {
    await work(rows)
    if (nextHead.height === BLOCKS) await new Promise((sent) => process.send?.({ ended: Date.now(), logs: rows.length }, sent))
  },
}
new EvmBatchProcessor()
  .setRpcEndpoint(url)
  .setFinalityConfirmation(75)
  .setBlockRange({ from: 1, to: BLOCKS })
  .setFields({ block: { timestamp: true }, log: { topics: true, data: true, transactionHash: true } })
  .addLog({ address: [TOKEN], topic0: [TOPIC] })
  .run(database, ({ store, blocks }) => {
    for (const { header, logs } of blocks)
      for (const { logIndex, transactionHash, topics, data } of logs)
        store.push({
          block_number: header.height,
          log_index: logIndex,
          block_hash: header.hash,
          block_time: header.timestamp,
          tx_hash: transactionHash,
          sender: `0x${topics[1]?.slice(26)}`,
          recipient: `0x${topics[2]?.slice(26)}`,
          value: BigInt(data),
        })
    return Promise.resolve()
  })
