import { PipeError } from '../sdk/index.js'

/** An endpoint with what is known of it, for messages: no URL, no key. */
export interface EndpointTrouble {
  readonly endpoint: string
  readonly reason: string
}

const list = (troubles: readonly EndpointTrouble[]): string => troubles.map(({ endpoint, reason }) => `${endpoint} (${reason})`).join(', ')

/** No endpoint of the chain answers. Nothing is wrong with the work itself. */
export class RpcUnreachableError extends PipeError {
  readonly code = 'RPC_UNREACHABLE'
  override readonly retryable = true
  override readonly blame = 'outage'
  override readonly hint = 'check the URL in `rpc`, that the node runs, and the network; then run again: what is done stays done'
  constructor(
    readonly chain: string,
    readonly endpoints: readonly EndpointTrouble[],
    /** Environment variables that the endpoints are written in and that are not set. */
    unset: readonly string[] = [],
  ) {
    const none = unset.length > 0 ? `there is none, since ${unset.join(', ')} is not set` : 'there is none'
    const reasons = endpoints.length > 0 ? list(endpoints) : none
    super(`chain ${chain}: no endpoint answers: ${reasons}`)
  }
}

/** Every endpoint that answers is of another chain. */
export class WrongChainError extends PipeError {
  readonly code = 'RPC_WRONG_CHAIN'
  override readonly blame = 'outage'
  override readonly hint = 'check `rpc` of the chain: its URL leads to another network; nothing was stored from it'
  constructor(
    readonly chain: string,
    readonly endpoints: readonly EndpointTrouble[],
  ) {
    super(`chain ${chain}: refused ${list(endpoints)}`)
  }
}

/** The endpoints that are left refuse the login. */
export class RpcLoginError extends PipeError {
  readonly code = 'RPC_LOGIN_REFUSED'
  override readonly blame = 'outage'
  override readonly hint = 'check the key in the URL or in `headers`'
  constructor(
    readonly chain: string,
    readonly endpoints: readonly EndpointTrouble[],
  ) {
    super(`chain ${chain}: not let in: ${list(endpoints)}`)
  }
}

/** The quota of every endpoint that is left is used up. */
export class RpcQuotaError extends PipeError {
  readonly code = 'RPC_QUOTA_USED_UP'
  override readonly blame = 'outage'
  override readonly hint = 'wait for the quota to be renewed or add an endpoint to `rpc`, then run again: what is done stays done'
  constructor(
    readonly chain: string,
    readonly endpoints: readonly EndpointTrouble[],
  ) {
    super(`chain ${chain}: quota used up: ${list(endpoints)}`)
  }
}

/** Endpoints answered nothing but "too many requests" for a long time. */
export class RpcRateError extends PipeError {
  readonly code = 'RPC_RATE_LIMITED'
  override readonly retryable = true
  override readonly blame = 'outage'
  override readonly hint = 'lower `requests_per_second` or `parallel`, or add an endpoint to `rpc`'
  constructor(
    readonly chain: string,
    readonly minutes: number,
    readonly endpoints: readonly EndpointTrouble[],
  ) {
    super(`chain ${chain}: only rate limits for ${minutes} minutes: ${list(endpoints)}`)
  }
}

/** No endpoint has the block yet. */
export class RpcBehindError extends PipeError {
  readonly code = 'RPC_BEHIND'
  override readonly retryable = true
  override readonly blame = 'outage'
  override readonly hint = 'the node is still syncing or lags: wait, add an endpoint, or end further below the head'
  constructor(
    readonly chain: string,
    readonly block: bigint,
    readonly endpoints: readonly EndpointTrouble[],
  ) {
    super(`chain ${chain}: no endpoint has block ${block}: ${list(endpoints)}`)
  }
}

/** Those that answer refuse the call, and others, which may have it, do not answer. */
export class RpcAwayError extends PipeError {
  readonly code = 'RPC_AWAY'
  override readonly retryable = true
  override readonly blame = 'outage'
  override readonly hint =
    'see that the endpoints that were not asked run, then run again: what is done stays done, and nothing is in quarantine'
  constructor(
    readonly call: string,
    readonly refused: readonly EndpointTrouble[],
    readonly away: readonly EndpointTrouble[],
  ) {
    super(`${call}: ${refused.length > 0 ? `refused by ${list(refused)}; ` : ''}not to be asked: ${list(away)}`)
  }
}

/** The pool was closed with work in it. */
export class RpcClosedError extends PipeError {
  readonly code = 'RPC_CLOSED'
  override readonly blame = 'outage'
  override readonly hint = 'run again: what is done stays done'
  constructor(readonly chain: string) {
    super(`chain ${chain}: the endpoints were closed`)
  }
}

