import type { LogsPage, RpcCall, RunContext } from '../../src/sdk/authors.js'
import type { Config } from './config.js'
import { HeaderRefusedError, LogForkedError } from './errors.js'

/** Blocks behind the confirmations that a reorg may reach. */
const NEAR = 64n

/**
 * Makes pages near the head say which fork they are of. A page is taken when the last block of the unit is the same before it was read and
 * afterwards, and the last of its logs is of the block that its height has. Undefined: the unit lies so deep that nothing reorganizes it.
 */
export async function nearHead(
  { rpc, signal, chain, head }: RunContext<Config, never>,
  to: bigint,
): Promise<((page: LogsPage) => Promise<LogsPage>) | undefined> {
  if (to + BigInt(chain?.confirmations ?? 0) + NEAR <= (await head())) return undefined
  const hashes = async (numbers: readonly bigint[]): Promise<(string | undefined)[]> => {
    const highest = numbers.reduce((high, number) => (number > high ? number : high))
    const { values, errors } = await rpc.batch(numbers.map(headerCall), { signal, block: highest })
    const [error] = errors?.values() ?? []
    if (error) throw error
    return values.map((value) => hashOf(value))
  }
  const [before] = await hashes([to])
  return async (page) => {
    const log = page.logs.at(-1)
    const [end, last, own] = await hashes([to, page.to, ...(log ? [log.blockNumber] : [])])
    if (end !== before)
      throw new HeaderRefusedError(
        `block ${to} was ${before ?? 'nothing'} before its logs were read, and is ${end ?? 'nothing'} afterwards`,
      )
    if (log && own !== log.blockHash) throw new LogForkedError(log.blockNumber, log.blockHash, own ?? 'nothing')
    return { ...page, lastHash: page.lastHash ?? last }
  }
}

const headerCall = (number: bigint): RpcCall => ({ method: 'eth_getBlockByNumber', params: [`0x${number.toString(16)}`, false] })

function hashOf(block: unknown): string | undefined {
  const { hash } = (block ?? {}) as { readonly hash?: unknown }
  return typeof hash === 'string' ? hash.toLowerCase() : undefined
}
