import { existsSync } from 'node:fs'
import { mkdir, stat } from 'node:fs/promises'
import { dirname, resolve } from 'node:path'
import type { Knex } from 'knex'
import type { CheckResult, Clock, Json } from '../sdk/index.js'
import { explainFileError, StateFileError } from './file-errors.js'
import { lockIsFree } from './lock.js'
import { migrateState } from './migrate.js'
import type { LearnedLimits, RunRecord, StateStore, StepRate } from './store.js'

export interface StateOptions {
  readonly clock: Clock
  /** This machine, to tell a run that lives from one that was killed. Without it only locked files tell. */
  readonly machine?: { readonly host: string; alive(pid: number): boolean }
  /** For those who only look: a file that does not exist is an empty store and is not created. */
  readonly readOnly?: boolean
}

/**
 * Opens the state store at `sqlite:PATH`, creating folder, file and tables as needed. Several processes may have it open.
 *
 * @throws {StateFileError} naming the path, when it can't be used.
 * @throws {StateNewerError} when a later version wrote it.
 */
export async function openStateStore(url: string, options: StateOptions): Promise<StateStore> {
  const path = resolve(statePath(url))
  if (options.readOnly && !existsSync(path)) return emptyStore
  await refuseFolder(path)
  const db = await connect(path, options.clock)
  try {
    await migrateState(db, path)
  } catch (error) {
    await db.destroy()
    throw explainFileError(path, error)
  }
  return new SqliteState(db, path, options)
}

/** Runs of a pipeline beyond this many are forgotten, the oldest first. */
const keptRuns = 200
/** How long a statement waits for another process that writes. */
const busyMs = 5_000

function statePath(url: string): string {
  if (/^sqlite:(?!\/\/)./s.test(url)) return url.slice('sqlite:'.length)
  const scheme = /^[a-z][a-z0-9+.-]*(?=:)/i.exec(url)?.[0]
  throw new StateFileError(
    scheme ? `${scheme}:…` : 'the state store',
    'is no state store that this version knows',
    'use sqlite:PATH, for example sqlite:.pipe/state.db',
  )
}

async function refuseFolder(path: string): Promise<void> {
  try {
    await mkdir(dirname(path), { recursive: true })
  } catch (error) {
    throw explainFileError(dirname(path), error)
  }
  const found = await stat(path).catch(() => undefined)
  if (found?.isDirectory()) throw new StateFileError(path, 'is a folder', 'give the path of a file that pipe may write')
}

async function connect(path: string, clock: Clock): Promise<Knex> {
  const [{ default: knex }, { default: BetterSqlite3 }, { default: Libsql }] = await Promise.all([
    import('knex'),
    // @ts-expect-error knex declares no types for its dialects
    import('knex/lib/dialects/better-sqlite3/index.js') as Promise<{ default: typeof Knex.Client }>,
    import('libsql'),
  ])
  class LibsqlClient extends BetterSqlite3 {
    _driver() {
      return Libsql
    }
  }
  const afterCreate = (db: InstanceType<typeof Libsql>, done: (error?: unknown) => void) => {
    void prepareConnection(db, clock).then(() => done(), done)
  }
  const db = knex({
    client: LibsqlClient,
    connection: { filename: path },
    useNullAsDefault: true,
    pool: { min: 1, max: 1, afterCreate, acquireTimeoutMillis: 60_000, createTimeoutMillis: 30_000, propagateCreateError: true },
    log: { warn: () => undefined, error: () => undefined, deprecate: () => undefined, debug: () => undefined },
  })
  return db
}

async function prepareConnection(db: { exec(sql: string): unknown }, clock: Clock): Promise<void> {
  db.exec(`PRAGMA busy_timeout = ${busyMs}`)
  for (let attempt = 1; ; attempt++) {
    try {
      db.exec('PRAGMA journal_mode = WAL')
      break
    } catch (error) {
      // SQLite does not wait for this one: another process may be changing the mode of a new file.
      if (attempt === 50 || !(error instanceof Error) || !('code' in error) || error.code !== 'SQLITE_BUSY') throw error
      await clock.sleep(20)
    }
  }
  db.exec('PRAGMA synchronous = NORMAL')
}

class SqliteState implements StateStore {
  readonly #db: Knex
  readonly #path: string
  readonly #options: StateOptions

