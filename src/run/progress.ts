import {
  type Axis,
  type Batch,
  type BlockLink,
  type Interval,
  type Json,
  type LedgerChange,
  type Making,
  micros,
  type Output,
  PipeError,
  type List,
  type Row,
  type SelectWrite,
  type Shadow,
  type Swap,
  type UnitState,
  UnitIncompleteError,
  type UnitWrite,
} from '../sdk/index.js'
import { nameOf } from '../ledger/axis.js'
import { add, end, type End, type Reading } from '../ledger/coverage.js'
import { appendEvidence } from '../ledger/evidence.js'
import { count, subtract } from '../ledger/intervals.js'
import { type NearBlocks, nearest, nearTop } from '../ledger/near.js'
import { partsOf } from '../ledger/parts.js'
import { endsOf } from '../ledger/seams.js'
import { mayRepeat, plus, rowOf, sumOf, type UnitSum } from '../ledger/unit-sum.js'
import { isEveryRound } from '../plan/plan.js'
import { pieces } from '../plan/stretch-units.js'
import type { Session } from './committer.js'
import { Deletes } from './deletes.js'
import { refuseOutside } from './places.js'
import type { UnitTask } from './services.js'
import { byDeclared, filledBy, shadowsOf } from './shadows.js'

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
  /** Where the unit is when the write is committed; left out: where it was. */
  readonly sum?: UnitSum
}

/** How far a unit is: what its batches added up to, and what of it is committed. Makes a write of each batch. */
export class Progress {
  readonly #task: UnitTask
  /** Why the unit is done again, while its table holds rows of an earlier reading; undefined for one that is not. */
  readonly #redo: string | undefined
  readonly #deletes: Deletes
  readonly #shadows: readonly Shadow[]
  #sum: UnitSum
  #committed: UnitSum
  /** Its rows may be there from an earlier attempt that did not say how far it came. */
  #again = false
  quarantinedKeys = 0
  /** Rows that its commits left out so far; the next attempt at the unit adds to them. */
  doubles: Pick<Session, 'doubles'> = {}

  constructor(task: UnitTask) {
    this.#task = task
    const { unit, opened, plan } = task
    this.#shadows = shadowsOf(plan.outputs, task.services.pipeline.tables)
    const redo = unit.redo || (unit.piece.kind === 'rows' && unit.piece.redo)
    this.#redo = redo ? unit.reason : undefined
    this.#deletes = new Deletes(task)
    // A row that is `done` describes an earlier round: the unit is read anew, without its coverage and cursor.
    const kept = opened.fingerprint === plan.fingerprint && opened.state !== 'done' && !isEveryRound(plan) ? opened : undefined
    // Of rows of a query a unit goes on where an earlier round ended: the table says what is done.
    const known = unit.piece.kind === 'rows' && opened.fingerprint === plan.fingerprint ? opened : kept
    this.#sum = sumOf(stretchOf(task), kept, { cursor: unit.resumeFrom, blocks: known?.coverage })
    this.#committed = this.#sum
    this.#again = mayRepeat(this.#sum)
  }

  get cursor(): Json | undefined {
    return this.#sum.cursor
  }

  /** Whether what is committed of the unit is gone on with, and not begun anew, by the next attempt at it. */
  get resumes(): boolean {
    return this.#committed.cursor !== undefined
  }

  /** Back to what is committed, for another attempt. */
  rewind(): void {
    this.#sum = this.#committed
    this.#again = mayRepeat(this.#sum)
    const { blocks, ends } = this.#committed
    this.#task.links.forget(this.#task.unit.key, [...blocks.map(([number, hash]) => ({ number, hash })), ...ends])
  }

  /** Keeps more evidence of the unit than its batches gave, with the next write that says how it ended. */
  witness(evidence: readonly Json[]): void {
    for (const one of evidence) this.#committed = { ...this.#committed, evidence: appendEvidence(this.#committed.evidence, one) }
  }

