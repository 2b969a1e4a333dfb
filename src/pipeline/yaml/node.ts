import type { LineCounter } from 'yaml'
import type { Json } from '../../sdk/index.js'
import type { Place } from '../pipeline.js'

/** A file that was read, with what turns offsets into lines. */
export interface Source {
  /** As it is shown to people. */
  readonly file: string
  /** Of the folder that the file lies in, absolute. */
  readonly folder: string
  readonly lines: LineCounter
}

/** A YAML value that knows where it stands. Aliases share the node that they stand for. */
export type Node = ScalarNode | ListNode | MapNode

export interface ScalarNode {
  readonly kind: 'scalar'
  readonly source: Source
  readonly offset: number
  readonly value: null | boolean | number | string
  /** Nothing can be said about the value: it was refused already, or its environment is missing. */
  readonly unknown: boolean
  /** The environment variables that it is unknown for. */
  readonly unset?: readonly string[]
  /** The environment variables that it was made of. Its value is not shown then. */
  readonly env: readonly string[]
  /** `${…}` stood in it, be it that only a default was used. */
  readonly filled: boolean
}

export interface ListNode {
  readonly kind: 'list'
  readonly source: Source
  readonly offset: number
  /** Whether any text in it holds `${`. */
  readonly templated: boolean
  readonly items: readonly Node[]
}

export interface MapNode {
  readonly kind: 'map'
  readonly source: Source
  readonly offset: number
  /** Whether any text in it holds `${`. */
  readonly templated: boolean
  readonly entries: ReadonlyMap<string, Entry>
}

export interface Entry {
  readonly keyOffset: number
  /** Where it stands in another file than its map. */
  readonly source?: Source
  readonly value: Node
}

export type Path = readonly (string | number)[]

/** Where something stands: what a problem shows. */
export interface Where {
  readonly path: Path
  readonly place: Place
}

/** A value at a path of a file. Without a node where the file says nothing; its place is then that of its holder. */
export interface Field extends Where {
  readonly node: Node | undefined
}

export function placeAt(source: Source, offset: number): Place {
  const { line, col } = source.lines.linePos(offset)
  return { file: source.file, line: Math.max(line, 1), column: Math.max(col, 1) }
}

export function placeOf(node: Node): Place {
  return placeAt(node.source, node.offset)
}

/** The whole of a file. */
export function rootField(node: Node): Field {
  return { node, path: [], place: placeOf(node) }
}

/** What a holder has under a key. Path and place are made when they are asked for: only problems need them. */
class Held implements Field {
  readonly #holder: Field
  readonly #key: string | number

  constructor(
    holder: Field,
    key: string | number,
    readonly node: Node | undefined,
  ) {
    this.#holder = holder
    this.#key = key
  }

  get path(): Path {
    return [...this.#holder.path, this.#key]
  }

  get place(): Place {
    return this.node ? placeOf(this.node) : this.#holder.place
  }
}

/** The value of a key. */
export function fieldOf(holder: Field, key: string): Field {
  return new Held(holder, key, holder.node?.kind === 'map' ? holder.node.entries.get(key)?.value : undefined)
}

/** A key of a map, where it stands, and its value. */
export class FieldEntry implements Where {
  readonly #source: Source
  readonly #offset: number

  constructor(
    readonly key: string,
    readonly field: Field,
    source: Source,
    offset: number,
  ) {
    this.#source = source
    this.#offset = offset
  }

  get path(): Path {
    return this.field.path
  }

