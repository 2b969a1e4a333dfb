import type { LoadedFile } from './files.js'
import { entriesOf, type Field, fieldOf, type MapNode, type Node, rootField, type Where } from './node.js'
import type { Problems } from './problems.js'

/** Something with a name in `chains`, `sources` or `tables`, of the pipeline file or of one that it imports. */
export interface Declared {
  readonly field: Field
  /** Where the name stands. */
  readonly key: Where
}

/** What all files declare in a section. The same name in two files is an error: nobody could tell which one holds. A chain: see `withImported`. */
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

/**
 * The files, the pipeline's own among them, where a chain that the pipeline and one file that it imports name is the pipeline's alone: what
 * the pipeline says of it counts, and what it leaves out is as imported. Of the imported value that it replaces nobody needs the environment.
 */
export function withImported(
  main: LoadedFile,
  shared: readonly LoadedFile[],
): { readonly main: LoadedFile; readonly shared: readonly LoadedFile[] } {
  const own = new Map(chainsOf(main))
  const taken = new Map<LoadedFile, Set<string>>()
  for (const [name, entry] of own) {
    const others = shared.filter((file) => chainsOf(file).has(name))
    const [from] = others
    const under = from && chainsOf(from).get(name)?.value
    if (!from || others.length > 1 || under?.kind !== 'map' || entry.value.kind !== 'map') continue
    const templated = entry.value.templated || under.templated
    const imported = [...under.entries].map(([key, each]) => [key, { ...each, source: under.source }] as const)
    own.set(name, { ...entry, value: { ...entry.value, templated, entries: new Map([...imported, ...entry.value.entries]) } })
    taken.set(from, (taken.get(from) ?? new Set()).add(name))
  }
  const without = (file: LoadedFile) => new Map([...chainsOf(file)].filter(([name]) => taken.get(file)?.has(name) !== true))
  return { main: withChains(main, own), shared: shared.map((file) => withChains(file, without(file))) }
}

function chainsOf({ root }: LoadedFile): MapNode['entries'] {
  const { node } = fieldOf(rootField(root), 'chains')
  return node?.kind === 'map' ? node.entries : new Map()
}

function withChains(file: LoadedFile, chains: MapNode['entries']): LoadedFile {
  const { root } = file
  const entry = root.kind === 'map' ? root.entries.get('chains') : undefined
  if (root.kind !== 'map' || entry?.value.kind !== 'map') return file
  const value = {
    ...entry.value,
    templated: entry.value.templated || [...chains.values()].some(({ value: chain }) => isTemplated(chain)),
    entries: chains,
  }
  return {
    ...file,
    root: { ...root, templated: root.templated || value.templated, entries: new Map([...root.entries, ['chains', { ...entry, value }]]) },
  }
}

const isTemplated = (node: Node): boolean => node.kind !== 'scalar' && node.templated
