import type { LedgerRow, LedgerStep, Row, Table } from '../../sdk/index.js'
import { LEDGER_VERSION, ledgerRows, QUARANTINE, UNIT_COLUMNS, UNITS } from '../ledger.js'
import { epochOf, type LedgerChanges } from '../ledger-changes.js'
import { unitsOf, untouchedUnits } from '../ledger-where.js'
import type { Sql } from './sql.js'
import { DELETED, VERSION } from './ddl.js'
import { keyOf, named } from './ledger-rows.js'
import { version } from './versions.js'

/** A row of `_pipe_units`, with its version beside its columns, too. */
export interface UnitRow {
  readonly row: Row
  readonly version: bigint
}

/** Reads and writes the ledger, many units at once. */
export class Units {
  readonly #sql: Sql

  constructor(sqls: Sql) {
    this.#sql = sqls
  }

  /** The rows of units as they are, by `unitKey`. */
  async read(keys: readonly Row[]): Promise<ReadonlyMap<string, UnitRow>> {
    const found = new Map<string, UnitRow>()
    if (keys.length === 0) return found
    const rows = await this.#sql.all(
      `SELECT ${UNIT_COLUMNS}, ${VERSION} AS version FROM _pipe_units WHERE (pipeline, step, unit) IN ${named(keys)}`,
    )
    for (const row of rows) found.set(keyOf(row), { row, version: BigInt(row.version as bigint) })
    return found
  }

  /** The units of a step that were made under its definition. */
  async ofStep(step: LedgerStep, which: 'all' | 'untouched' = 'all'): Promise<readonly LedgerRow[]> {
    return (await this.#sql.select(which === 'all' ? unitsOf(step) : untouchedUnits(step))).map(ledgerRows())
  }

  /** Only the epochs of units, by `unitKey`. */
  async epochs(keys: readonly Row[]): Promise<ReadonlyMap<string, bigint>> {
    const found = new Map<string, bigint>()
    if (keys.length === 0) return found
    const rows = await this.#sql.all(`SELECT pipeline, step, unit, epoch FROM _pipe_units WHERE (pipeline, step, unit) IN ${named(keys)}`)
    for (const row of rows) found.set(keyOf(row), epochOf(row) ?? 0n)
    return found
  }

  /** The highest version that the ledger knows. Units that were dropped count. */
  async highest(): Promise<bigint> {
    const of = (table: string) => `ifNull((SELECT max(${VERSION}) FROM ${table}), 0)`
    const [row] = await this.#sql.all(`SELECT greatest(${of('_pipe_units')}, ${of('_pipe_ledger')}) AS v`, { versions: true })
    return BigInt((row?.v as bigint | null) ?? 0n)
  }

  /**
   * Keeps a generation where nobody drops it: ClickHouse forgets a dropped row when it cleans up, and what was the highest
   * generation with it.
   */
  remember(generation: bigint): Promise<void> {
    return this.#sql.write(
      `INSERT INTO _pipe_ledger (id, version, epoch, ${VERSION}, ${DELETED})
      SELECT id, version, ${generation}, ${opening(generation)}, 0 FROM _pipe_ledger WHERE id = 1`,
    )
  }

  /** Says that the ledger is of this version of ours. */
  declare(generation: bigint): Promise<void> {
    // Selected, and without a token: it must come through when something else was written in between, and chdb drops lines that come twice.
    return this.#sql.write(
      `INSERT INTO _pipe_ledger (id, version, epoch, ${VERSION}, ${DELETED}) SELECT 1, ${LEDGER_VERSION}, ${generation}, ${opening(generation)}, 0`,
    )
  }

  /** Writes rows of `_pipe_units`, each in its version. */
  put(rows: readonly (readonly [row: Row, version: bigint])[]): Promise<void> {
    return this.#insert(UNITS, rows, false)
  }

  drop(rows: readonly (readonly [row: Row, version: bigint])[]): Promise<void> {
    return this.#insert({ ...UNITS, columns: UNITS.columns.filter(({ name }) => UNITS.key.includes(name)) }, rows, true)
  }

  quarantine(changes: LedgerChanges, at: bigint): Promise<void> {
    return this.#insert(
      QUARANTINE,
      changes.quarantine.map((row): [Row, bigint] => [row, at]),
      false,
    )
  }

  async #insert(table: Table, rows: readonly (readonly [row: Row, version: bigint])[], deleted: boolean): Promise<void> {
    if (rows.length === 0) return
    await this.#sql.insert(table, rows, deleted)
  }
}

/** First version of a generation: the opening itself. */
export const opening = (generation: bigint): bigint => version(generation, 0n)
