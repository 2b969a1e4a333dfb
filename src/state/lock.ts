import { createHash, randomUUID } from 'node:crypto'
import { readFile, realpath, rename, rm, stat, writeFile } from 'node:fs/promises'
import { basename, dirname, join, resolve } from 'node:path'
import type { Clock } from '../sdk/clock.js'
import { makeFolders } from '../sdk/folders.js'
import { PipeError } from '../sdk/errors.js'
import type { Holder } from '../sdk/index.js'
import { localPlace } from '../sdk/urls.js'
import { explainFileError } from './file-errors.js'

/** Another run holds this pipeline on this warehouse. Nothing was started. */
export class PipelineHeldError extends PipeError {
  readonly code = 'PIPELINE_HELD'
  /** Of the process that lost. */
  readonly exitCode = 3
  override readonly blame = 'outage'
  override readonly hint =
    'wait until it ends, or stop it; `pipe status FILE` shows how far it is (on a server of ClickHouse, one that was killed on another machine is forgotten after 30 s)'
  constructor(
    readonly pipeline: string,
    /** Undefined when the other has not said yet who it is. */
    readonly holder: Holder | undefined,
  ) {
    super(
      `another run holds pipeline ${pipeline}${holder ? `: pid ${holder.pid} on ${holder.host}, since ${new Date(holder.since).toISOString()}` : ''}`,
    )
  }
}

export interface PipelineLock {
  /** The file that is locked, for `lockIsFree`. Undefined where there is nothing to lock. */
  readonly path: string | undefined
  /** Finds out whether the lock is still there, where it can be lost: in the session of a server. What was lost is taken again. */
  check(): Promise<void>
  release(): Promise<void>
}

export interface LockOptions {
  readonly pipeline: string
  /** URL, with its secrets: it is only hashed or split, never shown. */
  readonly warehouse: string
  /** Folder for the lock of a warehouse that is no local file. Created when missing. */
  readonly stateDir: string
  readonly clock: Clock
  readonly self: Holder
  /** Whether a process of this machine lives. With it, the name that a killed holder left behind is not taken for the new one's. */
  readonly alive?: (pid: number) => boolean
  /** Called when the lock was lost and somebody else has it. */
  readonly taken?: (by: Holder) => void
}

/**
 * Holds a pipeline on a warehouse, for this process, until `release` or the end of the process, however it ends: the
 * operating system gives the lock back, so nothing is stale after `kill -9`. Fails within a second.
 *
 * A local file (`duckdb:PATH`, `chdb:PATH`) is locked beside the data, whatever the working folder. `:memory:` needs no
 * lock. Postgres is locked in the database itself, for all machines. Any other warehouse is locked in `stateDir`, which
 * keeps apart the runs of that folder only.
 *
 * @throws {PipelineHeldError} naming the process that holds it.
 */
export async function lockPipeline(options: LockOptions): Promise<PipelineLock> {
  if (/^postgres(ql)?:/i.test(options.warehouse)) return lockInPostgres(options)
  const path = await lockPath(options)
  const nothing = () => Promise.resolve()
  if (path === undefined) return { path, check: nothing, release: nothing }
  const db = await openLockFile(path)
  if (!takeExclusive(path, db)) throw new PipelineHeldError(options.pipeline, await otherHolder(path, options))
  // The handle must stay reachable: collected as garbage it would be closed, and the lock gone.
  held.add(db)
  await writeHolder(path, options.self)
  return {
    path,
    // The operating system keeps it as long as the process lives.
    check: nothing,
    async release() {
      if (!held.delete(db)) return
      await rm(holderPath(path), { force: true }).catch(() => undefined)
      db.exec('ROLLBACK')
      db.close()
    },
  }
}

/** Whether nobody holds this lock file now. Creates nothing. */
export async function lockIsFree(path: string): Promise<boolean> {
  if (!(await isFile(path))) return true
  const db = new (await libsql())(path)
  try {
    // A reader's lock, given back at once: a run that starts at this moment waits it out.
    db.prepare('SELECT count(*) FROM sqlite_master').get()
    return true
  } catch (error) {
    if (isBusy(error)) return false
    throw explainFileError(path, error)
  } finally {
    db.close()
  }
}

const held = new Set<LockDatabase>()

