import { type Making, type Move, quoteIdentifier, type Row, type Shadow, sql, sqlText, type Swap, type Table } from '../../sdk/index.js'
import { identifiers } from '../ddl.js'
import { NotSwappableError, ShadowTakenError, SqlError } from '../errors.js'
import { VERSIONS, versionValues } from '../ledger.js'
import { text } from '../ledger-where.js'
import { changesOf } from './changes.js'
import { DELETED, onCluster, type Place, VERSION } from './ddl.js'
import { SwapBrokenError } from './errors.js'
import { literal } from '../fill.js'
import { ledgerInsert } from './ledger-rows.js'
import type { Sql } from './sql.js'
import type { Touches } from './touches.js'

/** The journal: a row for each swap that was begun and has not ended. Only ClickHouse has it, since it exchanges one pair at a time. */
export const SWAPS: Table = {
  name: '_pipe_swaps',
  columns: ['pipeline', 'step', 'id', 'intent'].map((name) => ({ name, type: { kind: 'text' }, nullable: false })),
  key: ['pipeline', 'step', 'id'],
  range: undefined,
  indexes: {},
  retention: undefined,
}

/** What no rename changes of a table. The embedded ClickHouse shows it in the paths of its files only. */
const IDENTITY = "if(toUInt128(uuid) = 0, arrayStringConcat(data_paths, ' '), toString(uuid))"

/** A swap as the journal has it. Tables are told apart by what no rename changes. */
interface Intent {
  readonly moves: readonly {
    readonly table: string
    readonly comes: string
    readonly goes: string
    readonly old: string
    readonly new: string
  }[]
  readonly drops: readonly string[]
  /** Statements that write what the ledger says of the swap. Running them twice is as running them once. */
  readonly ledger: readonly string[]
}

/**
 * Exchanges tables. ClickHouse has no transaction for that, so the intent is written down first: from then on the swap is done,
 * and whoever starts next ends it. All pairs are exchanged by one statement, which takes about a millisecond a pair; a query
 * that begins in between may read a new table beside an old one.
 */
export class Swaps {
  readonly #sql: Sql
  readonly #place: Place
  readonly #tell: (message: string) => void

  /** @param tell Hears what people should know that keeps nothing from going on. */
  constructor(sqls: Sql, place: Place, tell: (message: string) => void) {
    this.#sql = sqls
    this.#place = place
    this.#tell = tell
  }

  /** Makes tables anew. @throws {ShadowTakenError} @throws {NotSwappableError} */
  async make(making: Making, version: bigint): Promise<void> {
    await this.#drop(making.drops)
    const there = await this.#there(making.tables.map(({ name }) => name))
    for (const { name } of making.tables) if (there.has(name)) throw new ShadowTakenError(name, undefined)
    // Known before they are there: a kill in between leaves no table that nobody may drop.
    for (const statement of versionStatements(making, version)) await this.#sql.write(statement)
    for (const shadow of making.tables) await this.#makeLike(shadow)
  }

  /** What a swap touches: rows that only one of the two tables has. */
  async see({ moves }: Swap, touches: Touches): Promise<void> {
    for (const { table, comes } of moves) {
      if (!touches.watched(table)) continue
      const names = identifiers(table.columns.map(({ name }) => name))
      await touches.seeChanges(changesOf(table, `SELECT ${names} FROM ${quoteIdentifier(comes)}`))
      const key = identifiers(table.key)
      const from = sqlText(`FROM ${quoteIdentifier(table.name)} WHERE (${key}) NOT IN (SELECT ${key} FROM ${quoteIdentifier(comes)})`)
      await touches.see(
        { table, constants: {} },
        sql`SELECT 1 AS one ${from} LIMIT 1`,
        (column) => sql`SELECT ${sqlText(quoteIdentifier(column))} AS pipe_time ${from}`,
      )
    }
  }

