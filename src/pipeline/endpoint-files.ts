import { dirname, resolve } from 'node:path'
import { type LoadedFile, loadPart } from './yaml/files.js'
import { type Field, fieldOf, type MapNode, type Node, type Path, rootField, textOf } from './yaml/node.js'
import type { Problems } from './yaml/problems.js'

interface Options {
  /** The chains whose endpoints are asked. Of the others no file is looked at. */
  readonly used: ReadonlySet<string>
  readonly cwd: string
  /** The pipeline file, as it is shown to people. */
  readonly main: string
  readonly problems: Problems
  /** Puts the environment into what the file says. */
  readonly resolveAt: (node: Node, path: Path) => Node
}

/**
 * Puts the endpoints that a file lists in the place of `rpc: { file: PATH }`. The file is JSON or YAML: a list as `rpc` has it, or a map
 * with such a list under `rpcs`.
 */
export async function withEndpointFiles(read: LoadedFile, options: Options): Promise<LoadedFile> {
  const chains = fieldOf(rootField(read.root), 'chains')
  if (read.root.kind !== 'map' || chains.node?.kind !== 'map') return read
  const entries = new Map(chains.node.entries)
  for (const [name, entry] of entries) {
    const rpc = fieldOf(fieldOf(chains, name), 'rpc')
    if (!options.used.has(name) || rpc.node?.kind !== 'map' || entry.value.kind !== 'map') continue
    const list = await listOf(fieldOf(rpc, 'file'), read, options)
    if (list) entries.set(name, { ...entry, value: changed(entry.value, 'rpc', list) })
  }
  return { ...read, root: changed(read.root, 'chains', { ...chains.node, entries }) }
}

/** Undefined where there is none, which is reported. */
async function listOf(file: Field, read: LoadedFile, { cwd, main, problems, resolveAt }: Options): Promise<Node | undefined> {
  const spec = textOf(file)
  if (spec === undefined) return undefined
  if (spec === '') {
    problems.error(file, 'names no file', 'write the path of a list of endpoints: rpc: { file: rpcs.json }')
    return undefined
  }
  const root = await loadPart(
    spec,
    file,
    (file.node?.source ?? read.source).folder,
    { cwd, mainFolder: dirname(resolve(cwd, main)) },
    problems,
  )
  if (!root) return undefined
  const node = resolveAt(root, file.path)
  const list = node.kind === 'map' ? fieldOf(rootField(node), 'rpcs').node : node
  if (list?.kind === 'list') return list
  problems.error(
    file,
    `${JSON.stringify(spec)} has no list of endpoints`,
    'write [{"url": "https://…"}], or {"rpcs": [{"url": "https://…"}]}',
  )
  return undefined
}

/** A map with another value under one of its keys. */
function changed(map: MapNode, key: string, value: Node): MapNode {
  const entry = map.entries.get(key)
  return entry ? { ...map, entries: new Map([...map.entries, [key, { ...entry, value }]]) } : map
}
