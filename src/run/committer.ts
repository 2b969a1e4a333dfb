import { type Clock, isPipeError, type RunFact, type Table, type UnitWrite, type Warehouse, type WriteOutcome } from '../sdk/index.js'
import { countedOnce, Doubles, type RowCounts, sumOf, type WithoutDoubles } from './doubles.js'
import type { Heartbeat } from './heartbeat.js'

/** One attempt at one unit. Once a write of it failed, all later ones are refused: their checkpoints count on rows that are not there. */
export interface Session {
  broken: boolean
  /** Rows by table that all attempts left out, since a later row had the same key. The ledger's counts are lowered by them. */
  doubles?: RowCounts
}

export interface CommitterOptions {
  readonly warehouse: Warehouse
  readonly tables: ReadonlyMap<string, Table>
  readonly clock: Clock
  readonly emit: (fact: RunFact) => void
  /** Without one, commits do not say who makes them. */
  readonly heartbeat?: Heartbeat | undefined
  /** A commit is made at so many rows … */
  readonly maxRows?: number
  /** … or when its oldest write is so old, whichever is first. */
  readonly maxAgeMs?: number
}

interface Queued {
  readonly write: UnitWrite
  readonly session: Session
  readonly rows: number
  readonly at: number
  readonly resolve: (outcome: Committed) => void
  readonly reject: (error: unknown) => void
}

export interface Committed {
  readonly written: boolean
  /** It was not written since an input of what it puts into place changed. */
  readonly changed: boolean
  /** Rows whose key came again later in the same commit, so that the later one was written. */
  readonly doubles: number
  /** Of a write with queries: its rows by table, those that the queries gave included. */
  readonly rows: RowCounts
  /** Of its rows, those that the table had before or that were left out, by table: they make it no longer. */
  readonly there: RowCounts
  /** Of these, those that took the place of a different row. */
  readonly overwritten: RowCounts
  /** Texts in which NUL or half a character became U+FFFD. */
  readonly replaced: number
}

const MAX_ROWS = 10_000
/** … or at so many writes: those of small units have few rows or none. */
const MAX_WRITES = 2_048
const MAX_AGE_MS = 250
/** The longest that a write waits for others, however slow commits are: a kill loses what was queued in this time. */
const SLOWEST_AGE_MS = 1_000

/**
 * Groups writes of many units into one transaction each. One commit is under way at a time; what arrives meanwhile is
 * in the next.
 */
export class Committer {
  readonly #options: CommitterOptions
  #queue: Queued[] = []
  #rows = 0
  #ageMs: number
  #wake: (() => void) | undefined
  #waitingForRoom: (() => void)[] = []
  #working: Promise<void> | undefined
  #producers = 0
  #blocked = 0
  readonly #doubles: Doubles
  /** Tables of which that was said. */
  readonly #unseen = new Set<string>()

  constructor(options: CommitterOptions) {
    this.#options = options
    this.#doubles = new Doubles(options.tables)
    this.#ageMs = options.maxAgeMs ?? MAX_AGE_MS
  }

  /** Counts a producer. When every producer waits for a commit, no further write can come, so the commit is made at once. */
  join(): { wait<T>(promise: Promise<T>): Promise<T>; leave(): void } {
    this.#producers++
    let left = false
    return {
      wait: async (promise) => {
        this.#blocked++
        this.#wake?.()
        try {
          return await promise
        } finally {
          this.#blocked--
        }
      },
      leave: () => {
        if (left) return
        left = true
        this.#producers--
        this.#wake?.()
      },
    }
  }

  /** Resolves when the write is committed, or was left out because its unit was taken over. */
  push(write: UnitWrite, session: Session): Promise<Committed> {
    const rows = write.rows.reduce((sum, part) => sum + part.rows.length, 0)
    return new Promise<Committed>((resolve, reject) => {
      this.#queue.push({ write, session, rows, at: this.#options.clock.monotonic(), resolve, reject })
      this.#rows += rows
      this.#working ??= this.#work()
      this.#wake?.()
    })
  }

