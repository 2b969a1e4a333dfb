import { createRequire } from 'node:module'
import { join } from 'node:path'
import { TOKEN, TOPIC } from './peers-world.js'

/** A block as @subsquid/evm-processor gives it, as far as it is used here. */
interface Block {
  readonly header: { readonly height: number; readonly hash: string; readonly timestamp: number }
  readonly logs: readonly {
    readonly logIndex: number
    readonly transactionHash: string
    readonly topics: readonly string[]
    readonly data: string
  }[]
}

/** What is used here of @subsquid/evm-processor, which is no dependency of this project. */
interface Processor {
  setRpcEndpoint(url: string): Processor
  setRpcDataIngestionSettings(settings: { headPollInterval: number }): Processor
  setFinalityConfirmation(blocks: number): Processor
  setBlockRange(range: { from: number; to?: number }): Processor
  setFields(fields: object): Processor
  addLog(request: object): Processor
  run(database: object, handler: (context: { store: unknown[]; blocks: readonly Block[] }) => Promise<void>): void
}

/** Subsquid's evm-processor, told to read the transfers of the token from a node alone. `peers`: the folder that it is installed in. */
export function subsquid(url: string, peers: string): Processor {
  const { EvmBatchProcessor } = createRequire(join(peers, 'package.json'))('@subsquid/evm-processor') as {
    EvmBatchProcessor: new () => Processor
  }
  return new EvmBatchProcessor()
    .setRpcEndpoint(url)
    .setFinalityConfirmation(75)
    .setFields({ block: { timestamp: true }, log: { topics: true, data: true, transactionHash: true } })
    .addLog({ address: [TOKEN], topic0: [TOPIC] })
}