  /** Takes note of a commit. `rows`: how many rows of each table it wrote, which of a query only the warehouse knows. */
  committed({ write, sum }: ProgressWrite, rows: Readonly<Record<string, number>>, { doubles }: Session): void {
    if (doubles) this.doubles = { doubles }
    if (!sum) return
    const made = new Set(write.selects?.map(({ output }) => output.table))
    this.#committed = made.size === 0 ? sum : { ...sum, rows: { ...sum.rows, ...byDeclared(only(rows, made), this.#shadows) } }
    if (this.#sum === sum) this.#sum = this.#committed
  }

  /** The output of that name. @throws {UnknownOutputError} */
  output(id: string): Output {
    const { outputs, step } = this.#task.plan
    const output = outputs.find((each) => each.id === id)
    if (!output)
      throw new UnknownOutputError(
        step.id,
        id,
        outputs.map((each) => each.id),
      )
    return output
  }

  write(
    batch: Batch,
    { selects: queries = [], makes, swap }: { selects?: readonly SelectWrite[]; makes?: Making | undefined; swap?: Swap | undefined } = {},
  ): ProgressWrite {
    const { plan, unit } = this.#task
    const selects = queries.map((query) => ({ ...query, output: filledBy(query.output) }))
    const parts = Object.entries(batch.rows ?? {}).map(([id, rows]) => ({ output: this.output(id), rows: rows as List<Row> }))
    // `--limit` cut the unit, so that its batches did not read all of what they would cover.
    const said = unit.limit === undefined ? batch : { ...batch, covers: [] }
    const { blocks = [] } = batch
    if (blocks.length > 0) this.#task.links.say(unit.key, blocks)
    const { reading, fresh, clears, empties, outside } = add(this.#sum.reading, said, plan.axis, this.#deletes.clearing)
    if (outside !== undefined) throw new CoversOutsideError(plan.step.id, unit.key, outside)
    for (const { output, rows } of parts) refuseOutside(this.#task, output, rows)
    const counts: Record<string, number> = {}
    for (const { output, rows } of parts) counts[output.table] = (counts[output.table] ?? 0) + rows.length
    const failed = batch.failed ?? []
    const done = this.#piecesOf(batch, reading, fresh)
    const touchedCleared = makes ? plan.step.inputs.length > 0 : this.#clearsTouched(batch, selects)
    const before = this.#sum
    this.#sum = plus(before, batch, {
      reading,
      touchedCleared,
      rows: counts,
      pieces: done + (unit.piece.kind === 'task' ? 0 : failed.length),
      blocks: blocks.length > 0 ? this.#nearBlocks(before.blocks, blocks, reading) : before.blocks,
      ends: unit.piece.kind === 'stretch' && plan.axis?.of === 'numbers' ? endsOf(reading.covered, [...before.ends, ...blocks]) : [],
    })
    // Only a key that is itself to blame is quarantined. One that an outage kept away stays open, and the next run asks for it.
    const own = failed.filter(({ error }) => error.blame === 'own')
    this.quarantinedKeys += own.length
    const write = this.#write(this.#ledger('running'), {
      deletes: empties ? this.#deletes.all(batch, selects) : this.#deletes.of(clears, reading.numbers),
      rows: parts.map(({ output, rows }) => ({ output: filledBy(output), rows })),
      makes,
      swap,
      sql: batch.sql,
      selects: selects.length > 0 ? selects : undefined,
      signal: this.#task.signal,
      clearsTouched: touchedCleared,
      quarantine: unit.piece.kind === 'stretch' ? undefined : this.#quarantine(own),
    })
    const time = plan.axis?.of === 'time' ? timeOf(fresh) : undefined
    return { write, pieces: done, rows: counts, counts: batch.counts, time, sum: this.#sum }
  }