  constructor(db: Knex, path: string, options: StateOptions) {
    this.#db = db
    this.#path = path
    this.#options = options
  }

  startRun(run: Parameters<StateStore['startRun']>[0]): Promise<void> {
    return this.#do(async () => {
      await this.#endCrashed(run)
      await this.#db('runs').insert({
        id: run.id,
        pipeline: run.pipeline,
        warehouse: run.warehouse,
        file: run.file,
        hash: run.hash,
        pid: run.pid,
        host: run.host,
        lock_file: run.lockFile ?? null,
        started_at: run.startedAt,
        outcome: 'running',
        updated_at: run.startedAt,
      })
      await this.#forgetOldest(run.pipeline)
    })
  }

  updateRun(id: string, change: Parameters<StateStore['updateRun']>[1], at: number): Promise<void> {
    const columns: Record<string, string | number | null> = { updated_at: at }
    if (change.resolved !== undefined) columns.resolved = JSON.stringify(change.resolved)
    if (change.view !== undefined) columns.view = JSON.stringify(change.view)
    if (change.endedAt !== undefined) columns.ended_at = change.endedAt
    if (change.outcome !== undefined) columns.outcome = change.outcome
    if (change.exitCode !== undefined) columns.exit_code = change.exitCode
    return this.#do(async () => {
      await this.#db('runs').where({ id }).update(columns)
    })
  }

  runs(pipeline: string, options: Parameters<StateStore['runs']>[1] = {}): Promise<readonly RunRecord[]> {
    return this.#do(async () => {
      const query = this.#db<RunRow>('runs').where({ pipeline }).orderBy('seq', 'desc')
      if (options.warehouse !== undefined) void query.andWhere({ warehouse: options.warehouse })
      if (options.limit !== undefined) void query.limit(options.limit)
      const rows = await query.select('*')
      return Promise.all(
        rows.map(async (row) => ((await this.#gone(row)) ? { ...runRecord(row), outcome: 'crashed' as const } : runRecord(row))),
      )
    })
  }

  recordCheck(run: string, step: string, result: CheckResult, at: number): Promise<void> {
    return this.#do(async () => {
      await this.#db('checks').insert({ run, step, result: JSON.stringify(result), at })
    })
  }

  checks(run: string): ReturnType<StateStore['checks']> {
    return this.#do(async () => {
      const rows = await this.#db<{ seq: number; run: string; step: string; result: string; at: number }>('checks')
        .where({ run })
        .orderBy('seq')
      // What recordCheck wrote.
      return rows.map((row) => ({ step: row.step, result: JSON.parse(row.result) as CheckResult, at: row.at }))
    })
  }

  limits(chain: string): Promise<readonly LearnedLimits[]> {
    return this.#do(async () => {
      const rows = await this.#db<LimitsRow>('limits').where({ chain }).orderBy('endpoint')
      return rows.map((row) => ({
        chain: row.chain,
        endpoint: row.endpoint,
        batch: row.batch ?? undefined,
        maxBatch: row.max_batch ?? undefined,
        parallel: row.parallel ?? undefined,
        maxBlockRange: row.max_block_range ?? undefined,
        at: row.at,
      }))
    })
  }

  rememberLimits(limits: readonly LearnedLimits[]): Promise<void> {
    const rows = limits.map((limit) => ({
      chain: limit.chain,
      endpoint: limit.endpoint,
      batch: limit.batch ?? null,
      max_batch: limit.maxBatch ?? null,
      parallel: limit.parallel ?? null,
      max_block_range: limit.maxBlockRange ?? null,
      at: limit.at,
    }))
    return this.#do(async () => {
      for (const row of rows) await this.#db('limits').insert(row).onConflict(['chain', 'endpoint']).merge()
    })
  }

  rates(pipeline: string): Promise<readonly StepRate[]> {
    return this.#do(async () => {
      const rows = await this.#db<RateRow>('rates').where({ pipeline }).orderBy('step')
      return rows.map((row) => ({
        pipeline: row.pipeline,
        step: row.step,
        piecesPerSecond: row.pieces_per_second,
        bytesPerPiece: row.bytes_per_piece,
        at: row.at,
      }))
    })
  }

  rememberRates(rates: readonly StepRate[]): Promise<void> {
    const rows = rates.map((rate) => ({
      pipeline: rate.pipeline,
      step: rate.step,
      pieces_per_second: rate.piecesPerSecond,
      bytes_per_piece: rate.bytesPerPiece,
      at: rate.at,
    }))
    return this.#do(async () => {
      for (const row of rows) await this.#db('rates').insert(row).onConflict(['pipeline', 'step']).merge()
    })
  }

  async close(): Promise<void> {
    await this.#db.destroy()
  }

  async #do<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work()
    } catch (error) {
      throw explainFileError(this.#path, error)
    }
  }

  /** Whoever starts a run holds its lock, so an earlier run with the same lock has lost it with its process. */
  async #endCrashed({ pipeline, lockFile }: { readonly pipeline: string; readonly lockFile?: string | undefined }): Promise<void> {
    const open = await this.#db<RunRow>('runs').where({ pipeline, outcome: 'running' })
    for (const row of open) {
      if ((lockFile === undefined || row.lock_file !== lockFile) && !(await this.#gone(row))) continue
      await this.#db('runs').where({ id: row.id, outcome: 'running' }).update({ outcome: 'crashed', ended_at: row.updated_at })
    }
  }

  async #forgetOldest(pipeline: string): Promise<void> {
    const oldest = await this.#db<RunRow>('runs').where({ pipeline }).orderBy('seq', 'desc').offset(keptRuns).first('seq')
    if (!oldest) return
    const old = this.#db<RunRow>('runs').where({ pipeline }).andWhere('seq', '<=', oldest.seq)
    await this.#db('checks').whereIn('run', old.clone().select('id')).delete()
    await old.delete()
  }

  async #gone(run: RunRow): Promise<boolean> {
    if (run.outcome !== 'running') return false
    if (run.lock_file !== null && existsSync(run.lock_file)) return lockIsFree(run.lock_file)
    const { machine } = this.#options
    return machine !== undefined && machine.host === run.host && !machine.alive(run.pid)
  }
}

