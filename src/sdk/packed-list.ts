import { deserialize, serialize } from 'node:v8'

/** What arrays and `PackedList` have in common: lists of answers and rows may hold very many elements. */
export interface List<T> extends Iterable<T> {
  readonly length: number
  at(index: number): T | undefined
}

/** Elements that are packed together where somebody adds them one by one. */
const PAGE = 256

/** Elements as bytes, or as they are where they hold what is no JSON and no bigint. */
interface Page {
  readonly elements: Uint8Array | readonly unknown[]
  /** Places of its elements: from `first` up to, and without, `end`. */
  readonly first: number
  readonly end: number
}

/**
 * A list of very many elements that are much alike, held as bytes, column by column: there is nothing for the collector to look after. Elements
 * are made anew when they are asked for, equal to those that were added, which nobody may change.
 */
export class PackedList<T = unknown> implements List<T> {
  /** Whether it holds a number that `JSON.parse` may have rounded, as who parsed it says. */
  isRounded = false
  readonly #pages: Page[] = []
  #open: T[] = []
  /** The page that was asked for last. */
  #read: { readonly page: Page; readonly column: Column } | undefined

  get length(): number {
    return this.#packed + this.#open.length
  }

  get #packed(): number {
    return this.#pages.at(-1)?.end ?? 0
  }

  /** Adds an element: JSON, or a row. */
  push(element: T): void {
    this.#open.push(element)
    if (this.#open.length === PAGE) this.#close()
  }

  /** Adds elements that `packed` made bytes of. */
  addPage(bytes: Uint8Array, count: number): void {
    this.#close()
    this.#add(bytes, count)
  }

  /** Takes away all but the first ones. */
  truncate(length: number): void {
    while (this.#packed > length) {
      const page = this.#pages.pop() as Page
      this.#open = [...elementsOf<T>(page)]
    }
    this.#open.length = length - this.#packed
  }

  /** One of its own, with the same elements. */
  copy(): PackedList<T> {
    const copy = new PackedList<T>()
    copy.#pages.push(...this.#pages)
    copy.#open = [...this.#open]
    copy.isRounded = this.isRounded
    return copy
  }

  /** For `JSON.stringify`. */
  toJSON(): readonly T[] {
    return [...this]
  }

  at(index: number): T | undefined {
    if (index >= this.#packed) return this.#open[index - this.#packed]
    let read = this.#read
    if (!read || index < read.page.first || index >= read.page.end) {
      const page = this.#pages.find(({ end }) => index < end) as Page
      this.#read = read = { page, column: opened(page) }
    }
    return read.column.at(index - read.page.first) as T
  }

  /** The elements, of those that are objects perhaps only these fields. */
  *only(names?: readonly string[]): Iterable<T> {
    for (const page of this.#pages) yield* elementsOf<T>(page, names)
    yield* this.#open
  }

  *[Symbol.iterator](): Iterator<T> {
    yield* this.only()
  }

  #close(): void {
    const elements = this.#open
    if (elements.length === 0) return
    this.#open = []
    this.#add(packed(elements) ?? elements, elements.length)
  }

  #add(elements: Page['elements'], count: number): void {
    const first = this.#packed
    this.#pages.push({ elements, first, end: first + count })
  }
}

/** A list in pieces of so many elements, the last one of fewer: elements of a packed one are made a piece at a time. */
export function* pieces<T>(list: List<T>, size: number): Iterable<readonly T[]> {
  let piece: T[] = []
  for (const element of list) {
    piece.push(element)
    if (piece.length < size) continue
    yield piece
    piece = []
  }
  if (piece.length > 0) yield piece
}

/** The elements of a list in their order, of those that are objects perhaps only these fields, if that is cheaper. */
export function* only<T>(list: List<T>, names: readonly string[]): Iterable<T> {
  if (list instanceof PackedList) yield* (list as PackedList<T>).only(names)
  else yield* list
}

export const isList = (value: unknown): value is List<unknown> => Array.isArray(value) || value instanceof PackedList

/** Bytes of JSON values and bigints, for `PackedList.addPage`. Undefined where something else is among them. */
export function packed(elements: readonly unknown[]): Uint8Array | undefined {
  try {
    return serialize(columnOf(elements))
  } catch (error) {
    if (error instanceof NotPackedError) return undefined
    throw error
  }
}

function* elementsOf<T>(page: Page, names?: readonly string[]): Iterable<T> {
  const column = opened(page, names)
  for (let i = 0; i < page.end - page.first; i++) yield column.at(i) as T
}

/** Thrown and caught in this file. */
class NotPackedError extends Error {}

/** Values at the same place of the elements of a page, as they are written. Of `fields`, undefined stands for a name that an object lacks. */
type Packed =
  | { readonly kind: 'same'; readonly value: unknown }
  | { readonly kind: 'texts'; readonly all: string; readonly ends: Uint32Array | number }
  | { readonly kind: 'lists'; readonly all: Packed; readonly ends: Uint32Array }
  | { readonly kind: 'fields'; readonly names: readonly string[]; readonly columns: readonly Packed[] }
  | { readonly kind: 'mixed'; readonly column: Packed; readonly others: ReadonlyMap<number, unknown> }
  | { readonly kind: 'others'; readonly values: readonly unknown[] }

