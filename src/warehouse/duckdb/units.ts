import { type Row, sqlText } from '../../sdk/index.js'
import {
  dropUnits,
  insertUnits,
  QUARANTINE,
  RAISE_EPOCH,
  raisedEpoch,
  STAGED_KEYS,
  STAGED_UNITS,
  stagedUnits,
  updateUnits,
} from '../ledger.js'
import { type LedgerChanges, unitKey } from '../ledger-changes.js'
import { rowName } from '../row-name.js'
import type { Lane, Lanes } from './lanes.js'
import { readRows } from './reads.js'
import { Stage } from './stage.js'
import type { Transactions } from './transactions.js'

const name = rowName('_pipe_units', ['pipeline', 'step', 'unit'])
const quarantineOutput = {
  id: QUARANTINE.name,
  table: QUARANTINE.name,
  columns: QUARANTINE.columns.map((column) => column.name),
  compute: {},
  constants: {},
}

interface Stages {
  readonly keys: Stage
  readonly units: Stage
  readonly quarantine: Lane
}

/** Reads and writes the ledger inside a transaction, many units at once. */
export class Units {
  readonly #transactions: Transactions
  readonly #lanes: Lanes
  #stages: Stages | undefined

  constructor(transactions: Transactions, lanes: Lanes) {
    this.#transactions = transactions
    this.#lanes = lanes
  }

  /** Outside of a transaction, before the others. */
  async ready(): Promise<Stages> {
    const { connection } = this.#transactions
    this.#stages ??= {
      keys: await Stage.create(connection, '_pipe_stage_keys', STAGED_KEYS),
      units: await Stage.create(connection, '_pipe_stage_units', STAGED_UNITS),
      quarantine: await this.#lanes.of(quarantineOutput, QUARANTINE),
    }
    return this.#stages
  }

  /** The rows of units as they are, by `unitKey`. */
  async read(keys: readonly Row[]): Promise<ReadonlyMap<string, Row>> {
    const stage = (await this.ready()).keys
    await stage.append(keys, name)
    const found = await this.#transactions.connection.run(stagedUnits(stage.rows))
    const rows = new Map<string, Row>()
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
    if (drop.length > 0) {
      await keys.append(drop, name)
      await connection.run(dropUnits(keys.rows))
      await this.#transactions.clear(keys)
    }
    if (put.length > 0) {
      await units.append(put, name)
      if (put.some((row) => row.is_new === false)) await connection.run(updateUnits(units.rows))
      if (put.some((row) => row.is_new === true)) await connection.run(insertUnits(units.rows))
      await this.#transactions.clear(units)
    }
    if (changes.quarantine.length > 0) await this.#lanes.write(quarantine, changes.quarantine)
    return { put, dropped: drop.length }
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

  async #raise(): Promise<bigint> {
    return raisedEpoch(await this.#transactions.rows(sqlText(RAISE_EPOCH)))
  }
}
