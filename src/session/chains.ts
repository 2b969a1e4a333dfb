import { Budgets } from '../net/budget.js'
import type { Flight } from '../net/flight.js'
import { proxiesOf } from '../net/proxies.js'
import type { Wait } from '../net/waits.js'
import type { Endpoint, Pipeline, Step } from '../pipeline/pipeline.js'
import type { ChainRpc } from '../rpc/pool.js'
import type { Json, LedgerReader, RpcPool, RunFact, Warehouse } from '../sdk/index.js'
import type { StateStore } from '../state/store.js'
import { laneOptions, lazyLane } from './lazy-lane.js'
import type { Surroundings } from './surroundings.js'

/** The endpoints of every chain in use, opened when a step or a head first needs them. */
export interface Chains {
  /** Asks for the head each time: `createMoment` keeps it for a round. */
  head(chain: string): Promise<bigint>
  /** The highest head that is known after one endpoint was asked, or all where that says nothing: see `ChainRpc.poll`. */
  poll(chain: string): Promise<bigint>
  /** `config`: the step's `with` with every param put in. */
  lane(step: Step, config: Json): RpcPool
  /** Has a step make at most so many requests at once, from now on. */
  bound(step: string, parallel: number): void
  /** Has logins that were refused tried again. */
  tryLogins(): void
  /** What is waited for now, of every chain that was opened. */
  waits(): readonly Wait[]
  close(): Promise<void>
}

export interface ChainsOptions {
  readonly pipeline: Pipeline
  readonly warehouse: LedgerReader
  readonly state: StateStore
  readonly surroundings: Pick<Surroundings, 'clock' | 'random' | 'env'>
  /** Ends the wait for a head. */
  readonly signal: AbortSignal
  readonly emit: (fact: RunFact) => void
  /** Stands in for the endpoints of every chain. */
  readonly standIn?: readonly string[] | undefined
  /** Where the genesis hash of a new chain is written down. Undefined when planning, which changes nothing. */
  readonly remember: Warehouse | undefined
  /** What bounds the bytes in flight of all chains and sources of a run. Undefined for the questions of a plan. */
  readonly flight?: Flight | undefined
}

/** At least so long from one writing to the next. */
const KEEP_MS = 250

export function openChains({ pipeline, warehouse, state, surroundings, signal, emit, standIn, remember, flight }: ChainsOptions): Chains {
  const { clock, random, env } = surroundings
  const opened = new Map<string, ChainRpc>()
  const budgets = new Budgets()
  /** One for a step, however many rounds there are. */
  const lanes = new Map<string, RpcPool>()
  const bounds = new Map<string, number>()
  const opening = new Map<string, Promise<ChainRpc>>()
  const open = (name: string): Promise<ChainRpc> => {
    let promise = opening.get(name)
    if (!promise) {
      opening.set(name, (promise = openChain(name)))
      promise.catch(() => opening.delete(name))
    }
    return promise
  }
  const ends = new AbortController()
  let writing: Promise<void> | undefined
  let changed = false
  let failed = false
  /** Writes down what was found out about the endpoints as it is found out: a run may be killed at any moment. */
  const keep = async (): Promise<void> => {
    while (changed) {
      changed = false
      const at = clock.now()
      const limits = [...opened].flatMap(([chain, rpc]) => rpc.learned().map((learned) => ({ chain, ...learned, at })))
      await state.rememberLimits(limits)
      await clock.sleep(KEEP_MS, ends.signal).catch(() => undefined)
    }
  }
  const onLearned = (): void => {
    changed = true
    writing ??= keep()
      .catch((error: unknown) => {
        if (!failed) emit({ type: 'warning', message: `what was learned of endpoints was not kept: ${wordsOf(error)}` })
        failed = true
      })
      .finally(() => (writing = undefined))
  }
  const openChain = async (name: string): Promise<ChainRpc> => {
    const chain = pipeline.chains.get(name)
    if (!chain) throw new Error(`no chain ${name}`)
    if (standIn === undefined && chain.endpoints.length === 0) {
      const { RpcUnreachableError } = await import('../rpc/errors.js')
      throw new RpcUnreachableError(name, [], chain.unset)
    }
    const { openChainRpc } = await import('../rpc/pool.js')
    const rpc = openChainRpc({
      chain: { name, id: chain.id, blockTimeMs: chain.blockTimeMs },
      endpoints: standIn === undefined ? chain.endpoints : standIn.map(endpointAt),
      clock,
      random,
      emit,
      limits: standIn === undefined ? await state.limits(name) : [],
      flight,
      budgets,
      proxyOf: proxiesOf(env),
      genesis: await warehouse.genesis(chain.id),
      onLearned: remember && standIn === undefined ? onLearned : undefined,
      onGenesis: remember && ((hash: string) => remember.rememberGenesis(chain.id, hash)),
    })
    opened.set(name, rpc)
    return rpc
  }
  return {
    head: async (name) => (await open(name)).head(signal),
    poll: async (name) => (await open(name)).poll(signal),
    lane: (step, config) => {
      const options = laneOptions(step, config)
      const key = JSON.stringify([step.chain, options])
      let lane = lanes.get(key)
      const bounded = () => ({ ...options, parallel: bounds.get(step.id) ?? options.parallel })
      if (!lane) lanes.set(key, (lane = lazyLane(step, bounded, open)))
      return lane
    },
    bound: (step, parallel) => {
      bounds.set(step, parallel)
      for (const rpc of opened.values()) rpc.bound(step, parallel)
    },
    tryLogins: () => {
      for (const rpc of opened.values()) rpc.tryLogins()
    },
    waits: () => [...opened.values()].flatMap((rpc) => rpc.waits()),
    close: async () => {
      ends.abort()
      await writing
      await Promise.all([...opened.values()].map((rpc) => rpc.close()))
    },
  }
}

const wordsOf = (error: unknown) => (error instanceof Error ? error.message : String(error))

/** An endpoint of which nothing is said but its URL. */
export const endpointAt = (url: string): Endpoint => ({
  url,
  maxWorkers: undefined,
  priority: 0,
  requestsPerSecond: undefined,
  maxBlockRange: undefined,
  headers: {},
})
