import { createHash } from 'node:crypto'
import { mkdtempSync } from 'node:fs'
import { rm, writeFile } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { native, quoteIdentifier } from '../../sdk/index.js'
import { identifiers } from '../ddl.js'
import { machineMemory } from '../machine.js'
import type { Presence } from '../presence.js'
import { literal } from '../fill.js'
import {
  type Block,
  type Engine,
  type Laying,
  READ_SETTINGS,
  type ReadOptions,
  RESULT_FORMAT,
  WRITE_SETTINGS,
  type WriteOptions,
  writeSettings,
} from './engine.js'
import { ChdbMissingError, openError, statementError } from './errors.js'
import { retrying } from './retrying.js'
import { killQuery, stoppable } from './stop.js'

/** What is used of chdb, an optional package. */
interface Chdb {
  Session: new (path: string, options: { readonly connectionArgs: readonly string[] }) => Session
  drainPending(): Promise<void>
}

interface Session {
  readonly path: string
  query(text: string, format: string): unknown
  queryAsync(text: string, options: { readonly format: string }): Promise<Result>
  queryBindAsync(text: string, params: Readonly<Record<string, string | null>>, options: { readonly format: string }): Promise<Result>
  close(): void
}

interface Result {
  bytes(): Uint8Array
}

/** A session, and the name under which what it does can be stopped. One statement at a time runs in it. */
interface Named {
  readonly session: Session
  readonly name: string
}

export interface EmbeddedOptions {
  /** A folder, made if missing. Empty: one in the folder for temporary files, gone with the engine. */
  readonly path: string
  readonly display: string
  readonly waitsMs: readonly number[]
  readonly threads: number
  /** Of the folder; undefined when it is nobody's. */
  readonly presence: Presence | undefined
}

/** Lines of one page. */
const PAGE = 2_048
/** Sessions that read side by side. */
const READERS = 3
const LONGEST_CLOSE_MS = 5_000

/** How many engines this process has made: several may have one folder. */
let opened = 0
/** How many sessions this process has made. */
let sessions = 0

/**
 * ClickHouse inside of this process, by the optional package chdb. One process at a time has a folder. A session has its
 * settings from its beginning, so those that read can't write, and no setting of one statement stays for the next.
 *
 * @throws {ChdbMissingError}
 * @throws {WarehouseHeldError} when another process has the folder.
 */
export function embeddedEngine({ path, display, waitsMs, threads, presence }: EmbeddedOptions): Engine {
  const chdb = loadChdb(display)
  // What takes more is an error of its statement; the machine's own end of memory would be the end of the process.
  const memory = String(Math.floor(machineMemory() / 2))
  const open = (settings: Readonly<Record<string, string>>, folder: string): Named => {
    const name = `pipe_${sessions++}`
    const all = { max_threads: String(threads), max_memory_usage: memory, log_comment: name, ...settings }
    return { session: new chdb.Session(folder, { connectionArgs: Object.entries(all).map(([key, value]) => `--${key}=${value}`) }), name }
  }
  let holder: Session
  try {
    // Holds the folder from now on.
    holder = open(WRITE_SETTINGS, path).session
  } catch (error) {
    throw openError(display, error)
  }
  const folder = path === '' ? holder.path : path
  const pools = new Map<string, Pool>()
  // Not by libuv's threads: those may all be inside of the statements that are to be stopped. It takes a few milliseconds.
  const kill = (name: string): unknown => holder.query(killQuery(name), 'Null')

  /** Settings of a read-only session can't be changed: those with another timeout are other sessions. */
  const poolOf = ({ timeoutMs, versions, own }: ReadOptions): Pool => {
    const settings = {
      ...READ_SETTINGS,
      ...(versions ? { final: '0' } : {}),
      ...(timeoutMs === undefined ? {} : { max_execution_time: String(timeoutMs / 1000) }),
      ...(own ? { max_threads: '1' } : { readonly: '1' }),
    }
    const key = JSON.stringify(settings)
    let pool = pools.get(key)
    if (!pool) pools.set(key, (pool = new Pool(() => open(settings, folder))))
    return pool
  }

  async function* read(text: string, options: ReadOptions = {}): AsyncGenerator<readonly string[]> {
    const { params, signal, timeoutMs } = options
    signal?.throwIfAborted()
    await presence?.check()
    let bytes: Uint8Array
    try {
      const how = { format: RESULT_FORMAT }
      const result = await poolOf(options).use(({ session, name }) =>
        stoppable(
          signal,
          () => (params && Object.keys(params).length > 0 ? session.queryBindAsync(text, params, how) : session.queryAsync(text, how)),
          () => kill(name),
        ),
      )
      bytes = result.bytes()
    } catch (error) {
      signal?.throwIfAborted()
      throw statementError(display, error, timeoutMs)
    }
    yield* pages(bytes)
  }

  const writers = new Pool(() => open(WRITE_SETTINGS, folder), 1)
  // Rows go by a file: chdb takes statements as text, and bytes in no format but text.
  const file = rowsFile(folder)
  const laid = new Set<string>()

  async function run(text: string, given: WriteOptions, rows?: Uint8Array): Promise<void> {
    const { params = {}, timeoutMs, once, signal } = given
    await presence?.check()
    // Set before each: those of the statement before are gone then.
    const set = Object.entries({ max_execution_time: '0', insert_deduplication_token: '', ...writeSettings(given, text, rows) })
      .map(([name, value]) => `${name} = '${value}'`)
      .join(', ')
    const work = () =>
      writers.use(async ({ session, name }) => {
        const how = { format: 'Null' }
        const stop = () => kill(name)
        if (rows) await writeFile(file, rows, { mode: 0o600 })
        if (Object.keys(params).length === 0)
          return void (await stoppable(signal, () => session.queryAsync(`SET ${set}; ${text}`, how), stop))
        await session.queryAsync(`SET ${set}`, how)
        await stoppable(signal, () => session.queryBindAsync(text, params, how), stop)
      })
    await retrying(display, once ? [] : waitsMs, work, { timeoutMs, signal })
  }

  function load({ table, columns, bytes }: Block): Promise<void> {
    const names = identifiers(columns.map(({ name }) => name))
    const structure = columns.map(({ name, type }) => `${quoteIdentifier(name)} ${type}`).join(', ')
    const text = `INSERT INTO ${quoteIdentifier(table)} (${names}) SELECT ${names} FROM ${rowsIn(file, structure)}`
    return run(text, { insert: true }, bytes)
  }

  async function lay(number: number, { structure, blocks }: Laying): Promise<string> {
    await presence?.check()
    const path = `${file}_${number}`
    laid.add(path)
    const hash = createHash('sha256')
    const hashed = function* (): Iterable<Uint8Array> {
      for (const block of blocks) {
        hash.update(block)
        yield block
      }
    }
    await writeFile(path, hashed(), { mode: 0o600 })
    // An insert is told from another one by its text.
    return `${rowsIn(path, structure)} /* ${hash.digest('hex')} */`
  }

  return {
    read,
    write: (text, given = {}) => run(text, given),
    load,
    lay,
    close: async () => {
      await writers.close()
      for (const path of plain(folder) ? [file, ...laid] : [dirname(file)]) await rm(path, { recursive: true, force: true })
      for (const pool of pools.values()) await pool.close()
      holder.close()
      // What is still inside of chdb holds the folder.
      await Promise.race([
        chdb.drainPending(),
        new Promise((resolve) => AbortSignal.timeout(LONGEST_CLOSE_MS).addEventListener('abort', resolve)),
      ])
    },
  }
}

