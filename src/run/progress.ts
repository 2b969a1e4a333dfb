import {
  type Batch,
  type BlockLink,
  type ColumnType,
  type Coverage,
  formatInstant,
  type Interval,
  type Json,
  type LedgerChange,
  type Making,
  micros,
  type Output,
  type OwnRows,
  parseDay,
  parseInstant,
  PipeError,
  type Row,
  type SelectWrite,
  type Shadow,
  type Stretch,
  type Swap,
  type Table,
  type UnitState,
  UnitIncompleteError,
  type UnitWrite,
  type Value,
} from '../sdk/index.js'
import { nameOf } from '../ledger/axis.js'
import { add, begin, type Clearing, coverageOf, end, type End, type Reading } from '../ledger/coverage.js'
import { appendEvidence } from '../ledger/evidence.js'
import { blocksOf, storedBlocks, storedNumbers } from '../ledger/hashes.js'
import { horizon } from '../ledger/horizon.js'
import { count, intersect, mod, subtract } from '../ledger/intervals.js'
import { pieces } from '../plan/stretch-units.js'
import type { Session } from './committer.js'
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

/** A step gave rows that lie outside of its unit. A redo would not find them again, and another unit's would take their place. */
export class RowsOutsideError extends PipeError {
  readonly code = 'ROWS_OUTSIDE'
  override readonly hint: string
  constructor(step: string, { unit, table, column, place }: { unit: string; table: string; column: string; place: string }) {
    super(`step ${step} gave table ${table} a row with ${column} ${place} in unit ${unit}, which does not hold it`)
    this.hint = `a step may give only rows that lie in \`unit.piece\`; where another column of ${table} holds their place, name it: \`range:\` of the table`
  }
}

const DAY_US = 86_400_000_000n

/** A unit is done again, and nothing tells which rows of its table it wrote before. */
export class RedoColumnError extends PipeError {
  readonly code = 'REDO_COLUMN'
  override readonly hint = 'name the column that holds its place: `range:` of the table'
  constructor(step: string, unit: string, table: string) {
    super(`step ${step} does unit ${unit} again, and table ${table} has no column by which the rows of before can be found`)
  }
}