  /** The last write: done, or in parts. With it come the pieces that no batch spoke of. @throws {UnitIncompleteError} when something is missing. */
  end(): ProgressWrite {
    return { write: this.#end(), pieces: this.#piecesLeft(), rows: {} }
  }

  /** The last write of a unit that its step left before its end: it stays open and goes on from there. */
  stop(): ProgressWrite {
    return { write: this.#write(this.#ledger('pending', null)), pieces: 0, rows: {} }
  }

  /** A write that changes nothing but the ledger. */
  mark(change: LedgerChange): UnitWrite {
    this.#sum = this.#committed
    return this.#write({ ...this.#ledger(change.state), ...change })
  }

  /**
   * A write that says that the step threw. Where its batches had covered all of the unit, none of that counts: a unit whose step
   * threw is not done, and the next attempt replaces what it wrote.
   */
  fail(change: LedgerChange): UnitWrite {
    const { unit } = this.#task
    const { stretch, covered } = this.#committed.reading
    if (unit.piece.kind !== 'stretch' || !stretch || subtract([stretch], covered).length > 0) return this.mark(change)
    // Rows that nothing tells apart can't be deleted: their keys replace them.
    if (!this.#deletes.canFind(stretch, this.#sum.reading.numbers)) return this.mark({ ...change, coverage: null, cursor: null })
    return this.mark({ ...change, coverage: { covered: [], redo: 'retry' }, cursor: null, rows: {} })
  }

  #end(): UnitWrite {
    const { unit, plan } = this.#task
    const { reading } = this.#sum
    this.#sayEnds()
    const ended = unit.piece.kind === 'stretch' ? end(reading) : undefined
    if (ended && plan.axis) return this.#endParts(ended, plan.axis)
    if (reading.stretch && plan.axis && plan.wanted.kind === 'stretches' && plan.wanted.mustCover === true)
      throw new UnitIncompleteError(unit.key, nameOf(plan.axis, reading.stretch))
    // The table looks the same whether a key was redone or not, so the ledger keeps the unit open when some of its keys failed.
    const lacking = unit.piece.kind === 'rows' && unit.piece.redo && reading.failed.length > 0
    if (unit.limit !== undefined) return this.#write(this.#ledger('pending', null))
    const last = this.#ledger(lacking ? 'failed' : 'done', null)
    // A redone unit that gave no rows has deleted none: its last write deletes those of before.
    if (unit.redo && unit.piece.kind === 'task' && !reading.emptied) return this.#write(last, { deletes: plan.outputs })
    // Units of a step that are named by their inputs follow each other: what was before is replaced by this one.
    const named = plan.wanted.kind === 'task' && plan.wanted.named === 'inputs'
    const others = named ? plan.ledger.rows.flatMap((row) => (row.unit === unit.key ? [] : [row.unit])) : []
    if (others.length > 0) return this.#write(last, { replaces: others })
    const older = unit.redo && reading.stretch && !reading.stated ? subtract([reading.stretch], reading.cleared) : []
    return this.#write(last, { deletes: this.#deletes.of(older, reading.numbers) })
  }

  /** The hashes at the ends of the unit meet those of its neighbours. @throws {ForkSeenError} */
  #sayEnds(): void {
    const { links, unit, plan } = this.#task
    const { reading, parentHash, lastHash } = this.#sum
    const ends = reading.numbers ?? (plan.axis?.of === 'numbers' ? reading.stretch : undefined)
    if (!ends || ends[0] > ends[1] || (parentHash === undefined && lastHash === undefined)) return
    const [first, last] = ends
    links.say(
      unit.key,
      first === last
        ? [{ number: first, hash: lastHash, parentHash }]
        : [
            { number: first, parentHash },
            { number: last, hash: lastHash },
          ],
    )
  }

  /** @throws {UnitIncompleteError} when no batch spoke of a part of the unit. */
  #endParts(ended: End, axis: Axis): UnitWrite {
    const { unit, services, plan } = this.#task
    if (ended.missing.length > 0) throw new UnitIncompleteError(unit.key, ended.missing.map((part) => nameOf(axis, part)).join(', '))
    const { ledger, ...more } = partsOf(ended, {
      key: unit.key,
      axis,
      row: this.#ledger('done', null),
      blocks: this.#sum.blocks,
      ends: this.#sum.ends,
      redo: unit.redo ? unit.reason : undefined,
      now: services.moment.now,
      attempts: plan.step.retry.attempts,
      redact: (text) => services.redact(text),
    })
    return this.#write(ledger, more)
  }

