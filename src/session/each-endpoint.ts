import { Budgets } from '../net/budget.js'
import { Flight } from '../net/flight.js'
import { proxiesOf } from '../net/proxies.js'
import type { Pipeline, Step } from '../pipeline/pipeline.js'
import type { ChainRpc } from '../rpc/pool.js'
import type { Json, LedgerReader } from '../sdk/index.js'
import type { Fetcher } from '../verify/sample.js'
import { endpointAt } from './chains.js'
import { laneOptions, lazyLane } from './lazy-lane.js'
import type { Surroundings } from './surroundings.js'

/** Each endpoint of each chain as a pool of one, so that it is known who answers. */
export class EachEndpoint {
  readonly #pipeline: Pipeline
  readonly #warehouse: LedgerReader
  readonly #surroundings: Pick<Surroundings, 'clock' | 'random' | 'env'>
  readonly #standIn: readonly string[] | undefined
  readonly #chains = new Map<string, { readonly host: string; readonly rpc: ChainRpc }[]>()

  /** `standIn`: URLs that stand in for the endpoints of every chain. */
  constructor(
    pipeline: Pipeline,
    warehouse: LedgerReader,
    surroundings: Pick<Surroundings, 'clock' | 'random' | 'env'>,
    standIn?: readonly string[],
  ) {
    this.#pipeline = pipeline
    this.#warehouse = warehouse
    this.#surroundings = surroundings
    this.#standIn = standIn
  }

  /** Makes the pools. Asks nothing yet. */
  async ready(): Promise<void> {
    const { endpointNames, openChainRpc } = await import('../rpc/pool.js')
    const { clock, random, env } = this.#surroundings
    const flight = new Flight(this.#pipeline.maxBytesInFlight)
    const budgets = new Budgets()
    for (const [name, chain] of this.#pipeline.chains) {
      const genesis = await this.#warehouse.genesis(chain.id)
      const endpoints = this.#standIn?.map(endpointAt) ?? chain.endpoints
      const names = endpointNames(endpoints)
      const about = {
        chain: { name, id: chain.id },
        clock,
        random,
        emit: () => undefined,
        limits: [],
        genesis,
        flight,
        budgets,
        proxyOf: proxiesOf(env),
      }
      const pools = endpoints.map((endpoint, i) => ({
        host: names[i] ?? '',
        rpc: openChainRpc({ ...about, endpoints: [endpoint] }),
      }))
      this.#chains.set(name, pools)
    }
  }

  of(step: Step, config: Json): Fetcher[] {
    const pools = this.#chains.get(step.chain ?? '') ?? []
    return pools.map(({ host, rpc }) => ({
      host,
      rpc: lazyLane(
        step,
        () => laneOptions(step, config),
        () => Promise.resolve(rpc),
      ),
    }))
  }

  async close(): Promise<void> {
    await Promise.all([...this.#chains.values()].flat().map(({ rpc }) => rpc.close()))
  }
}
