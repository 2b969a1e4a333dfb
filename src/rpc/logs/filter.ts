import type { LogFilter } from '../../sdk/index.js'

/** A filter that logs can be compared with. */
export interface Wanted {
  /** As it is asked for: without what takes anything. */
  readonly filter: LogFilter
  readonly addresses: ReadonlySet<string> | undefined
  readonly topics: readonly (ReadonlySet<string> | undefined)[]
}

/**
 * An empty list takes anything, as with nodes. Positions behind the last one with a value are dropped: some nodes would
 * leave out logs with fewer topics for them, others not.
 */
export function wantedBy({ addresses, topics }: LogFilter): Wanted {
  const lower = (list: readonly string[]): readonly string[] => [...new Set(list.map((item) => item.toLowerCase()))]
  const positions = topics.map((list) => (list === null || list.length === 0 ? null : lower(list)))
  while (positions.length > 0 && positions.at(-1) === null) positions.pop()
  const filter = { addresses: lower(addresses), topics: positions }
  return {
    filter,
    addresses: filter.addresses.length > 0 ? new Set(filter.addresses) : undefined,
    topics: positions.map((list) => (list ? new Set(list) : undefined)),
  }
}

/** By the rules of eth_getLogs: a log must have as many topics as the filter has positions. */
export function matches({ addresses, topics }: Wanted, address: string, given: readonly string[]): boolean {
  if (addresses && !addresses.has(address)) return false
  if (topics.length > given.length) return false
  for (let i = 0; i < topics.length; i++) {
    const wanted = topics[i]
    if (wanted && !wanted.has(given[i] ?? '')) return false
  }
  return true
}

/** The parameter of eth_getLogs. */
export function toParam({ addresses, topics }: LogFilter, from: bigint, to: bigint): object {
  const [only, ...more] = addresses
  return {
    fromBlock: hexOf(from),
    toBlock: hexOf(to),
    address: more.length > 0 ? addresses : only,
    topics: topics.map((list) => (list?.length === 1 ? list[0] : list)),
  }
}

/** Two filters that together find what one finds, each log once: halves of the addresses, else of the longest list of topics. */
export function halvesOf(filter: LogFilter): readonly [LogFilter, LogFilter] | undefined {
  const { addresses } = filter
  return addresses.length > 1 ? inHalves(addresses, (part) => ({ ...filter, addresses: part })) : topicHalvesOf(filter)
}

/** The same by whichever list is the longest. */
export function longestHalvesOf(filter: LogFilter): readonly [LogFilter, LogFilter] | undefined {
  return filter.addresses.length < placesOf(filter) ? topicHalvesOf(filter) : halvesOf(filter)
}

/** The length of its longest list. */
export function placesOf({ addresses, topics }: LogFilter): number {
  return Math.max(addresses.length, ...topics.map((list) => list?.length ?? 0))
}

function topicHalvesOf(filter: LogFilter): readonly [LogFilter, LogFilter] | undefined {
  const { topics } = filter
  const longest = placesOf({ addresses: [], topics })
  const position = topics.findIndex((list) => list?.length === longest)
  const list = topics[position]
  return list && longest > 1 ? inHalves(list, (part) => ({ ...filter, topics: topics.with(position, part) })) : undefined
}

function inHalves(list: readonly string[], filter: (part: readonly string[]) => LogFilter): readonly [LogFilter, LogFilter] {
  const middle = list.length >> 1
  return [filter(list.slice(0, middle)), filter(list.slice(middle))]
}

export const hexOf = (value: bigint): string => `0x${value.toString(16)}`
