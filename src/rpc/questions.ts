import type { Given } from './anchors.js'
import { classify, type Classified } from './classify.js'
import { Exchange, type Outcome } from '../net/exchange.js'
import type { Flight } from '../net/flight.js'
import { providerError, readReply } from './reply.js'

/** Asks one endpoint a question of our own. @throws {AskError} */
export type Ask = (method: string, params: readonly unknown[]) => Promise<unknown>

/** A question of our own failed. */
export class AskError extends Error {
  constructor(
    readonly classified: Classified,
    message: string,
    /** Whether the node itself refused the question, and not the way to it. */
    readonly told = false,
  ) {
    super(message)
  }
}

export async function askChainId(ask: Ask): Promise<bigint> {
  return quantity('eth_chainId', await ask('eth_chainId', []))
}

/** Number of the newest block. */
export async function askHead(ask: Ask): Promise<bigint> {
  return quantity('eth_blockNumber', await ask('eth_blockNumber', []))
}

/** Hash of a block. A node that refuses to give it says nothing, in whatever words, and so does one that gives another block. */
export async function askBlock(ask: Ask, number: bigint): Promise<Given> {
  try {
    const block = await ask('eth_getBlockByNumber', [`0x${number.toString(16)}`, false])
    if (typeof block !== 'object' || block === null) return { nothing: 'null' }
    const { number: given, hash, parentHash } = block as { number?: unknown; hash?: unknown; parentHash?: unknown }
    if (typeof hash !== 'string' || typeof given !== 'string' || !HEX.test(given)) return { nothing: 'no block' }
    const parent = typeof parentHash === 'string' ? parentHash.toLowerCase() : undefined
    return BigInt(given) === number ? { hash: hash.toLowerCase(), parent } : { nothing: `block ${BigInt(given)} in its place` }
  } catch (error) {
    if (error instanceof AskError && error.told && !['RATE', 'QUOTA'].includes(error.classified.class)) return { nothing: error.message }
    throw error
  }
}

/** A question on its way. */
export class Question extends Exchange {
  readonly #resolve: (outcome: Outcome) => void
  readonly #ended: (exchange: Exchange) => void
  constructor(maxBytes: number, flight: Flight, resolve: (outcome: Outcome) => void, ended: (exchange: Exchange) => void) {
    super(maxBytes, flight)
    this.#resolve = resolve
    this.#ended = ended
  }
  protected override done(outcome: Outcome): void {
    this.#ended(this)
    this.#resolve(outcome)
  }
}

/** What an endpoint does with an outcome that is no answer. */
interface Asked {
  readonly health: string
  readonly reason: string
  show(text: string): string
  redirected(location: string): void
}

/** The result in the outcome of a question with the id 1. @throws {AskError} */
export function readQuestion(outcome: Outcome, method: string, utc: number, endpoint: Asked): unknown {
  if (outcome.kind === 'failed') throw new AskError({ class: 'SERVER' }, endpoint.show(outcome.text))
  const reply = readReply(outcome, 1, 1, utc)
  switch (reply.kind) {
    case 'items': {
      const item = reply.items[0]
      if (item?.error === undefined || item.error === null) return item?.result
      const error = { ...providerError(item.error, outcome.status), method }
      throw new AskError(classify(error), endpoint.show(error.message), true)
    }
    case 'refused':
      throw new AskError(reply.classified, endpoint.show(reply.error.message), reply.classified.class !== 'SERVER')
    case 'broken':
      throw new AskError({ class: 'SERVER' }, endpoint.show(reply.text))
    case 'redirected':
      endpoint.redirected(reply.location)
      throw new AskError({ class: 'SERVER' }, endpoint.health === 'out' ? endpoint.reason : 'redirected')
  }
}

const HEX = /^0x[\da-f]{1,64}$/i

function quantity(method: string, value: unknown): bigint {
  if (typeof value === 'string' && HEX.test(value)) return BigInt(value)
  throw new AskError({ class: 'SERVER' }, `${method} gave no number`)
}
