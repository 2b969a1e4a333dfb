import {
  type Clock,
  coercer,
  isPipeError,
  type LedgerChange,
  type Output,
  type Row,
  type RunFact,
  type Table,
  type UnitWrite,
  type Value,
  type Warehouse,
  type WriteOutcome,
} from '../sdk/index.js'
import type { Heartbeat } from './heartbeat.js'
import { Runs } from './runs.js'

/** One attempt at one unit. Once a write of it failed, none that follow count: their checkpoints speak of rows that are not there. */
export interface Session {
  broken: boolean
  /** Of all its attempts: rows by table that were left out for a later one of the same key. They are taken off what the ledger says. */
  doubles?: Readonly<Record<string, number>>
}

export interface CommitterOptions {
  readonly warehouse: Warehouse
  readonly tables: ReadonlyMap<string, Table>
  readonly clock: Clock
  readonly emit: (fact: RunFact) => void
  /** Without one, commits do not say who makes them. */
  readonly heartbeat?: Heartbeat
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
  /** Rows whose key came again later in the same commit, so that the later one was written. */
  readonly doubles: number
  /** Of a write with queries: its rows by table, those that the queries gave included. */
  readonly rows: Readonly<Record<string, number>>
  /** Texts in which NUL or half a character became U+FFFD. */
  readonly replaced: number
}

const MAX_ROWS = 10_000
/** … or at so many writes: those of small units have few rows or none. */
const MAX_WRITES = 2_048
const MAX_AGE_MS = 250
/** Where commits are slow, a kill may lose this much at most. */
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
  readonly #keys = new Map<Output, ((row: Row) => unknown)[]>()

  constructor(options: CommitterOptions) {
    this.#options = options
    this.#ageMs = options.maxAgeMs ?? MAX_AGE_MS
  }

  /** Counts one who may push. When all of them wait for a commit there is nothing to wait for, and it is made at once. */
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

  /** Resolves when less is queued than two commits take: what is produced faster than it is written must wait somewhere. */
  async room(): Promise<void> {
    const { maxRows = MAX_ROWS } = this.#options
    while (this.#rows >= 2 * maxRows || this.#queue.length >= 2 * MAX_WRITES)
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
      // In the same breath as the last look: a write that is pushed a moment later must find nobody at work.
      this.#working = undefined
    }
  }

  async #due(): Promise<void> {
    const { clock, maxRows = MAX_ROWS } = this.#options
    // Lets pushes of the same turn come in first.
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
    const live = group.filter((queued) => {
      if (queued.session.broken) queued.reject(new Error('an earlier write of this unit failed'))
      return !queued.session.broken
    })
    const [first] = live
    if (!first) return
    const started = clock.monotonic()
    try {
      const { writes: all, dropped } = this.#resolveDoubles(live)
      const { writes, doubles } = withoutDoubles(live, all, dropped)
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
        const left = doubles[i]
        if (left) queued.session.doubles = left
        queued.resolve({
          written,
          doubles: total(dropped[i] ?? {}),
          rows: made[i] ?? {},
          replaced: written ? (outcome.replaced ?? 0) : 0,
        })
      })
    } catch (error) {
      if (live.length === 1 || (isPipeError(error) && error.blame === 'outage')) {
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

  /** The same key twice in one commit: the later row is kept, on every warehouse. */
  #resolveDoubles(group: readonly Queued[]): { writes: UnitWrite[]; dropped: Record<string, number>[] } {
    if (this.#distinct(group)) return { writes: group.map(({ write }) => write), dropped: [] }
    const last = new Map<string, Map<unknown, number>>()
    const doubles = new Set<number>()
    let number = 0
    for (const { write } of group) {
      for (const { output, rows } of write.rows) {
        const keyOf = this.#keyOf(output)
        let known = last.get(output.table)
        if (!known) last.set(output.table, (known = new Map()))
        for (const row of rows) {
          const key = keyOf(row)
          const before = key === undefined ? undefined : known.get(key)
          if (before !== undefined) doubles.add(before)
          if (key !== undefined) known.set(key, number)
          number++
        }
      }
    }
    if (doubles.size === 0) return { writes: group.map(({ write }) => write), dropped: [] }
    number = 0
    const dropped: Record<string, number>[] = []
    const writes = group.map(({ write }) => {
      const lost: Record<string, number> = {}
      const rows = write.rows.map(({ output, rows: all }) => {
        const kept = all.filter(() => !doubles.has(number++))
        if (kept.length < all.length) lost[output.table] = (lost[output.table] ?? 0) + all.length - kept.length
        return { output, rows: kept }
      })
      dropped.push(lost)
      return { ...write, rows }
    })
    return { writes, dropped }
  }

  /** Whether integer keys that come in order show at once that none comes twice. What they don't show is looked at row by row. */
  #distinct(group: readonly Queued[]): boolean {
    const tables = new Map<string, Runs>()
    for (const { write } of group) {
      for (const { output, rows } of write.rows) {
        const keyOf = this.#keyOf(output)
        let runs = tables.get(output.table)
        if (!runs) tables.set(output.table, (runs = new Runs()))
        runs.begin()
        for (const row of rows) if (!runs.add(keyOf(row))) return false
      }
    }
    return [...tables.values()].every((runs) => runs.apart())
  }

  /** A value that is equal for rows of equal key, or undefined when the key is computed by SQL. */
  #keyOf(output: Output): (row: Row) => unknown {
    let columns = this.#keys.get(output)
    const definition = this.#options.tables.get(output.table)
    if (!columns) {
      columns = (definition?.key ?? []).map((name) => {
        const column = definition?.columns.find((candidate) => candidate.name === name)
        const exact = column ? coercer({ ...column, nullable: true }) : (value: unknown) => value as Value
        const constant = output.constants[name]
        if (constant !== undefined) return () => constant
        return (row: Row) => (row[name] === undefined ? undefined : exact(row[name]))
      })
      this.#keys.set(output, columns)
    }
    const [first] = columns
    if (columns.length === 1 && first) return first
    const all = columns
    return (row) => {
      let text = ''
      for (const column of all) {
        const value = column(row)
        if (value === undefined) return undefined
        text += `${String(value)}\u0000`
      }
      return text
    }
  }
}

