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

/** Hash of block 0, or undefined where the node has pruned it. */
export async function askGenesis(ask: Ask): Promise<string | undefined> {
  try {
    const block = await ask('eth_getBlockByNumber', ['0x0', false])
    const hash = typeof block === 'object' && block !== null ? (block as { hash?: unknown }).hash : undefined
    return typeof hash === 'string' ? hash.toLowerCase() : undefined
  } catch (error) {
    if (error instanceof AskError && ['STATE', 'LAG', 'BUG'].includes(error.classified.class)) return undefined
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
      throw new AskError(classify(error), endpoint.show(error.message))
    }
    case 'refused':
      throw new AskError(reply.classified, endpoint.show(reply.error.message))
    case 'broken':
      throw new AskError({ class: 'SERVER' }, endpoint.show(reply.text))
    case 'redirected':
      endpoint.redirected(reply.location)
      throw new AskError({ class: 'SERVER' }, endpoint.health === 'out' ? endpoint.reason : 'redirected')
  }
}

function quantity(method: string, value: unknown): bigint {
  if (typeof value === 'string' && /^0x[\da-f]{1,64}$/i.test(value)) return BigInt(value)
  throw new AskError({ class: 'SERVER' }, `${method} gave no number`)
}
