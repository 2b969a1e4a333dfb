import { proxiesOf } from '../net/proxies.js'
import type { Chain } from '../pipeline/pipeline.js'
import type { NewHeads } from '../rpc/new-heads.js'
import type { RunFact } from '../sdk/index.js'
import type { Surroundings } from './surroundings.js'

/** An endpoint may know a head a little later than the socket that told of it: it is asked again so soon, and so often. */
const AGAIN_MS = 250
const AGAIN = 8

export interface WakesOptions {
  /** That are followed. */
  readonly chains: readonly Chain[]
  readonly surroundings: Pick<Surroundings, 'clock' | 'env'>
  readonly emit: (fact: RunFact) => void
}

interface Told {
  /** The highest block that a socket told of. */
  told: bigint
  /** How often the endpoints were asked since. */
  asked: number
  /** The highest block that an endpoint gave. */
  head: bigint
}

/**
 * The waits between two looks at the heads of chains. What a WebSocket tells ends one at once, and where all chains have one that is
 * well, nothing is asked before it tells. Its word says only when to look.
 */
export class Wakes {
  readonly #options: WakesOptions
  readonly #told = new Map<string, Told>()
  #heads: Promise<readonly NewHeads[]> | undefined
  #wake = new AbortController()

  constructor(options: WakesOptions) {
    this.#options = options
  }

  /** An endpoint gave this head. */
  polled(chain: string, head: bigint): void {
    const told = this.#of(chain)
    told.asked++
    if (head > told.head) told.head = head
  }

  /** Whether a block was told of that no endpoint has given yet. */
  hasNews(chain: string): boolean {
    const { told, head, asked } = this.#of(chain)
    return told > head && asked < AGAIN
  }

  /** Until the heads are to be looked at: after `ms` at the latest where a chain has no socket that is well. */
  async wait(ms: number, signal: AbortSignal): Promise<void> {
    const { chains, surroundings } = this.#options
    const heads = await (this.#heads ??= this.#open())
    const news = chains.filter(({ name }) => this.hasNews(name))
    if (news.some(({ name }) => this.#of(name).asked === 0)) return
    const well = heads.length > 0 && heads.length === chains.length ? Math.min(...heads.map(({ wellForMs }) => wellForMs)) : 0
    const wait = news.length > 0 ? Math.min(ms, AGAIN_MS) : Math.max(ms, well)
    this.#wake = new AbortController()
    await surroundings.clock.sleep(wait, AbortSignal.any([signal, this.#wake.signal])).catch(() => undefined)
  }

  async close(): Promise<void> {
    await Promise.all(((await this.#heads) ?? []).map((each) => each.close()))
  }

  async #open(): Promise<readonly NewHeads[]> {
    const { chains, surroundings, emit } = this.#options
    const some = chains.filter(({ sockets }) => sockets.length > 0)
    if (some.length === 0) return []
    const { NewHeads: Heads } = await import('../rpc/new-heads.js')
    const proxyOf = proxiesOf(surroundings.env)
    return some.map(
      ({ name, blockTimeMs, sockets }) =>
        new Heads({
          chain: name,
          blockTimeMs,
          sockets,
          proxyOf,
          clock: surroundings.clock,
          emit,
          onHead: (number) => this.#hear(name, number),
        }),
    )
  }

  #hear(chain: string, number: bigint): void {
    const told = this.#of(chain)
    if (number <= told.told) return
    told.told = number
    told.asked = 0
    if (number > told.head) this.#wake.abort()
  }

  #of(chain: string): Told {
    let told = this.#told.get(chain)
    if (!told) this.#told.set(chain, (told = { told: -1n, asked: 0, head: -1n }))
    return told
  }
}
