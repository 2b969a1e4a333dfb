import {
  type Consumer,
  type Counted,
  identifier,
  type Output,
  type OwnRows,
  type Row,
  sql,
  type Stretch,
  type Swap,
  type Table,
  type UnitWrite,
  type WorkerRow,
  type WriteOutcome,
} from '../../sdk/index.js'
import { epochOf, type LedgerChanges, unitKey } from '../ledger-changes.js'
import { UNITS, WORKERS } from '../ledger.js'
import { changedSwaps, withShadows } from '../swap.js'
import { Loaders } from '../transaction.js'
import { workerRow } from '../workers.js'
import { changesOf, counts, declared, deletions, latest } from '../writes.js'
import { type Moved, note, noteReplaced } from '../outcome.js'
import { Counts } from './counts.js'
import type { Place } from './ddl.js'
import { ServerUnreachableError } from './errors.js'
import { type Encoded, TableLoader, type Versioned } from './loader.js'
import { keyOf, ledgerInsert } from './ledger-rows.js'
import { type Judging, judgeRows, judgeSelect } from './judge.js'
import { Orphans } from './orphans.js'
import { writeSelect } from './selects.js'
import type { Sql } from './sql.js'
import { prepared } from './statements.js'
import { areOwn, tombstones } from './stretch.js'
import { Swaps } from './swaps.js'
import { clearMarks, Touches } from './touches.js'
import { opening, Units, type UnitRow } from './units.js'
import { generationOf, sequenceOf, version } from './versions.js'

/** A unit that this process opened. */
interface Opened {
  readonly epoch: bigint
  readonly generation: bigint
  /** The generation of an earlier owner that did not end the unit. Rows that it wrote after its last checkpoint are deleted. */
  readonly before: bigint | undefined
}

/**
 * Writes rows and ledger. ClickHouse has no transactions, so the order makes up for them: fence, marks, rows, ledger. A
 * kill in between leaves rows that the ledger does not know. They are deleted when the unit is opened again, and once
 * more when it ends; until then they count less than what its new owner writes, whose generation is later. A commit that
 * fails deletes them itself.
 *
 * A writer that lost its unit, or its pipeline (`Holders`), finds out before it writes. One that loses it between that look and
 * its rows looks again behind them, before any checkpoint speaks of them, and deletes them. One case is not covered: a writer
 * that is killed between these two, after its rows came in and after the new owner ended.
 */
export class Writer {
  readonly units: Units
  readonly swaps: Swaps
  readonly #sql: Sql
  readonly #place: Place
  readonly #mine: () => Promise<void>
  readonly #orphans: Orphans
  readonly #counts: Counts
  readonly #opened = new Map<string, Opened>()
  readonly #loaders: Loaders<TableLoader>
  #consumers: readonly Consumer[] = []
  #generation = 0n
  #sequence = 0n
  #tail: Promise<unknown> = Promise.resolve()

  /**
   * @param mine Throws when the pipeline was taken over.
   * @param tell Hears what people should know that keeps nothing from going on.
   */
  constructor(sqls: Sql, place: Place, mine: () => Promise<void>, tell: (message: string) => void) {
    this.#sql = sqls
    this.#mine = mine
    this.#place = place
    this.units = new Units(sqls)
    this.swaps = new Swaps(sqls, place, tell)
    this.#orphans = new Orphans(sqls, place)
    this.#counts = new Counts(sqls)
    this.#loaders = new Loaders((output, table) => TableLoader.make(output, table, (select) => sqls.typeOf(select)))
  }

  watch(consumers: readonly Consumer[]): void {
    this.#consumers = consumers
  }

  count(counted: readonly Counted[]): void {
    this.#counts.watch(counted)
  }

  /** Writes rows of `_pipe_counts` over those that have their keys. */
  putCounts(rows: readonly Row[]): Promise<void> {
    return this.#alone(() => this.#counts.put(rows))
  }

