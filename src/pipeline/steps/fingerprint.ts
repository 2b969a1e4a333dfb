import { createHash } from 'node:crypto'
import { type Json, lookUp, type Output, paramText, type Scope, sqlReferences, type StepDefinition } from '../../sdk/index.js'
import { tuningPaths } from '../schema/tuning.js'

/** What makes the rows of a step what they are. */
export interface Identity {
  readonly definition: StepDefinition
  /** With the values of params in it: a param counts by its value, never by its name. */
  readonly with: Json
  readonly chainId?: number | undefined
  /** Values of the `$name`s inside texts of `with`: of a SQL text, of a path. */
  readonly scope?: Scope
  /** Each with the key of its table and the types of its columns: the same answer gives another value in another type. */
  readonly outputs: readonly (Output & { readonly key: readonly string[]; readonly types: Readonly<Record<string, string>> })[]
}

/**
 * What a checkpoint was made under: 32 hex digits of all, then 8 of each part (`row:1a2b3c4d`), so that a changed one can be
 * named. It covers type, version, chain id, `with`, the values of `$name`s in its texts, tables with key and filled columns and their types. Not: fields marked `tuning: true`,
 * fields that stand at the schema's default (so that a new field does not redo old work), the order of keys, the step's id
 * and needs, endpoints.
 */
export function fingerprint({ definition, with: config, chainId, outputs, scope }: Identity): string {
  const identity = {
    type: definition.type,
    version: definition.version ?? 1,
    chain: chainId ?? null,
    with: withoutPaths(config, tuningPaths(definition.config, config)),
    outputs: outputs
      .map(({ id, table, key, types, columns, compute, constants, range }) => ({
        id,
        table,
        key,
        columns: [...columns].sort(),
        types: Object.fromEntries([...columns, ...Object.keys(compute)].map((name) => [name, types[name] ?? null])),
        compute,
        constants,
        range: range ?? null,
      }))
      .sort((a, b) => (a.id < b.id ? -1 : a.id > b.id ? 1 : 0)),
  }
  const parts: Record<string, Json> = {
    step: [identity.type, identity.version],
    chain: identity.chain,
    table: identity.outputs.map(({ table, key, columns }) => [table, key, columns]),
    'column types': identity.outputs.map(({ types }) => types),
  }
  if (identity.with !== null && typeof identity.with === 'object' && !Array.isArray(identity.with)) Object.assign(parts, identity.with)
  for (const [name, value] of textValues(identity.with, scope)) parts[`$${name}`] = value
  const named = Object.entries(parts).map(([name, part]) => `${encodeURIComponent(name)}:${hex(canonicalJson(part)).slice(0, 8)}`)
  const texts = Object.fromEntries(textValues(identity.with, scope))
  // Without them the text is that of a definition which has none, and so is its fingerprint.
  const all = Object.keys(texts).length > 0 ? { ...identity, texts } : identity
  return [hex(canonicalJson(all)).slice(0, 32), ...named.sort()].join(' ')
}

/** The parts in which two fingerprints differ, by name: `row`, `calls`. */
export function changedParts(before: string, now: string): string[] {
  const [, ...old] = before.split(' ')
  const [, ...current] = now.split(' ')
  if (old.length === 0) return []
  const names = new Set([...old, ...current].map((part) => part.split(':', 1)[0] ?? ''))
  const find = (parts: readonly string[], name: string) => parts.find((part) => part.startsWith(`${name}:`))
  return [...names]
    .filter((name) => find(old, name) !== find(current, name))
    .map(decodeURIComponent)
    .sort()
}

/** JSON with sorted keys and no spaces: equal values give equal text. */
export function canonicalJson(value: Json): string {
  if (value === null || typeof value !== 'object') return JSON.stringify(value)
  if (Array.isArray(value)) return `[${value.map((item: Json) => canonicalJson(item)).join(',')}]`
  const entries = Object.entries(value).filter(([, item]) => item !== undefined)
  entries.sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))
  return `{${entries.map(([key, item]) => `${JSON.stringify(key)}:${canonicalJson(item)}`).join(',')}}`
}

/** What the `$name`s inside texts stand for. `$now` is another in each run, so it makes no definition another one. */
function textValues(value: Json, scope: Scope | undefined): Map<string, string> {
  const found = new Map<string, string>()
  const visit = (item: Json): void => {
    if (typeof item === 'string')
      for (const { name } of sqlReferences(item)) {
        const param = scope && name !== 'now' ? lookUp(scope, name) : undefined
        if (param) found.set(name, paramText(param))
      }
    else if (item !== null && typeof item === 'object') Object.values(item).forEach(visit)
  }
  visit(value)
  return new Map([...found].sort(([a], [b]) => (a < b ? -1 : 1)))
}

/** A copy without the fields at these paths, which end in the name of a field. */
function withoutPaths(value: Json, paths: readonly (readonly string[])[]): Json {
  if (paths.some((path) => path.length === 0)) return null
  if (paths.length === 0 || value === null || typeof value !== 'object') return value
  const below = (key: string) => paths.filter((path) => path[0] === key).map((path) => path.slice(1))
  if (Array.isArray(value)) return value.map((item: Json, i) => withoutPaths(item, below(String(i))))
  return Object.fromEntries(
    Object.entries(value)
      .filter(([key]) => !paths.some((path) => path.length === 1 && path[0] === key))
      .map(([key, item]) => [key, withoutPaths(item, below(key))]),
  )
}

function hex(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}