/** Writes whose ledger counts each key once, and the doubles of each session with them. */
function withoutDoubles(
  group: readonly Queued[],
  writes: readonly UnitWrite[],
  dropped: readonly Readonly<Record<string, number>>[],
): { writes: readonly UnitWrite[]; doubles: readonly Readonly<Record<string, number>>[] } {
  if (dropped.length === 0 && group.every(({ session }) => session.doubles === undefined)) return { writes, doubles: [] }
  const known = new Map<Session, Readonly<Record<string, number>>>()
  const doubles: Readonly<Record<string, number>>[] = []
  const counted = writes.map((write, i): UnitWrite => {
    const session = group[i]?.session
    if (!session) throw new Error('a write without its session')
    const all = { ...(known.get(session) ?? session.doubles) }
    for (const [table, n] of Object.entries(dropped[i] ?? {})) all[table] = (all[table] ?? 0) + n
    known.set(session, all)
    doubles.push(all)
    const less = <T extends LedgerChange>(change: T): T =>
      change.rows === undefined
        ? change
        : { ...change, rows: Object.fromEntries(Object.entries(change.rows).map(([table, n]) => [table, n - (all[table] ?? 0)])) }
    return { ...write, ledger: less(write.ledger), ...(write.split ? { split: write.split.map(less) } : {}) }
  })
  return { writes: counted, doubles }
}

const rowsOf = (outcome: WriteOutcome | undefined): Readonly<Record<string, number>> => (outcome?.written ? outcome.rows : {})
const total = (rows: Readonly<Record<string, number>>): number => Object.values(rows).reduce((sum, n) => sum + n, 0)
