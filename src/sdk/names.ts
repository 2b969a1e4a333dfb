import type { Json } from './values.js'

/** A `$name` found in a JSON value, and where. */
export interface Reference {
  /** Without the `$`: `from`, `chain.about.coingecko`. */
  readonly name: string
  readonly path: readonly (string | number)[]
}

/** A `$name` inside a text. `offset` is that of the `$`. */
export interface TextReference {
  readonly name: string
  readonly offset: number
}

/**
 * What stands after a `$`, as the source of a regular expression: words with dots between them. Letters are those of the
 * lexers of Postgres and DuckDB: everything beyond ASCII is one.
 */
export const NAME = String.raw`[A-Za-z_\u0080-\uffff][\w\u0080-\uffff]*(?:\.[\w\u0080-\uffff]+)*`

const WHOLE = new RegExp(`^\\$(${NAME})$`)
const EMBEDDED = new RegExp(`\\$(${NAME})`, 'g')

/** The name when the whole of a value is `$name`; undefined for all other values. */
export function referenceName(value: Json | undefined): string | undefined {
  return typeof value === 'string' && value.startsWith('$') ? WHOLE.exec(value)?.[1] : undefined
}

/** Every value in it that is a reference, in order. Keys are never references, nor is `$name` inside a longer text. */
export function referencesIn(value: Json): readonly Reference[] {
  const found: Reference[] = []
  collect(value, [], found)
  return found
}

/** The references inside a text, for the fields that allow them there: request paths and file names. */
export function textReferences(text: string): readonly TextReference[] {
  return [...text.matchAll(EMBEDDED)].map((match) => ({ name: match[1] ?? '', offset: match.index }))
}

/** A text with each reference inside it replaced. */
export function replaceReferences(text: string, replace: (whole: string, name: string) => string): string {
  return text.replaceAll(EMBEDDED, replace)
}

/** Whether a name, or what stands before its first dot, is among names. */
export function isNamed(name: string, names: ReadonlySet<string>): boolean {
  return names.has(name) || names.has(name.split('.', 1)[0] ?? '')
}

function collect(value: Json, path: readonly (string | number)[], found: Reference[]): void {
  const name = referenceName(value)
  if (name !== undefined) found.push({ name, path })
  else if (Array.isArray(value)) value.forEach((item: Json, i) => collect(item, [...path, i], found))
  else if (value !== null && typeof value === 'object')
    for (const [key, item] of Object.entries(value)) collect(item, [...path, key], found)
}
