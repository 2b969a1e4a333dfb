import { type Batch, InputsChangedError, placed, UnitTakenError, type UnitWrite } from '../sdk/index.js'
import type { Session } from './committer.js'
import { type RowCounts, sumOf } from './doubles.js'
import type { Progress, ProgressWrite } from './progress.js'
import type { UnitTask } from './services.js'
import { byDeclared } from './shadows.js'

/** A write on its way into the warehouse. */
interface Waiting {
  readonly rows: number
  readonly done: Promise<void>
}

/** The most writes of a unit that may wait for their commit, however few rows they hold: each of them takes memory. */
const WRITES_WAITING = 256

/** What one attempt at a unit wrote: handed to the committer in order, and told of when it is committed. */
export class UnitWrites {
  readonly #task: UnitTask
  readonly #progress: Progress
  readonly #session: Session
  readonly #producer: ReturnType<UnitTask['services']['committer']['join']>
  #waiting: Waiting[] = []
  #rows = 0
  /** Rows of shadows, by the tables that they are to become. */
  #beside: RowCounts = {}

  constructor(task: UnitTask, progress: Progress) {
    this.#task = task
    this.#progress = progress
    this.#session = { broken: false, ...progress.doubles }
    this.#producer = task.services.committer.join()
  }

  /** Queues a write, with the batch that it is of. When its commit fails, the next call of `room` or `committed` throws the error. */
  push(write: ProgressWrite, batch: Pick<Batch, 'named' | 'progress'> = {}): void {
    const done = this.#commit(write, batch)
    // Without a handler of its own, node would end the process for a rejection that `room` or `committed` meets only later.
    done.catch(() => undefined)
    const rows = Object.values(write.rows).reduce((sum, n) => sum + n, 0)
    this.#rows += rows
    this.#waiting.push({ rows, done })
  }

  /** Resolves when another batch may come: two may always wait for their commit, and of small ones as many as the unit has room for. */
  async room(): Promise<void> {
    while (this.#waiting.length >= 2 && (this.#rows >= this.#task.room || this.#waiting.length >= WRITES_WAITING)) {
      const { rows, done } = this.#waiting.shift() as Waiting
      this.#rows -= rows
      await this.#producer.wait(done)
    }
  }

  /** Resolves when all that was pushed is committed. @throws what kept a write from it. */
  async committed(): Promise<void> {
    await this.#producer.wait(Promise.all(this.#waiting.map(({ done }) => done)))
    this.#waiting = []
    this.#rows = 0
  }

  /** Resolves when nothing is queued any more, so that the unit may be tried again or recorded as failed. Never throws. */
  async close(): Promise<void> {
    this.#producer.leave()
    await Promise.allSettled(this.#waiting.map(({ done }) => done))
  }

  async #commit(progress: ProgressWrite, batch: Pick<Batch, 'named' | 'progress'>): Promise<void> {
    const { services, plan, unit } = this.#task
    const { write, pieces, counts, time } = progress
    const { written, changed, doubles, replaced, ...rest } = await services.committer.push(write, this.#session).catch((error: unknown) => {
      throw placed(batch.named, error)
    })
    if (changed) throw new InputsChangedError(unit.key)
    if (!written) throw new UnitTakenError(unit.key)
    const shadows = write.shadows ?? []
    const [made, there, overwritten] = [
      byDeclared(rest.rows, shadows),
      byDeclared(rest.there, shadows),
      byDeclared(rest.overwritten, shadows),
    ]
    this.#progress.committed(progress, rest.rows, this.#session)
    const step = plan.step.id
    const rows = this.#published(less(write.selects ? { ...progress.rows, ...made } : progress.rows, there), write)
    services.emit({
      type: 'batch:committed',
      step,
      unit: unit.key,
      pieces,
      of: batch.progress?.of,
      rows,
      doubles,
      counts: withOverwritten(counts, overwritten),
      time,
    })
    if (replaced > 0)
      services.emit({
        type: 'warning',
        step,
        message: `U+FFFD is in place of NUL or half a character, which not every warehouse stores, in ${replaced === 1 ? 'one text' : `${replaced} texts`}`,
      })
  }

  /** The rows of a commit that readers of the tables see: those of shadows count when these take their tables' places. */
  #published(rows: RowCounts, { shadows = [], swap }: UnitWrite): RowCounts {
    if (shadows.length === 0) return rows
    const hidden = new Set(shadows.map(({ table }) => table.name))
    const [beside, seen] = [true, false].map((is) => Object.fromEntries(Object.entries(rows).filter(([table]) => hidden.has(table) === is)))
    this.#beside = sumOf(this.#beside, beside ?? {})
    return swap ? { ...seen, ...this.#beside } : (seen ?? {})
  }
}

/** Commits one write by itself. Resolves to whether it was written: not when the unit was taken over. */
export async function writeOnce({ services }: UnitTask, write: UnitWrite, { doubles }: Progress): Promise<boolean> {
  const producer = services.committer.join()
  try {
    const { written } = await producer.wait(services.committer.push(write, { broken: false, ...doubles }))
    return written
  } finally {
    producer.leave()
  }
}

/** Rows by table that a write made more: without those that the table had before. */
const less = (rows: RowCounts, there: RowCounts): RowCounts =>
  Object.fromEntries(Object.entries(rows).map(([table, n]) => [table, Math.max(0, n - (there[table] ?? 0))]))

/** What people should know of a batch, with the rows that took the place of different ones. */
function withOverwritten(counts: RowCounts | undefined, overwritten: RowCounts): RowCounts | undefined {
  const told = Object.entries(overwritten).map(([table, n]): [string, number] => [`replaced in ${table} by a different row of its key`, n])
  return told.length === 0 ? counts : { ...counts, ...Object.fromEntries(told) }
}
