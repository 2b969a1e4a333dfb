import {
  isPipeError,
  type LogFilter,
  type LogsOptions,
  type LogsPage,
  type PipeError,
  type RpcAnswers,
  type RpcCall,
  type RpcLog,
  type RpcOptions,
  type RpcPool,
  type RpcTurn,
} from '../sdk/index.js'
import { type Derived, derivedOf, isStateSync } from '../proof/index.js'
import { guardedBlock, guardedLog, guardedReceipt, guardedTransaction, type Heard } from './guarded.js'
import { type Fields, lower, numberOf, ProofRefutedError, type Proved, type ProvedChain } from './proved-chain.js'

/** Blocks of one question for logs: each of them is proved. */
const MOST_BLOCKS = 1_000n

/** The list of a block's transactions' hashes that was used: it takes the transactions to prove it. */
interface UsedList {
  readonly number: bigint
  readonly header: Fields
  readonly host: string
}

/** A field that was used, and is written beside a transaction or its receipt. */
interface UsedField {
  readonly number: bigint
  readonly index: number
  readonly name: keyof Derived | 'gasPrice'
  /** Of the answer of `host`. */
  readonly fields: Fields
  readonly host: string
  readonly of: 'transaction' | 'receipt'
}

const DERIVED = new Set<string>(['from', 'to', 'gasPrice', 'effectiveGasPrice', 'contractAddress'])
const isDerived = (name: string): name is UsedField['name'] => DERIVED.has(name)

/**
 * The endpoints of a chain for a step whose answers are to be proved. What a block's hashes hold is answered from proved blocks
 * and receipts, whatever the endpoints say when they are asked for just that; what they do not hold is asked, and told.
 */
export class ProvingPool implements RpcPool {
  /** What the step used and nothing proves, in clauses. */
  readonly unproved = new Set<string>()
  readonly #chain: ProvedChain
  readonly #used: (UsedList | UsedField)[] = []
  readonly #heard: Heard = (name, of) => void this.unproved.add(`${name} of a ${of} is in no hash of its block`)

  constructor(chain: ProvedChain) {
    this.#chain = chain
  }

  /**
   * Proves what takes more than its block's hash, now that it is known to have been used. What is wrong is put right in the answer,
   * since what is right follows from the block. Resolves to whether something was: then the step is to be run again.
   *
   * @throws {PipeError}
   */
  async settle(): Promise<boolean> {
    let isCorrected = false
    for (const used of this.#used.splice(0)) {
      const full = await this.#chain.full(used.number)
      this.#note(full)
      if ('header' in used ? this.#listRight(used, full.value) : await this.#putRight(used, full.value)) isCorrected = true
    }
    return isCorrected
  }

  /** The hashes of a block's transactions, as a block without them lists them. */
  #listRight({ number, header, host }: UsedList, block: Fields): boolean {
    const own = transactionsOf(block).map(({ hash }) => lower(hash))
    const said = Array.isArray(header.transactions) ? header.transactions.map(lower) : []
    if (own.length === said.length && own.every((hash, i) => hash === said[i])) return false
    this.#chain.refuse(host, number, { field: 'transactions', said: said.join(), computed: own.join() })
    Object.assign(header, { transactions: own })
    return true
  }

