import { type Json, type Reference, referenceName, sqlReferences, textReferences } from '../../sdk/index.js'
import { sqlPaths, urlPaths } from './tuning.js'

type Path = Reference['path']

/**
 * Every `$name` that a `with` mentions, in order: values that are one as a whole, and those inside of the texts that the
 * schema marks `references: 'sql'` (not in quotes and comments) or `'url'`. `inside`: also those inside of any other text,
 * which a step type may look up by itself.
 */
export function mentions(schema: unknown, config: Json, others: 'whole' | 'inside' = 'whole'): readonly Reference[] {
  if (!holdsDollar(config)) return []
  const sql = new Set(sqlPaths(schema, config).map(keyOf))
  const url = new Set(urlPaths(schema, config).map(keyOf))
  const found: Reference[] = []
  const visit = (value: Json, path: Path, reading: Reading): void => {
    const how = sql.has(keyOf(path)) ? sqlReferences : url.has(keyOf(path)) ? textReferences : reading
    if (typeof value === 'string') for (const { name } of how(value)) found.push({ name, path })
    else if (Array.isArray(value)) value.forEach((item: Json, i) => visit(item, [...path, i], how))
    else if (value !== null && typeof value === 'object')
      for (const [key, item] of Object.entries(value)) visit(item as Json, [...path, key], how)
  }
  visit(config, [], others === 'whole' ? whole : textReferences)
  return found
}

type Reading = (text: string) => readonly { readonly name: string }[]

function whole(text: string): ReturnType<Reading> {
  const name = referenceName(text)
  return name === undefined ? [] : [{ name }]
}

const keyOf = (path: readonly (string | number)[]): string => path.join('\n')

/** Most steps name nothing: their schema then need not be walked. */
function holdsDollar(value: Json): boolean {
  if (typeof value === 'string') return value.includes('$')
  return value !== null && typeof value === 'object' && Object.values(value).some(holdsDollar)
}
