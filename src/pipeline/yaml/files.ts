import { createHash } from 'node:crypto'
import { existsSync, realpathSync } from 'node:fs'
import { open, stat } from 'node:fs/promises'
import { dirname, isAbsolute, relative, resolve, sep } from 'node:path'
import { projectFolder } from '../../registry/locate.js'
import { type Node, fieldOf, itemsOf, rootField, type Source, textOf, type Where } from './node.js'
import { parseText } from './parse.js'
import type { Place } from '../pipeline.js'
import type { Problems } from './problems.js'

/** Bytes. Checked before anything is parsed. */
const MAX_SIZE = 1024 * 1024
const MAX_FILES = 100

/** One file of a pipeline. */
export interface LoadedFile {
  /** As it is shown to people. */
  readonly file: string
  readonly source: Source
  readonly root: Node
}

export interface LoadedFiles {
  /** Undefined when it can't be read at all. */
  readonly main: LoadedFile | undefined
  /** What it imports, directly or not; what a file imports comes before it. */
  readonly shared: readonly LoadedFile[]
  /** All, the main one first. */
  readonly names: readonly string[]
  /** Of their texts, hexadecimal. */
  readonly hash: string
}

interface Refusal {
  readonly problem: string
  readonly hint?: string
}

/** Reads a pipeline file and all that it imports. `resolveImports` puts the environment into the list of imports. */
export async function loadFiles(
  file: string,
  cwd: string,
  problems: Problems,
  resolveImports: (imports: Node) => Node,
): Promise<LoadedFiles> {
  const hash = createHash('sha256')
  const names: string[] = []
  const shared: LoadedFile[] = []
  const done = new Set<string>()

  const load = async (
    path: string,
    shown: string,
    asked: Where,
    chain: readonly { readonly path: string; readonly shown: string }[],
  ): Promise<LoadedFile | undefined> => {
    names.push(shown)
    const text = await readText(path)
    if (typeof text !== 'string') {
      problems.error(asked, text.problem, text.hint)
      return undefined
    }
    hash.update(`${shown}\0${text.length}\0${text}\0`)
    const parsed = parseText(text, { file: shown, folder: dirname(path) })
    problems.add(parsed.problems)
    const start = { place: { file: shown, line: 1, column: 1 }, path: [] }
    if (!parsed.root) {
      if (parsed.problems.length === 0) problems.error(start, 'the file is empty')
      return undefined
    }
    const here = [...chain, { path, shown }]
    for (const entry of itemsOf(fieldOf(rootField(resolveRoot(parsed.root, resolveImports)), 'imports'))) {
      const spec = textOf(entry)
      if (spec === undefined) continue
      const target = locateImport(spec, dirname(path), cwd, dirname(here[0]?.path ?? path))
      if ('problem' in target) {
        problems.error(entry, target.problem, target.hint)
        continue
      }
      const circle = here.findIndex((each) => each.path === target.path)
      if (circle !== -1) {
        problems.error(
          entry,
          `imports go in a circle: ${[...here.slice(circle).map((each) => each.shown), here[circle]?.shown].join(' -> ')}`,
        )
        continue
      }
      if (done.has(target.path)) continue
      done.add(target.path)
      if (done.size > MAX_FILES) {
        problems.error(entry, `more than ${MAX_FILES} files are imported`)
        return undefined
      }
      const imported = await load(target.path, displayOf(target.path, cwd), entry, here)
      if (imported) shared.push(imported)
    }
    return { file: shown, source: parsed.source, root: parsed.root }
  }

  const path = resolve(cwd, file)
  const main = await load(existsSync(path) ? realpathSync(path) : path, file, { place: { file, line: 1, column: 1 }, path: [] }, [])
  return { main, shared, names, hash: hash.digest('hex') }
}

/** Reads a file that stands for a part of a pipeline. Undefined where it can't be read, which is reported. */
export async function loadPart(
  spec: string,
  asked: Where,
  folder: string,
  { cwd, mainFolder }: { readonly cwd: string; readonly mainFolder: string },
  problems: Problems,
): Promise<Node | undefined> {
  const target = locateInside(spec, folder, cwd, mainFolder, 'file')
  const text = 'path' in target ? await readText(target.path) : target
  if (typeof text !== 'string' || !('path' in target)) {
    if (typeof text !== 'string') problems.error(asked, text.problem, text.hint)
    return undefined
  }
  const parsed = parseText(text, { file: displayOf(target.path, cwd), folder: dirname(target.path) })
  problems.add(parsed.problems)
  if (!parsed.root && parsed.problems.length === 0) problems.error(asked, `${JSON.stringify(spec)} is empty`)
  return parsed.root
}

