import { PipeError } from '../../sdk/index.js'

/** Logs of some blocks could not be read, or not be believed. What is around them was given. */
export class RpcLogsError extends PipeError {
  readonly code = 'RPC_LOGS_FAILED'
  override readonly retryable: boolean
  override readonly blame: 'outage' | 'own'
  override readonly hint: string
  constructor(
    /** Both ends included, in order. */
    readonly stretches: readonly (readonly [bigint, bigint])[],
    override readonly cause: PipeError,
  ) {
    const named = stretches.slice(0, 5).map(([from, to]) => (from === to ? `${from}` : `${from}-${to}`))
    const more = stretches.length > named.length ? ` and ${stretches.length - named.length} more stretches` : ''
    super(`logs of block${named.length === 1 && !named[0]?.includes('-') ? '' : 's'} ${named.join(', ')}${more}: ${cause.message}`)
    this.retryable = cause.retryable
    this.blame = cause.blame
    this.hint = cause.hint ?? 'run again: what is done stays done'
  }
}

/** No endpoint gave logs that may be believed. */
export class RpcUnbelievedError extends PipeError {
  readonly code = 'RPC_LOGS_UNBELIEVED'
  override readonly retryable = true
  override readonly blame = 'outage'
  override readonly hint = 'add an endpoint that has the logs of these blocks to `rpc`, then run again: what is done stays done'
  constructor(
    /** What is wrong with the answer of each, by host. */
    readonly whys: ReadonlyMap<string, string>,
  ) {
    super([...whys].map(([endpoint, why]) => `${endpoint}: ${why}`).join('; '))
  }
}

/** One block has more logs than any endpoint gives in an answer, and its receipts are not to be had either. */
export class RpcBlockLogsError extends PipeError {
  readonly code = 'RPC_BLOCK_LOGS_REFUSED'
  override readonly retryable = true
  override readonly hint = 'add an endpoint that offers eth_getBlockReceipts, or one with a higher cap on logs'
  constructor(
    readonly block: bigint,
    /** What became of each way to read it. */
    readonly ways: readonly string[],
  ) {
    super(`block ${block} can't be read in any way: ${ways.join('; ')}`)
  }
}

/** The blocks of a chain have another form than Ethereum's, so nothing that a node says of them can be proved. */
export class RpcUnprovableError extends PipeError {
  readonly code = 'RPC_LOGS_UNPROVABLE'
  override readonly hint = 'take `verify: receipts`: logs are compared with the receipts of their blocks, as the nodes give them'
  constructor(
    readonly chain: string,
    readonly block: bigint,
    readonly reason: string,
  ) {
    super(`chain ${chain}: block ${block} can't be proved: ${reason}`)
  }
}
