import { didYouMean, formatDay, formatInstant, type Json, type Param, parseDay, parseInstant } from '../../sdk/index.js'
import { parseBlock } from './block-params.js'
import type { ParamDefinition } from '../pipeline.js'

export type ParsedParam = { readonly value: Json } | { readonly problem: string }

/**
 * Reads the text of `--param`, or a default of the file, by the param's type; checks `one_of`, `min` and `max`. Lists are
 * separated by commas. The value is JSON: a number where it is safe, text otherwise; `yesterday` and `head-10` stay words.
 */
export function parseParam(definition: ParamDefinition, given: Json): ParsedParam {
  if (!definition.list) return parseOne(definition, given)
  const items = Array.isArray(given) ? given : typeof given === 'string' ? given.split(',').map((item) => item.trim()) : [given]
  const values: Json[] = []
  for (const item of items) {
    if (item === '') return { problem: given === '' ? 'is an empty list' : `${show(given)} has an empty element` }
    const parsed = parseOne(definition, item)
    if ('problem' in parsed) return parsed
    values.push(parsed.value)
  }
  return values.length === 0 ? { problem: 'is an empty list' } : { value: values }
}

function parseOne(definition: ParamDefinition, given: Json): ParsedParam {
  const parsed = parseType(definition, given)
  if ('problem' in parsed) return parsed
  const { oneOf } = definition
  if (oneOf && !oneOf.some((option) => sameValue(definition, option, parsed.value))) {
    const options = oneOf.map(String)
    const hint = didYouMean(String(parsed.value), options)
    return { problem: `must be one of ${options.join(', ')} (is ${show(given)}${hint === undefined ? '' : `, ${hint}`})` }
  }
  const number = exactNumber(definition, parsed.value)
  const outside = number === undefined ? undefined : outOfRange(definition, number)
  return outside === undefined ? parsed : { problem: outside }
}

function sameValue(definition: ParamDefinition, option: Json, value: Json): boolean {
  const parsed = parseType(definition, option)
  return 'value' in parsed && parsed.value === value
}

function parseType(definition: ParamDefinition, given: Json): ParsedParam {
  if (typeof given === 'number' && !Number.isSafeInteger(given) && definition.type !== 'float') {
    return { problem: `${given} is not a whole number that can be held exactly (quote it)` }
  }
  if (given === null || typeof given === 'object') return { problem: `must be ${WHAT[definition.type]} (is ${show(given)})` }
  const text = String(given).trim()
  const refused: ParsedParam = { problem: `must be ${WHAT[definition.type]} (is ${show(given)})` }
  switch (definition.type) {
    case 'text':
      return typeof given === 'string' ? { value: given } : { problem: `must be text: quote it (is ${show(given)})` }
    case 'bool':
      return text === 'true' || text === 'false' ? { value: text === 'true' } : refused
    case 'int': {
      if (!/^[+-]?\d{1,30}$/.test(text)) return refused
      const value = BigInt(text.replace('+', ''))
      return value >= -(2n ** 63n) && value < 2n ** 63n ? { value: jsonInteger(value) } : { problem: `${text} does not fit 64 bits` }
    }
    case 'float': {
      const value = Number(text)
      return /^[+-]?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i.test(text) && Number.isFinite(value) ? { value } : refused
    }
    case 'date':
      if (text === 'today' || text === 'yesterday') return { value: text }
      return parseDay(text) === undefined ? refused : { value: text }
    case 'timestamp': {
      if (text === 'now') return { value: text }
      const instant = parseInstant(text)
      return instant === undefined ? refused : { value: formatInstant(instant) }
    }
    case 'address':
      if (typeof given !== 'string') return { problem: 'must be an address in quotes: "0x…" without quotes is a number' }
      return /^0x[0-9a-f]{40}$/i.test(text) ? { value: text.toLowerCase() } : refused
    case 'block': {
      const block = parseBlock(text)
      if ('problem' in block) return block
      // Elements of a list have nothing to refer to: each is a number.
      if (definition.list && block.kind !== 'number') return { problem: `must be block numbers (has ${show(given)})` }
      return { value: block.kind === 'number' ? jsonInteger(block.block) : text.replaceAll(/\s+/g, '') }
    }
  }
}

const WHAT: Readonly<Record<ParamDefinition['type'], string>> = {
  block: 'a block: a number, head, head-10, safe, covered, or a block param plus or minus a number',
  int: 'a whole number',
  text: 'text',
  bool: 'true or false',
  date: 'a day that exists: 2024-03-01, today or yesterday',
  timestamp: 'an instant: 2024-03-01T00:00:00Z, or now',
  float: 'a number',
  address: 'an address: 0x and 40 hex digits',
}

/** The number that `min` and `max` are about, when the value is one. */
function exactNumber(definition: ParamDefinition, value: Json): bigint | number | undefined {
  if (definition.type === 'float') return typeof value === 'number' ? value : undefined
  if (definition.type !== 'int' && definition.type !== 'block') return undefined
  return typeof value === 'number' || (typeof value === 'string' && /^-?\d+$/.test(value)) ? BigInt(value) : undefined
}

/** Why a number is refused by `min` or `max`, or undefined. */
export function outOfRange({ min, max }: ParamDefinition, value: bigint | number): string | undefined {
  if (min !== undefined && value < min) return `must be at least ${min} (is ${value})`
  if (max !== undefined && value > max) return `must be at most ${max} (is ${value})`
  return undefined
}

/** Whether a value depends on the day or the instant it is read. */
export function moves({ type }: ParamDefinition, value: Json): boolean {
  const moving = (item: Json) => (type === 'date' && (item === 'today' || item === 'yesterday')) || (type === 'timestamp' && item === 'now')
  return Array.isArray(value) ? value.some(moving) : moving(value)
}

/** A parsed value as `$name` gives it. `now` is in microseconds UTC. */
export function typed(definition: ParamDefinition, value: Json, now: bigint): Param {
  if (Array.isArray(value)) return { type: { kind: 'json' }, value: value.map((item: Json) => movedDay(definition, item, now)) }
  switch (definition.type) {
    case 'block':
    case 'int':
      return bigintParam(BigInt(String(value)))
    case 'timestamp':
      return { type: { kind: 'timestamp' }, value: value === 'now' ? now : (parseInstant(String(value)) ?? now) }
    case 'date':
    case 'text':
    case 'bool':
    case 'float':
    case 'address':
      return { type: { kind: definition.type }, value: movedDay(definition, value, now) }
  }
}

function movedDay({ type }: ParamDefinition, value: Json, now: bigint): Json {
  if (type === 'timestamp' && value === 'now') return formatInstant(now)
  if (type !== 'date' || (value !== 'today' && value !== 'yesterday')) return value
  const today = Number(now / 86_400_000_000n)
  return formatDay(value === 'today' ? today : today - 1)
}

export function bigintParam(value: bigint): Param {
  return { type: { kind: 'bigint' }, value }
}

function jsonInteger(value: bigint): Json {
  return value >= BigInt(Number.MIN_SAFE_INTEGER) && value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : value.toString()
}

export function show(value: Json): string {
  const text = JSON.stringify(value)
  return text.length > 80 ? `${text.slice(0, 80)}…` : text
}
