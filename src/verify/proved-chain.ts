import { isPipeError, PipeError, receiptCalls, type RpcCall } from '../sdk/index.js'
import { accountProof, checkBlock, type Difference, type NotRebuildable, type ProvedAccount } from '../proof/index.js'
import type { Fetcher } from './sample.js'

export type Fields = Readonly<Record<string, unknown>>

/** What a block's own hashes say of an answer: nothing but good, or why they say nothing. */
export interface Proved<T> {
  readonly value: T
  /** A clause. Undefined: it is proved. */
  readonly unproved: string | undefined
}

/** An answer of one endpoint. */
export interface Given<T> extends Proved<T> {
  readonly host: string
}

/** A header, as all endpoints that have it give it. */
export interface Header extends Proved<Fields> {
  readonly number: bigint
  readonly hash: string
  /** Hosts that give this hash. */
  readonly hosts: readonly string[]
}

/** All that endpoints give of something is refuted by the hashes of its block. */
export class ProofRefutedError extends PipeError {
  readonly code = 'PROOF_REFUTED'
  override readonly hint = 'give the chain another endpoint, verify again with the same --seed, and reset what then differs'
  constructor(
    readonly block: bigint,
    problems: readonly string[],
  ) {
    super(`block ${block} is not proved: ${problems.join('; ')}`)
  }
}

/** Endpoints give different blocks of one number, each of them whole in itself, or a block on which the next one does not stand. */
export class ProofForkedError extends PipeError {
  readonly code = 'PROOF_FORKED'
  override readonly hint =
    'compare with a block explorer and remove the endpoint that is wrong; after a reorg verify again when the block has its confirmations'
  constructor(
    readonly block: bigint,
    problem: string,
  ) {
    super(`block ${block}: ${problem}`)
  }
}

/** Nobody has a block that the ledger says was read. */
export class ProofNoBlockError extends PipeError {
  readonly code = 'PROOF_NO_BLOCK'
  override readonly blame = 'outage'
  override readonly hint = 'see whether the endpoints lag, or are of another chain'
  constructor(readonly block: bigint) {
    super(`block ${block}: no endpoint has it`)
  }
}

/** Answers that are kept. Blocks are looked at nearly in their order. */
const KEPT = 500

/** What the endpoints of a chain say of its blocks, each asked by itself, and what the blocks' own hashes prove of it. */
export class ProvedChain {
  /** Refuted answers of endpoints, by host, where another one gave what is right. */
  readonly refuted = new Map<string, { count: number; readonly example: string }>()
  /** The first error of each endpoint that did not answer something. */
  readonly failed = new Map<string, string>()
  /** Blocks that proofs rest on, by how many endpoints give their hash. */
  readonly agreed = new Map<number, number>()
  /** Those of them that the next block goes on from. */
  linkedBlocks = 0
  readonly #fetchers: readonly Fetcher[]
  readonly #chainId: number | undefined
  readonly #signal: AbortSignal
  readonly #kept = new Map<string, Promise<unknown>>()
  /** Methods that an endpoint does not have, by host: they are not asked for again. */
  readonly #missing = new Map<string, PipeError>()

  constructor(fetchers: readonly Fetcher[], chainId: number | undefined, signal: AbortSignal) {
    this.#fetchers = fetchers
    this.#chainId = chainId
    this.#signal = signal
  }

  /** The header of a block by hash, from each endpoint; null where all say that there is none. @throws {PipeError} */
  header(number: bigint): Promise<Header | null> {
    return this.#once(`header ${number}`, () => this.#askHeader(number))
  }