/** How long a try for the lock goes on. Readers and other starters hold it for a moment only; a run holds it for good. */
const tryMs = 250
/** How long the loser waits for the winner to write its name. */
const nameMs = 300

type LockDatabase = InstanceType<Awaited<ReturnType<typeof libsql>>>

async function libsql() {
  return (await import('libsql')).default
}

async function lockInPostgres({ pipeline, warehouse, self, taken }: LockOptions): Promise<PipelineLock> {
  const { takePostgresLock } = await import('./postgres-lock.js')
  const lock = await takePostgresLock(warehouse, pipeline, self, taken)
  if ('heldBy' in lock) throw new PipelineHeldError(pipeline, lock.heldBy)
  return { path: undefined, check: () => lock.check(), release: () => lock.release() }
}

/** Where the lock of a pipeline on a warehouse lives; undefined when it needs none. */
async function lockPath({ pipeline, warehouse, stateDir }: LockOptions): Promise<string | undefined> {
  const name = fileName(pipeline)
  const place = localPlace(warehouse)
  if (!place) {
    // Another login on the same server is the same warehouse.
    const server = warehouse.replace(/\/\/[^/]*@/, '//')
    return resolve(stateDir, `${createHash('sha256').update(server).digest('hex').slice(0, 16)}.${name}.lock`)
  }
  if (place.path === '' || place.path === ':memory:') return undefined
  return `${await trueName(resolve(place.path))}.${name}.lock`
}

/** One name for one file, through whatever symbolic links it was reached; also for a file that does not exist yet. */
async function trueName(path: string): Promise<string> {
  try {
    return await realpath(path)
  } catch {
    const parent = dirname(path)
    return parent === path ? path : join(await trueName(parent), basename(path))
  }
}

function fileName(pipeline: string): string {
  return encodeURIComponent(pipeline).replaceAll('*', '%2A')
}

async function openLockFile(path: string): Promise<LockDatabase> {
  try {
    await makeFolders(dirname(path))
    return new (await libsql())(path, { timeout: tryMs })
  } catch (error) {
    throw explainFileError(path, error)
  }
}

function takeExclusive(path: string, db: LockDatabase): boolean {
  try {
    db.exec(`PRAGMA busy_timeout = ${tryMs}`)
    // Nothing is ever written, so there is nothing to roll back: no journal is left beside the data after a kill.
    db.exec('PRAGMA journal_mode = MEMORY')
    db.exec('BEGIN EXCLUSIVE')
    return true
  } catch (error) {
    db.close()
    if (isBusy(error)) return false
    throw explainFileError(path, error)
  }
}

function isBusy(error: unknown): boolean {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' && /^SQLITE_(BUSY|LOCKED)/.test(error.code)
}

/** The name beside the lock is for people only: the lock holds without it, so a full disk does not stop the run here. */
async function writeHolder(path: string, { pid, host, since }: Holder): Promise<void> {
  const temporary = `${holderPath(path)}.${randomUUID()}`
  try {
    await writeFile(temporary, `${JSON.stringify({ pid, host, since })}\n`)
    await rename(temporary, holderPath(path))
  } catch {
    await rm(temporary, { force: true }).catch(() => undefined)
    await rm(holderPath(path), { force: true }).catch(() => undefined)
  }
}

async function otherHolder(path: string, { clock, self, alive }: LockOptions): Promise<Holder | undefined> {
  const until = clock.monotonic() + nameMs
  for (;;) {
    const holder = await readHolder(path)
    if (holder && (holder.host !== self.host || !alive || alive(holder.pid))) return holder
    if (clock.monotonic() >= until) return undefined
    await clock.sleep(20)
  }
}

async function readHolder(path: string): Promise<Holder | undefined> {
  try {
    const found: unknown = JSON.parse(await readFile(holderPath(path), 'utf8'))
    if (typeof found !== 'object' || found === null || !('pid' in found) || !('host' in found) || !('since' in found)) return undefined
    const { pid, host, since } = found
    return typeof pid === 'number' && typeof host === 'string' && typeof since === 'number' ? { pid, host, since } : undefined
  } catch {
    return undefined
  }
}

function holderPath(path: string): string {
  return `${path}.holder`
}

async function isFile(path: string): Promise<boolean> {
  return stat(path).then(
    (found) => found.isFile(),
    () => false,
  )
}