  /**
   * Whether a write makes the unit untouched, as long as no input changes again. The first query of the unit does, since it reads
   * the inputs inside of its commit, and so does a batch that says that they are read after it. A later one does not: it would clear a
   * touch that came after the first.
   */
  #clearsTouched({ sql = [], readsInputs = false }: Batch, selects: readonly SelectWrite[]): boolean {
    const { plan, unit } = this.#task
    const reads = selects.length > 0 || sql.length > 0 || readsInputs
    return reads && plan.step.inputs.length > 0 && this.#sum.cursor === undefined && !this.#sum.touchedCleared && unit.limit === undefined
  }

  /** Blocks, rows or days that a batch did. */
  #piecesOf(batch: Batch, { stated }: Reading, fresh: readonly Interval[]): number {
    const { unit, plan } = this.#task
    switch (unit.piece.kind) {
      case 'stretch':
        return stated ? pieces(count(fresh), plan.axis?.each ?? 1n) : (batch.progress?.done ?? 0)
      case 'rows':
        return batch.progress?.done ?? Object.values(batch.rows ?? {})[0]?.length ?? 0
      case 'task':
        return batch.progress?.done ?? 0
    }
  }

  /** Pieces that no batch spoke of. They count as done when the unit ends: a step may say nothing before. */
  #piecesLeft(): number {
    const { unit } = this.#task
    return unit.piece.kind === 'stretch' && this.#sum.reading.stated ? 0 : Math.max(0, (this.#sum.size ?? unit.size) - this.#sum.pieces)
  }

  /** The blocks whose hashes the ledger keeps: those near the highest block that is wanted, or was read. */
  #nearBlocks(known: NearBlocks, blocks: readonly BlockLink[], { numbers }: Reading): NearBlocks {
    const { plan, services } = this.#task
    const { wanted, step } = plan
    const chain = step.chain === undefined ? undefined : services.pipeline.chains.get(step.chain)
    if (!chain) return known
    if (wanted.kind === 'rows') return nearest(known, blocks, chain.confirmations)
    const byNumber = wanted.kind === 'stretches' && wanted.domain !== 'inputs' && wanted.axis.of === 'numbers'
    const top = byNumber ? wanted.domain[1] : numbers?.[1]
    return top === undefined ? known : nearTop(known, blocks, top, chain.confirmations)
  }

  #quarantine(own: NonNullable<Batch['failed']>): UnitWrite['quarantine'] {
    const { services, plan } = this.#task
    if (own.length === 0) return undefined
    return own.map(({ key, error }) => ({ key, error: services.redact(error.message), attempts: plan.step.retry.attempts }))
  }

  /** Every field is there in each write: one is made for every batch, and what reads them is fast when all are alike. */
  #write(ledger: LedgerChange, more: Partial<UnitWrite> = {}): UnitWrite {
    const { ledgerStep, unit, opened, services, join, plan } = this.#task
    return {
      step: ledgerStep,
      unit: unit.key,
      epoch: opened.epoch,
      deletes: more.deletes ?? [],
      rows: more.rows ?? [],
      owner: this.#again ? undefined : this.#task.owner,
      // Rows of another definition are replaced, whichever record they were read for.
      records: this.#redo === undefined ? this.#task.records : undefined,
      rereads: plan.step.definition.rereads,
      sql: more.sql ?? [],
      selects: more.selects,
      shadows: this.#shadows,
      makes: more.makes,
      swap: more.swap,
      touchedAs: plan.wanted.kind === 'task' && plan.wanted.named === 'inputs' ? 'all' : undefined,
      clearsTouched: more.clearsTouched,
      signal: more.signal,
      ledger,
      split: more.split,
      replaces: more.replaces,
      join,
      quarantine: more.quarantine,
      at: micros(services.clock),
    }
  }

  /** Every field of the unit's ledger row, so that none of an earlier reading stays. The error stays unless one is given. */
  #ledger(state: UnitState, error?: null): LedgerChange {
    return { error, ...rowOf(this.#sum, { state, redo: this.#redo, asks: this.#task.unit.piece.kind === 'rows' }) }
  }
}

/** The stretch that a unit is, where it lies on an axis. */
function stretchOf({ unit }: UnitTask): Interval | undefined {
  switch (unit.piece.kind) {
    case 'stretch':
      return [unit.piece.from, unit.piece.to]
    case 'rows':
      return unit.piece.keys
    case 'task':
      return undefined
  }
}

/** Of a table that a query filled, the rows of before were replaced or overwritten by it: they do not count again. */
function only(rows: Readonly<Record<string, number>>, tables: ReadonlySet<string>): Record<string, number> {
  return Object.fromEntries(Object.entries(rows).filter(([table]) => tables.has(table)))
}

/** Ends of stretches of microseconds, in milliseconds. */
function timeOf(stretches: readonly Interval[]): { oldest: number; newest: number } | undefined {
  const first = stretches[0]
  const last = stretches.at(-1)
  return first && last ? { oldest: Number(first[0] / 1000n), newest: Number(last[1] / 1000n) } : undefined
}
