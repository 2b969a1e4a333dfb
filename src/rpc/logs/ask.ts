import { isPipeError, type LogFilter, type PipeError, type RpcAnswers, type RpcCall, type RpcLog } from '../../sdk/index.js'
import { RpcAwayError, RpcCallError, RpcRangeError, RpcRangeTooLongError, RpcTooLargeError } from '../errors.js'
import { RpcUnbelievedError, RpcUnprovableError } from './errors.js'
import { hexOf, toParam, wantedBy } from './filter.js'
import { readLogs } from './parse.js'
import type { LogsPort } from './port.js'
import type { Sizes } from './sizes.js'

/** What was asked for was too much: of blocks, of logs, or of addresses and topics. */
export interface TooMuch {
  readonly over: 'blocks' | 'results' | 'filter'
  /** Last block of what the provider says would work. */
  readonly next: bigint | undefined
  /** Most blocks that it says it takes. */
  readonly blocks: number | undefined
  readonly why: string
  /** Others, which may not find it too much, could not be asked. */
  readonly outage?: PipeError
}

/** Logs of one filter and range, and who gave them. */
export interface Given {
  readonly logs: readonly RpcLog[]
  readonly endpoints: readonly string[]
}

/** What is counted while a range is read. */
export interface Count {
  /** Wrong answers, by endpoint. */
  readonly refused: Map<string, number>
}

/** Who asks. */
export interface Asking {
  readonly signal: AbortSignal
  readonly count: Count
}

export interface AskOptions extends Asking {
  readonly sizes: Sizes
}

/** Asks for the logs of a range until an answer is as it must be. @throws {PipeError} when nobody gives one. */
export function askLogs(port: LogsPort, filter: LogFilter, from: bigint, to: bigint, options: AskOptions): Promise<Given | TooMuch> {
  const { sizes } = options
  const call = logsCall(filter, from, to)
  const wanted = wantedBy(filter)
  const blocks = Number(to - from) + 1
  return askUntil<Given | TooMuch>(port, call, to, options, {
    judge: async (result, endpoint) => {
      const logs = readLogs(result, from, to, wanted)
      if (typeof logs === 'string') return logs
      const head = await port.headBelow(endpoint, to)
      if (head !== undefined) return `its head is ${head}, so it says nothing of block ${to}`
      if (sizes.isCap(logs.length)) {
        sizes.crowded(blocks, logs.length)
        return { over: 'results', next: undefined, blocks: undefined, why: `exactly ${logs.length} logs, which may be a part` }
      }
      port.answered(endpoint, blocks)
      return { logs, endpoints: [endpoint] }
    },
    refused: (error) => {
      // A block can be read in other ways.
      if (from === to && error instanceof RpcAwayError && error.refused.length > 0)
        return { over: 'results', next: undefined, blocks: undefined, why: error.message, outage: error }
      const tooMuch = tooMuchOf(error, to)
      if (!tooMuch) return undefined
      if (error instanceof RpcRangeError) {
        if (error.over === 'results') sizes.crowded(blocks, error.results)
        if (error.over !== 'filter')
          port.refusedBlocks(error.endpoint, blocks, tooMuch.next === undefined ? error.blocks : Number(tooMuch.next - from) + 1)
      }
      return tooMuch
    },
  })
}

/** An answer, in words why it is refused, or that it has a form of which nothing can be proved: that of its chain, or a lie. */
export type Judged<T> = T | string | RpcUnprovableError

/** How answers of one call are looked at. */
interface Look<T> {
  judge(result: unknown, endpoint: string): Judged<T> | Promise<Judged<T>>
  /** What an error is that ends the search, and no failure. */
  refused?(error: PipeError): T | undefined
}

/**
 * One call, until an answer is not refused: of whoever answers first, then of each endpoint by itself.
 * `block`: the highest that the answer depends on.
 */
export async function askUntil<T extends object>(
  port: LogsPort,
  call: RpcCall,
  block: bigint,
  { signal, count }: Asking,
  { judge, refused }: Look<T>,
): Promise<T> {
  const refuse = (endpoint: string, why: string): void => {
    count.refused.set(endpoint, (count.refused.get(endpoint) ?? 0) + 1)
    port.refuse(endpoint, call, why)
  }
  const unprovable = new Map<string, RpcUnprovableError>()
  const look = async ({ values, errors }: RpcAnswers, endpoint: string): Promise<T | string | PipeError> => {
    const error = errors?.get(0)
    if (error) return refused?.(error) ?? error
    const judged = await judge(values[0], endpoint)
    if (judged instanceof RpcUnprovableError) {
      unprovable.set(endpoint, judged)
      return judged.message
    }
    if (typeof judged === 'string') refuse(endpoint, judged)
    // What one endpoint can prove, the chain can.
    else for (const [other, { message }] of unprovable) refuse(other, message)
    return judged
  }
  const answers = await port.batch([call], { signal, block })
  const first = answers.endpoints[0] ?? ''
  const found = await look(answers, first)
  if (isPipeError(found)) throw found
  if (typeof found !== 'string') return found
  const whys = new Map([[first, found]])
  let failed: PipeError | undefined
  let skipped = false
  for await (const turn of port.turns({ signal, block })) {
    // It has just said it.
    if (turn.endpoint === first && !skipped) {
      skipped = true
      continue
    }
    const again = await look(await turn.batch([call], { signal, block }), turn.endpoint)
    if (isPipeError(again)) failed = again
    else if (typeof again !== 'string') return again
    else whys.set(turn.endpoint, again)
  }
  const [strange] = unprovable.values()
  if (strange && unprovable.size === whys.size) throw strange
  // Who could not be asked may know better.
  throw failed?.blame === 'outage' ? failed : new RpcUnbelievedError(whys)
}

/** What an error says of how much was asked for; undefined when it is another matter. */
export function tooMuchOf(error: PipeError, to: bigint): TooMuch | undefined {
  if (error instanceof RpcRangeError) {
    const next = error.next && error.next.to < to ? error.next.to : undefined
    return { over: error.over ?? 'blocks', next, blocks: error.blocks, why: error.message }
  }
  if (error instanceof RpcTooLargeError) return { over: 'results', next: undefined, blocks: undefined, why: error.message }
  if (error instanceof RpcRangeTooLongError) {
    const blocks = Math.min(...error.limits.flatMap((limit) => limit.blocks ?? []))
    return { over: 'blocks', next: undefined, blocks: Number.isFinite(blocks) ? blocks : undefined, why: error.message }
  }
  return undefined
}

/** Whether an error is that of a call which nobody knows how to answer, and may be that of one block among many. */
export const isOfTheCall = (error: unknown): error is RpcCallError => error instanceof RpcCallError

/** What was refused since it was last taken, for evidence. */
export function takeRefused({ refused }: Count): { readonly refused?: Readonly<Record<string, number>> } {
  if (refused.size === 0) return {}
  const taken = Object.fromEntries(refused)
  refused.clear()
  return { refused: taken }
}

export const logsCall = (filter: LogFilter, from: bigint, to: bigint): RpcCall => ({
  method: 'eth_getLogs',
  params: [toParam(filter, from, to)],
})
export const receiptsCall = (block: bigint): RpcCall => ({ method: 'eth_getBlockReceipts', params: [hexOf(block)], replaceable: true })
export const headerCall = (block: bigint): RpcCall => ({ method: 'eth_getBlockByNumber', params: [hexOf(block), false] })