/** Where an entry of `migrations` leads, when there is something. */
export function locateFolder(spec: string, place: Place, folder: string, cwd: string): { readonly path: string } | Refusal {
  return locateInside(spec, folder, cwd, dirname(resolve(cwd, place.file)), 'folder')
}

function locateImport(spec: string, folder: string, cwd: string, mainFolder: string): { readonly path: string } | Refusal {
  return locateInside(spec, folder, cwd, mainFolder, 'file')
}

/** What a relative path means, when it stays inside the project of the working folder or of the pipeline file. */
function locateInside(
  spec: string,
  folder: string,
  cwd: string,
  mainFolder: string,
  what: 'file' | 'folder',
): { readonly path: string } | Refusal {
  const shown = JSON.stringify(spec.slice(0, 100))
  if (spec.includes('\0') || isAbsolute(spec) || /^[A-Za-z][A-Za-z0-9+.-]*:/.test(spec) || spec.startsWith('\\') || spec.startsWith('~')) {
    return { problem: `${shown} is no relative path`, hint: `write the path of a ${what} of this project, from the folder of this file` }
  }
  const wanted = resolve(folder, spec)
  const real = existsSync(wanted) ? realpathSync(wanted) : undefined
  const projects = [...new Set([cwd, mainFolder])].filter((each) => existsSync(each)).map((each) => projectFolder(each))
  // Before anything is said about what is there: no pipeline file may probe for files outside.
  if (!projects.some((project) => inside(project, real ?? wanted))) {
    return { problem: `${shown} lies outside the project folder`, hint: 'move it inside, or run pipe from the folder that holds both' }
  }
  return real === undefined
    ? { problem: `there is no ${what} ${shown}`, hint: `it is looked for in ${displayOf(folder, cwd) || '.'}` }
    : { path: real }
}

function inside(folder: string, path: string): boolean {
  const way = relative(folder, path)
  return way === '' || !(way === '..' || way.startsWith(`..${sep}`) || isAbsolute(way))
}

function displayOf(path: string, cwd: string): string {
  const base = existsSync(cwd) ? realpathSync(cwd) : cwd
  return inside(base, path) ? relative(base, path).replaceAll('\\', '/') : path
}

function resolveRoot(root: Node, resolveImports: (imports: Node) => Node): Node {
  const imports = root.kind === 'map' ? root.entries.get('imports') : undefined
  if (root.kind !== 'map' || !imports) return root
  return { ...root, entries: new Map([...root.entries, ['imports', { ...imports, value: resolveImports(imports.value) }]]) }
}

async function readText(path: string): Promise<string | Refusal> {
  let handle
  try {
    // Before it is opened: opening a pipe would wait for its writer.
    const about = await stat(path)
    if (!about.isFile()) return { problem: 'is no file', hint: 'name a .yaml file' }
    handle = await open(path, 'r')
    // One byte more than allowed: a file may grow while it is read.
    const buffer = Buffer.alloc(Math.min(about.size, MAX_SIZE) + 1)
    let length = 0
    for (let read = -1; read !== 0 && length < buffer.length; length += read) {
      read = (await handle.read(buffer, length, buffer.length - length, length)).bytesRead
    }
    if (about.size > MAX_SIZE || length > MAX_SIZE) {
      return {
        problem: `is larger than 1 MB (${Math.max(about.size, length)} bytes)`,
        hint: 'put what repeats into a matrix, and shared parts into imports',
      }
    }
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(buffer.subarray(0, length))
  } catch (error) {
    if (error instanceof TypeError) return { problem: 'is not UTF-8 text', hint: 'save it as UTF-8' }
    return { problem: reasonOf(error) }
  } finally {
    await handle?.close()
  }
}

function reasonOf(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? String(error.code) : ''
  if (code === 'ENOENT' || code === 'ENOTDIR') return 'there is no such file'
  if (code === 'EACCES' || code === 'EPERM') return 'may not be read: permission denied'
  if (code === 'EISDIR') return 'is a folder, not a file'
  return `can't be read: ${code || String(error)}`
}
