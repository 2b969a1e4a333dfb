import type { RpcAnswers } from '../../sdk/index.js'
import { type Asking, askUntil, headerCall, type Judged } from './ask.js'
import { RpcUnbelievedError, RpcUnprovableError } from './errors.js'
import { hexOf, quantity } from './parse.js'
import type { LogsPort } from './port.js'
import { contradiction, type Prover } from './prover.js'

/** A block's header, as far as it says something of logs, and the hashes of its transactions. Hashes are lower-case. */
export interface Header {
  readonly number: bigint
  readonly hash: string
  readonly parentHash: string
  readonly bloom: string
  readonly transactions: readonly string[]
  /** As the node gave it. */
  readonly block: object
}

export interface HeadersOptions extends Asking {
  /** Given: the hash of each header is computed, too. */
  readonly prover: Prover | undefined
}

/** One header. @throws {PipeError} */
export function askHeader(port: LogsPort, number: bigint, options: HeadersOptions): Promise<Header> {
  return askUntil(port, headerCall(number), number, options, { judge: (result) => readHeader(port, result, number, options) })
}

/** The headers of a stretch, each the parent of the next. @throws {PipeError} */
export async function askHeaders(port: LogsPort, from: bigint, to: bigint, options: HeadersOptions): Promise<readonly Header[]> {
  const { signal, count } = options
  const numbers = Array.from({ length: Number(to - from) + 1 }, (_, i) => from + BigInt(i))
  const calls = numbers.map(headerCall)
  const { values, errors, endpoints } = await port.batch(calls, { signal, block: to })
  const error = errors?.values().next().value
  if (error) throw error
  const given = numbers.map((number, i) => readHeader(port, values[i], number, options))
  const wrong = given.find((header) => typeof header === 'string')
  const [only, ...others] = endpoints
  // Of several nobody knows whose it was; who says it again is told then.
  if (wrong !== undefined && only !== undefined && others.length === 0) {
    count.refused.set(only, (count.refused.get(only) ?? 0) + 1)
    port.refuse(only, headerCall(from), wrong)
  }
  // Where all endpoints have such a form, it is that of the chain, and one block is enough to see it.
  const strange = given.findIndex((header) => header instanceof RpcUnprovableError)
  if (strange !== -1) await askHeader(port, from + BigInt(strange), options)
  const headers = await Promise.all(
    given.map((header, i) => (isHeader(header) ? Promise.resolve(header) : askHeader(port, from + BigInt(i), options))),
  )
  const broken = linkProblem(headers)
  if (broken === undefined) return headers
  // Of several endpoints, each may be right by itself.
  const whys = new Map<string, string>()
  for await (const turn of port.turns({ signal, block: to })) {
    const again = read(port, await turn.batch(calls, { signal, block: to }), numbers, options)
    const problem = typeof again === 'string' ? again : linkProblem(again)
    if (typeof again !== 'string' && problem === undefined) return again
    whys.set(turn.endpoint, problem ?? broken)
    count.refused.set(turn.endpoint, (count.refused.get(turn.endpoint) ?? 0) + 1)
    turn.refuse(numbers.length, problem ?? broken)
  }
  throw new RpcUnbelievedError(whys)
}

function read(port: LogsPort, answers: RpcAnswers, numbers: readonly bigint[], options: HeadersOptions): readonly Header[] | string {
  const error = answers.errors?.values().next().value
  if (error) return error.message
  const headers: Header[] = []
  for (const [i, number] of numbers.entries()) {
    const header = readHeader(port, answers.values[i], number, options)
    if (!isHeader(header)) return typeof header === 'string' ? header : header.message
    headers.push(header)
  }
  return headers
}

/** Where a block is not the parent of the next. */
export function linkProblem(headers: readonly Pick<Header, 'number' | 'hash' | 'parentHash'>[]): string | undefined {
  for (let i = 1; i < headers.length; i++) {
    const [before, header] = [headers[i - 1], headers[i]]
    if (before && header && before.hash !== header.parentHash)
      return `the parent of block ${header.number} is ${header.parentHash}, and block ${before.number} is ${before.hash}`
  }
  return undefined
}

const isHeader = (judged: Judged<Header>): judged is Header => typeof judged !== 'string' && !(judged instanceof RpcUnprovableError)

/** A block that was asked for without its transactions' contents; in words what is wrong with it. */
function readHeader({ chain }: LogsPort, result: unknown, number: bigint, { prover }: HeadersOptions): Judged<Header> {
  if (typeof result !== 'object' || result === null) return `no block ${number}`
  const block = result as Readonly<Record<string, unknown>>
  if (quantity(block['number']) !== Number(number)) return `block ${String(block['number'])} in the place of ${number}`
  const hash = hexOf(block['hash'], 66)
  const parentHash = hexOf(block['parentHash'], 66)
  const bloom = hexOf(block['logsBloom'], 514)
  const list = block['transactions']
  if (hash === undefined || parentHash === undefined || bloom === undefined || !Array.isArray(list))
    return `block ${number} without hash, parentHash, logsBloom or transactions`
  const transactions: string[] = []
  for (const item of list as readonly unknown[]) {
    const transaction = hexOf(item, 66)
    if (transaction === undefined) return `block ${number} with a transaction that has no hash`
    transactions.push(transaction)
  }
  const wrong = prover?.checkBlock(block)
  return wrong ? contradiction(wrong, chain.name, number) : { number, hash, parentHash, bloom, transactions, block }
}
