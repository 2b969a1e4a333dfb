import { isPipeError, mayBeApart, type PipeError, receiptCalls, type RpcLog } from '../../sdk/index.js'
import { type Asking, askUntil, type Judged, receiptsCall } from './ask.js'
import { RpcUnprovableError } from './errors.js'
import { matches, type Wanted } from './filter.js'
import type { Header } from './headers.js'
import { readLog } from './parse.js'
import type { LogsPort } from './port.js'
import { contradiction, isMore, type Prover } from './prover.js'

/** All receipts of a block, as nodes give them, with their logs. */
export interface BlockReceipts {
  readonly receipts: readonly unknown[]
  readonly logs: readonly RpcLog[]
  readonly endpoints: readonly string[]
}

/** Receipts of the block are looked at as `prover` says: at their places, or down to the root. */
export interface ReceiptsOptions extends Asking {
  readonly prover: Prover
  readonly proved: boolean
}

/** The receipts of a block at once, else each by itself; they fit the header. @throws {PipeError} */
export async function askReceipts(port: LogsPort, header: Header, options: ReceiptsOptions): Promise<BlockReceipts> {
  const judge = (result: unknown, endpoint: string): Judged<BlockReceipts> => judgeReceipts(port, header, options, result, endpoint)
  try {
    return await askUntil(port, receiptsCall(header.number), header.number, options, { judge })
  } catch (error) {
    if (!isPipeError(error) || error instanceof RpcUnprovableError || !mayBeApart(error)) throw error
    return oneByOne(port, header, options, judge, error)
  }
}

/** Receipts that an endpoint gave; in words why they are not those of the block. */
export function judgeReceipts(
  { chain }: LogsPort,
  header: Header,
  { prover, proved }: Pick<ReceiptsOptions, 'prover' | 'proved'>,
  result: unknown,
  endpoint: string,
): Judged<BlockReceipts> {
  const wrong = proved
    ? prover.checkBlock(header.block, result, undefined, { chainId: chain.id })
    : prover.checkPlaces(header.block, result, { chainId: chain.id })
  if (wrong) return contradiction(wrong, chain.name, header.number)
  const given = readReceipts(result, endpoint)
  // The root has shown it already.
  if (proved || typeof given === 'string' || !isMore(header.bloom, given.logs, prover)) return given
  return `block ${header.number}: the bloom of its header holds more than the logs of its receipts`
}

/** `why`: the error of the receipts together, which is thrown where they can't be had one by one either. */
async function oneByOne(
  port: LogsPort,
  { number, transactions }: Header,
  { signal, count }: Asking,
  judge: (result: unknown, endpoint: string) => Judged<BlockReceipts>,
  why: PipeError,
): Promise<BlockReceipts> {
  const calls = receiptCalls(transactions)
  const { values, errors, endpoints } = await port.batch(calls, { signal, block: number })
  const found = errors ? undefined : judge(values, endpoints[0] ?? '')
  if (found !== undefined && isReceipts(found)) return { ...found, endpoints }
  for await (const turn of port.turns({ signal, block: number, rounds: 1 })) {
    const own = await turn.batch(calls, { signal, block: number })
    const judged = own.errors ? undefined : judge(own.values, turn.endpoint)
    if (judged === undefined) continue
    if (isReceipts(judged)) return judged
    const reason = typeof judged === 'string' ? judged : judged.message
    count.refused.set(turn.endpoint, (count.refused.get(turn.endpoint) ?? 0) + 1)
    turn.refuse(calls.length, reason)
  }
  throw why
}

export const isReceipts = (judged: Judged<BlockReceipts>): judged is BlockReceipts =>
  typeof judged !== 'string' && !(judged instanceof RpcUnprovableError)

function readReceipts(result: unknown, endpoint: string): BlockReceipts | string {
  // Their form was looked at with their places.
  const receipts = result as readonly { readonly logs: readonly unknown[] }[]
  const logs: RpcLog[] = []
  for (const receipt of receipts)
    for (const item of receipt.logs) {
      const log = readLog(item, logs.at(-1))
      if (typeof log === 'string') return log
      logs.push(log)
    }
  return { receipts, logs, endpoints: [endpoint] }
}

/** Those of the logs of a block that were asked for. */
export const logsIn = ({ logs }: BlockReceipts, wanted: Wanted): readonly RpcLog[] =>
  logs.filter(({ address, topics }) => matches(wanted, address, topics))
