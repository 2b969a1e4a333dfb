import {
  isList,
  type List,
  mayBeApart,
  type PipeError,
  receiptCalls,
  type RpcAnswers,
  type RpcCall,
  type RpcOptions,
} from '../../src/sdk/authors.js'
import { contradiction, isHeader, RECEIPTS, withholds } from './agree.js'
import type { Ask } from './compiled.js'
import type { Block } from './links.js'
import { BlockInconsistentError, NullAnswerError } from './refused.js'

/** Receipts that are asked for at once, one by one, before those of further blocks. */
const AT_ONCE = 1_000

/** A call for receipts that brought none, by its index, with the block that they are of. */
interface Lacking {
  readonly i: number
  readonly call: RpcCall
  readonly block: Block
  /** What gave the block, where the step does not read it: nothing else compares the two then. */
  readonly header: RpcCall | undefined
}

/**
 * Asks as `ask` does. Where a node does not give the receipts of a block together (it does not know the method, says `null`, finds
 * them too large), each is asked for by its transaction, and they are given in their order as if they had come together. Where that
 * brings them neither, the answer stays what it was.
 */
export const askApart =
  (ask: Ask): Ask =>
  async (calls, options) => {
    const asked = calls.map((call) => (call.method === RECEIPTS ? { ...call, replaceable: true } : call))
    const given = await ask(asked, options)
    const open = [...calls.keys()].filter((i) => calls[i]?.method === RECEIPTS && isLacking(given, i))
    return open.length === 0 ? given : new Apart(ask, options, calls, given).receipts(open)
  }

class Apart {
  readonly #ask: Ask
  readonly #options: RpcOptions
  readonly #calls: readonly RpcCall[]
  readonly #values: unknown[]
  readonly #errors: Map<number, PipeError>
  readonly #endpoints: Set<string>

  constructor(ask: Ask, options: RpcOptions, calls: readonly RpcCall[], given: RpcAnswers) {
    this.#ask = ask
    this.#options = options
    this.#calls = calls
    this.#values = [...given.values]
    this.#errors = new Map(given.errors)
    this.#endpoints = new Set(given.endpoints)
  }

  async receipts(open: readonly number[]): Promise<RpcAnswers> {
    let some: Lacking[] = []
    let receipts = 0
    for (const lacking of await this.#blocksOf(open)) {
      some.push(lacking)
      receipts += transactionsOf(lacking.block).length
      if (receipts < AT_ONCE) continue
      await this.#receiptsOf(some)
      some = []
      receipts = 0
    }
    await this.#receiptsOf(some)
    return { values: this.#values, errors: this.#errors.size > 0 ? this.#errors : undefined, endpoints: [...this.#endpoints] }
  }

  /** The blocks of calls for receipts: those that were asked for beside them, else asked for now. Of a height without one, none. */
  async #blocksOf(open: readonly number[]): Promise<readonly Lacking[]> {
    const found: Lacking[] = []
    const alone: { readonly i: number; readonly call: RpcCall; readonly header: RpcCall }[] = []
    for (const i of open) {
      const call = this.#calls[i] as RpcCall
      const beside = this.#calls.findIndex(({ method, params }) => isHeader(method) && params[0] === call.params[0])
      const header = headerOf(call)
      if (beside !== -1) found.push(...lackingIn(this.#values[beside], { i, call, header: undefined }))
      else if (header) alone.push({ i, call, header })
    }
    const { values } = await this.#send(alone.map(({ header }) => header))
    return [...found, ...alone.flatMap((one, n) => lackingIn(values[n], one))]
  }

  async #receiptsOf(some: readonly Lacking[]): Promise<void> {
    const { values, errors } = await this.#send(some.flatMap(({ block }) => receiptCalls(transactionsOf(block))))
    let next = 0
    for (const { i, call, block, header } of some) {
      const first = next
      next += transactionsOf(block).length
      const error = errorWithin(errors, first, next)
      if (error) {
        // What keeps one of them away may be over later, also where all of them together will never be had.
        const together = this.#errors.get(i)
        if (error.blame === 'outage' && together?.blame === 'own')
          this.#errors.set(i, new NullAnswerError(`block ${numberOf(block)}`, `${together.message}; and one by one: ${error.message}`))
        continue
      }
      const receipts = values.slice(first, next)
      const problem =
        header &&
        (await contradiction([
          { name: 'the block', call: header, value: block },
          { name: 'receipts', call, value: receipts },
        ]))
      if (problem === undefined) {
        this.#values[i] = receipts
        this.#errors.delete(i)
      } else {
        this.#errors.set(i, new BlockInconsistentError(`block ${numberOf(block)}`, problem))
      }
    }
  }

  async #send(calls: readonly RpcCall[]): Promise<Pick<RpcAnswers, 'values' | 'errors'>> {
    if (calls.length === 0) return { values: [], errors: undefined }
    const given = await this.#ask(calls, this.#options)
    for (const host of given.endpoints) this.#endpoints.add(host)
    return given
  }
}

function errorWithin(errors: RpcAnswers['errors'], from: number, to: number): PipeError | undefined {
  for (const [i, error] of errors ?? []) if (i >= from && i < to) return error
  return undefined
}

function isLacking({ values, errors }: RpcAnswers, i: number): boolean {
  const error = errors?.get(i)
  return error ? mayBeApart(error) : (values[i] ?? null) === null
}

const numberOf = ({ number }: Block): string => String(Number(number))

const transactionsOf = ({ transactions }: Block): List<unknown> => transactions as List<unknown>

/** Nothing where the answer is no block, or one without the list of its transactions. */
function lackingIn(value: unknown, asked: Omit<Lacking, 'block'>): readonly Lacking[] {
  if (typeof value !== 'object' || value === null || !('transactions' in value) || !isList(value.transactions)) return []
  const block: Block = { ...value }
  return value.transactions.length === 0 && withholds(block) ? [] : [{ ...asked, block }]
}

/** What asks for the block of a call for receipts. Undefined where it does not name it by number or hash. */
function headerOf({ params: [block], nullable }: RpcCall): RpcCall | undefined {
  if (typeof block !== 'string') return undefined
  return { method: block.length === 66 ? 'eth_getBlockByHash' : 'eth_getBlockByNumber', params: [block, false], nullable }
}
