import { existsSync } from 'node:fs'
import type { Knex } from 'knex'
import type { CheckResult, Json } from '../sdk/index.js'
import { lockIsFree } from './lock.js'
import type { StateOptions } from './open.js'
import {
  type CheckRecord,
  type FactsRecord,
  type LearnedLimits,
  NO_WISH,
  type RunRecord,
  type RunsOf,
  type StateStore,
  type StepRate,
  type Told,
  type Wish,
} from './store.js'

/** Puts an error of a database into words. */
export type Explain = (error: unknown) => unknown

/** Runs of a pipeline beyond this many are forgotten, the oldest first. */
const keptRuns = 200
/** Facts of runs of a pipeline beyond this many are forgotten: those of one may take 256 kB. */
const keptFacts = 20
/** Results of a step in one run beyond this many are forgotten, the oldest first: a gate may be evaluated every few seconds. */
const keptChecks = 200

/** The state store in tables of whatever database knex speaks to. */
export class KnexState implements StateStore {
  readonly #db: Knex
  readonly #explain: Explain
  readonly #machine: StateOptions['machine']

  constructor(db: Knex, explain: Explain, machine: StateOptions['machine']) {
    this.#db = db
    this.#explain = explain
    this.#machine = machine
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

  updateRun(id: string, change: Parameters<StateStore['updateRun']>[1], at: number): Promise<Wish> {
    const columns: Record<string, string | number | null> = { updated_at: at }
    if (change.resolved !== undefined) columns.resolved = JSON.stringify(change.resolved)
    if (change.view !== undefined) columns.view = JSON.stringify(change.view)
    if (change.endedAt !== undefined) columns.ended_at = change.endedAt
    if (change.outcome !== undefined) columns.outcome = change.outcome
    if (change.exitCode !== undefined) columns.exit_code = change.exitCode
    return this.#do(async () => {
      const [row] = await this.#db<RunRow>('runs').where({ id }).update(columns).returning('wish')
      return wishOf(row)
    })
  }

  wish(id: string, change: (before: Wish) => Wish): Promise<boolean> {
    return this.#do(async () => {
      for (;;) {
        const row = await this.#db<RunRow>('runs').where({ id, outcome: 'running' }).first('wish')
        if (!row) return false
        const wish = JSON.stringify(change(wishOf(row)))
        // Whoever changed it since it was read is not overwritten.
        const changed = await this.#db<RunRow>('runs').where({ id, outcome: 'running', wish: row.wish }).update({ wish })
        if (changed === 1) return true
      }
    })
  }

  runs(pipeline: string, options: Parameters<StateStore['runs']>[1] = {}): Promise<readonly RunRecord[]> {
    return this.#do(async () => {
      const query = this.#runsOf(pipeline, options).orderBy('seq', 'desc')
      if (options.limit !== undefined) void query.limit(options.limit)
      const rows = await query.select('*')
      return Promise.all(rows.map((row) => this.#recordOf(row)))
    })
  }

  run(id: string): Promise<RunRecord | undefined> {
    return this.#do(async () => {
      const row = await this.#db<RunRow>('runs').where({ id }).first()
      return row && this.#recordOf(row)
    })
  }

  recordCheck(run: string, step: string, result: CheckResult, { final, at }: Parameters<StateStore['recordCheck']>[3]): Promise<void> {
    return this.#do(async () => {
      // Whether it is final lies beside the result: the table is older than the difference.
      await this.#db('checks').insert({ run, step, result: JSON.stringify({ ...result, final }), at })
      const mine = this.#db<CheckRow>('checks').where({ run, step })
      const oldest = await mine.clone().orderBy('seq', 'desc').offset(keptChecks).first('seq')
      if (oldest) await mine.clone().andWhere('seq', '<=', oldest.seq).delete()
    })
  }

  checks(pipeline: string, limit: number, of: RunsOf = {}): Promise<readonly CheckRecord[]> {
    return this.#do(async () => {
      const runs = this.#runsOf(pipeline, of).select('id')
      const rows = await this.#db<CheckRow>('checks').whereIn('run', runs).orderBy('seq', 'desc').limit(limit)
      return rows.map(({ run, step, result: text, at }) => {
        // What recordCheck wrote.
        const { final = true, ...result } = JSON.parse(text) as CheckResult & { final?: boolean }
        return { run, step, result, final, at: Number(at) }
      })
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
        maxBlockRange: row.max_block_range === null ? undefined : Number(row.max_block_range),
        at: Number(row.at),
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
        at: Number(row.at),
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

  rememberFacts(run: string, { lines, dropped }: FactsRecord): Promise<void> {
    // A line of JSON has no line end.
    const row = { run, facts: lines.join('\n'), dropped }
    return this.#do(async () => {
      await this.#db('facts').insert(row).onConflict('run').merge()
    })
  }

  facts(run: string): Promise<FactsRecord | undefined> {
    return this.#do(async () => {
      const row = await this.#db<FactsRow>('facts').where({ run }).first()
      return row && { lines: row.facts === '' ? [] : row.facts.split('\n'), dropped: row.dropped }
    })
  }

  told(pipeline: string, warehouse: string): Promise<readonly Told[]> {
    return this.#do(async () => {
      const rows = await this.#db<ToldRow>('told_by').where({ pipeline, warehouse }).orderBy(['receiver', 'kind', 'about'])
      return rows.map(({ receiver, kind, about, at }) => ({ receiver, kind, about, at: Number(at) }))
    })
  }

  rememberTold(pipeline: string, warehouse: string, told: readonly Told[]): Promise<void> {
    return this.#do(() =>
      this.#db.transaction(async (transaction) => {
        await transaction('told_by').where({ pipeline, warehouse }).delete()
        for (const each of told) await transaction('told_by').insert({ pipeline, warehouse, ...each })
      }),
    )
  }

  async close(): Promise<void> {
    await this.#db.destroy()
  }

  #runsOf(pipeline: string, { warehouse, notInto }: RunsOf): Knex.QueryBuilder<RunRow, RunRow[]> {
    const query = this.#db<RunRow>('runs').where({ pipeline })
    if (warehouse !== undefined) void query.andWhere({ warehouse })
    if (notInto !== undefined) void query.whereNot({ warehouse: notInto })
    // knex types each step of a query anew.
    return query as unknown as Knex.QueryBuilder<RunRow, RunRow[]>
  }

  async #do<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work()
    } catch (error) {
      throw this.#explain(error)
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
    const runs = () => this.#db<RunRow>('runs').where({ pipeline })
    const newest = (kept: number) => runs().orderBy('seq', 'desc').offset(kept).first('seq')
    const factless = await newest(keptFacts)
    if (!factless) return
    await this.#db('facts')
      .whereIn('run', runs().andWhere('seq', '<=', factless.seq).select('id'))
      .delete()
    const oldest = await newest(keptRuns)
    if (!oldest) return
    const old = runs().andWhere('seq', '<=', oldest.seq)
    await this.#db('checks').whereIn('run', old.clone().select('id')).delete()
    await old.delete()
  }

  async #recordOf(row: RunRow): Promise<RunRecord> {
    return (await this.#gone(row)) ? { ...runRecord(row), outcome: 'crashed' } : runRecord(row)
  }

  async #gone(run: RunRow): Promise<boolean> {
    if (run.outcome !== 'running') return false
    if (run.lock_file !== null && existsSync(run.lock_file)) return lockIsFree(run.lock_file)
    const machine = this.#machine
    return machine !== undefined && machine.host === run.host && !machine.alive(run.pid)
  }
}

