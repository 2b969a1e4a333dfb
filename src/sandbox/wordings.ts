import type { Json } from '../sdk/index.js'

/** The `error` of a JSON-RPC reply. */
export interface RpcError {
  readonly code: number
  readonly message: string
  readonly data?: Json
}

/** A JSON-RPC reply that is an error. */
export function errorBody(id: unknown, error: RpcError): string {
  return `{"jsonrpc":"2.0","id":${JSON.stringify(id) ?? 'null'},"error":${JSON.stringify(error)}}`
}

export type Client = 'geth' | 'besu' | 'nethermind' | 'erigon'

/** How a client says the things that every client says in its own words. */
export interface Dialect {
  readonly version: string
  /** Asked for state at a block that the node does not have (yet). */
  unknownBlock(number: bigint): RpcError
  /** Asked for state that was pruned. */
  noState(number: bigint, root: string): RpcError
  noMethod(method: string): RpcError
}

export const dialects: Readonly<Record<Client, Dialect>> = {
  geth: {
    version: 'Geth/v1.16.4-stable/linux-amd64/go1.25.1',
    unknownBlock: () => ({ code: -32000, message: 'header not found' }),
    noState: (_, root) => ({
      code: -32000,
      message: `missing trie node ${root.slice(2)} (path ) state ${root} is not available, not found`,
    }),
    noMethod: (method) => ({ code: -32601, message: `the method ${method} does not exist/is not available` }),
  },
  besu: {
    version: 'besu/v25.8.0/linux-x86_64/openjdk-java-21',
    unknownBlock: () => ({ code: -39001, message: 'Unknown block' }),
    noState: () => ({ code: -32000, message: 'World state unavailable' }),
    noMethod: () => ({ code: -32601, message: 'Method not found' }),
  },
  nethermind: {
    version: 'Nethermind/v1.34.0/linux-x64/dotnet9.0.9',
    unknownBlock: (number) => ({ code: -32001, message: `${number} could not be found` }),
    noState: (number) => ({ code: -32002, message: `No state available for block ${number}` }),
    noMethod: (method) => ({ code: -32601, message: `The method '${method}' is not found.` }),
  },
  erigon: {
    version: 'erigon/3.1.0/linux-amd64/go1.24.6',
    unknownBlock: (number) => ({ code: -32000, message: `block not found: ${number}` }),
    noState: (number) => ({
      code: -32000,
      message: `state transitaion failed: seek with txNum=${number * 3n} but data before txNum=${number * 3n + 1000n} is not available`,
    }),
    noMethod: (method) => ({ code: -32601, message: `the method ${method} does not exist/is not available` }),
  },
}

/**
 * Errors as real providers have sent them, word for word, for `error`, `batch-error` and `rate` faults. Where a provider
 * sends one with an HTTP status of its own, the name of the fault says nothing about it: give the status to the fault.
 */
export const wordings = {
  alchemyPerSecond: {
    code: 429,
    message:
      'Your app has exceeded its compute units per second capacity. If you have retries enabled, you can safely ignore this message. If not, check out https://docs.alchemy.com/reference/throughput',
  },
  alchemyMonthly: {
    code: -32600,
    message: 'Monthly capacity limit exceeded. Visit https://dashboard.alchemyapi.io/settings/billing to upgrade your scaling policy',
  },
  alchemyAuth: { code: -32600, message: 'Must be authenticated!' },
  alchemyLogs: {
    code: -32602,
    message:
      'Log response size exceeded. You can make eth_getLogs requests with up to a 2K block range and no limit on the response size, or you can request any block range with a cap of 10K logs in the response. Based on your parameters and the response size limit, this block range should work: [0x0, 0xd043b8]',
  },
  infuraDaily: {
    code: -32005,
    message: 'daily request count exceeded, request rate limited',
    data: { rate: { allowed_rps: 1, backoff_seconds: 30, current_rps: 1.4 } },
  },
  infuraPerSecond: {
    code: -32005,
    message: 'project ID request rate exceeded',
    data: { rate: { allowed_rps: 10, backoff_seconds: 1, current_rps: 14.6 } },
  },
  quicknodePerSecond: {
    code: -32007,
    message: '50/second request limit reached - reduce calls per second or upgrade your account at quicknode.com',
  },
  cloudflare: { code: 1015, message: 'You are being rate limited' },
  ankrAuth: {
    code: -32000,
    message:
      'Unauthorized: You must authenticate your request with an API key. Create an account on https://www.ankr.com/rpc/ and generate your personal API key for free.',
  },
  publicnodeArchive: {
    code: -32602,
    message: 'Archive requests require a personal token. Get one at: https://www.allnodes.com/publicnode',
  },
  baseUnhealthy: { code: -32603, message: 'no backend is currently healthy to serve traffic' },
  gethResponseTooLarge: { code: -32003, message: 'response too large' },
  gethBatchTooLarge: { code: -32600, message: 'batch too large' },
  gethTimeout: { code: -32002, message: 'request timed out' },
  gethPruned: { code: 4444, message: 'pruned history unavailable' },
  besuBatchTooLarge: { code: -32005, message: 'Number of requests exceeds max batch size' },
  besuSyncing: { code: -32008, message: 'Initial sync is still in progress' },
  nethermindBatchTooLarge: { code: -32005, message: 'Batch size limit exceeded' },
  rethTooBig: { code: -32008, message: 'Response is too big', data: 'Exceeded max limit of 167772160' },
  drpcFree: { code: 35, message: 'ranges over 10000 blocks are not supported on freetier' },
  internal: { code: -32603, message: 'Internal error' },
} as const satisfies Readonly<Record<string, RpcError>>

/** What is said of a range, or of its logs, that are too many. Functions get what was refused. */
export const logWordings = {
  quicknode: (max: number): RpcError => ({ code: -32614, message: `eth_getLogs is limited to a ${max.toLocaleString('en')} range` }),
  reth:
    (max: number) =>
    ({ from, fits }: { readonly from: bigint; readonly fits: bigint }): RpcError => ({
      code: -32602,
      message: `query exceeds max results ${max}, retry with the range ${from}-${fits}`,
    }),
  alchemy: ({ from, fits }: { readonly from: bigint; readonly fits: bigint }): RpcError => ({
    code: -32602,
    message: `Log response size exceeded. You can make eth_getLogs requests with up to a 2K block range and no limit on the response size, or you can request any block range with a cap of 10K logs in the response. Based on your parameters and the response size limit, this block range should work: [0x${from.toString(16)}, 0x${fits.toString(16)}]`,
  }),
  /** Everything that helps is in `data`. */
  infura: ({ from, fits }: { readonly from: bigint; readonly fits: bigint }): RpcError => ({
    code: -32005,
    message: 'query returned more than 10000 results',
    data: { from: `0x${from.toString(16)}`, limit: 10_000, to: `0x${fits.toString(16)}` },
  }),
  nethermind: ({ from, fits }: { readonly from: bigint; readonly fits: bigint }): RpcError => ({
    code: -32602,
    message: 'invalid params',
    data: `Query returned more than 10000 results. Try with this block range [0x${from.toString(16)}, 0x${fits.toString(16)}].`,
  }),
  /** Suggests what it has just refused. */
  sameAgain: ({ from, to }: { readonly from: bigint; readonly to: bigint }): RpcError => ({
    code: -32602,
    message: `Log response size exceeded. Based on your parameters and the response size limit, this block range should work: [0x${from.toString(16)}, 0x${to.toString(16)}]`,
  }),
  /** Says nothing that helps. */
  ankr: (): RpcError => ({ code: -32600, message: 'block range is too wide' }),
} as const
