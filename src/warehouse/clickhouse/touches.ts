import {
  type Consumer,
  type IntervalInput,
  maySame,
  type Row,
  sql,
  sqlText,
  type Statement,
  type Table,
  type Texts,
  timeUnit,
  touchedBounds,
  touchedStarts,
} from '../../sdk/index.js'
import { TOUCHED } from '../ledger.js'
import { sharedTexts } from '../touched.js'
import { anyChanged, anyThere, type Changes, changedValues, changesOf, givenValues } from './changes.js'
import { DELETED, VERSION } from './ddl.js'
import type { Encoded } from './loader.js'
import { keyOf, ledgerInsert, named } from './ledger-rows.js'
import type { Sql } from './sql.js'

/** Column of `_pipe_touched` that tells marks of one unit apart, so that what clears one never clears a later one. */
const MARK = '_pipe_mark'

/** `_pipe_touched` as it is in ClickHouse: one row a mark. */
export const MARKS: { readonly columns: readonly string[]; readonly key: readonly string[] } = {
  columns: [`${MARK} UInt64 MATERIALIZED 0`],
  key: [MARK],
}

/** A table, and the constants of the output whose rows change. */
interface Changing {
  readonly table: Table
  readonly constants: Texts
}

/** Units that a commit touches, by consumer. */
export class Touches {
  readonly #sql: Sql
  readonly #consumers: readonly Consumer[]
  readonly #units = new Map<string, { readonly pipeline: string; readonly step: string; readonly unit: string }>()

  constructor(sqls: Sql, consumers: readonly Consumer[]) {
    this.#sql = sqls
    this.#consumers = consumers
  }

  watched(table: Table, constants: Texts = {}): boolean {
    return this.#readers(table, constants).length > 0
  }

  /** What rows touch that are about to be written: those that differ from what is there, by their own time and by that of what they overwrite. */
  async seeRows(encoded: Encoded): Promise<void> {
    const { loader, rows } = encoded
    const { table, output } = loader
    if (rows.length === 0) return
    const changes = changesOf(table, loader.filled(encoded))
    // Mostly all are new. Comparing them reads them four times, which takes seconds where they are 50,000.
    if ((await this.#sql.select(sqlText(anyThere(changes)))).length > 0) return this.seeChanges(changes, output.constants)
    await this.see({ table, constants: output.constants }, sqlText('SELECT 1 AS one'), (column) =>
      sqlText(givenValues(changes, column, 'pipe_time')),
    )
  }

  /** `constants`: those of the output whose rows change; left out: of any. */
  seeChanges(changes: Changes, constants: Texts = {}): Promise<void> {
    return this.see({ table: changes.table, constants }, sqlText(anyChanged(changes)), (column) =>
      sqlText(changedValues(changes, column, 'pipe_time')),
    )
  }

  /** What a change of a table touches. `changed` gives a row when there is any, `times` the time column of what changes, as `pipe_time`. */
  async see({ table, constants }: Changing, changed: Statement, times: (column: string) => Statement): Promise<void> {
    const readers = this.#readers(table, constants)
    const timed = new Map<string, { readonly interval: IntervalInput; readonly consumers: Consumer[] }>()
    for (const consumer of readers) {
      const { interval } = consumer
      if (typeof interval !== 'object') continue
      const name = [interval.column, interval.everyUs, interval.lookbackUs].join()
      const same = timed.get(name)
      if (same) same.consumers.push(consumer)
      else timed.set(name, { interval, consumers: [consumer] })
    }
    for (const { interval, consumers } of timed.values()) await this.#seeTimes(consumers, interval, times(interval.column))
    const others = readers.filter(({ interval }) => typeof interval !== 'object')
    if (others.length > 0 && (await this.#sql.select(changed)).length > 0) for (const consumer of others) await this.#seeAll(consumer)
  }

  /** Writes what was seen. The id tells these marks from those of other commits. */
  async write(id: bigint, at: bigint): Promise<void> {
    await writeMarks(this.#sql, [...this.#units.values()], id, at)
  }

  #readers(table: Table, constants: Texts): readonly Consumer[] {
    const texts = sharedTexts(table, constants)
    return this.#consumers.filter((each) => each.table === table.name && maySame(each.constants ?? {}, texts))
  }

  async #seeTimes(consumers: readonly Consumer[], interval: IntervalInput, times: Statement): Promise<void> {
    const { first, last } = touchedBounds(sqlText('pipe_time'), interval, 'clickhouse')
    const rows = await this.#sql.select(
      sql`SELECT DISTINCT ${first} AS pipe_first, ${last} AS pipe_last FROM (${times}) AS pipe_changed WHERE pipe_time IS NOT NULL`,
    )
    for (const row of rows) {
      const bounds = { first: row.pipe_first as bigint, last: row.pipe_last as bigint }
      for (const start of touchedStarts(bounds, interval.everyUs))
        for (const consumer of consumers) this.#add(consumer, timeUnit(start, interval.everyUs))
    }
  }

  async #seeAll(consumer: Consumer): Promise<void> {
    if (consumer.interval === 'whole') return this.#add(consumer, 'all')
    const units = await this.#sql.select(
      sql`SELECT unit FROM _pipe_units WHERE pipeline = ${text(consumer.pipeline)} AND step = ${text(consumer.step)}`,
    )
    for (const { unit } of units) this.#add(consumer, String(unit))
  }

  #add({ pipeline, step }: Consumer, unit: string): void {
    const row = { pipeline, step, unit }
    this.#units.set(keyOf(row), row)
  }
}

/** Adds marks. Two of one id and unit are one. */
export async function writeMarks(sqls: Sql, units: readonly Row[], id: bigint, at: bigint): Promise<void> {
  if (units.length === 0) return
  const marks: Table = { ...TOUCHED, columns: [...TOUCHED.columns, { name: MARK, type: { kind: 'bigint' }, nullable: false }] }
  const rows = units.map((unit): [Row, bigint] => [{ ...unit, at, [MARK]: id }, 0n])
  await sqls.write(ledgerInsert(marks, rows, false))
}

/** Takes away the marks that units have now, and no later one. */
export async function clearMarks(sqls: Sql, units: readonly Row[]): Promise<void> {
  if (units.length === 0) return
  await sqls.write(
    `INSERT INTO _pipe_touched (pipeline, step, unit, at, ${MARK}, ${VERSION}, ${DELETED}) SELECT pipeline, step, unit, at, ${MARK}, 1, 1 FROM _pipe_touched WHERE (pipeline, step, unit) IN ${named(units)}`,
  )
}

const text = (value: string) => ({ type: { kind: 'text' }, value }) as const
