import {
  coercer,
  type Column,
  type Drift,
  type LedgerStep,
  type Output,
  type OwnRows,
  type ResultColumn,
  type Row,
  type Statement,
  type Stretch,
  type Table,
  type UnitWrite,
  type WriteOutcome,
} from '../../src/sdk/index.js'
import { ledgerRows, QUARANTINE, UNITS } from '../../src/warehouse/ledger.js'
import { type LedgerChanges, unitKey } from '../../src/warehouse/ledger-changes.js'
import { type Beside, LedgerWarehouse } from '../../src/warehouse/ledger-warehouse.js'
import { refuseOwned } from '../../src/warehouse/load.js'
import type { Meeting } from '../../src/warehouse/transaction.js'
import { changesOf, declared, deletions, fenced } from '../../src/warehouse/writes.js'

/**
 * A warehouse for long loops, ten times as quick as an engine: tables are maps, everything that the ledger says is the product's
 * own. It knows no SQL but the queries of `paginate-cursor`, keeps no counts and no migrations, and commits all or nothing.
 */
export class MemoryWarehouse extends LedgerWarehouse {
  readonly kind = 'duckdb'
  readonly transactional: boolean = true
  readonly #rows = new Map<string, Map<string, Row>>()
  #units = new Map<string, Row>()
  #quarantine = new Map<string, Row>()
  #epoch = 0n
  /** Takes back what the commit under way has done to tables: to copy them first would take longer with each row that is there. */
  readonly #undo: (() => void)[] = []

  constructor() {
    super('memory', 'write')
  }

