import type { RpcAnswers, RpcCall, RpcOptions, RpcPool } from '../../sdk/index.js'

/** The pool of a chain, as those who read logs see it. Endpoints are named by host. */
export interface LogsPort {
  readonly chain: { readonly name: string; readonly id: number }
  batch(calls: readonly RpcCall[], options: RpcOptions): Promise<RpcAnswers>
  readonly turns: RpcPool['turns']
  /** The same, for a piece of work that begins now: what it asks for goes before what is asked for pieces that begin later. */
  begin(): LogsPort
  ready(signal: AbortSignal): Promise<void>
  /** Most blocks that a call for logs should ask for: what the endpoints take that are asked first. */
  mostBlocks(): number
  /** The highest block that an endpoint is known to have. */
  newest(): bigint | undefined
  /** An endpoint answered a call for logs of so many blocks. */
  answered(endpoint: string, blocks: number): void
  /** An endpoint refused it as too many, and may have said how many would work. */
  refusedBlocks(endpoint: string, blocks: number, stated: number | undefined): void
  /** The head of an endpoint, asked anew, where it is below `block`: then what it said of that block is nothing. */
  headBelow(endpoint: string, block: bigint): Promise<bigint | undefined>
  /** An endpoint gave a wrong answer. People are told, and for a while others are asked first for what is of this kind. */
  refuse(endpoint: string, call: RpcCall, why: string): void
}
