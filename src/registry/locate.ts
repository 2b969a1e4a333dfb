import { existsSync, readFileSync, realpathSync, statSync } from 'node:fs'
import { dirname, isAbsolute, join, relative, resolve, sep } from 'node:path'

/** A file that may be imported. */
export interface PluginFile {
  /** As written in the pipeline. */
  readonly spec: string
  /** Absolute, links resolved. */
  readonly path: string
  /** Of the package, when it is one. */
  readonly version: string | undefined
}

interface Refusal {
  readonly problem: string
  readonly hint?: string
}

interface Surroundings {
  /** The file that names the plugin, absolute or relative to `cwd`. */
  readonly file: string
  readonly cwd: string
  /** From `projectFolder`. */
  readonly project: string
}

const EXTENSIONS = ['.ts', '.mts', '.js', '.mjs', '.cjs']
const PACKAGE_NAME = /^(@[a-z0-9~-][a-z0-9._~-]*\/)?[a-z0-9~-][a-z0-9._~-]*$/
const SOURCES = 'a plugin is a file inside the project folder (./my-step.ts) or the name of an installed package'

/** The folder whose code may be loaded: the nearest one above the working folder that has a package.json, else the working folder. */
export function projectFolder(cwd: string): string {
  const start = realpathSync(cwd)
  for (let folder = start; ; folder = dirname(folder)) {
    if (existsSync(join(folder, 'package.json'))) return folder
    if (dirname(folder) === folder) return start
  }
}

/** The file that a plugin entry means, when it is one that may be loaded. Nothing of it is run. */
export function locatePlugin(spec: string, around: Surroundings): PluginFile | Refusal {
  if (spec === '' || spec.includes('\0')) return { problem: 'the name of a plugin is empty or holds a NUL', hint: SOURCES }
  if (/^[a-z][a-z0-9+.-]*:/i.test(spec))
    return { problem: `plugin ${show(spec)} is a URL, a Node module or an absolute path`, hint: SOURCES }
  if (isAbsolute(spec) || spec.startsWith('\\') || spec.startsWith('~'))
    return { problem: `plugin ${show(spec)} is an absolute path`, hint: SOURCES }
  if (spec.startsWith('./') || spec.startsWith('../')) return locateFile(spec, around)
  if (PACKAGE_NAME.test(spec) && !EXTENSIONS.some((extension) => spec.endsWith(extension))) return locatePackage(spec, around)
  const hint = EXTENSIONS.some((extension) => spec.endsWith(extension)) ? `a file begins with ./ — write ${show(`./${spec}`)}` : SOURCES
  return { problem: `plugin ${show(spec)} is neither a relative file nor the name of a package`, hint }
}

function locateFile(spec: string, { file, cwd, project }: Surroundings): PluginFile | Refusal {
  const folder = dirname(resolve(cwd, file))
  const path = real(resolve(folder, spec))
  // Before anything is said about what is there: no pipeline file may probe for files outside.
  if (!inside(project, path ?? resolve(realFolder(folder), spec))) return outside(spec, project)
  if (path === undefined || !statSync(path).isFile())
    return { problem: `plugin ${show(spec)} is no file`, hint: `it is looked for in ${folder}` }
  if (!EXTENSIONS.some((extension) => path.endsWith(extension))) {
    return { problem: `plugin ${show(spec)} is no JavaScript or TypeScript`, hint: `it has to end in ${EXTENSIONS.join(', ')}` }
  }
  return { spec, path, version: undefined }
}

function locatePackage(spec: string, { file, cwd, project }: Surroundings): PluginFile | Refusal {
  const missing = { problem: `plugin ${show(spec)} is not installed`, hint: `npm install ${spec}` }
  for (let folder = realFolder(dirname(resolve(cwd, file))); inside(project, folder); folder = dirname(folder)) {
    const linked = join(folder, 'node_modules', spec)
    const root = real(linked)
    if (root === undefined) {
      if (folder === project) return missing
      continue
    }
    if (!inside(project, root)) return outside(spec, project)
    const about = packageJson(root)
    if (!about) return { problem: `plugin ${show(spec)} has no readable package.json`, hint: `npm install ${spec}` }
    const entry = real(join(root, entryOf(about)))
    if (entry === undefined || !inside(root, entry) || !statSync(entry).isFile()) {
      return {
        problem: `plugin ${show(spec)} has no file ${show(entryOf(about))}, which its package.json names`,
        hint: 'it may not be built',
      }
    }
    return { spec, path: entry, version: typeof about['version'] === 'string' ? about['version'] : undefined }
  }
  return missing
}

/** The file that `import 'name'` would load. */
function entryOf(about: Readonly<Record<string, unknown>>): string {
  const exports = about['exports']
  const main = typeof about['main'] === 'string' ? about['main'] : 'index.js'
  if (exports === undefined || exports === null) return /\.[cm]?js$/.test(main) ? main : `${main}.js`
  const root =
    typeof exports === 'object' && !Array.isArray(exports) && '.' in exports ? (exports as Readonly<Record<string, unknown>>)['.'] : exports
  return conditional(root) ?? main
}

function conditional(target: unknown): string | undefined {
  if (typeof target === 'string') return target
  if (Array.isArray(target)) return target.map(conditional).find((path) => path !== undefined)
  if (target === null || typeof target !== 'object') return undefined
  for (const [condition, inner] of Object.entries(target)) {
    const path = ['node', 'import', 'module-sync', 'default'].includes(condition) ? conditional(inner) : undefined
    if (path !== undefined) return path
  }
  return undefined
}

function packageJson(folder: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const about: unknown = JSON.parse(readFileSync(join(folder, 'package.json'), 'utf8'))
    return about !== null && typeof about === 'object' ? (about as Readonly<Record<string, unknown>>) : undefined
  } catch {
    return undefined
  }
}

function outside(spec: string, project: string): Refusal {
  return {
    problem: `plugin ${show(spec)} lies outside the project folder ${project}`,
    hint: 'move it inside, or run pipe from the folder that holds both',
  }
}

function inside(folder: string, path: string): boolean {
  const way = relative(folder, path)
  return way === '' || !(way === '..' || way.startsWith(`..${sep}`) || isAbsolute(way))
}

function real(path: string): string | undefined {
  try {
    return realpathSync(path)
  } catch {
    return undefined
  }
}

function realFolder(folder: string): string {
  return real(folder) ?? folder
}

function show(text: string): string {
  return JSON.stringify(text.length > 100 ? `${text.slice(0, 100)}…` : text)
}