/** A file of rows as a table of SQL. */
function rowsIn(file: string, structure: string): string {
  return `file(${literal(file, 'clickhouse')}, Native, ${literal(structure, 'clickhouse')})`
}

/** Whether a path means itself: `file` of ClickHouse takes one with a pattern for all files that fit, and none for no rows. */
const plain = (path: string): boolean => !/[*?{}[\]]|::/.test(path)

/** In the folder of the data, where the next engine writes over what a kill left; else in one of its own. */
function rowsFile(folder: string): string {
  const own = () => mkdtempSync(join(plain(tmpdir()) ? tmpdir() : '/tmp', 'pipe-'))
  return join(plain(folder) ? folder : own(), `pipe_rows_${opened++}`)
}

function loadChdb(display: string): Chdb {
  try {
    return createRequire(import.meta.url)('chdb') as Chdb
  } catch (error) {
    throw new ChdbMissingError(display, error)
  }
}

/** Sessions of one kind. One statement at a time has each of them. */
class Pool {
  readonly #make: () => Named
  readonly #size: number
  #made: Named[] = []
  #free: Named[] = []
  #waiting: ((session: Named) => void)[] = []
  #tail: Promise<unknown> = Promise.resolve()

  constructor(make: () => Named, size = READERS) {
    this.#make = make
    this.#size = size
  }

  async use<T>(work: (session: Named) => Promise<T>): Promise<T> {
    const taken = await this.#take()
    let session = taken
    const result = native(() => work(taken))
    this.#tail = Promise.allSettled([this.#tail, result])
    try {
      return await result
    } catch (error) {
      // It may still hold a part of what failed, and would give it with the next result.
      session.session.close()
      this.#made = this.#made.filter((made) => made !== session)
      this.#made.push((session = this.#make()))
      throw error
    } finally {
      const next = this.#waiting.shift()
      if (next) next(session)
      else this.#free.push(session)
    }
  }

  async idle(): Promise<void> {
    await this.#tail
  }

  async close(): Promise<void> {
    await this.idle()
    for (const { session } of this.#made) session.close()
  }

  #take(): Promise<Named> {
    const free = this.#free.pop()
    if (free) return Promise.resolve(free)
    if (this.#made.length >= this.#size) return new Promise((resolve) => this.#waiting.push(resolve))
    const session = this.#make()
    this.#made.push(session)
    return Promise.resolve(session)
  }
}

function* pages(bytes: Uint8Array): Generator<readonly string[]> {
  const all = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  let page: string[] = []
  for (let from = 0; from < all.length;) {
    const found = all.indexOf(10, from)
    const end = found < 0 ? all.length : found
    if (end > from) page.push(all.toString('utf8', from, end))
    from = end + 1
    if (page.length === PAGE) {
      yield page
      page = []
    }
  }
  if (page.length > 0) yield page
}