  /** No generation that is given from now on is below it. */
  raise(generation: bigint): void {
    if (generation > this.#generation) this.#generation = generation
  }

  /** Brings the rows of a ledger of an earlier version to this one, and says so when all of them are. */
  upgrade(rows: AsyncIterable<readonly Row[]> | Iterable<readonly Row[]>, still: () => Promise<boolean>): Promise<void> {
    return this.#alone(async () => {
      for await (const page of rows) {
        // Another process may have done it and work with it already: what we read before is older than its rows.
        if (!(await still())) return
        // In the version that each row has: of two rows of one version, the one that came last counts.
        await this.units.put(page.map((row): [Row, bigint] => [row, BigInt(row.row_version as bigint)]))
      }
      await this.units.declare(this.#generation)
    })
  }

  /** Resolves when nothing is under way. */
  async settled(): Promise<void> {
    await this.#tail
  }

  /** Takes units over. Resolves to their rows. */
  open(changes: LedgerChanges, tables: readonly Table[]): Promise<readonly Row[]> {
    return this.#alone(async () => {
      await this.#mine()
      const there = await this.units.read(changes.keys)
      const generations = await this.#generations()
      const { put } = changes.resolve(rowsOf(there), this.#epoch())
      const given = put.map((row): [Row, bigint] => [row, generations()])
      const swept = await this.#orphans.sweep(
        Array.from(there.values(), ({ version: at }) => at),
        tables,
      )
      await this.#counts.recount(swept, tables)
      await this.units.put(given.map(([row, generation]) => [row, opening(generation)]))
      for (const [row, generation] of given) {
        const key = keyOf(row)
        const left = there.get(key)
        this.#opened.set(key, { epoch: epochOf(row) ?? 0n, generation, before: left?.row.state === 'running' ? left.version : undefined })
      }
      return put
    })
  }

  /**
   * Changes of the ledger by hand. `also` gets a version for what it writes; a swap comes with what the ledger says of it. Rows are
   * deleted before the ledger speaks of it.
   */
  change(
    changes: LedgerChanges,
    also: (at: bigint) => Promise<number>,
    { swap, deletes = [], tables = new Map(), time = 0n }: ByHand = {},
  ): Promise<number> {
    return this.#alone(async () => {
      await this.#mine()
      const there = await this.units.read(changes.keys)
      const generations = await this.#generations()
      const { put, drop } = changes.resolve(rowsOf(there), this.#epoch())
      const rows = put.map((row): [Row, bigint] => [row, opening(generations())])
      if (deletes.length > 0) await this.#deleteRows(deletes, tables, version(generations(), ++this.#sequence), time)
      if (swap) await this.#swap(swap, version(generations(), ++this.#sequence), rows, time)
      else await this.units.put(rows)
      const gone = drop.filter((row) => there.has(keyOf(row)))
      await this.#drop(gone, generations)
      return put.length + gone.length + (await also(version(generations(), ++this.#sequence)))
    })
  }

  /** Deletes rows beside any unit's commit: whoever is computed from them is touched before, and counts follow. */
  async #deleteRows(deletes: readonly (OwnRows | Stretch)[], tables: ReadonlyMap<string, Table>, at: bigint, time: bigint): Promise<void> {
    const touches = new Touches(this.#sql, this.#consumers)
    const tally = this.#counts.tally(tables)
    for (const own of deletes) {
      await tally.deletes(own)
      await seeDeleted(touches, own, declared(own.table, tables))
    }
    await touches.write(at, time)
    for (const own of deletes) {
      const table = declared(own.table, tables)
      await this.#sql.execute(tombstones(table, areOwn(own, table), at))
    }
    await this.#counts.put(await tally.puts())
  }

  /** Exchanges tables, and writes rows of the ledger with it. What it touches is marked before. */
  async #swap(swap: Swap, at: bigint, rows: readonly (readonly [Row, bigint])[], time: bigint): Promise<void> {
    const touches = new Touches(this.#sql, this.#consumers)
    await this.swaps.see(swap, touches)
    await touches.write(at, time)
    const ledger = rows.length === 0 ? [] : [ledgerInsert(UNITS, rows, false)]
    await this.swaps.run(swap, { version: at, ledger, mine: this.#mine })
  }

  /** The way of an output's rows. @throws {OutputError} when it does not fit the table. */
  loader(output: Output, table: Table): Promise<TableLoader> {
    return this.#loaders.of(output, table)
  }

  /** Writes of many units: fences, marks, deletes, rows, statements, queries and checkpoints, in this order. */
  commit(writes: readonly UnitWrite[], declaredTables: ReadonlyMap<string, Table>, worker?: WorkerRow): Promise<readonly WriteOutcome[]> {
    return this.#alone(async () => {
      const tables = withShadows(declaredTables, writes)
      const changes = changesOf(writes)
      const reading = Promise.all([this.units.read(changes.keys), this.#mine()])
      reading.catch(() => undefined)
      const loaders = new Map<Output, TableLoader>()
      for (const { output } of writes.flatMap((write) => write.rows))
        loaders.set(output, await this.#loaders.of(output, declared(output.table, tables)))
      let sequence = ++this.#sequence
      // Rows are encoded while the database answers who owns the units. When some are owned by others, it is done again without them.
      const early = writes.every((write) => this.#generationOf(write) !== undefined) ? this.#encoded(writes, sequence, loaders) : undefined
      const [there] = await reading
      const own = writes.filter((write) => epochOf(there.get(unitOf(write))?.row) === write.epoch)
      const changed = await changedSwaps(own, (statement) => this.#sql.select(statement))
      const kept = own.filter((write) => !changed.has(write))
      for (const write of kept) {
        const at = there.get(unitOf(write))?.version ?? 0n
        if (sequenceOf(at) > 2n * sequence) this.#sequence = sequence = sequenceOf(at)
        this.#remember(write, at)
      }
      const still = early?.sequence === sequence && kept.length === writes.length
      const encoded = early && still ? early : this.#encoded(kept, sequence, loaders)
      if (encoded.error) throw encoded.error
      const moved = new Map<UnitWrite, Moved>()
      const given = await this.#write({
        loaders,
        moved,
        kept,
        sequence,
        there,
        tables,
        declaredTables,
        encoded: await Promise.all(encoded.parts.map((part, number) => this.#laid(part, number))),
        changes: kept.length === writes.length ? changes : changesOf(kept),
      })
      if (worker) await this.#sql.insert(WORKERS, [[workerRow(worker), worker.heartbeatAt]])
      const replaced = new Map<UnitWrite, number>()
      for (const { loader, replaced: places } of encoded.parts)
        noteReplaced(
          replaced,
          kept.flatMap((write) =>
            write.rows.flatMap(({ output, rows }) => (loaders.get(output) === loader ? [{ write, rows: rows.length }] : [])),
          ),
          places,
        )
      return writes.map((write): WriteOutcome => {
        const rows = given.get(write)
        return rows === undefined
          ? { written: false, reason: changed.has(write) ? 'changed' : 'taken' }
          : { written: true, rows, ...moved.get(write), replaced: replaced.get(write) }
      })
    })
  }

  async #write({
    kept,
    sequence,
    there,
    tables,
    declaredTables,
    encoded,
    changes,
    loaders,
    moved,
  }: Work): Promise<ReadonlyMap<UnitWrite, Record<string, number>>> {
    const given = new Map<UnitWrite, Record<string, number>>()
    if (kept.length === 0) return given
    const statements = new Map<UnitWrite, Awaited<ReturnType<typeof prepared>>[]>()
    for (const write of kept) {
      const own: Awaited<ReturnType<typeof prepared>>[] = []
      for (const statement of write.sql) own.push(await prepared(statement, tables, this.#versionOf(write, sequence), this.#sql))
      statements.set(write, own)
    }
    await this.#clear(kept, there, sequence)
    for (const write of kept) if (write.makes) await this.swaps.make(write.makes, this.#versionOf(write, sequence))
    const touches = new Touches(this.#sql, this.#consumers)
    const tally = this.#counts.tally(tables)
    const deleted = deletions(kept, tables)
    for (const { own } of deleted) await tally.deletes(own)
    for (const { own, table } of deleted) await seeDeleted(touches, own, table)
    for (const part of encoded) if (touches.watched(part.loader.table, part.loader.output.constants)) await touches.seeRows(part)
    const mark = () => touches.write(this.#highest(kept, sequence), latest(kept))
    await mark()
    try {
      for (const { own, table, write } of deleted)
        await this.#sql.execute(tombstones(table, areOwn(own, table), this.#versionOf(write, sequence) - 1n))
      await tally.rows(kept)
      for (const part of encoded) {
        await judgeRows(this.#sql, this.units, part, { kept, loaders, moved })
        await this.#insert(part)
      }
      for (const write of kept) {
        const rows = counts(write)
        for (const statement of statements.get(write) ?? []) await this.#sql.execute(statement, { once: true, signal: write.signal })
        for (const select of write.selects ?? []) {
          const table = declared(select.output.table, tables)
          const at = this.#versionOf(write, sequence)
          const { rows: count, ...met } = await writeSelect(this.#sql, {
            select,
            table,
            place: this.#place,
            version: at,
            touches,
            mark,
            judge: judgeSelect(this.units, select, { write, kept }),
            signal: write.signal,
          })
          rows[table.name] = (rows[table.name] ?? 0) + count
          note(moved, [write], table.name, met)
        }
        given.set(write, rows)
      }
      // Whoever took the pipeline meanwhile may have planned the units anew: no checkpoint may speak of these rows.
      await this.#mine()
      for (const write of kept) {
        if (!write.swap) continue
        const own = changes.resolve(rowsOf(there), this.#epoch()).put.filter((row) => keyOf(row) === unitOf(write))
        const at = this.#versionOf(write, sequence)
        await this.#swap(
          write.swap,
          at,
          own.map((row) => [row, at]),
          write.at,
        )
      }
    } catch (error) {
      // A server that can't be reached can't undo anything. Whoever opens the units next deletes the rows.
      if (!(error instanceof ServerUnreachableError)) await this.#undo(kept, sequence, tables)
      throw error
    }
    await this.#counts.put(await tally.puts())
    await this.#sweepEnded(kept, declaredTables)
    // Both run at once: a checkpoint of a writer that lost its unit has a lower version than its owner's, and does not replace it.
    const [after, owned] = await Promise.all([this.#checkpoint(changes, kept, there, sequence), this.units.epochs(kept.map(unitRow))])
    for (const write of kept) {
      const epoch = owned.get(unitOf(write))
      if (epoch !== write.epoch && epoch !== after.get(unitOf(write))) {
        await this.#orphans.retract(this.#versionsOf([write], sequence), tablesOf(write, tables))
        given.delete(write)
      }
      if (write.ledger.state === 'done') this.#opened.delete(unitOf(write))
    }
    return given
  }

  /** Takes back what a commit wrote before it failed. Where that fails, too, whoever opens the units next does it. */
  async #undo(kept: readonly UnitWrite[], sequence: bigint, tables: ReadonlyMap<string, Table>): Promise<void> {
    const written = new Set(kept.flatMap((write) => tablesOf(write, tables)))
    await this.#orphans.retract(this.#versionsOf(kept, sequence), [...written]).catch(() => undefined)
  }

  async #laid(part: Encoded, number: number): Promise<Encoded> {
    const rows = part.loader.laying(part)
    return rows ? { ...part, laid: await this.#sql.lay(number, rows) } : part
  }

  async #insert(encoded: Encoded): Promise<void> {
    const { loader, rows, block } = encoded
    if (rows.length === 0) return
    if (block)
      return this.#sql.load(block).catch((error: unknown) => {
        throw loader.refusedRow(rows, error) ?? error
      })
    try {
      await this.#sql.write(loader.insertSelect(encoded), { insert: true })
    } catch (error) {
      throw (await loader.diagnose(encoded, (query) => this.#sql.all(query))) ?? error
    }
  }

  /** Takes away the marks of units that are computed now. A kill from here on leaves them open, not done. */
  async #clear(kept: readonly UnitWrite[], there: ReadonlyMap<string, UnitRow>, sequence: bigint): Promise<void> {
    const clearing = kept.filter((write) => write.clearsTouched)
    const done = clearing.flatMap((write): [Row, bigint][] => {
      const row = there.get(unitOf(write))?.row
      return row?.state === 'done' ? [[{ ...row, state: 'running' }, this.#versionOf(write, sequence) - 1n]] : []
    })
    await this.units.put(done)
    await clearMarks(
      this.#sql,
      clearing.map((write) => ({ ...unitRow(write), unit: write.touchedAs ?? write.unit })),
    )
  }

  async #sweepEnded(kept: readonly UnitWrite[], tables: ReadonlyMap<string, Table>): Promise<void> {
    const ended = kept.flatMap((write) => (write.ledger.state === 'done' ? (this.#opened.get(unitOf(write))?.before ?? []) : []))
    await this.#orphans.sweep(ended, [...tables.values()])
  }

  /** Resolves to the epochs of the rows as they are written. */
  async #checkpoint(
    changes: LedgerChanges,
    kept: readonly UnitWrite[],
    there: ReadonlyMap<string, UnitRow>,
    sequence: bigint,
  ): Promise<ReadonlyMap<string, bigint | undefined>> {
    const own = new Map(kept.map((write) => [unitOf(write), write]))
    const generations = changes.raises || changes.drops ? await this.#generations() : undefined
    const { put, drop } = changes.resolve(rowsOf(there), this.#epoch())
    await this.units.put(
      put.map((row): [Row, bigint] => {
        const write = own.get(keyOf(row))
        return [row, write?.epoch === epochOf(row) && write ? this.#versionOf(write, sequence) : opening(generations?.() ?? 0n)]
      }),
    )
    if (generations)
      await this.#drop(
        drop.filter((row) => there.has(keyOf(row))),
        generations,
      )
    await this.units.quarantine(changes, this.#highest(kept, sequence))
    return new Map(put.map((row) => [keyOf(row), epochOf(row)]))
  }

  #encoded(writes: readonly UnitWrite[], sequence: bigint, loaders: ReadonlyMap<Output, TableLoader>): EncodedWrites {
    const byLoader = new Map<TableLoader, Versioned[]>()
    for (const write of writes) {
      for (const { output, rows } of write.rows) {
        const loader = loaders.get(output)
        if (!loader || rows.length === 0) continue
        const parts = byLoader.get(loader) ?? []
        if (parts.length === 0) byLoader.set(loader, parts)
        parts.push({ rows, version: this.#versionOf(write, sequence) })
      }
    }
    try {
      return { sequence, parts: [...byLoader].map(([loader, parts]) => loader.encode(parts)), error: undefined }
    } catch (error) {
      return { sequence, parts: [], error: error instanceof Error ? error : new Error(String(error)) }
    }
  }

  #generationOf(write: UnitWrite): bigint | undefined {
    const opened = this.#opened.get(unitOf(write))
    return opened?.epoch === write.epoch ? opened.generation : undefined
  }

  /** The version of the rows that a write brings. Rows that it deletes get the version before. */
  #versionOf(write: UnitWrite, sequence: bigint): bigint {
    return version(this.#generationOf(write) ?? 0n, 2n * sequence + 1n)
  }

  #highest(writes: readonly UnitWrite[], sequence: bigint): bigint {
    let highest = 0n
    for (const write of writes) {
      const at = this.#versionOf(write, sequence)
      if (at > highest) highest = at
    }
    return highest
  }

  /** The versions of the rows that writes bring and of those that they delete. */
  #versionsOf(writes: readonly UnitWrite[], sequence: bigint): bigint[] {
    return [...new Set(writes.flatMap((write) => [this.#versionOf(write, sequence), this.#versionOf(write, sequence) - 1n]))]
  }

  /** A unit that another warehouse object of ours opened. */
  #remember(write: UnitWrite, at: bigint): void {
    if (this.#generationOf(write) === undefined)
      this.#opened.set(unitOf(write), { epoch: write.epoch, generation: generationOf(at), before: undefined })
  }

  async #drop(rows: readonly Row[], generations: () => bigint): Promise<void> {
    if (rows.length === 0) return
    const dropped = rows.map((row): [Row, bigint] => [row, opening(generations())])
    await this.units.remember(this.#generation)
    await this.units.drop(dropped)
  }

  /** The epoch of what is changed next: its first generation, after `#generations` has looked which ones were given. */
  #epoch(): bigint {
    return this.#generation + 1n
  }

  /** Gives generations that were never given, one a call. */
  async #generations(): Promise<() => bigint> {
    this.raise(generationOf(await this.units.highest()))
    return () => ++this.#generation
  }

  #alone<T>(work: () => Promise<T>): Promise<T> {
    const result = this.#tail.then(work)
    this.#tail = result.catch(() => undefined)
    return result
  }
}

/** What a change of the ledger by hand does to tables. */
interface ByHand {
  readonly swap?: Swap | undefined
  readonly deletes?: readonly (OwnRows | Stretch)[]
  /** Those that were declared. */
  readonly tables?: ReadonlyMap<string, Table>
  /** Microseconds UTC. */
  readonly time?: bigint
}

/** What rows touch that are about to be deleted. */
async function seeDeleted(touches: Touches, own: OwnRows | Stretch, table: Table): Promise<void> {
  if (!touches.watched(table, own.constants)) return
  const from = sql`FROM ${identifier(table.name)} WHERE ${areOwn(own, table)}`
  await touches.see(
    { table, constants: own.constants },
    sql`SELECT 1 AS one ${from} LIMIT 1`,
    (column) => sql`SELECT ${identifier(column)} AS pipe_time ${from}`,
  )
}

interface EncodedWrites {
  readonly sequence: bigint
  readonly parts: readonly Encoded[]
  /** The error of a value that does not fit. It is thrown once it is known that its unit is still the writer's own. */
  readonly error: Error | undefined
}

interface Work extends Judging {
  readonly sequence: bigint
  readonly there: ReadonlyMap<string, UnitRow>
  /** With those that writes fill beside the declared ones. */
  readonly tables: ReadonlyMap<string, Table>
  readonly declaredTables: ReadonlyMap<string, Table>
  readonly encoded: readonly Encoded[]
  readonly changes: LedgerChanges
}

function tablesOf(write: UnitWrite, tables: ReadonlyMap<string, Table>): Table[] {
  const outputs = [
    ...write.deletes.map(({ table }) => table),
    ...write.rows.map(({ output }) => output.table),
    ...(write.selects ?? []).map(({ output }) => output.table),
  ]
  return [...new Set(outputs)].map((name) => declared(name, tables))
}

const rowsOf = (there: ReadonlyMap<string, UnitRow>): ReadonlyMap<string, Row> => new Map([...there].map(([key, { row }]) => [key, row]))
const unitOf = ({ step, unit }: UnitWrite): string => unitKey(step.pipeline, step.step, unit)
const unitRow = ({ step, unit }: UnitWrite): Row => ({ pipeline: step.pipeline, step: step.step, unit })
