import { FIRST } from './following-node.js'
import { subsquid } from './subsquid.js'

interface Head {
  readonly height: number
  readonly hash: string
}

/**
 * Subsquid's evm-processor on the head of a node, asked once a second as the others ask. Its database is as cheap as can be: a list in
 * memory. The message is the number of the block whose logs are in it.
 */
const [, , url = '', peers = ''] = process.argv
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
subsquid(url, peers)
  .setRpcDataIngestionSettings({ headPollInterval: 1_000 })
  .setBlockRange({ from: FIRST })
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
