import { type BlockLink, isList, type RpcAnswers, type RpcCall } from '../../src/sdk/authors.js'
import { ForkedAnswerError } from './refused.js'

/** Blocks that a reorg may reach and that answers depend on, as far as these don't say of which block they are. */
export interface Near {
  /** The highest block that is deep enough. */
  readonly floor: bigint
  readonly blocks: Set<bigint>
}

type Ask = (calls: readonly RpcCall[]) => Promise<RpcAnswers>

/**
 * Holds answers that don't say of which block they are (a balance, the result of a contract) to one fork: the highest block that they depend
 * on is the same before the first of them is asked for and after the last one has come.
 */
export class Pin {
  readonly #ask: Ask
  readonly #before: BlockLink | undefined
  readonly #floor: readonly BlockLink[]

  private constructor(
    ask: Ask,
    readonly top: bigint,
    links: readonly BlockLink[],
  ) {
    this.#ask = ask
    this.#before = links.find(({ number }) => number === top)
    this.#floor = links.filter(({ number }) => number !== top)
  }

  /** @throws {PipeError} when the endpoint does not answer. */
  static async begin(ask: Ask, { floor, blocks }: Near): Promise<Pin> {
    const top = [...blocks].reduce((high, number) => (number > high ? number : high))
    return new Pin(ask, top, await linksAt(ask, floor > 0n ? [top, floor] : [top]))
  }

  /**
   * What the blocks are that the answers depend on, with the one that no reorg reaches. Heights that have none are left out.
   *
   * @throws {ForkedAnswerError} when another fork took the place of the first.
   */
  async end({ blocks }: Near): Promise<readonly BlockLink[]> {
    const seen = await linksAt(
      this.#ask,
      [...blocks].filter((number) => number !== this.top),
    )
    // Asked for when the others were given: as long as it is the same, none of them was replaced in between.
    const after = await linksAt(this.#ask, [this.top])
    const [was, is] = [this.#before?.hash ?? 'nothing', after[0]?.hash ?? 'nothing']
    if (was !== is) throw new ForkedAnswerError(`block ${this.top} was ${was} before, and is ${is} afterwards`)
    return [...this.#floor, ...seen, ...after]
  }
}

/** Headers, without those that are not there. @throws {PipeError} */
export async function linksAt(ask: Ask, places: readonly bigint[]): Promise<BlockLink[]> {
  if (places.length === 0) return []
  const calls = places.map((place) => ({
    method: 'eth_getBlockByNumber',
    params: [`0x${place.toString(16)}`, false],
    nullable: true,
  }))
  const { values, errors } = await ask(calls)
  const [error] = errors?.values() ?? []
  if (error) throw error
  return values.flatMap((value) => linkOf(value, 'number', 'hash'))
}

/** The blocks of which answers themselves say that they are of them: headers, transactions, receipts, logs, and lists of these. */
export function saidBy(answer: unknown): readonly BlockLink[] {
  if (isList(answer)) return Array.from(answer, saidBy).flat()
  const own = linkOf(answer, 'blockNumber', 'blockHash')
  return own.length > 0 ? own : linkOf(answer, 'number', 'hash')
}

function linkOf(value: unknown, numberField: string, hashField: string): BlockLink[] {
  if (typeof value !== 'object' || value === null) return []
  const { [numberField]: number, [hashField]: hash, parentHash } = value as Readonly<Record<string, unknown>>
  if (typeof number !== 'string' || !/^0x[0-9a-f]+$/i.test(number) || typeof hash !== 'string') return []
  return [
    { number: BigInt(number), hash: hash.toLowerCase(), parentHash: typeof parentHash === 'string' ? parentHash.toLowerCase() : undefined },
  ]
}
