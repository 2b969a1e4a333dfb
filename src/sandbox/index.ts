/**
 * Chains and nodes for tests: `pipe/sdk/testing`.
 *
 * ```ts
 * const chain = fakeChain({ seed: 7 })
 * chain.add(100)                                            // grow the world inside the test
 * const node = await chain.serve()                          // a JSON-RPC endpoint on 127.0.0.1
 * node.fault({ kind: 'rate-limit', retryAfter: 2, times: 3 })
 * node.fault({ kind: 'result', result: null, methods: ['eth_getBalance'], chance: 0.1 })
 *
 * // … run what is to be tested against node.url, then compare with the truth:
 * chain.block(42).hash
 * chain.balance(chain.miners[0], 42n)
 * node.log.map((request) => request.calls.length)           // what was asked
 * await node.close()
 * ```
 *
 * An endpoint tells the truth except where a fault says otherwise, and everything random follows from a seed: a test
 * that fails fails again.
 */
export { fakeChain } from './chain.js'
export type { FakeBlock, FakeChain, FakeChainOptions, FakeLog } from './chain.js'
export { openEndpoint } from './endpoint.js'
export type { FakeEndpoint, RequestAnswer, RequestLog, ServeOptions, Totals } from './endpoint.js'
export type {
  ArmedFault,
  CallFault,
  Fault,
  FaultKind,
  LatencyFault,
  ReorderFault,
  RequestFault,
  SentCall,
  Trigger,
  WireFault,
} from './fault.js'
export { recordedChain } from './recorded.js'
export type { RecordedChain, RecordedChainOptions } from './recorded.js'
export type { ChainSource, ContractCall, Hex, LogFilter } from './source.js'
export { dialects, wordings } from './wordings.js'
export type { Client, Dialect, RpcError } from './wordings.js'
