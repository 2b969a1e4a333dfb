import { type Output, type Row, sqlText, type Table } from '../../sdk/index.js'
import {
  dropUnits,
  insertUnits,
  QUARANTINE,
  RAISE_EPOCH,
  raisedEpoch,
  STAGED_KEYS,
  STAGED_UNITS,
  stagedUnits,
  TOUCHED,
  updateUnits,
} from '../ledger.js'
import { type LedgerChanges, unitKey } from '../ledger-changes.js'
import { rowName } from '../row-name.js'
import type { TableLoader, TableLoaders } from './loader.js'
import { readRows } from './reads.js'
import { Stage } from './stage.js'
import type { Transactions } from './transactions.js'

const name = rowName('_pipe_units', ['pipeline', 'step', 'unit'])
/** All columns of a table of the ledger. */
const outputOf = ({ name: table, columns }: Table): Output => ({
  id: table,
  table,
  columns: columns.map((column) => column.name),
  compute: {},
  constants: {},
})

interface Stages {
  readonly keys: Stage
  readonly units: Stage
  readonly quarantine: TableLoader
  readonly touched: TableLoader
}

/** Reads and writes the ledger inside a transaction, many units at once. */
export class Units {
  readonly #transactions: Transactions
  readonly #loaders: TableLoaders
  #stages: Stages | undefined

  constructor(transactions: Transactions, loaders: TableLoaders) {
    this.#transactions = transactions
    this.#loaders = loaders
  }

  /** Outside of a transaction, before the others. */
  async ready(): Promise<Stages> {
    const { connection } = this.#transactions
    this.#stages ??= {
      keys: await Stage.create(connection, '_pipe_stage_keys', STAGED_KEYS),
      units: await Stage.create(connection, '_pipe_stage_units', STAGED_UNITS),
      quarantine: await this.#loaders.of(outputOf(QUARANTINE), QUARANTINE),
      touched: await this.#loaders.of(outputOf(TOUCHED), TOUCHED),
    }
    return this.#stages
  }

  /** The rows of units as they are, by `unitKey`. */
  async read(keys: readonly Row[]): Promise<ReadonlyMap<string, Row>> {
    const rows = new Map<string, Row>()
    if (keys.length === 0) return rows
    const stage = (await this.ready()).keys
    await stage.append(keys, name)
    const found = await this.#transactions.connection.run(stagedUnits(stage.rows))
    for await (const page of readRows(found))
      for (const row of page) rows.set(unitKey(String(row.pipeline), String(row.step), String(row.unit)), row)
    await this.#transactions.clear(stage)
    return rows
  }

  /** Writes changes, given the rows as they are. Resolves to the rows as they will be, and how many were dropped. */
  async write(
    changes: LedgerChanges,
    there: ReadonlyMap<string, Row>,
  ): Promise<{ readonly put: readonly Row[]; readonly dropped: number }> {
    const { keys, units, quarantine } = await this.ready()
    const { connection } = this.#transactions
    const { put, drop } = changes.resolve(there, changes.raises ? await this.#raise() : undefined)
    let dropped = 0
    if (drop.length > 0) {
      await keys.append(drop, name)
      dropped = (await connection.run(dropUnits(keys.rows))).rowsChanged
      await this.#transactions.clear(keys)
    }
    if (put.length > 0) {
      await units.append(put, name)
      if (put.some((row) => row.is_new === false)) await connection.run(updateUnits(units.rows))
      if (put.some((row) => row.is_new === true)) await connection.run(insertUnits(units.rows))
      await this.#transactions.clear(units)
    }
    if (changes.quarantine.length > 0) await this.#loaders.write(quarantine, changes.quarantine)
    return { put, dropped }
  }

  /** Writes whole rows over those that are there. */
  async update(rows: readonly Row[]): Promise<void> {
    const { units } = await this.ready()
    await units.append(
      rows.map((row) => ({ ...row, is_new: false })),
      name,
    )
    await this.#transactions.connection.run(updateUnits(units.rows))
    await this.#transactions.clear(units)
  }

  /** Adds rows to `_pipe_touched`: those that are there stay. */
  async touch(rows: readonly Row[]): Promise<void> {
    await this.#loaders.insert((await this.ready()).touched, rows)
  }

  async #raise(): Promise<bigint> {
    return raisedEpoch(await this.#transactions.rows(sqlText(RAISE_EPOCH)))
  }
}
