import type { LoadedFile } from './files.js'
import { entriesOf, type Field, fieldOf, rootField, type Where } from './node.js'
import type { Problems } from './problems.js'

/** Something with a name in `chains`, `sources` or `tables`, of the pipeline file or of one that it imports. */
export interface Declared {
  readonly field: Field
  /** Where the name stands. */
  readonly key: Where
}

/** What all files declare in a section. The same name in two files is an error: nobody could tell which one holds. */
export function declaredIn(
  files: readonly LoadedFile[],
  section: 'chains' | 'sources' | 'tables',
  problems: Problems,
): ReadonlyMap<string, Declared> {
  const found = new Map<string, Declared>()
  for (const { root } of files) {
    for (const entry of entriesOf(fieldOf(rootField(root), section))) {
      const { key, field } = entry
      const other = found.get(key)
      if (other) problems.error(entry, `\`${key}\` is also in ${other.key.place.file}:${other.key.place.line}`, 'keep one of them')
      else found.set(key, { field, key: entry })
    }
  }
  return found
}
