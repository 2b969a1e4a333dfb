import { constants } from 'node:fs'
import { access, readFile, stat } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import type { Warehouse } from '../../sdk/index.js'
import { makeFolders } from '../../sdk/folders.js'
import { WarehouseHeldError, WarehouseOpenError, WarehouseUrlError } from '../errors.js'
import { Presence } from '../presence.js'
import type { Place } from './ddl.js'
import type { Engine } from './engine.js'
import { openError } from './errors.js'
import { WAITS_MS } from './retrying.js'
import { ClickhouseWarehouse } from './warehouse.js'

export interface ClickhouseOptions {
  /** `clickhouse://user:password@host:8123/db`, `clickhouses://` (TLS), `http(s)://`, each with `?cluster=NAME`; `chdb:PATH`. */
  readonly url: string
  /** `plan` makes nothing: a folder that does not exist is taken as empty. */
  readonly mode: 'write' | 'plan'
  /** Waits before a statement whose outcome is unknown is tried again; as many as there are. */
  readonly waitsMs?: readonly number[]
  /** The longest a server may take for one statement. Default 5 minutes. */
  readonly requestMs?: number
  /** Of the embedded one. Default 2. */
  readonly threads?: number
}

/** Deduplication of tokens, correlated subqueries and FINAL with deleted rows, all as they are needed. */
const OLDEST: readonly [year: number, month: number] = [25, 8]

/**
 * Opens a ClickHouse server by its HTTP interface, or a folder with ClickHouse inside of this process (`chdb:PATH`).
 *
 * @throws {WarehouseUrlError} for what can't be read. The URL itself is not shown.
 * @throws {WarehouseOpenError} when the server can't be reached, refuses the login, lacks the database or is too old.
 * @throws {WarehouseHeldError} when another process has the folder.
 * @throws {ChdbMissingError}
 * @throws {LedgerVersionError} when a newer pipe wrote it.
 */
export async function openClickhouse(options: ClickhouseOptions): Promise<Warehouse> {
  const { mode, waitsMs = WAITS_MS } = options
  const { engine, display, place } = await (options.url.startsWith('chdb:') ? openFolder(options, waitsMs) : openServer(options, waitsMs))
  const warehouse = new ClickhouseWarehouse({ engine, display, mode, place, shared: !options.url.startsWith('chdb:'), waitsMs })
  try {
    await checkServer(engine, display)
    await warehouse.checkVersion()
    return warehouse
  } catch (error) {
    await warehouse.close()
    throw error
  }
}

async function openFolder({ url, mode, threads = 2 }: ClickhouseOptions, waitsMs: readonly number[]) {
  const path = url.slice('chdb:'.length)
  if (path === '') throw new WarehouseUrlError('chdb: names no folder')
  const display = `chdb:${path}`
  const temporary = path === ':memory:' || (mode === 'plan' && !(await isFolder(path, display)))
  if (!temporary) await makeFolder(path, display)
  const { embeddedEngine } = await import('./embedded.js')
  try {
    const presence = temporary ? undefined : await Presence.of(path, display)
    const engine = embeddedEngine({ path: temporary ? '' : resolve(path), display, waitsMs, threads, presence })
    return { engine, display, place: { cluster: undefined } }
  } catch (error) {
    // chdb says why on the terminal only. ClickHouse writes down who has the folder.
    const holder = error instanceof WarehouseOpenError ? await holderOf(path) : undefined
    throw holder === undefined ? error : new WarehouseHeldError(display, holder, error)
  }
}

async function holderOf(path: string): Promise<number | undefined> {
  const status = await readFile(join(path, 'status'), 'utf8').catch(() => '')
  const pid = /^PID: (\d+)/m.exec(status)?.[1]
  return pid === undefined ? undefined : Number(pid)
}

async function isFolder(path: string, display: string): Promise<boolean> {
  const found = await stat(path).catch(() => undefined)
  if (found && !found.isDirectory()) throw new WarehouseOpenError(display, 'is a file, not a folder', 'name a folder')
  return found !== undefined
}

async function makeFolder(path: string, display: string): Promise<void> {
  await isFolder(path, display)
  try {
    await makeFolders(path)
    await access(path, constants.W_OK)
  } catch (error) {
    throw openError(display, error)
  }
}

interface Server {
  readonly url: string
  readonly username: string
  readonly password: string
  readonly database: string
  readonly display: string
  readonly place: Place
}

/** Reads the URL of a server. @throws {WarehouseUrlError} */
export function readServerUrl(text: string): Server {
  const [, scheme = '', rest = ''] = /^([a-z]+):(.*)$/is.exec(text) ?? []
  const secure = /^(?:clickhouses|https)$/i.test(scheme)
  // As a scheme that nobody knows: of http: a port 80 would be left out as if it were not said.
  const plainUrl = `clickhouse:${rest}`
  const url = URL.canParse(plainUrl) ? new URL(plainUrl) : undefined
  if (!url || url.hostname === '') throw new WarehouseUrlError('is no URL that can be read')
  const { hostname, port } = url
  const plain = (part: string): string => {
    try {
      return decodeURIComponent(part)
    } catch {
      throw new WarehouseUrlError('has a % in its user or password that is no escape: write it %25')
    }
  }
  const unknown = [...url.searchParams.keys()].find((name) => name !== 'cluster')
  if (unknown !== undefined) throw new WarehouseUrlError(`has an option ${unknown} that is not known; cluster is the one there is`)
  const address = `${hostname}:${port || (secure ? '8443' : '8123')}`
  const database = plain(url.pathname.replace(/^\/|\/$/g, '')) || 'default'
  if (database.includes('/')) throw new WarehouseUrlError('names a database with a / in it')
  const cluster = url.searchParams.get('cluster') || undefined
  return {
    url: `${secure ? 'https' : 'http'}://${address}`,
    username: plain(url.username) || 'default',
    password: plain(url.password),
    database,
    display: `${secure ? 'clickhouses' : 'clickhouse'}://${address}/${database}`,
    place: { cluster },
  }
}

async function openServer({ url, requestMs = 300_000 }: ClickhouseOptions, waitsMs: readonly number[]) {
  const { place, ...server } = readServerUrl(url)
  const { httpEngine } = await import('./http.js')
  const engine = httpEngine({ ...server, replicated: place.cluster !== undefined, waitsMs, timeoutMs: requestMs })
  return { engine, display: server.display, place }
}

async function checkServer(engine: Engine, display: string): Promise<void> {
  let version = ''
  try {
    for await (const lines of engine.read('SELECT version() AS version'))
      version = (JSON.parse(lines.at(-1) ?? '[""]') as string[])[0] ?? ''
  } catch (error) {
    throw openError(display, error instanceof Error && error.cause !== undefined ? error.cause : error)
  }
  const [year = 0, month = 0] = version.split('.').map(Number)
  if (year < OLDEST[0] || (year === OLDEST[0] && month < OLDEST[1]))
    throw new WarehouseOpenError(display, `is ClickHouse ${version}`, `${OLDEST.join('.')} or newer is needed`)
}