/** A part of a day is done again, and rows that say only their day were read with the other part, too. */
export class RedoDayError extends PipeError {
  readonly code = 'REDO_DAY'
  override readonly hint: string
  constructor(step: string, unit: string, table: string, [from, to]: Interval) {
    super(`step ${step} does unit ${unit} again, which is a part of a day, and rows of table ${table} say only their day`)
    this.hint = `\`pipe reset FILE --step ${step} --range ${formatInstant(from).slice(0, 10)}..${formatInstant(to).slice(0, 10)}\` has whole days done again; rows that hold their time can be replaced for any part`
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
  readonly state?: State
}

/** How far a unit is: what its batches added up to, and what of it is committed. Makes a write of each batch. */
export class Progress {
  readonly #task: UnitTask
  /** Why the unit is done again, while its table holds rows of an earlier reading; undefined for one that is not. */
  readonly #redo: string | undefined
  readonly #clearing: Clearing
  readonly #shadows: readonly Shadow[]
  #state: State
  #committed: State
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
    this.#clearing = unit.redo ? clearingOf(task) : 'none'
    // A row that is `done` describes an earlier round: the unit is read anew, without its coverage and cursor.
    const kept = opened.fingerprint === plan.fingerprint && opened.state !== 'done' ? opened : undefined
    this.#state = {
      reading: begin(stretchOf(task), kept),
      touchedCleared: false,
      cursor: kept?.cursor ?? unit.resumeFrom,
      rows: kept?.rows ?? {},
      pieces: 0,
      size: undefined,
      endpoint: kept?.endpoint,
      parentHash: kept?.parentHash,
      lastHash: kept?.lastHash,
      evidence: kept?.evidence,
      // Of rows of a query a unit goes on where an earlier round ended: the table says what is done.
      blocks: blocksOf(unit.piece.kind === 'rows' && opened.fingerprint === plan.fingerprint ? opened.coverage : kept?.coverage),
    }
    this.#committed = this.#state
    this.#again = mayRepeat(this.#state)
  }

  get cursor(): Json | undefined {
    return this.#state.cursor
  }

  /** Whether what is committed of the unit is gone on with, and not begun anew, by the next attempt at it. */
  get resumes(): boolean {
    return this.#committed.cursor !== undefined
  }

  /** Back to what is committed, for another attempt. */
  rewind(): void {
    this.#state = this.#committed
    this.#again = mayRepeat(this.#state)
    this.#task.links.forget(this.#task.unit.key, this.#committed.blocks)
  }

  /** Takes note of a commit. `rows`: how many rows of each table it wrote, which of a query only the warehouse knows. */
  committed({ write, state }: ProgressWrite, rows: Readonly<Record<string, number>>, { doubles }: Session): void {
    if (doubles) this.doubles = { doubles }
    if (!state) return
    const made = new Set(write.selects?.map(({ output }) => output.table))
    this.#committed = made.size === 0 ? state : { ...state, rows: { ...state.rows, ...byDeclared(only(rows, made), this.#shadows) } }
    if (this.#state === state) this.#state = this.#committed
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
    {
      selects: queries = [],
      makes,
      swap,
    }: { readonly selects?: readonly SelectWrite[]; readonly makes?: Making | undefined; readonly swap?: Swap | undefined } = {},
  ): ProgressWrite {
    const { plan, unit } = this.#task
    const selects = queries.map((query) => ({ ...query, output: filledBy(query.output) }))
    const parts = Object.entries(batch.rows ?? {}).map(([id, rows]) => ({ output: this.output(id), rows: rows as readonly Row[] }))
    // `--limit` cut the unit, so that its batches did not read all of what they would cover.
    const said = unit.limit === undefined ? batch : { ...batch, covers: [] }
    const { blocks = [] } = batch
    if (blocks.length > 0) this.#task.links.say(unit.key, blocks)
    const { reading, fresh, clears, empties, outside } = add(this.#state.reading, said, plan.axis, this.#clearing)
    if (outside !== undefined) throw new CoversOutsideError(plan.step.id, unit.key, outside)
    for (const part of parts) this.#refuseOutside(part)
    const counts: Record<string, number> = {}
    for (const { output, rows } of parts) counts[output.table] = (counts[output.table] ?? 0) + rows.length
    const failed = batch.failed ?? []
    const done = this.#piecesOf(batch, reading, fresh)
    const touchedCleared = makes ? plan.step.inputs.length > 0 : this.#clearsTouched(batch, selects)
    const before = this.#state
    this.#state = {
      reading,
      touchedCleared: before.touchedCleared || touchedCleared,
      cursor: batch.cursor ?? before.cursor,
      rows: summed(before.rows, counts),
      size: batch.progress?.of ?? before.size,
      pieces: before.pieces + done + (unit.piece.kind === 'task' ? 0 : failed.length),
      endpoint: batch.endpoints ? mergeHosts(before.endpoint, batch.endpoints) : before.endpoint,
      parentHash: batch.parentHash ?? before.parentHash,
      lastHash: batch.lastHash ?? before.lastHash,
      evidence: appendEvidence(before.evidence, batch.evidence),
      blocks: blocks.length > 0 ? this.#withNear(before.blocks, blocks, reading) : before.blocks,
    }
    // Only a key that is itself to blame is quarantined. One that an outage kept away stays open, and the next run asks for it.
    const own = failed.filter(({ error }) => error.blame === 'own')
    this.quarantinedKeys += own.length
    const write = this.#write(this.#ledger('running'), {
      deletes: empties ? this.#empties(batch, selects) : this.#deletes(clears),
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
    return { write, pieces: done, rows: counts, counts: batch.counts, time, state: this.#state }
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
    this.#state = this.#committed
    return this.#write({ ...this.#ledger(change.state), ...change })
  }

  /**
   * A write that says that the step threw. Where its batches had covered all of the unit, none of that counts: a unit whose step
   * threw is not done, and the next attempt replaces what it wrote.
   */
  fail(change: LedgerChange): UnitWrite {
    const { plan, unit } = this.#task
    const { stretch, covered } = this.#committed.reading
    if (unit.piece.kind !== 'stretch' || !stretch || subtract([stretch], covered).length > 0) return this.mark(change)
    // Rows that nothing tells apart can't be deleted: their keys replace them.
    if (plan.outputs.some((output) => this.#unplaced(output, stretch))) return this.mark({ ...change, coverage: null, cursor: null })
    return this.mark({ ...change, coverage: { covered: [], redo: 'retry' }, cursor: null, rows: {} })
  }

  #end(): UnitWrite {
    const { unit, plan } = this.#task
    const { reading } = this.#state
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
    return this.#write(last, { deletes: this.#deletes(older) })
  }

  /** The hashes at the ends of the unit meet those of its neighbours. @throws {ForkSeenError} */
  #sayEnds(): void {
    const { links, unit, plan } = this.#task
    const { reading, parentHash, lastHash } = this.#state
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

  /** What is covered is done, what is tentative is done for this round, what failed is a unit of its own. */
  #endParts({ done, tentative, failed, missing }: End, axis: NonNullable<UnitTask['plan']['axis']>): UnitWrite {
    const { unit, services, plan } = this.#task
    if (missing.length > 0) throw new UnitIncompleteError(unit.key, missing.map((part) => nameOf(axis, part)).join(', '))
    const whole = this.#ledger('done', null)
    if (failed.length === 0 && tentative.length === 0) return this.#write(whole)
    const named = (at: Interval) => ({ unit: nameOf(axis, at), first: at[0], last: at[1] })
    // The hashes are those at the ends of the unit, and say nothing of a part that ends elsewhere.
    const ends = ([first, last]: Interval) => ({
      parentHash: first === whole.first ? whole.parentHash : undefined,
      lastHash: last === whole.last ? whole.lastHash : undefined,
    })
    // Older rows are still at the places that failed: `redo` makes the next attempt delete them.
    const left = unit.redo ? { coverage: { covered: [], redo: unit.reason } } : {}
    const failures = failed.map(({ at, error }) => ({
      ...named(at),
      ...left,
      error: services.redact(error.message),
      state: error.blame === 'own' ? ('quarantined' as const) : ('failed' as const),
      attempts: error.blame === 'own' ? plan.step.retry.attempts : undefined,
    }))
    const [only] = failures
    if (only && only.unit === unit.key) {
      const { unit: _, ...change } = only
      return this.#write({ ...change, coverage: change.coverage ?? null })
    }
    const count = done.length + tentative.length
    const split = [
      ...done.map((at, i) => ({
        coverage: this.#blocksIn(at),
        ...(i === 0 && (count === 1 || tentative.length > 0) ? whole : {}),
        ...named(at),
        ...ends(at),
        state: 'done' as const,
      })),
      ...tentative.map((at, i) => ({
        ...(i === 0 && done.length === 0 ? whole : {}),
        ...named(at),
        ...ends(at),
        state: 'done' as const,
        coverage: { covered: [], tentative: String(services.moment.now) },
      })),
      ...failures,
    ]
    return this.#write({ state: 'done' }, { replaces: [unit.key], split })
  }

  /**
   * Whether a write makes the unit untouched, as long as no input changes again. The first query of the unit does, since it reads
   * the inputs inside of its commit. A later one does not: it would clear a touch that came after the first.
   */
  #clearsTouched({ sql = [] }: Batch, selects: readonly SelectWrite[]): boolean {
    const { plan, unit } = this.#task
    const inside = selects.length > 0 || sql.length > 0
    return (
      inside && plan.step.inputs.length > 0 && this.#state.cursor === undefined && !this.#state.touchedCleared && unit.limit === undefined
    )
  }

  /**
   * Looks at the place of each row of a unit that is a stretch. Not where a step asks page by page: a page does not end where a unit
   * does. A value that says no place is refused when it is written.
   *
   * @throws {RowsOutsideError}
   */
  #refuseOutside({ output, rows }: { readonly output: Output; readonly rows: readonly Row[] }): void {
    const { plan, unit, services } = this.#task
    const { piece } = unit
    if (piece.kind !== 'stretch' || plan.wanted.kind !== 'stretches' || plan.wanted.limitBy === 'requests') return
    const { column, type } = rangeOf(output, services.pipeline.tables)
    if (column === undefined || isTimed(type) !== (piece.axis.of === 'time')) return
    for (const row of rows) {
      const value = row[column]
      const at = placeOf(value, type)
      if (!at || (at[1] >= piece.from && at[0] <= piece.to)) continue
      const place = typeof value === 'bigint' && isTimed(type) ? formatInstant(value) : String(value)
      throw new RowsOutsideError(plan.step.id, { unit: unit.key, table: output.table, column, place })
    }
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
    return unit.piece.kind === 'stretch' && this.#state.reading.stated
      ? 0
      : Math.max(0, (this.#state.size ?? unit.size) - this.#state.pieces)
  }

  /** What the ledger keeps of a part of the unit, whose batches were counted together with others. */
  #blocksIn([first, last]: Interval): Coverage | undefined {
    if (this.#task.plan.axis?.of !== 'numbers') return undefined
    const blocks = storedBlocks(this.#state.blocks.filter(([number]) => first <= number && number <= last))
    return blocks && { blocks }
  }

  /** The blocks whose hashes the ledger keeps: those that a reorg may still reach, and the one below them. */
  #withNear(known: State['blocks'], blocks: readonly BlockLink[], { numbers }: Reading): State['blocks'] {
    const { plan, services } = this.#task
    const { wanted, step } = plan
    const chain = step.chain === undefined ? undefined : services.pipeline.chains.get(step.chain)
    const byNumber =
      wanted.kind === 'stretches' && wanted.domain !== 'inputs' && wanted.axis.of === 'numbers' ? wanted.domain[1] : undefined
    const top = byNumber ?? numbers?.[1]
    if (!chain) return known
    if (wanted.kind === 'rows') return nearest([...known, ...blocks.flatMap(linkOf)], chain.confirmations)
    if (top === undefined) return known
    const floor = horizon(top, chain.confirmations)
    const near = blocks.flatMap(({ number, hash }) => (hash !== undefined && number >= floor ? [[number, hash] as const] : []))
    return near.length === 0 ? known : [...known, ...near]
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
    const { reading, cursor, rows, endpoint, parentHash, lastHash, evidence, blocks } = this.#state
    const coverage = coverageOf(reading, this.#redo)
    const numbers = this.#task.unit.piece.kind === 'rows' ? storedNumbers(blocks) : coverage?.numbers
    return {
      state,
      first: reading.stretch?.[0],
      last: reading.stretch?.[1],
      coverage: blocks.length === 0 ? coverage : { ...coverage, numbers, blocks: storedBlocks(blocks) },
      cursor: cursor ?? null,
      rows,
      endpoint,
      parentHash,
      lastHash,
      evidence,
      error,
    }
  }

  /** All rows of a task's outputs. Those of a batch that runs SQL are left to it: it replaces them by itself. */
  #empties({ sql = [] }: Batch, selects: readonly SelectWrite[]): OwnRows[] {
    if (sql.length > 0) return []
    const replaced = new Set(selects.map(({ output }) => output.table))
    return this.#task.plan.outputs.filter(({ table }) => !replaced.has(table))
  }

  /** @throws {RedoColumnError} @throws {RedoDayError} */
  #deletes(stretches: readonly Interval[]): Stretch[] {
    if (stretches.length === 0) return []
    const { plan, services } = this.#task
    return plan.outputs.flatMap((output) => {
      const { column, type } = rangeOf(output, services.pipeline.tables)
      // Where rows say a number instead of their time, all of the unit's go at once.
      const places = isTimed(type) === (plan.axis?.of === 'time') ? stretches : [this.#state.reading.numbers as Interval]
      return places.map(([from, to]) => {
        const problem = this.#unplaced(output, [from, to])
        if (problem) throw problem
        // `#unplaced` refuses an output without one.
        return { table: output.table, column: column as string, from, to, constants: output.constants }
      })
    })
  }

  /** Why the rows of a stretch can't be found in the table of an output. */
  #unplaced(output: Output, [from, to]: Interval): RedoColumnError | RedoDayError | undefined {
    const { plan, unit, services } = this.#task
    const { column, type } = rangeOf(output, services.pipeline.tables)
    if (column === undefined || (isTimed(type) !== (plan.axis?.of === 'time') && (isTimed(type) || !this.#state.reading.numbers)))
      return new RedoColumnError(plan.step.id, unit.key, output.table)
    return type === 'date' && this.#sharesDays([from, to]) ? new RedoDayError(plan.step.id, unit.key, output.table, [from, to]) : undefined
  }

  /** Whether a part of the days of a stretch of time belongs to other units. */
  #sharesDays([from, to]: Interval): boolean {
    const { wanted } = this.#task.plan
    if (wanted.kind !== 'stretches' || wanted.domain === 'inputs') return false
    const days: Interval = [from - mod(from, DAY_US), to - mod(to, DAY_US) + DAY_US - 1n]
    return subtract(intersect([wanted.domain], [days]), [[from, to]]).length > 0
  }
}

/** Whether a step that begins here may bring rows that are in the table already. */
const mayRepeat = ({ rows, reading, cursor }: State): boolean => Object.keys(rows).length > 0 && !reading.stated && cursor === undefined

/** The column that says where a row of an output lies on the axis, and the kind of its type. */
function rangeOf({ table: name, range }: Output, tables: ReadonlyMap<string, Table>) {
  const table = tables.get(name)
  const column = range ?? table?.range
  return { column, type: table?.columns.find((each) => each.name === column)?.type.kind }
}

const isTimed = (type: ColumnType['kind'] | undefined): boolean => type === 'timestamp' || type === 'date'

/** The place that a value says, as a stretch: a day is all of its microseconds. Undefined where it says none. */
function placeOf(value: Value | undefined, type: ColumnType['kind'] | undefined): Interval | undefined {
  if (typeof value === 'bigint') return [value, value]
  if (typeof value === 'number') return Number.isSafeInteger(value) ? [BigInt(value), BigInt(value)] : undefined
  if (typeof value !== 'string') return undefined
  if (type === 'date') {
    const day = parseDay(value)
    return day === undefined ? undefined : [BigInt(day) * DAY_US, BigInt(day + 1) * DAY_US - 1n]
  }
  const place = type === 'timestamp' ? parseInstant(value) : /^-?\d+$/.test(value) ? BigInt(value) : undefined
  return place === undefined ? undefined : [place, place]
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

/**
 * A date column can't tell which part of its day a row was read with, and of a unit of time a number can't, so the first batch of a
 * redo deletes all of the unit's rows.
 */
function clearingOf({ plan, services }: UnitTask): Clearing {
  const byUnit = plan.outputs.some((output) => {
    const { column, type } = rangeOf(output, services.pipeline.tables)
    return type === 'date' || (column !== undefined && plan.axis?.of === 'time' && !isTimed(type))
  })
  return byUnit ? 'whole' : 'said'
}

/** Of a table that a query filled, the rows of before were replaced or overwritten by it: they do not count again. */
function only(rows: Readonly<Record<string, number>>, tables: ReadonlySet<string>): Record<string, number> {
  return Object.fromEntries(Object.entries(rows).filter(([table]) => tables.has(table)))
}

function summed(before: Readonly<Record<string, number>>, counts: Readonly<Record<string, number>>): Readonly<Record<string, number>> {
  const rows = { ...before }
  for (const [table, n] of Object.entries(counts)) rows[table] = (rows[table] ?? 0) + n
  return rows
}

/** Ends of stretches of microseconds, in milliseconds. */
function timeOf(stretches: readonly Interval[]): { oldest: number; newest: number } | undefined {
  const first = stretches[0]
  const last = stretches.at(-1)
  return first && last ? { oldest: Number(first[0] / 1000n), newest: Number(last[1] / 1000n) } : undefined
}

interface State {
  readonly reading: Reading
  /** Whether a write cleared the unit's touch. */
  readonly touchedCleared: boolean
  readonly cursor: Json | undefined
  readonly rows: Readonly<Record<string, number>>
  readonly pieces: number
  /** Of how many, where the step said so. */
  readonly size: number | undefined
  readonly endpoint: string | undefined
  readonly parentHash: string | undefined
  readonly lastHash: string | undefined
  readonly evidence: Json | undefined
  /** Blocks near the head, with their hashes. */
  readonly blocks: readonly (readonly [bigint, string])[]
}

const linkOf = ({ number, hash }: BlockLink): (readonly [bigint, string])[] => (hash === undefined ? [] : [[number, hash]])

/** Each of them once, as far as a reorg reaches, with the highest one that it does not reach. */
function nearest(blocks: State['blocks'], confirmations: number): State['blocks'] {
  const newest = blocks.reduce((high, [number]) => (number > high ? number : high), 0n)
  const each = new Map(blocks.map((block) => [block.join(' '), block]))
  const deep = blocks.reduce((high, [number]) => (number > high && number <= horizon(newest, confirmations) ? number : high), -1n)
  return [...each.values()].filter(([number]) => number >= deep)
}

function mergeHosts(known: string | undefined, hosts: readonly string[]): string {
  const all = new Set(known ? known.split(', ') : [])
  for (const host of hosts) all.add(host)
  return [...all].sort().join(', ')
}