/** One call failed for good. `call` is `method(params)`. */
export class RpcCallError extends PipeError {
  readonly code = 'RPC_CALL_FAILED'
  override readonly hint: string
  /** Whether a contract ended it: its own answer, the same at every node. */
  readonly reverted: boolean
  constructor(
    readonly call: string,
    readonly endpoint: string,
    readonly text: string,
    readonly attempts: number,
    /** What the node says, where that can be an answer: the contract reverts, or there is no block and never will be. */
    said?: 'reverted' | 'nothing',
  ) {
    super(`${call} at ${endpoint}: ${text}${attempts > 1 ? ` (${attempts} attempts)` : ''}`)
    this.reverted = said === 'reverted'
    this.hint = hintOf(said)
  }
}

/** No endpoint knows the method. */
export class RpcMethodError extends PipeError {
  readonly code = 'RPC_METHOD_MISSING'
  override readonly hint = 'use an endpoint that offers this method; some need another plan or a flag of the node'
  constructor(
    readonly call: string,
    readonly endpoint: string,
    readonly text: string,
  ) {
    super(`${call} at ${endpoint}: ${text}`)
  }
}

/** No endpoint has what is asked for at a block as old as this. */
export class RpcStateError extends PipeError {
  readonly code = 'RPC_STATE_MISSING'
  override readonly hint = 'add an archive endpoint to `rpc`, then `pipe retry FILE`, or start at a later block'
  constructor(
    readonly call: string,
    readonly endpoint: string,
    readonly block: bigint | undefined,
    readonly text: string,
    readonly attempts: number,
  ) {
    const times = attempts > 1 ? ` (${attempts} attempts)` : ''
    super(`${call} at ${endpoint}: archive node needed${block === undefined ? '' : ` at block ${block}`}: ${text}${times}`)
  }
}

/** `null` for a block that must exist. */
export class RpcNullError extends PipeError {
  readonly code = 'RPC_NULL_RESULT'
  override readonly retryable = true
  override readonly blame = 'outage'
  override readonly hint = 'the node lags or has pruned this block: add an endpoint to `rpc` or run again later'
  constructor(
    readonly call: string,
    readonly endpoint: string,
    readonly block: bigint | undefined,
    readonly attempts: number,
  ) {
    super(`block ${block ?? 'unknown'}: null (${call} at ${endpoint}, ${attempts} attempts)`)
  }
}

/** A block comes back that is not the asked one. */
export class RpcOtherBlockError extends PipeError {
  readonly code = 'RPC_OTHER_BLOCK'
  override readonly retryable = true
  override readonly blame = 'outage'
  override readonly hint = 'the node does not tell the truth about this block: add an endpoint to `rpc` or run again later'
  constructor(
    readonly call: string,
    readonly endpoint: string,
    readonly block: bigint | undefined,
    readonly text: string,
    readonly attempts: number,
  ) {
    super(`block ${block ?? 'unknown'}: ${text} (${call} at ${endpoint}, ${attempts} attempts)`)
  }
}

/** A range of blocks (or its result) was refused as too large. */
export class RpcRangeError extends PipeError {
  readonly code = 'RPC_RANGE_REFUSED'
  override readonly retryable = true
  override readonly hint = 'ask for fewer blocks at once'
  constructor(
    readonly call: string,
    readonly endpoint: string,
    readonly text: string,
    /** The stretch that the provider says would work: starts where the request did and is shorter. */
    readonly next: { readonly from: bigint; readonly to: bigint } | undefined,
    /** The most blocks that the provider says it takes. */
    readonly blocks: number | undefined,
    /** What there was too much of, where it was not blocks. */
    readonly over: 'results' | 'filter' | undefined,
    /** The most logs that the provider says it gives. */
    readonly results: number | undefined,
  ) {
    super(`${call} at ${endpoint}: ${text}`)
  }
}

/** A call for logs asks for more blocks than any endpoint takes that could answer it. It was not sent. */
export class RpcRangeTooLongError extends PipeError {
  readonly code = 'RPC_RANGE_TOO_LONG'
  override readonly hint = 'ask for fewer blocks at once, or raise `max_block_range` of an endpoint that takes more'
  constructor(
    readonly call: string,
    /** What the file allows, by endpoint. */
    readonly limits: readonly { readonly endpoint: string; readonly blocks: number | undefined }[],
  ) {
    super(`${call} asks for too many blocks: ${limits.map(({ endpoint, blocks }) => `${endpoint} takes ${blocks}`).join(', ')}`)
  }
}

/** One answer alone is larger than may be held. */
export class RpcTooLargeError extends PipeError {
  readonly code = 'RPC_RESPONSE_TOO_LARGE'
  override readonly hint = 'ask for less at once: fewer blocks, or without transactions'
  constructor(
    readonly call: string,
    readonly endpoint: string,
    readonly maxBytes: number,
  ) {
    super(`${call} at ${endpoint}: the answer is larger than ${maxBytes} bytes`)
  }
}

function hintOf(said: 'reverted' | 'nothing' | undefined): string {
  if (said === 'reverted') return 'where a contract may refuse a call, say so in the call: `on_revert: null`'
  if (said === 'nothing') return 'where heights may have no block, say so beside `blocks`: `over: { blocks: …, may_skip: true }`'
  return 'the node refuses this very call: compare its parameters with what the message says'
}