  /**
   * Does a swap. What fails before the intent is written changes nothing; what the server refuses of it later is taken back.
   *
   * @param version Of the rows that the ledger gets, and the name of the intent.
   * @param ledger Statements that are a part of the swap.
   * @param mine Throws when the pipeline was taken over.
   */
  async run(
    swap: Swap,
    { version, ledger, mine }: { readonly version: bigint; readonly ledger: readonly string[]; readonly mine: () => Promise<void> },
  ) {
    for (const { table } of swap.moves) await this.#refuseViews(table.name)
    const intent: Intent = {
      moves: await this.#moves(swap.moves),
      drops: swap.drops,
      ledger: [...ledger, ...versionStatements(swap, version)],
    }
    const row = { pipeline: swap.pipeline, step: swap.step, id: String(version), intent: JSON.stringify(intent) }
    await this.#sql.insert(SWAPS, [[row, 1n]])
    try {
      await mine()
      await this.#exchange(intent, 'new')
      await this.#rename(intent)
    } catch (error) {
      await this.#takeBack(row, intent).catch(() => undefined)
      throw error
    }
    await this.#settle(row, intent)
  }

  /** Ends the swaps of a pipeline that were cut off. Resolves to what was done, in sentences. */
  async finish(pipeline: string): Promise<readonly string[]> {
    const told: string[] = []
    for (const row of await this.begun(pipeline)) {
      const step = String(row.step)
      const intent = JSON.parse(String(row.intent)) as Intent
      try {
        await this.#exchange(intent, 'new')
        await this.#rename(intent)
        await this.#settle(row, intent)
        told.push(`a swap of step ${step} that was cut off was ended: its tables are the new ones`)
      } catch (error) {
        if (!(error instanceof SwapBrokenError)) throw error
        told.push(
          `a swap of step ${step} that was cut off can't be ended (${error.message}): its tables are the old ones where they are there`,
        )
        await this.#takeBack(row, intent).catch((again: unknown) => {
          if (!(again instanceof SwapBrokenError)) throw again
          return this.#forget(row)
        })
      }
    }
    return told
  }

  /** Swaps that were begun and have not ended. */
  async begun(pipeline: string): Promise<readonly Row[]> {
    const [there] = await this.#sql.select(
      sql`SELECT count(*) AS n FROM system.tables WHERE database = currentDatabase() AND name = ${text(SWAPS.name)}`,
    )
    if (there?.n === 0n) return []
    return this.#sql.select(sql`SELECT pipeline, step, id, intent FROM _pipe_swaps WHERE pipeline = ${text(pipeline)} ORDER BY id`)
  }

  /** Gives the old tables the names under which they are kept. */
  async #rename({ moves }: Intent): Promise<void> {
    const there = await this.#there(moves.map(({ comes }) => comes))
    const open = moves.filter(({ comes, old }) => there.get(comes) === old)
    if (open.length === 0) return
    const pairs = open.map(({ comes, goes }) => `${quoteIdentifier(comes)} TO ${quoteIdentifier(goes)}`)
    await this.#once(`RENAME TABLE ${pairs.join(', ')}`, async () => {
      const after = await this.#there(open.map(({ goes }) => goes))
      return open.every(({ goes, old }) => after.get(goes) === old)
    })
  }

  /** Tells the ledger, and clears up. From here on the swap is not taken back: where this fails, the next start goes on with it. */
  async #settle(row: Row, intent: Intent): Promise<void> {
    for (const statement of intent.ledger) await this.#sql.write(statement)
    await this.#drop(intent.drops).catch((error: unknown) => {
      // The server refuses it, and would again: the new tables are in place all the same.
      if (!(error instanceof SqlError)) throw error
      this.#tell(`${intent.drops.join(', ')}: not dropped, so drop them by hand: ${error.message}`)
    })
    await this.#forget(row)
  }

  /** Brings the tables of before back under their names, and forgets the intent. The ledger was not told of it. */
  async #takeBack(row: Row, intent: Intent): Promise<void> {
    await this.#exchange(intent, 'old')
    await this.#forget(row)
  }

  #forget({ pipeline, step, id }: Row): Promise<void> {
    return this.#sql.insert(SWAPS, [[{ pipeline: pipeline ?? '', step: step ?? '', id: id ?? '', intent: '' }, 2n]], true)
  }

  /** Exchanges what is not yet as it is to be. @throws {SwapBrokenError} when a table is gone. */
  async #exchange({ moves }: Intent, wanted: 'new' | 'old'): Promise<void> {
    const pairs = async (): Promise<(readonly [string, string])[]> => {
      const there = await this.#there(moves.flatMap(({ table, comes, goes }) => [table, comes, goes]))
      return moves.flatMap((move): (readonly [string, string])[] => {
        if (there.get(move.table) === move[wanted]) return []
        const at = [move.comes, move.goes].find((name) => there.get(name) === move[wanted])
        if (at === undefined) throw new SwapBrokenError(this.#sql.display, move.table)
        return [[move.table, at]]
      })
    }
    const open = await pairs()
    if (open.length === 0) return
    const exchange = (some: readonly (readonly [string, string])[]) =>
      this.#once(`EXCHANGE TABLES ${some.map(([a, b]) => `${quoteIdentifier(a)} AND ${quoteIdentifier(b)}`).join(', ')}`, async () => {
        const left = await pairs()
        return !left.some(([table]) => some.some(([a]) => a === table))
      })
    await exchange(open).catch(async (error: unknown) => {
      // A database that is replicated itself takes one pair a statement.
      if (open.length === 1 || !/multiple|not (?:supported|implemented)/i.test(String(error))) throw error
      for (const pair of open) await exchange([pair])
    })
  }

  /** Runs a statement that must not run twice. When it fails, `done` tells whether it ran all the same. */
  async #once(statement: string, done: () => Promise<boolean>): Promise<void> {
    try {
      await this.#sql.write(`${statement}${onCluster(this.#place)}`, { once: true })
    } catch (error) {
      if (!(await done())) throw error
    }
  }

  async #moves(moves: readonly Move[]): Promise<Intent['moves']> {
    const there = await this.#there(moves.flatMap(({ table, comes }) => [table.name, comes]))
    return moves.map(({ table, comes, goes }) => {
      const [old, next] = [there.get(table.name), there.get(comes)]
      if (old === undefined || next === undefined) throw new SwapBrokenError(this.#sql.display, old === undefined ? table.name : comes)
      return { table: table.name, comes, goes, old, new: next }
    })
  }

  async #makeLike({ table, name }: Shadow): Promise<void> {
    await this.#refuseViews(table.name)
    await this.#sql.write(`CREATE TABLE IF NOT EXISTS ${quoteIdentifier(name)}${onCluster(this.#place)} AS ${quoteIdentifier(table.name)}`)
  }

  /** A materialized view sees what is inserted, and an exchange inserts nothing. */
  async #refuseViews(name: string): Promise<void> {
    const [row] = await this.#sql.select(
      sql`SELECT arrayStringConcat(dependencies_table, ', ') AS views, ${sqlText(IDENTITY)} AS id FROM system.tables WHERE database = currentDatabase() AND name = ${text(name)}`,
    )
    if (row && String(row.views) !== '')
      throw new NotSwappableError(
        name,
        `materialized view ${String(row.views)} is filled by what is inserted, and would go on with the old rows`,
        'make it a view, or fill a table by a sql-upsert',
      )
    if (row && !/^[0-9a-f-]{36}$|\/store\//.test(String(row.id)))
      throw new NotSwappableError(name, 'its database has not the engine Atomic', 'CREATE DATABASE without ENGINE makes one that has')
  }

  /** The tables that are there, with what ClickHouse calls each inside. */
  async #there(names: readonly string[]): Promise<ReadonlyMap<string, string>> {
    const list = names.map((name) => literal(name, 'clickhouse')).join(', ')
    const rows = await this.#sql.all(
      `SELECT name, ${IDENTITY} AS id FROM system.tables WHERE database = currentDatabase() AND name IN (${list})`,
    )
    return new Map(rows.map(({ name, id }) => [String(name), String(id)]))
  }

  async #drop(names: readonly string[]): Promise<void> {
    for (const name of names)
      await this.#sql.write(
        `DROP TABLE IF EXISTS ${quoteIdentifier(name)}${onCluster(this.#place)} SYNC SETTINGS max_table_size_to_drop = 0`,
      )
  }
}

/** Statements that put rows of `_pipe_versions` in place of all that a step has there. Its earlier ones have lower versions. */
function versionStatements({ pipeline, step, versions }: Pick<Swap, 'pipeline' | 'step' | 'versions'>, version: bigint): string[] {
  const key = identifiers(VERSIONS.key)
  const own = `pipeline = ${literal(pipeline, 'clickhouse')} AND step = ${literal(step, 'clickhouse')}`
  const gone = `INSERT INTO _pipe_versions (${key}, ${VERSION}, ${DELETED}) SELECT ${key}, ${version - 1n}, 1 FROM _pipe_versions WHERE ${own}`
  const rows = versions.map((row): [Row, bigint] => [versionValues(pipeline, row), version])
  return rows.length === 0 ? [gone] : [gone, ledgerInsert(VERSIONS, rows, false)]
}
