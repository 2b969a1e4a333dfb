import {
  type Batch,
  type Json,
  type LedgerChange,
  micros,
  type Output,
  PipeError,
  type Row,
  type SelectWrite,
  type Stretch,
  UnitIncompleteError,
  type UnitWrite,
} from '../sdk/index.js'
import { count, type Interval, intersect, intervalKey, namedAs, subtract, timeKey, union } from '../plan/intervals.js'
import { coveredBy, coveredCursor, daysOf, isCoveredCursor } from '../plan/plan.js'
import type { Session } from './committer.js'
import type { UnitTask } from './services.js'

/** A step yielded rows for an output that it does not have. */
export class UnknownOutputError extends PipeError {
  readonly code = 'UNKNOWN_OUTPUT'
  override readonly hint = 'a step fills its `into`, or what its `outputs` names'
  constructor(step: string, output: string, known: readonly string[]) {
    super(`step ${step} gave rows for ${output}; its outputs are ${known.join(', ') || 'none'}`)
  }
}

/** A step says it read what its unit does not hold. */
export class CoversOutsideError extends PipeError {
  readonly code = 'COVERS_OUTSIDE'
  override readonly hint = '`covers` and `failed` may name only what lies in `unit.piece`'
  constructor(step: string, unit: string, stretch: string) {
    super(`step ${step} speaks of ${stretch} in unit ${unit}`)
  }
}

/** A write with what is told of it when it is committed. */
export interface ProgressWrite {
  readonly write: UnitWrite
  readonly pieces: number
  /** By table. */
  readonly rows: Readonly<Record<string, number>>
  readonly counts?: Readonly<Record<string, number>>
  readonly time?: { readonly oldest: number; readonly newest: number }
}

/** How far a unit is: what its batches added up to, and what of it is committed. */
export class Progress {
  readonly #task: UnitTask
  readonly #range: Interval | undefined
  readonly #outputs: ReadonlyMap<string, Output>
  #at: State
  #committed: State
  readonly #states = new WeakMap<UnitWrite, State>()
  quarantinedKeys = 0
  /** What its commits left out so far, for the next session of the unit. */
  doubles: Pick<Session, 'doubles'> = {}