  /** All rows of a table, as it holds them. */
  rows(table: string): Row[] {
    return [...(this.#rows.get(table)?.values() ?? [])]
  }

  async *query<R extends Row = Row>({ parts, params }: Statement): AsyncGenerator<readonly R[]> {
    const found = /^SELECT (?:count\(\*\) AS n, )?max\("(\w+)"\) AS newest FROM "(\w+)" WHERE "\w+" >= $/.exec(parts[0] ?? '')
    const [, time = '', table = ''] = found ?? []
    const [from, to] = params.map(({ value }) => value as bigint)
    if (!found || params.length !== 2 || from === undefined || to === undefined) throw new Error(`no such query: ${parts.join('?')}`)
    const times = this.rows(table).flatMap(({ [time]: at }) => (typeof at === 'bigint' && at >= from && at <= to ? [at] : []))
    const newest = times.reduce<bigint | null>((most, at) => (most === null || at > most ? at : most), null)
    yield await Promise.resolve([{ n: BigInt(times.length), newest } as unknown as R])
  }

  describe(): Promise<readonly ResultColumn[]> {
    return Promise.reject(new Error('nothing is described in memory'))
  }

  drift(): Promise<readonly Drift[]> {
    return Promise.resolve([])
  }

  missing(): Promise<readonly Table[]> {
    return Promise.resolve([])
  }

  assume(): Promise<void> {
    return Promise.resolve()
  }

  watch(): void {
    // Nobody reads what is written.
  }

  override counts(): Promise<ReadonlyMap<bigint, bigint>> {
    return Promise.resolve(new Map())
  }

  protected take(): Promise<undefined> {
    return Promise.resolve(undefined)
  }

  protected holders(): Promise<readonly Row[]> {
    return Promise.resolve([])
  }

  protected makeTables(tables: readonly Table[]): Promise<void> {
    for (const { name } of tables) if (!this.#rows.has(name)) this.#rows.set(name, new Map())
    return Promise.resolve()
  }

  protected async *ledger({ name }: Table, _: string, { params }: Statement): AsyncGenerator<readonly Row[]> {
    const [pipeline, step] = params.map(({ value }) => value)
    const rows = name === UNITS.name ? this.#units : name === QUARANTINE.name ? this.#quarantine : new Map<string, Row>()
    yield await Promise.resolve([...rows.values()].filter((row) => row.pipeline === pipeline && (step === undefined || row.step === step)))
  }

  protected openUnits(changes: LedgerChanges): Promise<readonly Row[]> {
    return Promise.resolve(this.#write(changes).put)
  }

  protected commitWrites(writes: readonly UnitWrite[]): Promise<readonly WriteOutcome[]> {
    const { kept, taken, changes } = fenced(writes, this.#units, changesOf(writes))
    this.#undo.length = 0
    try {
      for (const { own, table } of deletions(kept, this.tables)) this.#delete(own, table)
      const there = new Map(kept.map((write) => [write, this.#put(write)]))
      this.#write(changes)
      return Promise.resolve(
        writes.map((write): WriteOutcome =>
          taken.has(write) ? { written: false, reason: 'taken' } : { written: true, rows: countsOf(write), there: there.get(write) ?? {} },
        ),
      )
    } catch (error) {
      for (const undo of this.#undo.reverse()) undo()
      return Promise.reject(error as Error)
    }
  }

  protected amendUnits(_: string, changes: LedgerChanges, { release, deletes }: Beside): Promise<number> {
    for (const { step, keys } of release)
      for (const [key, row] of this.#quarantine)
        if (row.step === step && (keys?.includes(row.key as string) ?? true)) this.#quarantine.delete(key)
    for (const own of deletes) this.#delete(own, declared(own.table, this.tables))
    const { put, dropped } = this.#write(changes)
    return Promise.resolve(put.length + dropped)
  }

  protected migrate(): Promise<void> {
    return Promise.reject(new Error('no migrations in memory'))
  }

  protected putCounts(): Promise<unknown> {
    return Promise.resolve()
  }

  protected putGenesis(): Promise<unknown> {
    return Promise.resolve()
  }

  protected end(): Promise<void> {
    return Promise.resolve()
  }

  #write(changes: LedgerChanges): { readonly put: readonly Row[]; readonly dropped: number } {
    const { put, drop } = changes.resolve(this.#units, changes.raises ? ++this.#epoch : undefined)
    const keyOf = (row: Row) => unitKey(row.pipeline as string, row.step as string, row.unit as string)
    const dropped = drop.filter((row) => this.#units.delete(keyOf(row))).length
    for (const { is_new: _, ...row } of put) this.#units.set(keyOf(row), row)
    for (const row of changes.quarantine) this.#quarantine.set(unitKey(row.pipeline as string, row.step as string, row.key as string), row)
    return { put, dropped }
  }

  #delete(own: OwnRows | Stretch, table: Table): void {
    for (const [key, row] of this.#near(own, table)) {
      const at = 'column' in own ? (row[own.column] as bigint) : undefined
      const inside = at === undefined || ('column' in own && at >= own.from && at <= own.to)
      if (inside && Object.entries(own.constants).every(([column, value]) => row[column] === value))
        this.#change(table.name, key, undefined)
    }
  }

  /** Rows among which those to be deleted are: where a stretch is one of keys, the rows of these. */
  #near(own: OwnRows | Stretch, { name, key }: Table): readonly (readonly [string, Row])[] {
    const rows = this.#table(name)
    const keyed = 'column' in own && key.length === 1 && key[0] === own.column && own.to - own.from < BigInt(rows.size)
    if (!keyed) return [...rows]
    return Array.from({ length: Number(own.to - own.from) + 1 }, (_, i) => JSON.stringify([String(own.from + BigInt(i))])).flatMap(
      (each) => {
        const row = rows.get(each)
        return row ? [[each, row] as const] : []
      },
    )
  }

  /** Puts a row, or takes it away. */
  #change(table: string, key: string, row: Row | undefined): void {
    const rows = this.#table(table)
    const put = (value: Row | undefined) => void (value ? rows.set(key, value) : rows.delete(key))
    const old = rows.get(key)
    this.#undo.push(() => put(old))
    put(row)
  }

  /** Resolves to how many rows met another of their key, by table. */
  #put(write: UnitWrite): Record<string, number> {
    const there: Record<string, number> = {}
    for (const { output, rows } of write.rows) {
      const table = declared(output.table, this.tables)
      const make = maker(output, table)
      const known = this.#table(table.name)
      for (const given of rows) {
        const row = make(given)
        const key = JSON.stringify(table.key.map((name) => String(row[name])))
        const old = known.get(key)
        if (old) {
          there[table.name] = (there[table.name] ?? 0) + 1
          if (write.owner && table.columns.some(({ name }) => old[name] !== row[name]))
            this.#judge(write, { output, table, there: old, given: row })
        }
        this.#change(table.name, key, row)
      }
    }
    return there
  }

  #judge(write: UnitWrite, { output, table, there, given }: Omit<Meeting, 'places'>): void {
    const place = output.range ?? table.range
    const places = { there: place === undefined ? undefined : there[place], given: place === undefined ? undefined : given[place] }
    const ledger = this.#ledgerOf(write.step)
    refuseOwned([{ output, table, places, there, given }], (meeting) => write.owner?.(meeting.output, meeting.places, ledger), [write])
  }

  #ledgerOf({ pipeline, step, fingerprint }: LedgerStep) {
    return [...this.#units.values()]
      .filter((row) => row.pipeline === pipeline && row.step === step && row.fingerprint === fingerprint)
      .map(ledgerRows())
  }

  #table(name: string): Map<string, Row> {
    const rows = this.#rows.get(name)
    if (!rows) throw new Error(`no table ${name}`)
    return rows
  }
}

function maker({ constants }: Output, { columns }: Table): (row: Row) => Row {
  const makers = columns.map((column: Column) => [column.name, coercer(column)] as const)
  return (row) => Object.fromEntries(makers.map(([name, exact]) => [name, exact(constants[name] ?? row[name])]))
}

function countsOf(write: UnitWrite): Record<string, number> {
  const rows: Record<string, number> = {}
  for (const part of write.rows) rows[part.output.table] = (rows[part.output.table] ?? 0) + part.rows.length
  return rows
}
