import { proxiesOf } from '../net/proxies.js'
import type { Chain } from '../pipeline/pipeline.js'
import type { NewHeads } from '../rpc/new-heads.js'
import type { RunFact } from '../sdk/index.js'
import type { Surroundings } from './surroundings.js'
import { ToldHeads } from './told-heads.js'

export interface WakesOptions {
  /** That are followed. */
  readonly chains: readonly Chain[]
  readonly surroundings: Pick<Surroundings, 'clock' | 'env'>
  readonly emit: (fact: RunFact) => void
}

/**
 * The waits between two looks at the heads of chains. What a WebSocket tells ends one at once, and where all chains have one that is
 * well, nothing is asked before it tells. Its word says only when to look.
 */
export class Wakes {
  readonly #options: WakesOptions
  readonly #told: ReadonlyMap<string, ToldHeads>
  /** Who told of heads of a chain last, and the chains of which it was said that these are not what the endpoints answer. */
  readonly #hosts = new Map<string, string>()
  readonly #named = new Set<string>()
  #heads: Promise<ReadonlyMap<string, NewHeads>> | undefined
  #wake = new AbortController()

  constructor(options: WakesOptions) {
    this.#options = options
    const { chains, surroundings } = options
    this.#told = new Map(chains.map(({ name, blockTimeMs }) => [name, new ToldHeads(blockTimeMs, surroundings.clock)]))
  }

  /** An endpoint gave this head. */
  polled(chain: string, head: bigint): void {
    const untrue = this.#told.get(chain)?.looked(head)
    if (untrue === undefined || this.#named.has(chain)) return
    this.#named.add(chain)
    this.#options.emit({
      type: 'warning',
      message: `${chain}: the heads that ${this.#hosts.get(chain)} tells of are not what its endpoints answer (it told of block ${untrue}, their head is ${head}); heads are asked for until they are`,
    })
  }

  /** Whether a block was told of that no endpoint has given yet, and it is time to ask for it. */
  hasNews(chain: string): boolean {
    return this.#told.get(chain)?.dueMs === 0
  }

  /** Until the heads are to be looked at: after `ms` at the latest where a chain has no socket that is well. */
  async wait(ms: number, signal: AbortSignal): Promise<void> {
    const heads = await (this.#heads ??= this.#open())
    const { clock } = this.#options.surroundings
    const from = clock.monotonic()
    let now = from
    do {
      const rests = [...this.#told].map(([chain, { restMs }]) => (heads.get(chain)?.tells === true ? restMs : 0))
      const rest = rests.length > 0 ? Math.min(...rests) : 0
      const left = Math.min(Math.max(ms - (now - from), rest), ...[...this.#told.values()].map(({ dueMs }) => dueMs))
      if (left <= 0) return
      this.#wake = new AbortController()
      // No AbortSignal.any: the run's signal would keep a trace of each wait for as long as it follows.
      const end = () => this.#wake.abort(signal.reason)
      signal.addEventListener('abort', end, { once: true })
      if (signal.aborted) end()
      await clock.sleep(left, this.#wake.signal).catch(() => undefined)
      signal.removeEventListener('abort', end)
      now = clock.monotonic()
    } while (this.#wake.signal.aborted && !signal.aborted)
  }

  async close(): Promise<void> {
    await Promise.all([...((await this.#heads)?.values() ?? [])].map((each) => each.close()))
  }

  async #open(): Promise<ReadonlyMap<string, NewHeads>> {
    const { chains, surroundings, emit } = this.#options
    const some = chains.filter(({ sockets }) => sockets.length > 0)
    if (some.length === 0) return new Map()
    const { NewHeads: Heads } = await import('../rpc/new-heads.js')
    const proxyOf = proxiesOf(surroundings.env)
    return new Map(
      some.map(({ name, blockTimeMs, sockets }) => [
        name,
        new Heads({
          chain: name,
          blockTimeMs,
          sockets,
          proxyOf,
          clock: surroundings.clock,
          emit,
          onHead: (number, host) => this.#hear(name, number, host),
        }),
      ]),
    )
  }

  #hear(chain: string, number: bigint, host: string): void {
    this.#hosts.set(chain, host)
    if (this.#told.get(chain)?.hear(number)) this.#wake.abort()
  }
}