  get place(): Place {
    return placeAt(this.#source, this.#offset)
  }
}

/** The keys of a map with their values; none when it is no map. */
export function entriesOf(holder: Field): readonly FieldEntry[] {
  const { node } = holder
  if (node?.kind !== 'map') return []
  return Array.from(
    node.entries,
    ([key, { value, keyOffset, source = node.source }]) => new FieldEntry(key, new Held(holder, key, value), source, keyOffset),
  )
}

/** The items of a list; none when it is no list. */
export function itemsOf(holder: Field): readonly Field[] {
  if (holder.node?.kind !== 'list') return []
  return holder.node.items.map((node, i) => new Held(holder, i, node))
}

/** The text of a field; undefined when it holds something else, or a text that nobody knows. */
export function textOf(field: Field): string | undefined {
  const { node } = field
  return node?.kind === 'scalar' && !node.unknown && typeof node.value === 'string' ? node.value : undefined
}

export function numberOf(field: Field): number | undefined {
  const { node } = field
  return node?.kind === 'scalar' && !node.unknown && typeof node.value === 'number' ? node.value : undefined
}

/** Whether a field, or anything in it, has a value that nobody knows. */
export function hasUnknown(node: Node | undefined): boolean {
  if (!node) return false
  if (node.kind === 'scalar') return node.unknown
  if (node.kind === 'list') return node.items.some(hasUnknown)
  return [...node.entries.values()].some((entry) => hasUnknown(entry.value))
}

export function isTemplated(node: Node): boolean {
  return node.kind === 'scalar' ? typeof node.value === 'string' && node.value.includes('${') : node.templated
}

/** The deepest node on a path, its place, and whether the path ended there. `key` asks for the place of the last key. */
export function locate(root: Node, path: Path, key = false): { readonly node: Node; readonly place: Place; readonly whole: boolean } {
  let node = root
  let place = placeOf(root)
  for (const [i, part] of path.entries()) {
    const entry = node.kind === 'map' ? node.entries.get(String(part)) : undefined
    const next = node.kind === 'list' ? node.items[Number(part)] : entry?.value
    if (!next) return { node, place, whole: false }
    place = key && entry && i === path.length - 1 ? placeAt(entry.source ?? node.source, entry.keyOffset) : placeOf(next)
    node = next
  }
  return { node, place, whole: true }
}

/** The plain value. */
export function toJson(node: Node): Json {
  if (node.kind === 'scalar') return node.value
  if (node.kind === 'list') return node.items.map(toJson)
  const json: Record<string, Json> = {}
  // No key is `__proto__`: the reader refuses it.
  for (const [key, entry] of node.entries) json[key] = toJson(entry.value)
  return json
}

/** A copy in which scalars are replaced; parts without a change are the same nodes. Parts for which `enter` is false stay as they are. */
export function mapScalars(
  node: Node,
  replace: (scalar: ScalarNode, path: Path) => ScalarNode,
  path: Path = [],
  enter: (node: Node) => boolean = () => true,
): Node {
  if (node.kind === 'scalar') return replace(node, path)
  if (!enter(node)) return node
  if (node.kind === 'list') {
    const items = node.items.map((item, i) => mapScalars(item, replace, [...path, i], enter))
    return items.every((item, i) => item === node.items[i]) ? node : { ...node, items }
  }
  let changed = false
  const entries = new Map<string, Entry>()
  for (const [key, entry] of node.entries) {
    const value = mapScalars(entry.value, replace, [...path, key], enter)
    if (value !== entry.value) changed = true
    entries.set(key, value === entry.value ? entry : { ...entry, value })
  }
  return changed ? { ...node, entries } : node
}

/** A path as a reader would write it: `steps[2].with.batch`. */
export function pathText(path: Path): string {
  let text = ''
  for (const part of path) {
    if (typeof part === 'number') text += `[${part}]`
    else if (/^[\w-]+$/.test(part)) text += text === '' ? part : `.${part}`
    else text += `[${JSON.stringify(part)}]`
  }
  return text
}

/** The environment variables that something in a node is unknown for. */
export function unsetIn(node: Node | undefined): readonly string[] {
  if (!node) return []
  if (node.kind === 'scalar') return node.unset ?? []
  const within = node.kind === 'list' ? node.items : [...node.entries.values()].map(({ value }) => value)
  return [...new Set(within.flatMap(unsetIn))]
}
