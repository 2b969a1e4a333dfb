import { event, type EventDecoder, type EventInput, type LogFilter, type RpcLog } from '../../src/sdk/authors.js'
import type { EventConfig } from './config.js'
import { FilterValueError } from './errors.js'

/** An event of the config, ready to be asked for and to be told from others. */
export interface Asked {
  /** Its ABI text. */
  readonly text: string
  readonly decoder: EventDecoder
  readonly filter: LogFilter
}

type TopicValue = string | number | boolean

/** @throws {AbiTextError} @throws {FilterValueError} */
export function askedOf(config: EventConfig, i: number): Asked {
  const decoder = event(config.event)
  const { topic0, inputs } = decoder
  const contracts = config.contracts === undefined ? [] : [config.contracts].flat()
  const indexed = inputs.filter((input) => input.indexed)
  const wanted = Object.entries(config.topics ?? {})
  const topics = indexed.map((input) => {
    const given = wanted.find(([key]) => key === input.key)?.[1]
    return given === undefined
      ? null
      : ([given].flat() as TopicValue[]).map((value) => topicOf(input, value, `events.${i}.topics.${input.key}`))
  })
  while (topics.at(-1) === null) topics.pop()
  return {
    text: config.event,
    decoder,
    filter: {
      addresses: contracts.map((contract, j) => addressOf(contract, `events.${i}.contracts.${j}`)),
      topics: topic0 === undefined ? topics : [[topic0], ...topics],
    },
  }
}

/** @throws {FilterValueError} */
export function addressOf(text: string, where: string): string {
  if (!/^0x[\da-f]{40}$/i.test(text)) throw new FilterValueError(where, `is no address: ${text}`)
  return text.toLowerCase()
}

/** A value as an indexed topic holds it. @throws {FilterValueError} */
export function topicOf({ type }: EventInput, value: TopicValue, where: string): string {
  const refused = () => new FilterValueError(where, `is no ${type}: ${String(value)}`)
  const hex = String(value).toLowerCase()
  const [, kind, digits] = /^(u?int|bytes)(\d+)$/.exec(type) ?? []
  if (type === 'address') return `0x${addressOf(hex, where).slice(2).padStart(64, '0')}`
  if (type === 'bool') {
    if (typeof value !== 'boolean') throw refused()
    return `0x${(value ? '1' : '0').padStart(64, '0')}`
  }
  if (kind === 'uint' || kind === 'int') {
    const bits = Number(digits)
    if (!(typeof value === 'number' ? Number.isSafeInteger(value) : /^(-?\d+|0x[\da-f]+)$/.test(hex))) throw refused()
    const number = BigInt(hex)
    if ((kind === 'uint' ? BigInt.asUintN(bits, number) : BigInt.asIntN(bits, number)) !== number) throw refused()
    return `0x${BigInt.asUintN(256, number).toString(16).padStart(64, '0')}`
  }
  const bytes = kind === 'bytes' ? Number(digits) : 32
  if (!/^0x[\da-f]*$/.test(hex) || hex.length !== 2 + 2 * bytes) throw refused()
  return `0x${hex.slice(2).padEnd(64, '0')}`
}

/**
 * As few filters as can be: events are asked for together, each with the contracts of the others too, where that asks for no more
 * than their first topics. Those of any contract, those of no first topic and those with topics of their own have a filter to
 * themselves, or with others that are like them: together they would ask for what nobody wants.
 */
export function filtersOf(all: readonly Asked[]): LogFilter[] {
  const groups = new Map<string, Asked[]>()
  for (const each of all) {
    const { addresses, topics } = each.filter
    const named = each.decoder.topic0 !== undefined
    const like = JSON.stringify([addresses.length > 0, named, named ? topics.slice(1) : topics])
    groups.set(like, [...(groups.get(like) ?? []), each])
  }
  return [...groups.values()].map((group) => {
    const [first] = group as [Asked]
    const names = unique(group.flatMap(({ decoder }) => decoder.topic0 ?? []))
    return {
      addresses: unique(group.flatMap(({ filter }) => filter.addresses)),
      topics: names.length > 0 ? [names, ...first.filter.topics.slice(1)] : first.filter.topics,
    }
  })
}

/** Whether a log is what an event asks for. */
export function isAskedBy(log: RpcLog, { filter: { addresses, topics } }: Asked): boolean {
  if (addresses.length > 0 && !addresses.includes(log.address)) return false
  return topics.every((wanted, i) => wanted === null || wanted.includes(log.topics[i] ?? ''))
}

const unique = (list: readonly string[]) => [...new Set(list)]