interface RunRow {
  readonly seq: number
  readonly id: string
  readonly pipeline: string
  readonly warehouse: string
  readonly file: string
  readonly hash: string
  readonly pid: number
  readonly host: string
  readonly lock_file: string | null
  readonly started_at: number
  readonly ended_at: number | null
  readonly outcome: RunRecord['outcome']
  readonly exit_code: number | null
  readonly resolved: string | null
  readonly view: string | null
  readonly updated_at: number
}

interface LimitsRow {
  readonly chain: string
  readonly endpoint: string
  readonly batch: number | null
  readonly max_batch: number | null
  readonly parallel: number | null
  readonly max_block_range: number | null
  readonly at: number
}

interface RateRow {
  readonly pipeline: string
  readonly step: string
  readonly pieces_per_second: number
  readonly bytes_per_piece: number
  readonly at: number
}

function runRecord(row: RunRow): RunRecord {
  return {
    id: row.id,
    pipeline: row.pipeline,
    warehouse: row.warehouse,
    file: row.file,
    hash: row.hash,
    pid: row.pid,
    host: row.host,
    ...(row.lock_file === null ? {} : { lockFile: row.lock_file }),
    startedAt: row.started_at,
    endedAt: row.ended_at ?? undefined,
    outcome: row.outcome,
    exitCode: row.exit_code ?? undefined,
    resolved: jsonOf(row.resolved),
    view: jsonOf(row.view),
    updatedAt: row.updated_at,
  }
}

function jsonOf(text: string | null): Json | undefined {
  // What updateRun wrote.
  return text === null ? undefined : (JSON.parse(text) as Json)
}

const emptyStore: StateStore = {
  startRun: () => Promise.reject(new Error('a store that was opened for reading was written to')),
  updateRun: () => Promise.reject(new Error('a store that was opened for reading was written to')),
  runs: () => Promise.resolve([]),
  recordCheck: () => Promise.reject(new Error('a store that was opened for reading was written to')),
  checks: () => Promise.resolve([]),
  limits: () => Promise.resolve([]),
  rememberLimits: () => Promise.resolve(),
  rates: () => Promise.resolve([]),
  rememberRates: () => Promise.resolve(),
  close: () => Promise.resolve(),
}
