import type { Json } from '../sdk/index.js'
import { type PlannedUnit, unitRecord } from './plan.js'

/** Marks a bigint: JSON has no number that is exact. */
const BIGINT = '$bigint'

/**
 * A planned unit as JSON, for a worker in another process. A unit is plain data: a bigint goes as `{ "$bigint": "7" }`,
 * everything else as it is, and what is undefined is left out.
 *
 * @throws {TypeError} for what a unit can't hold (a function, a Date, a number that is not finite): it would come back as something else.
 */
export function unitToJson(unit: PlannedUnit): Json {
  return toJson(unitRecord(unit), 'unit')
}

/** The unit that `unitToJson` was given. */
export function unitFromJson(json: Json): PlannedUnit {
  // It was made of a `PlannedUnit`, and both directions are each other's inverse.
  return fromJson(json) as PlannedUnit
}

function toJson(value: unknown, path: string): Json {
  if (typeof value === 'bigint') return { [BIGINT]: String(value) }
  if (value === null || typeof value === 'string' || typeof value === 'boolean') return value
  if (typeof value === 'number' && Number.isFinite(value)) return value
  if (Array.isArray(value)) return value.map((item, i) => toJson(item, `${path}[${i}]`))
  if (!isPlain(value)) throw new TypeError(`${path} is no plain data`)
  const entries = Object.entries(value).filter(([, item]) => item !== undefined)
  if (entries.some(([name]) => name === BIGINT)) throw new TypeError(`${path} has a field ${BIGINT}`)
  return Object.fromEntries(entries.map(([name, item]) => [name, toJson(item, `${path}.${name}`)]))
}

function fromJson(json: Json): unknown {
  if (Array.isArray(json)) return json.map((item: Json) => fromJson(item))
  if (typeof json !== 'object' || json === null) return json
  const entries = Object.entries(json as Readonly<Record<string, Json>>)
  const [only] = entries
  if (only?.[0] === BIGINT && entries.length === 1) return BigInt(String(only[1]))
  return Object.fromEntries(entries.map(([name, item]) => [name, fromJson(item)]))
}

function isPlain(value: unknown): value is object {
  if (typeof value !== 'object' || value === null) return false
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === null
}
