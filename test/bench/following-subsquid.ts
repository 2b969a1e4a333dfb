import { createRequire } from 'node:module'
import { join } from 'node:path'
import { FIRST } from './following-node.js'
import type { Block } from './peers-subsquid-types.js'
import { TOKEN, TOPIC } from './peers-world.js'

interface Head {
  readonly height: number
  readonly hash: string
}

/** What is used here of @subsquid/evm-processor, which is no dependency of this project. */
interface Processor {
  setRpcEndpoint(url: string): Processor
  setRpcDataIngestionSettings(settings: { headPollInterval: number }): Processor
  setFinalityConfirmation(blocks: number): Processor
  setBlockRange(range: { from: number }): Processor
  setFields(fields: object): Processor
  addLog(request: object): Processor
  run(database: object, handler: (context: { store: unknown[]; blocks: readonly Block[] }) => Promise<void>): void
}

/**
 * Subsquid's evm-processor on the head of a node, asked once a second as the others ask. Its database is as cheap as can be: a list in
 * memory. The message is the number of the block whose logs are in it.
 */
const [, , url = '', peers = ''] = process.argv
const { EvmBatchProcessor } = createRequire(join(peers, 'package.json'))('@subsquid/evm-processor') as {
  EvmBatchProcessor: new () => Processor
}
const rows: unknown[] = []
const database = {
  supportsHotBlocks: true,
  connect: async () => ({ height: FIRST - 1, hash: await hashOf(FIRST - 1), top: [] }),
  transact: async ({ nextHead }: { nextHead: Head }, work: (store: unknown[]) => Promise<void>) => {
    await work(rows)
    process.send?.(nextHead.height)
  },
  transactHot2: async (
    { newBlocks }: { newBlocks: readonly Head[] },
    work: (store: unknown[], start: number, end: number) => Promise<void>,
  ) => {
    await work(rows, 0, newBlocks.length)
    for (const { height } of newBlocks) process.send?.(height)
  },
}
new EvmBatchProcessor()
  .setRpcEndpoint(url)
  .setRpcDataIngestionSettings({ headPollInterval: 1_000 })
  .setFinalityConfirmation(75)
  .setBlockRange({ from: FIRST })
  .setFields({ block: { timestamp: true }, log: { topics: true, data: true, transactionHash: true } })
  .addLog({ address: [TOKEN], topic0: [TOPIC] })
  .run(database, ({ store, blocks }) => {
    for (const { header, logs } of blocks)
      for (const { logIndex, transactionHash, topics, data } of logs)
        store.push([header.height, logIndex, header.hash, transactionHash, topics[1], topics[2], BigInt(data)])
    return Promise.resolve()
  })

/** It begins above a block that its database has, and compares its hash. */
async function hashOf(number: number): Promise<string> {
  const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'eth_getBlockByNumber', params: [`0x${number.toString(16)}`, false] })
  const answer = await fetch(url, { method: 'POST', headers: { 'content-type': 'application/json' }, body })
  return ((await answer.json()) as { readonly result: { readonly hash: string } }).result.hash
}
