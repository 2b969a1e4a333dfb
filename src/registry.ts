import { builtIn } from '../plugins/index.js'
import { importPlugin } from './registry/import.js'
import { locatePlugin, type PluginFile, projectFolder } from './registry/locate.js'
import { definitionsOf } from './registry/shape.js'
import { type Clock, closest, type StepDefinition } from './sdk/index.js'
import type { Place, Problem } from './sdk/problem.js'

/** The step types that a pipeline may use: the built-in ones and those of its plugins. */
export interface Registry {
  get(type: string): StepDefinition | undefined
  /** Sorted by type. */
  all(): readonly StepDefinition[]
  /** The type that was likely meant by a name that is none. */
  suggest(type: string): string | undefined
}

/** An entry of `plugins:` in a pipeline file. */
export interface PluginEntry {
  /** As written: `./my-step.ts`, `pipe-plugin-x`. */
  readonly spec: string
  readonly place: Place
  /** As a reader would write it: `plugins[0]`. */
  readonly path: string
}

export interface RegistryOptions {
  readonly plugins: readonly PluginEntry[]
  /** The pipeline file, absolute or relative to `cwd`. An entry of an imported file is relative to that one: see its `place`. */
  readonly file: string
  readonly cwd: string
  /** With it, a plugin whose import does not settle within 30 s is a problem instead of a wait without end. */
  readonly clock?: Clock
}

/**
 * Loads the plugins of a pipeline file beside the built-in steps. This runs their code: only files inside the project folder
 * and installed packages are taken. Every mistake is a problem at its entry; the registry then holds what is left.
 */
export async function loadRegistry({
  plugins,
  file,
  cwd,
  clock,
}: RegistryOptions): Promise<{ readonly registry: Registry; readonly problems: readonly Problem[] }> {
  const found = new Map<string, Origin>(builtIn.map((definition) => [definition.type, { definition, from: 'the built-in steps' }]))
  const problems: Problem[] = []
  if (plugins.length > 0) {
    const project = projectFolder(cwd)
    for (const entry of plugins) {
      const refuse = (message: string, hint?: string) => {
        problems.push({ ...entry.place, path: entry.path, message, severity: 'error', hint })
      }
      const located = locatePlugin(entry.spec, { file: entry.place.file || file, cwd, project })
      if ('problem' in located) {
        refuse(located.problem, located.hint)
        continue
      }
      const imported = await importPlugin(located, clock)
      if ('problem' in imported) {
        refuse(imported.problem, imported.hint)
        continue
      }
      const { definitions, mistakes } = await definitionsOf(imported.module)
      for (const mistake of mistakes) refuse(`${entry.spec}: ${mistake}`, 'make it with defineStep from pipe/sdk')
      for (const definition of definitions) add(found, { definition, from: originOf(located) }, refuse)
    }
  }
  return { registry: registryOf([...found.values()].map(({ definition }) => definition)), problems }
}

/** A registry of exactly these definitions. The last of a type wins. */
export function registryOf(definitions: readonly StepDefinition[]): Registry {
  const byType = new Map(definitions.map((definition) => [definition.type, definition]))
  const all = [...byType.values()].sort((a, b) => (a.type < b.type ? -1 : 1))
  return {
    get: (type) => byType.get(type),
    all: () => all,
    suggest: (type) => closest(type, byType.keys()),
  }
}

interface Origin {
  readonly definition: StepDefinition
  readonly from: string
}

function add(found: Map<string, Origin>, origin: Origin, refuse: (message: string, hint?: string) => void): void {
  const { type } = origin.definition
  const other = found.get(type)
  if (!other) found.set(type, origin)
  else if (other.definition !== origin.definition) {
    refuse(`step type "${type}" comes from two places: ${versionOf(other)} and ${versionOf(origin)}`, 'rename one, or leave one plugin out')
  }
}

function versionOf({ definition, from }: Origin): string {
  return `${from} (version ${definition.version ?? 1})`
}

function originOf({ spec, version }: PluginFile): string {
  return version === undefined ? spec : `${spec}@${version}`
}