  /** The same of a block that there must be, and that the next one goes on from, where there is one yet. @throws {PipeError} */
  linked(number: bigint): Promise<Header> {
    return this.#once(`linked ${number}`, async () => {
      // What is wrong with the next one is told where that one is proved.
      const [header, next] = await Promise.all([this.header(number), this.header(number + 1n).catch(() => null)])
      this.#signal.throwIfAborted()
      if (!header) throw new ProofNoBlockError(number)
      const { hash, hosts } = header
      const parent = lower(next?.value.parentHash)
      if (next && parent !== hash)
        throw new ProofForkedError(
          number,
          `it is ${hash} at ${hosts.join(', ')}, and block ${next.number} at ${next.hosts.join(', ')} goes on from ${parent}`,
        )
      this.agreed.set(hosts.length, (this.agreed.get(hosts.length) ?? 0) + 1)
      if (next) this.linkedBlocks++
      return header
    })
  }

  /** A block with all of its transactions. @throws {PipeError} */
  full(number: bigint): Promise<Given<Fields>> {
    return this.#once(`full ${number}`, async () => {
      const header = await this.linked(number)
      return this.#first(number, {
        ask: (fetcher) => this.#ask(fetcher, 'eth_getBlockByNumber', [quantity(number), true]),
        check: (block) => {
          const { hash, transactions } = block as Fields
          if (lower(hash) !== header.hash) return { field: 'hash', said: String(hash), computed: header.hash }
          return checkBlock(block, undefined, transactions, { chainId: this.#chainId })
        },
      })
    })
  }

  /** All receipts of a block. @throws {PipeError} */
  receipts(number: bigint): Promise<Given<readonly Fields[]>> {
    return this.#once(`receipts ${number}`, async () => {
      const block = await this.full(number)
      const found = await this.#first<readonly Fields[]>(number, {
        ask: (fetcher) => this.#askReceipts(fetcher, number, block.value),
        check: (receipts) => checkBlock(block.value, receipts, undefined, { chainId: this.#chainId }),
      })
      return { ...found, unproved: found.unproved ?? block.unproved }
    })
  }

  /** An account as a block left it. Undefined: nobody proves it, and why. @throws {PipeError} */
  async account(address: string, number: bigint): Promise<Proved<ProvedAccount | undefined>> {
    const header = await this.linked(number)
    if (header.unproved !== undefined) return { value: undefined, unproved: header.unproved }
    const accounts = new Map<unknown, ProvedAccount>()
    try {
      const { value } = await this.#first<unknown>(number, {
        ask: (fetcher) => this.#ask(fetcher, 'eth_getProof', [address, [], quantity(number)]),
        check: async (proof) => {
          const account = await accountProof(String(header.value.stateRoot), address, proof)
          if ('field' in account) return account
          accounts.set(proof, account)
          return undefined
        },
      })
      return { value: accounts.get(value), unproved: undefined }
    } catch (error) {
      this.#signal.throwIfAborted()
      if (!isPipeError(error) || error instanceof ProofRefutedError) throw error
      return { value: undefined, unproved: `no endpoint gives eth_getProof of its block (${error.code})` }
    }
  }

  /** An answer as it is given, from the first endpoint that has one. @throws {PipeError} */
  async plain(method: string, params: readonly unknown[]): Promise<unknown> {
    let failure: unknown
    for (const fetcher of this.#fetchers) {
      try {
        const value = await this.#ask(fetcher, method, params)
        if (value !== null) return value
      } catch (error) {
        this.#signal.throwIfAborted()
        failure ??= error
      }
    }
    if (failure !== undefined) throw failure as Error
    return null
  }

  async #askHeader(number: bigint): Promise<Header | null> {
    const given = await Promise.allSettled(
      this.#fetchers.map((fetcher) => this.#ask(fetcher, 'eth_getBlockByNumber', [quantity(number), false])),
    )
    this.#signal.throwIfAborted()
    const problems: string[] = []
    const headers: Header[] = []
    for (const [i, answer] of given.entries()) {
      const host = this.#fetchers[i]?.host ?? ''
      if (answer.status === 'rejected' || answer.value === null) continue
      const value = answer.value as Fields
      const wrong = checkBlock(value) ?? ofAnother(value, number)
      if (wrong && !('rebuildable' in wrong)) problems.push(this.refuse(host, number, wrong))
      else headers.push({ number, hash: lower(value.hash), hosts: [host], value, unproved: wrong && unbuildable(wrong) })
    }
    const [first] = headers
    if (!first) {
      if (problems.length > 0) throw new ProofRefutedError(number, problems)
      const failed = given.find((answer) => answer.status === 'rejected')
      if (failed) throw failed.reason as Error
      return null
    }
    if (headers.some(({ hash }) => hash !== first.hash))
      throw new ProofForkedError(number, headers.map(({ hash, hosts }) => `${hosts.join()} says that it is ${hash}`).join(', '))
    return { ...first, hosts: headers.flatMap(({ hosts }) => hosts) }
  }

  /** From one endpoint after the other, until one gives what is proved. Those that contradict are counted. */
  async #first<T>(
    number: bigint,
    {
      ask,
      check,
    }: {
      ask(fetcher: Fetcher): Promise<unknown>
      check(value: T): Difference | NotRebuildable | undefined | Promise<Difference | NotRebuildable | undefined>
    },
  ): Promise<Given<T>> {
    const problems: string[] = []
    let failure: unknown
    let unproved: Given<T> | undefined
    for (const fetcher of this.#fetchers) {
      let value: T
      try {
        value = (await ask(fetcher)) as T
      } catch (error) {
        this.#signal.throwIfAborted()
        failure ??= error
        continue
      }
      if (value === null) continue
      const wrong = await check(value)
      if (!wrong) return { value, unproved: undefined, host: fetcher.host }
      if ('rebuildable' in wrong) unproved ??= { value, unproved: unbuildable(wrong), host: fetcher.host }
      else problems.push(this.refuse(fetcher.host, number, wrong))
    }
    if (unproved) return unproved
    if (problems.length > 0) throw new ProofRefutedError(number, problems)
    throw (failure as Error | undefined) ?? new ProofNoBlockError(number)
  }

  /** Together, or one by one where the node does not give them so. */
  async #askReceipts(fetcher: Fetcher, number: bigint, block: Fields): Promise<unknown> {
    const together = [{ method: 'eth_getBlockReceipts', params: [quantity(number)], nullable: true, replaceable: true }]
    const { values } = await fetcher.rpc.batch(together, { signal: this.#signal })
    if (values[0] != null) return values[0]
    const calls = receiptCalls(block.transactions as readonly Fields[])
    if (calls.length === 0) return []
    return this.#askAll(fetcher, calls)
  }

  async #ask(fetcher: Fetcher, method: string, params: readonly unknown[]): Promise<unknown> {
    const [value] = await this.#askAll(fetcher, [{ method, params, nullable: true }])
    return value ?? null
  }

  async #askAll({ host, rpc }: Fetcher, calls: readonly RpcCall[]): Promise<readonly unknown[]> {
    const asked = `${host} ${calls[0]?.method ?? ''}`
    const missing = this.#missing.get(asked)
    if (missing) throw missing
    try {
      const { values, errors } = await rpc.batch(calls, { signal: this.#signal })
      for (const error of errors?.values() ?? []) throw error
      return values
    } catch (error) {
      this.#signal.throwIfAborted()
      if (isPipeError(error) && error.code === 'RPC_METHOD_MISSING') this.#missing.set(asked, error)
      if (!this.failed.has(host)) this.failed.set(host, (error as Error).message)
      throw error
    }
  }

  /** Counts a refuted answer. Returns what is wrong, in words. */
  refuse(host: string, number: bigint, { field, said, computed }: Difference): string {
    const problem = `${field} is ${said} at ${host}, and from the rest follows ${computed}`
    const known = this.refuted.get(host)
    if (known) known.count++
    else this.refuted.set(host, { count: 1, example: `block ${number}: ${problem}` })
    return problem
  }

  #once<T>(key: string, ask: () => Promise<T>): Promise<T> {
    // Only what `ask` of this key gives is kept under it.
    const known = this.#kept.get(key) as Promise<T> | undefined
    if (known) return known
    const asked = ask()
    this.#kept.set(key, asked)
    asked.catch(() => this.#kept.delete(key))
    for (const oldest of this.#kept.keys()) {
      if (this.#kept.size <= KEPT) break
      this.#kept.delete(oldest)
    }
    return asked
  }
}

export const quantity = (number: bigint): string => `0x${number.toString(16)}`

export const lower = (text: unknown): string => String(text).toLowerCase()

/** A number in hexadecimal, or undefined for what is none. */
export function numberOf(value: unknown): bigint | undefined {
  return typeof value === 'string' && /^0x[\da-f]{1,64}$/i.test(value) ? BigInt(value) : undefined
}

const unbuildable = ({ reason }: NotRebuildable): string => `its block can't be rebuilt: ${reason}`

function ofAnother({ number }: Fields, asked: bigint): Difference | undefined {
  return numberOf(number) === asked ? undefined : { field: 'number', said: String(number), computed: quantity(asked) }
}