  constructor(task: UnitTask) {
    this.#task = task
    const { unit, opened, plan } = task
    this.#outputs = new Map(plan.outputs.map((output) => [output.id, output]))
    this.#range =
      unit.piece.kind === 'range' || unit.piece.kind === 'time'
        ? [unit.piece.from, unit.piece.to]
        : unit.piece.kind === 'rows'
          ? unit.piece.keys && [unit.piece.keys[0], unit.piece.keys[1]]
          : undefined
    const current = opened.fingerprint === plan.fingerprint
    const stretches = current && opened.state !== 'done' ? coveredBy(opened) : []
    const kept = current ? (isCoveredCursor(opened.cursor) ? opened.cursor.at : opened.cursor) : undefined
    // What stands in the ledger of a unit that is done speaks of an earlier round.
    const cursor = opened.state === 'done' ? unit.near : (kept ?? unit.near)
    this.#at = {
      covered: stretches,
      tentative: [],
      failed: [],
      cursor,
      rows: current ? opened.rows : {},
      pieces: 0,
      endpoints: opened.endpoint,
    }
    this.#committed = this.#at
  }

  get cursor(): Json | undefined {
    return this.#at.cursor
  }

  /** Back to what is committed, for another attempt. */
  rewind(): void {
    this.#at = this.#committed
  }

  /** Takes note of a commit. `rows`: how many rows of each table it wrote, which of a query only the warehouse knows. */
  committed(write: UnitWrite, rows: Readonly<Record<string, number>>, { doubles }: Session): void {
    if (doubles) this.doubles = { doubles }
    const state = this.#states.get(write)
    if (!state) return
    const made = new Set(write.selects?.map(({ output }) => output.table))
    this.#committed = made.size === 0 ? state : { ...state, rows: { ...state.rows, ...only(rows, made) } }
    if (this.#at === state) this.#at = this.#committed
  }

  /** The output of that name. @throws {UnknownOutputError} */
  output(id: string): Output {
    const output = this.#outputs.get(id)
    if (!output) throw new UnknownOutputError(this.#task.plan.step.id, id, [...this.#outputs.keys()])
    return output
  }

  write(batch: Batch, selects: readonly SelectWrite[] = []): ProgressWrite {
    const { plan, unit } = this.#task
    const parts = Object.entries(batch.rows ?? {}).map(([id, rows]) => ({ output: this.output(id), rows: rows as readonly Row[] }))
    const counts: Record<string, number> = {}
    for (const { output, rows } of parts) counts[output.table] = (counts[output.table] ?? 0) + rows.length
    // A unit that `--limit` cut has no say about what it did not look at.
    const covers = unit.limit === undefined ? (batch.covers ?? []) : []
    const failed = batch.failed ?? []
    const within = (stretch: Interval) =>
      this.#range !== undefined && stretch[0] <= stretch[1] && stretch[0] >= this.#range[0] && stretch[1] <= this.#range[1]
    const tentative = batch.tentative ?? []
    const clears = batch.clears ?? covers
    const outside = [
      ...covers,
      ...tentative,
      ...clears,
      ...(unit.piece.kind === 'range'
        ? failed.map(({ key }): Interval => (/^\d+$/.test(key) ? [BigInt(key), BigInt(key)] : [1n, 0n]))
        : []),
    ].find((stretch) => !within(stretch))
    if (outside) throw new CoversOutsideError(plan.step.id, unit.key, namedAs(unit.key)(outside))
    const rows = { ...this.#at.rows }
    for (const [table, n] of Object.entries(counts)) rows[table] = (rows[table] ?? 0) + n
    const fresh = subtract([...covers, ...tentative], [...this.#at.covered, ...this.#at.tentative])
    const pieces =
      unit.piece.kind === 'time'
        ? daysOf(count(fresh))
        : unit.piece.kind === 'range'
          ? Number(count(covers)) + failed.length
          : unit.piece.kind === 'rows'
            ? (batch.progress?.done ?? parts[0]?.rows.length ?? 0) + failed.length
            : (batch.progress?.done ?? 0)
    // What is computed is computed from what is there when it commits. Later batches of the unit saw no more than the first.
    const inside = selects.length > 0 || (batch.sql ?? []).length > 0
    const clearsTouch =
      inside && plan.step.inputs.length > 0 && this.#at.cursor === undefined && !this.#at.cleared && unit.limit === undefined
    this.#at = {
      cleared: this.#at.cleared === true || clearsTouch,
      covered: covers.length > 0 ? union([...this.#at.covered, ...covers]) : this.#at.covered,
      tentative: tentative.length > 0 ? union([...this.#at.tentative, ...tentative]) : this.#at.tentative,
      failed: failed.length > 0 ? [...this.#at.failed, ...failed] : this.#at.failed,
      cursor: batch.cursor ?? this.#at.cursor,
      rows,
      pieces: this.#at.pieces + pieces,
      size: batch.progress?.of ?? this.#at.size,
      endpoints: batch.endpoints ? mergeHosts(this.#at.endpoints, batch.endpoints) : this.#at.endpoints,
      parentHash: batch.parentHash ?? this.#at.parentHash,
      lastHash: batch.lastHash ?? this.#at.lastHash,
      evidence: batch.evidence ?? this.#at.evidence,
    }
    // An outage is nobody's fault: the key stays open and is asked for again in the next run.
    const own = failed.filter(({ error }) => error.blame === 'own')
    this.quarantinedKeys += own.length
    const write: UnitWrite = {
      deletes: unit.redo ? this.#stretches(clears) : [],
      rows: parts,
      sql: batch.sql ?? [],
      ...(selects.length > 0 ? { selects } : {}),
      ...(clearsTouch ? { clearsTouch } : {}),
      ledger: { state: 'running', ...this.#ledger() },
      ...this.#base(),
      ...(own.length > 0 && unit.piece.kind !== 'range'
        ? {
            quarantine: own.map(({ key, error }) => ({
              key,
              error: this.#task.services.redact(error.message),
              attempts: plan.step.retry.attempts,
            })),
          }
        : {}),
    }
    this.#states.set(write, this.#at)
    return {
      write,
      // What failed was looked at, and is not done.
      pieces: pieces - (unit.piece.kind === 'time' ? 0 : failed.length),
      rows: counts,
      ...(batch.counts ? { counts: batch.counts } : {}),
      ...(unit.piece.kind === 'time' ? timeOf(fresh) : {}),
    }
  }

  /** The last write: done, or in parts. With it come the pieces that no batch spoke of. @throws {UnitIncompleteError} when something is missing. */
  end(): ProgressWrite {
    return { write: this.#end(), pieces: this.#piecesLeft(), rows: {} }
  }

  /** The last write of a unit that its step left before its end: it stays open and goes on from there. */
  stop(): ProgressWrite {
    return { write: this.#only({ state: 'pending', error: null, ...this.#ledger() }), pieces: 0, rows: {} }
  }

  /** Those of a step that says nothing but "done". */
  #piecesLeft(): number {
    return this.#task.unit.piece.kind === 'time' ? 0 : Math.max(0, (this.#at.size ?? this.#task.unit.size) - this.#at.pieces)
  }

  #end(): UnitWrite {
    const { unit, plan } = this.#task
    if (unit.piece.kind === 'time') return this.#endTime(unit.piece)
    const proven = unit.piece.kind === 'range' && (this.#at.covered.length > 0 || this.#at.failed.length > 0)
    if (!proven || !this.#range) {
      const open = unit.limit !== undefined
      // The table can't tell a key that was not redone from one that was, so the ledger must.
      const lacking = unit.piece.kind === 'rows' && unit.piece.redo === true && this.#at.failed.length > 0
      return this.#only({ state: open ? 'pending' : lacking ? 'failed' : 'done', error: null, ...this.#ledger() })
    }
    const attempts = plan.step.retry.attempts
    const failed = this.#at.failed.map(({ key, error }) => ({
      interval: [BigInt(key), BigInt(key)] as Interval,
      change: {
        error: this.#task.services.redact(error.message),
        ...(error.blame === 'own' ? { state: 'quarantined' as const, attempts } : { state: 'failed' as const }),
      },
    }))
    const missing = subtract(
      subtract([this.#range], this.#at.covered),
      failed.map(({ interval }) => interval),
    )
    if (missing.length > 0) throw new UnitIncompleteError(unit.key, missing.map(intervalKey).join(', '))
    if (failed.length === 0) return this.#only({ state: 'done', error: null, ...this.#ledger() })
    // What failed still holds the rows of an earlier reading.
    const left = unit.redo ? { cursor: coveredCursor([], unit.reason) } : {}
    const whole = failed.find(({ interval }) => intervalKey(interval) === unit.key)
    if (whole) return this.#only({ ...left, ...whole.change })
    const done = intersect([this.#range], this.#at.covered)
    return {
      ...this.#only({ state: 'done' }),
      replaces: [unit.key],
      split: [
        ...done.map((interval) => ({ unit: intervalKey(interval), state: 'done' as const, ...(done.length === 1 ? this.#ledger() : {}) })),
        ...failed.map(({ interval, change }) => ({ unit: intervalKey(interval), ...left, ...change })),
      ],
    }
  }

  /** What is covered is done; what is tentative is done for this round. */
  #endTime({ from, to }: { readonly from: bigint; readonly to: bigint }): UnitWrite {
    const { unit, services } = this.#task
    const { covered, tentative } = this.#at
    const missing = subtract(subtract([[from, to]], covered), tentative)
    if (missing.length > 0) throw new UnitIncompleteError(unit.key, missing.map(timeKey).join(', '))
    const firm = intersect([[from, to]], covered)
    if (tentative.length === 0) return this.#only({ state: 'done', error: null, ...this.#ledger() })
    return {
      ...this.#only({ state: 'done' }),
      replaces: [unit.key],
      split: [
        ...firm.map((interval, i) => ({ unit: timeKey(interval), state: 'done' as const, ...(i === 0 ? this.#ledger() : {}) })),
        ...subtract(tentative, covered).map((interval, i) => ({
          unit: timeKey(interval),
          state: 'done' as const,
          ...(i === 0 && firm.length === 0 ? this.#ledger() : {}),
          cursor: { covered: [], tentative: String(services.moment.now) },
        })),
      ],
    }
  }

  /** A write that changes nothing but the ledger. */
  mark(change: LedgerChange): UnitWrite {
    this.#at = this.#committed
    return this.#only({ ...this.#ledger(), ...change })
  }

  // Here and above, what is spread comes last: V8 takes microseconds for each field that an object made by spreading gets afterwards.
  #only(ledger: LedgerChange): UnitWrite {
    return { deletes: [], rows: [], sql: [], ledger, ...this.#base() }
  }

  #base() {
    const { plan, unit, opened, services } = this.#task
    return {
      step: { pipeline: services.pipeline.name, step: plan.step.id, fingerprint: plan.fingerprint },
      unit: unit.key,
      epoch: opened.epoch,
      at: micros(services.clock),
    }
  }

  #ledger(): Omit<LedgerChange, 'state'> {
    const { covered, cursor, rows, endpoints, parentHash, lastHash, evidence } = this.#at
    const redo =
      this.#task.unit.redo || (this.#task.unit.piece.kind === 'rows' && this.#task.unit.piece.redo) ? this.#task.unit.reason : undefined
    const time = this.#task.unit.piece.kind === 'time'
    const at = covered.length > 0 || redo !== undefined || time ? coveredCursor(covered, redo, time ? cursor : undefined) : cursor
    return {
      rows,
      cursor: at,
      endpoint: endpoints,
      parentHash,
      lastHash,
      evidence,
    }
  }

  #stretches(covers: readonly Interval[]): Stretch[] {
    return this.#task.plan.outputs.flatMap((output) => {
      const table = this.#task.services.pipeline.tables.get(output.table)
      const column = output.range ?? table?.range
      if (column === undefined) return []
      return covers.map(([from, to]) => ({ table: output.table, column, from, to, constants: output.constants }))
    })
  }
}

/** Of a table that a query filled, the rows of before were replaced or overwritten by it: they do not count again. */
function only(rows: Readonly<Record<string, number>>, tables: ReadonlySet<string>): Record<string, number> {
  return Object.fromEntries(Object.entries(rows).filter(([table]) => tables.has(table)))
}

/** Ends of stretches of microseconds, in milliseconds. */
function timeOf(stretches: readonly Interval[]): { time?: { oldest: number; newest: number } } {
  const first = stretches[0]
  const last = stretches.at(-1)
  return first && last ? { time: { oldest: Number(first[0] / 1000n), newest: Number(last[1] / 1000n) } } : {}
}

interface State {
  /** Whether the unit's mark is taken away. */
  readonly cleared?: boolean
  readonly covered: readonly Interval[]
  readonly tentative: readonly Interval[]
  readonly failed: readonly { readonly key: string; readonly error: PipeError }[]
  readonly cursor: Json | undefined
  readonly rows: Readonly<Record<string, number>>
  readonly pieces: number
  /** Of how many, where the step said so. */
  readonly size?: number
  readonly endpoints: string | undefined
  readonly parentHash?: string | undefined
  readonly lastHash?: string | undefined
  readonly evidence?: Json | undefined
}

function mergeHosts(known: string | undefined, hosts: readonly string[]): string {
  const all = new Set(known ? known.split(', ') : [])
  for (const host of hosts) all.add(host)
  return [...all].sort().join(', ')
}