  /** Resolves when less is queued than two commits of rows take, or one of writes: a producer that is faster than the warehouse waits here. */
  async room(): Promise<void> {
    const { maxRows = MAX_ROWS } = this.#options
    while (this.#rows >= 2 * maxRows || this.#queue.length >= MAX_WRITES)
      await new Promise<void>((resolve) => this.#waitingForRoom.push(resolve))
  }

  /** Commits what is queued now and resolves when it is there. */
  async flush(): Promise<void> {
    while (this.#queue.length > 0 || this.#working) {
      this.#wake?.()
      await this.#working
    }
  }

  async #work(): Promise<void> {
    try {
      while (this.#queue.length > 0) {
        await this.#due()
        await this.#commit(this.#take())
      }
    } finally {
      // Cleared before `push` can run again; otherwise a write that is queued now would wait for the next push.
      this.#working = undefined
    }
  }

  async #due(): Promise<void> {
    const { clock, maxRows = MAX_ROWS } = this.#options
    // Writes that are pushed in the same turn join this commit.
    await Promise.resolve()
    const full = () => this.#rows >= maxRows || this.#queue.length >= MAX_WRITES || this.#blocked >= this.#producers
    const left = (this.#queue[0]?.at ?? 0) + this.#ageMs - clock.monotonic()
    if (left <= 0 || full()) return
    const timer = new AbortController()
    let old = false
    void clock.sleep(left, timer.signal).then(
      () => {
        old = true
        this.#wake?.()
      },
      () => undefined,
    )
    while (!old && !full()) await new Promise<void>((resolve) => (this.#wake = resolve))
    this.#wake = undefined
    timer.abort()
  }

  #take(): Queued[] {
    const { maxRows = MAX_ROWS } = this.#options
    let rows = 0
    let size = 0
    for (const queued of this.#queue) {
      if (size > 0 && (rows + queued.rows > maxRows || size >= MAX_WRITES)) break
      rows += queued.rows
      size++
    }
    const group = this.#queue.slice(0, size)
    this.#queue = this.#queue.slice(size)
    this.#rows -= rows
    for (const go of this.#waitingForRoom.splice(0)) go()
    return group
  }

  async #commit(group: readonly Queued[]): Promise<void> {
    const { warehouse, clock, emit, heartbeat } = this.#options
    const { live, resolved } = this.#resolved(group)
    const [first] = live
    if (!first) return
    const started = clock.monotonic()
    try {
      const { writes, left } = counted(live, resolved)
      const worker = heartbeat?.due(first.write)
      const outcomes = await warehouse.commit(writes, worker)
      if (worker) heartbeat?.written()
      const ms = clock.monotonic() - started
      this.#ageMs = Math.min(Math.max(this.#options.maxAgeMs ?? MAX_AGE_MS, ms * 10), SLOWEST_AGE_MS)
      const made = live.map(({ write }, i) => (write.selects ? rowsOf(outcomes[i]) : undefined))
      emit({
        type: 'commit:done',
        units: live.length,
        rows: live.reduce((sum, { rows }, i) => sum + (made[i] ? total(made[i]) : rows), 0),
        ms,
      })
      live.forEach((queued, i) => {
        const outcome = outcomes[i]
        const written = outcome?.written === true
        if (!written) queued.session.broken = true
        queued.session.doubles = left.get(queued.session) ?? queued.session.doubles
        const { dropped = {}, overwritten = {} } = resolved[i] ?? {}
        if (written) this.#tellUnseen(queued.write, outcome.unseen ?? [])
        queued.resolve({
          written,
          changed: outcome?.written === false && outcome.reason === 'changed',
          doubles: total(dropped),
          rows: made[i] ?? {},
          there: sumOf(dropped, written ? (outcome.there ?? {}) : {}),
          overwritten: sumOf(overwritten, written ? (outcome.overwritten ?? {}) : {}),
          replaced: written ? (outcome.replaced ?? 0) : 0,
        })
      })
    } catch (error) {
      // What stops the statements of one unit says nothing of the others.
      const stopped = live.some(({ write: { signal } }) => signal?.aborted === true && signal.reason === error)
      if (live.length === 1 || (!stopped && isPipeError(error) && error.blame === 'outage')) {
        for (const queued of live) {
          queued.session.broken = true
          queued.reject(error)
        }
        return
      }
      // One bad value must not fail the units that happened to share a commit with it.
      const half = live.length >> 1
      await this.#commit(live.slice(0, half))
      await this.#commit(live.slice(half))
    }
  }

  /** Says once a table that its rows are no longer compared with those of earlier commits. */
  #tellUnseen({ step: { step } }: UnitWrite, tables: readonly string[]): void {
    for (const table of tables) {
      if (this.#unseen.has(table)) continue
      this.#unseen.add(table)
      const message = `rows of ${table} are not compared with those of earlier commits: the table is so large that looking their keys up would cost more than writing them`
      this.#options.emit({ type: 'warning', step, message })
    }
  }

  /** Those of a group that may be written, each key once. The others are rejected, and with each what its attempt wrote after it. */
  #resolved(group: readonly Queued[]): { readonly live: readonly Queued[]; readonly resolved: readonly WithoutDoubles[] } {
    const out = new Set(group.filter(({ session }) => session.broken))
    for (;;) {
      const live = group.filter((queued) => !out.has(queued))
      const resolved = this.#doubles.resolve(live.map(({ write }) => write))
      const refused = resolved.findIndex((each) => each.refused !== undefined)
      const queued = live[refused]
      if (!queued) {
        for (const { session, reject } of out) {
          session.broken = true
          reject(new Error('an earlier write of this unit failed'))
        }
        return { live, resolved }
      }
      queued.reject(resolved[refused]?.refused)
      for (const after of live.slice(refused)) if (after.session === queued.session) out.add(after)
    }
  }
}

/** The writes as they go to the warehouse: their ledger counts each key once. Each session is told what its commits left out so far. */
function counted(
  group: readonly Queued[],
  resolved: readonly WithoutDoubles[],
): { readonly writes: readonly UnitWrite[]; readonly left: ReadonlyMap<Session, RowCounts> } {
  const left = new Map<Session, RowCounts>()
  const writes = group.map(({ session }, i) => {
    // `resolved` has one entry for each write of the group.
    const { write, dropped } = resolved[i] as WithoutDoubles
    const before = left.get(session) ?? session.doubles
    if (!before && total(dropped) === 0) return write
    const all = sumOf(before ?? {}, dropped)
    left.set(session, all)
    return countedOnce(write, all)
  })
  return { writes, left }
}

const rowsOf = (outcome: WriteOutcome | undefined): RowCounts => (outcome?.written ? outcome.rows : {})
const total = (rows: RowCounts): number => Object.values(rows).reduce((sum, n) => sum + n, 0)
