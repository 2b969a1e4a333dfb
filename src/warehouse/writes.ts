import type { List, Output, OwnRows, Row, Stretch, Table, UnitWrite } from '../sdk/index.js'
import { epochOf, LedgerChanges, unitKey } from './ledger-changes.js'

/** The writes of a commit, told apart by whether their unit is still their own. */
export interface Fenced {
  readonly kept: readonly UnitWrite[]
  readonly taken: ReadonlySet<UnitWrite>
  /** Ledger rows as they are. */
  readonly there: ReadonlyMap<string, Row>
  readonly changes: LedgerChanges
}

/**
 * Keeps the writes whose unit still has the epoch that it was opened with. The others were taken over since, and nothing of them is
 * written. `there`: the ledger rows as they are.
 */
export function fenced(writes: readonly UnitWrite[], there: ReadonlyMap<string, Row>, changes: LedgerChanges): Fenced {
  const kept = writes.filter(({ step, unit, epoch }) => epochOf(there.get(unitKey(step.pipeline, step.step, unit))) === epoch)
  if (kept.length === writes.length) return { kept, taken: new Set(), there, changes }
  const taken = new Set(writes)
  for (const write of kept) taken.delete(write)
  return { kept, taken, there, changes: changesOf(kept) }
}

/** What the writes say about their units. */
export function changesOf(writes: readonly UnitWrite[]): LedgerChanges {
  const changes = new LedgerChanges()
  for (const write of writes) changes.write(write)
  return changes
}

/** A table of which the warehouse was told. */
export function declared(name: string, tables: ReadonlyMap<string, Table>): Table {
  const table = tables.get(name)
  if (!table) throw new Error(`table ${name} was not declared to the warehouse`)
  return table
}

/** Rows that are deleted, and a write that says so. */
export interface Deleted {
  readonly own: OwnRows | Stretch
  readonly table: Table
  readonly write: UnitWrite
}

/** What is deleted first, each once. */
export function deletions(writes: readonly UnitWrite[], tables: ReadonlyMap<string, Table>): Deleted[] {
  const found = new Map<string, Deleted>()
  for (const write of writes) {
    for (const own of write.deletes) {
      const at = 'column' in own ? [own.column, String(own.from), String(own.to)] : []
      found.set(JSON.stringify([own.table, own.constants, at]), { own, table: declared(own.table, tables), write })
    }
  }
  return [...found.values()]
}

/** Rows that go through one loader together, and in their order the writes that bring them, with how many each. */
export interface LoaderRows {
  readonly output: Output
  readonly rows: List<Row>
  readonly from: readonly Brought[]
}

/** A write that brings so many rows. */
export interface Brought {
  readonly write: UnitWrite
  readonly rows: number
}

/** The rows of all writes by the loader that they go through. */
export function byLoader<L>(writes: readonly UnitWrite[], loaders: ReadonlyMap<Output, L>): Map<L, LoaderRows> {
  const grouped = new Map<L, { readonly output: Output; readonly lists: List<Row>[]; readonly from: Brought[] }>()
  for (const write of writes) {
    for (const { output, rows } of write.rows) {
      const loader = loaders.get(output)
      if (!loader || rows.length === 0) continue
      let all = grouped.get(loader)
      if (!all) grouped.set(loader, (all = { output, lists: [], from: [] }))
      all.lists.push(rows)
      all.from.push({ write, rows: rows.length })
    }
  }
  return new Map([...grouped].map(([loader, { output, lists, from }]) => [loader, { output, rows: joined(lists), from }]))
}

function joined(lists: readonly List<Row>[]): List<Row> {
  const [only] = lists
  if (only && lists.length === 1) return only
  const rows: Row[] = []
  for (const list of lists) for (const row of list) rows.push(row)
  return rows
}

/** The latest time of the writes. */
export const latest = (writes: readonly UnitWrite[]): bigint => writes.reduce((last, { at }) => (at > last ? at : last), 0n)

/** Rows of a write by table. */
export function counts(write: UnitWrite): Record<string, number> {
  const rows: Record<string, number> = {}
  for (const part of write.rows) rows[part.output.table] = (rows[part.output.table] ?? 0) + part.rows.length
  return rows
}