function columnOf(values: readonly unknown[]): Packed {
  const [first] = values
  if ((typeof first !== 'object' || first === null) && values.every((value) => Object.is(value, first)))
    return { kind: 'same', value: first }
  const counts = { texts: 0, lists: 0, fields: 0, others: 0 }
  for (const value of values) counts[kindOf(value)]++
  const [kind, count] = Object.entries(counts).reduce((most, each) => (each[1] > most[1] ? each : most)) as [Kind, number]
  if (count === values.length || kind === 'others') return PACKERS[kind](values as never[])
  // Most are of one kind, and the others are kept by their place. An empty one stands where they are.
  const others = new Map<number, unknown>()
  const same = values.map((value, i) => {
    if (kindOf(value) === kind) return value
    others.set(i, value)
    return EMPTY[kind]
  })
  return { kind: 'mixed', column: PACKERS[kind](same as never[]), others }
}

type Kind = 'texts' | 'lists' | 'fields' | 'others'

const EMPTY = { texts: '', lists: [], fields: {} }

const PACKERS: Readonly<Record<Kind, (values: readonly never[]) => Packed>> = {
  texts,
  lists: (values: readonly (readonly unknown[])[]) => ({ kind: 'lists', all: columnOf(values.flat()), ends: endsOf(values) }),
  fields,
  others: (values) => ({ kind: 'others', values }),
}

/** @throws {NotPackedError} */
function kindOf(value: unknown): Kind {
  if (typeof value === 'string') return 'texts'
  if (typeof value === 'function' || typeof value === 'symbol') throw new NotPackedError()
  if (typeof value !== 'object' || value === null) return 'others'
  if (Array.isArray(value)) return 'lists'
  if (Object.getPrototypeOf(value) !== Object.prototype) throw new NotPackedError()
  // `__proto__` can't be assigned like another name.
  return Object.hasOwn(value, '__proto__') ? 'others' : 'fields'
}

/** One text, of which each value is a part. */
function texts(values: readonly string[]): Packed {
  const width = values[0]?.length ?? 0
  return { kind: 'texts', all: values.join(''), ends: values.every(({ length }) => length === width) ? width : endsOf(values) }
}

function fields(values: readonly Readonly<Record<string, unknown>>[]): Packed {
  const names = new Set<string>()
  for (const value of values) for (const name in value) names.add(name)
  return {
    kind: 'fields',
    names: [...names],
    columns: [...names].map((name) => columnOf(values.map((value) => (Object.hasOwn(value, name) ? value[name] : undefined)))),
  }
}

/** Where each of some texts or lists begins among all of them, and where the last one ends. */
function endsOf(values: readonly { readonly length: number }[]): Uint32Array {
  const ends = new Uint32Array(values.length + 1)
  values.forEach(({ length }, i) => (ends[i + 1] = (ends[i] as number) + length))
  return ends
}

/** Makes values of a column. */
interface Column {
  at(i: number): unknown
}

/** `names`: fields that are enough. */
function opened({ elements }: Page, names?: readonly string[]): Column {
  if (!(elements instanceof Uint8Array)) return { at: (i) => elements[i] }
  // `packed` made these bytes, in this process.
  const packed = deserialize(elements) as Packed
  if (!names || packed.kind !== 'fields') return read(packed)
  const kept = packed.names.flatMap((name, i) => (names.includes(name) ? [i] : []))
  return read({
    kind: 'fields',
    names: kept.map((i) => packed.names[i] as string),
    columns: kept.map((i) => packed.columns[i] as Packed),
  })
}

function read(packed: Packed): Column {
  switch (packed.kind) {
    case 'same':
      return { at: () => packed.value }
    case 'others':
      return { at: (i) => packed.values[i] }
    case 'texts': {
      const { all, ends } = packed
      if (typeof ends === 'number') return { at: (i) => all.substring(i * ends, (i + 1) * ends) }
      return { at: (i) => all.substring(ends[i] as number, ends[i + 1] as number) }
    }
    case 'lists': {
      const { ends } = packed
      const all = read(packed.all)
      return {
        at: (i) => Array.from({ length: (ends[i + 1] as number) - (ends[i] as number) }, (_, n) => all.at((ends[i] as number) + n)),
      }
    }
    case 'mixed': {
      const { others } = packed
      const column = read(packed.column)
      return { at: (i) => (others.has(i) ? others.get(i) : column.at(i)) }
    }
    case 'fields': {
      const { names } = packed
      const columns = packed.columns.map(read)
      return {
        at: (i) => {
          const made: Record<string, unknown> = {}
          for (let n = 0; n < names.length; n++) {
            const value = (columns[n] as Column).at(i)
            if (value !== undefined) made[names[n] as string] = value
          }
          return made
        },
      }
    }
  }
}
