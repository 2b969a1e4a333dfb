/**
 * Chains, nodes and REST APIs for tests: `pipe/sdk/testing`.
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
 * A REST API is the same for what reads lists:
 *
 * ```ts
 * const api = fakeApi({ seed: 7, rows: 1000 })
 * const server = await api.serve({ bound: 'exclusive', before: () => api.add(1) })   // the list grows while it is read
 * server.fault({ kind: 'cursor', next: 'cycle', after: 3 })
 * // GET `${server.url}/extended/v3/transactions?limit=50&cursor=`, `/extended/v1/tx`, `/lists/offset`, …
 * api.add(120, { at: 1_700_000_050 })                       // more rows in one second than a page holds
 * api.transactions                                          // the truth, newest first
 * server.log.map((request) => request.query.cursor)         // what was asked
 * ```
 *
 * One step by itself, without a pipeline file:
 *
 * ```ts
 * const { wanted, batches, rows } = await runStep(myStep, { config: { file }, tables: [lines], into: 'lines' })
 * ```
 *
 * An endpoint tells the truth except where a fault says otherwise, and everything random follows from a seed: a test
 * that fails fails again.
 */
export { fakeApi } from './api/world.js'
export type { ApiTransaction, FakeApi, FakeApiOptions } from './api/world.js'
export { openApi } from './api/server.js'
export type { ApiAnswer, ApiRequest, ApiServer, ApiTotals, ServeApiOptions } from './api/server.js'
export type { ApiFault, ApiRequestFault, ApiTrigger, ArmedApiFault, BodyFault, PageFault } from './api/fault.js'
export { fakeChain } from './chain.js'
export type { FakeBlock, FakeChain, FakeChainOptions, FakeContract, FakeLog } from './chain.js'
export type { FakeCost } from './json.js'
export { openEndpoint } from './endpoint.js'
export type { FakeEndpoint, RequestAnswer, RequestLog, ServeOptions, Totals } from './endpoint.js'
export type {
  ArmedFault,
  CallFault,
  Fault,
  FaultKind,
  HeadsFault,
  LatencyFault,
  ReorderFault,
  RequestFault,
  SentCall,
  Trigger,
  WireFault,
} from './fault.js'
export type { LackedLogs, LogFault, RefusedLogs, ServedLog } from './log-fault.js'
export { recordedChain } from './recorded.js'
export type { RecordedChain, RecordedChainOptions } from './recorded.js'
export type { ChainHasher } from './seal.js'
export { runStep } from './run-step.js'
export type { StepRun, StepWorld } from './run-step.js'
export type { ChainSource, ContractAnswer, ContractCall, Hex, LogFilter } from './source.js'
export { dialects, logWordings, wordings } from './wordings.js'
export type { Client, Dialect, RpcError } from './wordings.js'