  /** What is written beside a transaction or its receipt, and follows from the transaction. */
  async #putRight({ number, index, name, fields, of, host }: UsedField, block: Fields): Promise<boolean> {
    const derived = await derivedOf(transactionsOf(block)[index], block.baseFeePerGas).catch(() => undefined)
    if (!derived) {
      this.#heard(name, of)
      return false
    }
    const said = fields[name]
    const found = derived[name === 'gasPrice' ? 'effectiveGasPrice' : name]
    if (numberOf(found) === numberOf(said) && (found === null) === (said === null)) return false
    this.#chain.refuse(host, number, { field: `${name} of ${of} ${index}`, said: String(said), computed: String(found) })
    Object.assign(fields, { [name]: found })
    return true
  }

  // Steps pass it on as a function.
  readonly batch = async (calls: readonly RpcCall[], { signal }: RpcOptions): Promise<RpcAnswers> => {
    const errors = new Map<number, PipeError>()
    const values = await Promise.all(
      calls.map((call, i) =>
        this.#answer(call).catch((error: unknown) => {
          signal.throwIfAborted()
          if (!isPipeError(error)) throw error
          errors.set(i, error)
          return undefined
        }),
      ),
    )
    return { values, errors: errors.size > 0 ? errors : undefined, endpoints: [] }
  }

  readonly request = async (method: string, params: readonly unknown[], options: RpcOptions): Promise<unknown> => {
    const { values, errors } = await this.batch([{ method, params }], options)
    const error = errors?.get(0)
    if (error) throw error
    return values[0]
  }

  async *logs(filter: LogFilter, { from, to }: LogsOptions): AsyncIterable<LogsPage> {
    for (let number = from; number <= to; number++) {
      const [header, logs] = await Promise.all([this.#chain.linked(number), this.#logsOf(number, filter)])
      yield {
        from: number,
        to: number,
        logs: logs.map(logOf),
        evidence: { verified: 'proof' },
        endpoints: [],
        parentHash: lower(header.value.parentHash),
        lastHash: header.hash,
      }
    }
  }

  async *turns(options: RpcOptions): AsyncIterable<RpcTurn> {
    await this.ready(options.signal)
    yield { endpoint: 'the chain', batch: (calls, asked) => this.batch(calls, asked), refuse: () => undefined }
  }

  /** What it answers is proved already, and to be read means to be used. */
  prove(): Promise<undefined> {
    return Promise.resolve(undefined)
  }

  ready(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted()
    return Promise.resolve()
  }

  async #answer({ method, params }: RpcCall): Promise<unknown> {
    const [first, second] = params
    switch (method) {
      case 'eth_getBlockByNumber':
      case 'eth_getBlockByHash': {
        const number = await this.#numberOf(first)
        return number === undefined ? this.#plain(method, params) : second === true ? this.#full(number) : this.#header(number)
      }
      case 'eth_getBlockReceipts': {
        const number = await this.#numberOf(first)
        return number === undefined ? this.#plain(method, params) : this.#receipts(number)
      }
      case 'eth_getBlockTransactionCountByNumber':
      case 'eth_getBlockTransactionCountByHash': {
        const number = await this.#numberOf(first)
        return number === undefined ? this.#plain(method, params) : `0x${(await this.#transactions(number)).length.toString(16)}`
      }
      case 'eth_getTransactionByBlockNumberAndIndex':
      case 'eth_getTransactionByBlockHashAndIndex': {
        const number = await this.#numberOf(first)
        if (number === undefined) return this.#plain(method, params)
        return (await this.#transactions(number))[Number(second)] ?? null
      }
      case 'eth_getTransactionByHash':
      case 'eth_getTransactionReceipt': {
        const said = (await this.#chain.plain(method, params)) as Fields | null
        const number = numberOf(said?.blockNumber)
        if (number === undefined) return this.#plain(method, params)
        const list = await (method === 'eth_getTransactionByHash' ? this.#transactions(number) : this.#receipts(number))
        const found = list.find(
          ({ hash, transactionHash }) => lower(method === 'eth_getTransactionByHash' ? hash : transactionHash) === lower(first),
        )
        if (!found)
          throw new ProofRefutedError(number, [`it does not have the transaction ${String(first)}, which an endpoint says is in it`])
        return found
      }
      case 'eth_getLogs':
        return this.#logs(first as Fields, method, params)
      case 'eth_getBalance':
      case 'eth_getTransactionCount': {
        const number = numberOf(second)
        if (number === undefined || number > 2n ** 63n) return this.#plain(method, params)
        const account = await this.#chain.account(String(first), number)
        this.#note(account)
        if (!account.value) return this.#chain.plain(method, params)
        return `0x${(method === 'eth_getBalance' ? account.value.balance : account.value.nonce).toString(16)}`
      }
      default:
        return this.#plain(method, params)
    }
  }

  /** A block by its number or hash; undefined for a tag, which is another block at each time. */
  async #numberOf(block: unknown): Promise<bigint | undefined> {
    const { blockNumber, blockHash } =
      typeof block === 'object' && block !== null ? (block as Fields) : { blockNumber: block, blockHash: block }
    if (typeof blockHash === 'string' && blockHash.length === 66) {
      const said = (await this.#chain.plain('eth_getBlockByHash', [blockHash, false])) as Fields | null
      const number = numberOf(said?.number)
      const header = number === undefined ? null : await this.#chain.header(number)
      return header?.hash === lower(blockHash) ? number : undefined
    }
    return numberOf(blockNumber)
  }

  async #header(number: bigint): Promise<Fields | null> {
    const header = await this.#chain.header(number)
    if (!header) return null
    this.#note(header)
    const heard: Heard = (name, of) => {
      if (name === 'transactions') this.#used.push({ number, header: header.value, host: header.hosts[0] ?? '' })
      else this.#heard(name, of)
    }
    return guardedBlock(header.value, heard)
  }

  async #full(number: bigint): Promise<Fields | null> {
    if (!(await this.#chain.header(number))) return null
    return guardedBlock((await this.#chain.full(number)).value, this.#heard, await this.#transactions(number))
  }

  async #transactions(number: bigint): Promise<readonly Fields[]> {
    const { host, ...full } = await this.#chain.full(number)
    this.#note(full)
    return transactionsOf(full.value).map((one, i, all) =>
      guardedTransaction(one, isSynced(one, i, all), full.value.timestamp, this.#hearing(number, i, one, host)),
    )
  }

  async #receipts(number: bigint): Promise<readonly Fields[]> {
    const [{ value: block }, receipts] = await Promise.all([this.#chain.full(number), this.#chain.receipts(number)])
    this.#note(receipts)
    const { host } = receipts
    return receipts.value.map((one, i, all) =>
      guardedReceipt(one, isSynced(one, i, all), block.timestamp, this.#hearing(number, i, one, host)),
    )
  }

  async #logs(asked: Fields, method: string, params: readonly unknown[]): Promise<unknown> {
    const one = asked.blockHash === undefined ? undefined : await this.#numberOf(asked.blockHash)
    const [from, to] = [one ?? numberOf(asked.fromBlock), one ?? numberOf(asked.toBlock)]
    if (from === undefined || to === undefined || to - from >= MOST_BLOCKS) return this.#plain(method, params)
    const list = (value: unknown) => (value === undefined || value === null ? [] : Array.isArray(value) ? value : [value])
    const filter: LogFilter = {
      addresses: list(asked.address).map(lower),
      topics: list(asked.topics).map((topic: unknown) => (topic === null ? null : list(topic).map(lower))),
    }
    const found: Fields[] = []
    for (let number = from; number <= to; number++) found.push(...(await this.#logsOf(number, filter)))
    return found
  }

  /** Whatever the index of a node says: a log that the receipts have is there. */
  async #logsOf(number: bigint, filter: LogFilter): Promise<readonly Fields[]> {
    const [{ value: block }, receipts] = await Promise.all([this.#chain.full(number), this.#chain.receipts(number)])
    this.#note(receipts)
    return receipts.value.flatMap((receipt, i, all) =>
      (receipt.logs as readonly Fields[])
        .filter((log) => isAsked(log, filter))
        .map((log) => guardedLog(log, isSynced(receipt, i, all), block.timestamp, this.#heard)),
    )
  }

  #hearing(number: bigint, index: number, fields: Fields, host: string): Heard {
    const known = new Set<string>()
    return (name, of) => {
      if (known.has(name) && of !== 'log') return
      known.add(name)
      if (isDerived(name) && of !== 'log' && of !== 'block') this.#used.push({ number, index, name, fields, host, of })
      else this.#heard(name, of)
    }
  }

  #plain(method: string, params: readonly unknown[]): Promise<unknown> {
    this.unproved.add(
      `nothing proves ${method}${numberOf(params[0]) === undefined && isOfBlock(method) ? ' of a block without a number' : ''}`,
    )
    return this.#chain.plain(method, params)
  }

  #note({ unproved }: Proved<unknown>): void {
    if (unproved !== undefined) this.unproved.add(unproved)
  }
}

const isOfBlock = (method: string): boolean => method.startsWith('eth_getBlock')

/** Only the last of a block may be what a state sync left. */
const isSynced = (one: Fields, i: number, all: readonly Fields[]): boolean => i === all.length - 1 && isStateSync(one)

const transactionsOf = (block: Fields): readonly Fields[] => block.transactions as readonly Fields[]

/** By the rules of eth_getLogs. */
function isAsked({ address, topics }: Fields, filter: LogFilter): boolean {
  if (filter.addresses.length > 0 && !filter.addresses.includes(lower(address))) return false
  const own = topics as readonly unknown[]
  return (
    filter.topics.length <= own.length &&
    filter.topics.every((wanted, i) => wanted === null || wanted.length === 0 || wanted.includes(lower(own[i])))
  )
}

function logOf(log: Fields): RpcLog {
  return {
    address: lower(log.address),
    topics: (log.topics as readonly unknown[]).map(lower),
    data: lower(log.data),
    blockNumber: BigInt(log.blockNumber as string),
    blockHash: lower(log.blockHash),
    transactionHash: lower(log.transactionHash),
    transactionIndex: Number(log.transactionIndex),
    logIndex: Number(log.logIndex),
  }
}
