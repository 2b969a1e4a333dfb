import type { Clock, RunFact } from '../../sdk/index.js'
import type { Endpoint } from '../endpoint.js'
import type { Heads } from '../heads.js'
import type { Learned } from '../learned.js'
import { NEAR_HEAD } from '../settle.js'
import type { LogsPort } from './port.js'

export interface OfPool {
  readonly chain: { readonly name: string; readonly id: number }
  readonly clock: Clock
  readonly emit: (fact: RunFact) => void
  readonly endpoints: readonly Endpoint[]
  readonly heads: Heads
  readonly learned: Learned
}

/** What a port for logs says of the endpoints of a pool, the same for every step. */
export function aboutEndpoints(pool: OfPool): Omit<LogsPort, 'batch' | 'turns' | 'ready' | 'begin'> {
  const { chain, clock, emit, endpoints, heads, learned } = pool
  const named = (name: string): Endpoint | undefined => endpoints.find((endpoint) => endpoint.name === name)
  return {
    chain,
    mostBlocks: () => {
      const hopeful = endpoints.filter((endpoint) => endpoint.hopeful)
      const first = Math.min(...hopeful.map(({ priority }) => priority))
      return Math.max(1, ...hopeful.flatMap(({ priority, refusals }) => (priority === first ? refusals.mostBlocks : [])))
    },
    newest: () => heads.newest(),
    answered: (name, blocks) => {
      named(name)?.refusals.range.answered(blocks)
    },
    refusedBlocks: (name, blocks, stated) => {
      const endpoint = named(name)
      endpoint?.refusals.range.refused(blocks, stated)
      if (endpoint) learned.keep(endpoint)
    },
    headBelow: async (name, block) => {
      const endpoint = named(name)
      if (endpoint?.head === undefined || endpoint.head - block > NEAR_HEAD) return undefined
      await endpoint.refreshHead(0)
      return endpoint.reaches(block) ? undefined : endpoint.head
    },
    refuse: (name, call, message) => {
      named(name)?.refusals.wrong(clock.monotonic(), call)
      emit({ type: 'retry', from: { chain: chain.name }, endpoint: name, class: 'SERVER', calls: 1, waitMs: 0, message })
    },
  }
}