/** A whole number of 64 bits: Postgres gives it as text. */
type Whole = number | string

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
  readonly started_at: Whole
  readonly ended_at: Whole | null
  readonly outcome: RunRecord['outcome']
  readonly exit_code: number | null
  readonly resolved: string | null
  readonly view: string | null
  readonly wish: string | null
  readonly updated_at: Whole
}

interface CheckRow {
  readonly seq: number
  readonly run: string
  readonly step: string
  readonly result: string
  readonly at: Whole
}

interface LimitsRow {
  readonly chain: string
  readonly endpoint: string
  readonly batch: number | null
  readonly max_batch: number | null
  readonly parallel: number | null
  readonly max_block_range: Whole | null
  readonly at: Whole
}

interface ToldRow {
  readonly pipeline: string
  readonly warehouse: string
  readonly receiver: string
  readonly kind: Told['kind']
  readonly about: string
  readonly at: Whole
}

interface FactsRow {
  readonly run: string
  readonly facts: string
  readonly dropped: number
}

interface RateRow {
  readonly pipeline: string
  readonly step: string
  readonly pieces_per_second: number
  readonly bytes_per_piece: number
  readonly at: Whole
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
    lockFile: row.lock_file ?? undefined,
    startedAt: Number(row.started_at),
    endedAt: row.ended_at === null ? undefined : Number(row.ended_at),
    outcome: row.outcome,
    exitCode: row.exit_code ?? undefined,
    resolved: jsonOf(row.resolved),
    view: jsonOf(row.view),
    wish: wishOf(row),
    updatedAt: Number(row.updated_at),
  }
}

function wishOf(row: Pick<RunRow, 'wish'> | undefined): Wish {
  // What `wish` wrote.
  return row === undefined || row.wish === null ? NO_WISH : (JSON.parse(row.wish) as Wish)
}

function jsonOf(text: string | null): Json | undefined {
  // What updateRun wrote.
  return text === null ? undefined : (JSON.parse(text) as Json)
}
