import { realpathSync } from 'node:fs'
import { createRequire, register } from 'node:module'
import { fileURLToPath, pathToFileURL } from 'node:url'
import type { Clock } from '../sdk/index.js'
import type { PluginFile } from './locate.js'

const IMPORT_TIMEOUT_MS = 30_000

/**
 * Resolves `pipe/sdk` and `pipe/sdk/testing` to the files of this very process, wherever the plugin lies and whatever copy of
 * pipe is installed beside it: two copies of the SDK would give two of each error class. And TypeScript is always a module,
 * also where the nearest package.json does not say so: what it `require`d would pass these hooks by.
 */
const HOOKS = `
let files = {}
export function initialize(data) { files = data }
export async function resolve(specifier, context, next) {
  if (Object.hasOwn(files, specifier)) return { url: files[specifier], shortCircuit: true }
  const found = await next(specifier, context)
  return /^file:.*[.]ts([?#]|$)/.test(found.url) ? { ...found, format: 'module' } : found
}`

let sdkHooked = false
let typescriptHooked = false

/** Runs a plugin's module. Whatever it throws, and a module that never settles, is a problem. */
export async function importPlugin(
  { spec, path }: PluginFile,
  clock: Clock | undefined,
): Promise<{ readonly module: Readonly<Record<string, unknown>> } | { readonly problem: string; readonly hint?: string }> {
  const settled = new AbortController()
  try {
    if (/\.m?ts$/.test(path)) await hookTypescript()
    // Hooks make every later import of the process slower (measured: viem took three times as long), so not without need.
    if (typescriptHooked || !findsOurSdk(path)) hookSdk()
    const loading = import(pathToFileURL(path).href) as Promise<Readonly<Record<string, unknown>>>
    const late = clock?.sleep(IMPORT_TIMEOUT_MS, settled.signal).then(
      () => LATE,
      () => LATE,
    )
    const module = await (late ? Promise.race([loading, late]) : loading)
    if (module !== LATE) return { module: module as Readonly<Record<string, unknown>> }
    return {
      problem: `plugin ${spec} did not finish loading within ${IMPORT_TIMEOUT_MS / 1000} s`,
      hint: 'it awaits something at its top level',
    }
  } catch (error) {
    return { problem: `plugin ${spec} can't be loaded: ${messageOf(error)}`, ...hintFor(error) }
  } finally {
    settled.abort()
  }
}

const LATE = Symbol('late')

const SDK = new URL(`../sdk/authors.${import.meta.url.endsWith('.ts') ? 'ts' : 'js'}`, import.meta.url)

/** Whether Node finds our own SDK from there: pipe is installed in the project, or this is its repository. */
function findsOurSdk(path: string): boolean {
  try {
    return realpathSync(createRequire(path).resolve('pipe/sdk')) === realpathSync(fileURLToPath(SDK))
  } catch {
    return false
  }
}

// After the TypeScript hooks, since the last registered is asked first. Once a process: what is registered stays, because a
// plugin may import more while it runs.
function hookSdk(): void {
  if (sdkHooked) return
  sdkHooked = true
  const data = { 'pipe/sdk': SDK.href, 'pipe/sdk/testing': SDK.href.replace('/sdk/authors.', '/sandbox/index.') }
  register(`data:text/javascript,${encodeURIComponent(HOOKS)}`, { data })
}

// Also where Node strips types itself: so a plugin means the same on every version.
async function hookTypescript(): Promise<void> {
  if (typescriptHooked) return
  typescriptHooked = true
  // Without a namespace: one would give the plugin an SDK of its own.
  const tsx = await import('tsx/esm/api')
  tsx.register()
}

function messageOf(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).split('\n')[0]?.slice(0, 300) ?? ''
}

function hintFor(error: unknown): { readonly hint?: string } {
  if (error === null || typeof error !== 'object' || !('code' in error)) return {}
  if (error.code === 'ERR_MODULE_NOT_FOUND') return { hint: 'install what it imports' }
  return {}
}
