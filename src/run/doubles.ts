import {
  coercer,
  type Column,
  differences,
  KeyConflictError,
  only,
  type LedgerChange,
  type Output,
  type Row,
  rowName,
  type Table,
  type UnitWrite,
  type Value,
} from '../sdk/index.js'
import { type Compare, Runs } from './runs.js'

/** Numbers of rows by table. */
export type RowCounts = Readonly<Record<string, number>>

/** A write as it is committed, and what of it was left out. */
export interface WithoutDoubles {
  readonly write: UnitWrite
  /** Rows whose key came again later in the same commit. */
  readonly dropped: RowCounts
  /** Of these, those whose later row is another one. */
  readonly overwritten: RowCounts
  /** Why nothing of it may be written: one of its rows has the key of a different one that is no earlier reading of the same thing. */
  readonly refused?: KeyConflictError
}

/** A row by its place among those of a commit. */
interface Found {
  readonly number: number
  readonly row: Row
  readonly output: Output
  readonly write: UnitWrite
}

/** What a look at the keys of a commit found. */
interface Looked {
  /** By number, the rows whose key comes again. True: with a different row. */
  readonly earlier: ReadonlyMap<number, boolean>
  readonly refused: ReadonlyMap<UnitWrite, KeyConflictError>
}

const NOTHING: Looked = { earlier: new Map(), refused: new Map() }

/** Finds rows that have the same key, in the tables of one pipeline. */
export class Doubles {
  readonly #tables: ReadonlyMap<string, Table>
  readonly #keys = new Map<Output, (row: Row) => unknown>()
  readonly #orders = new Map<Output, KeyOrder>()

  constructor(tables: ReadonlyMap<string, Table>) {
    this.#tables = tables
  }

  /**
   * The writes of one commit with each key once: the later row is kept, on every warehouse. A write with a row that may not take
   * the place of an earlier one is refused, and counts as if it had not come.
   */
  resolve(writes: readonly UnitWrite[]): readonly WithoutDoubles[] {
    const { earlier, refused } = this.#distinct(writes) ? NOTHING : this.#look(writes)
    let number = 0
    return writes.map((write) => {
      const dropped: Record<string, number> = {}
      const overwritten: Record<string, number> = {}
      const rows = write.rows.map(({ output, rows: all }) => {
        if (earlier.size === 0) return { output, rows: all }
        const kept = Array.from(all).filter(() => {
          const again = earlier.get(number++)
          if (again === undefined) return true
          dropped[output.table] = (dropped[output.table] ?? 0) + 1
          if (again) overwritten[output.table] = (overwritten[output.table] ?? 0) + 1
          return false
        })
        return { output, rows: kept }
      })
      const unchanged = Object.keys(dropped).length === 0
      return { write: unchanged ? write : { ...write, rows }, dropped, overwritten, refused: refused.get(write) }
    })
  }

  /** Whether keys that come in order show at once that none comes twice. What they don't show is looked at row by row. */
  #distinct(writes: readonly UnitWrite[]): boolean {
    const tables = new Map<string, { readonly runs: Runs<Row>; readonly constants: string }>()
    for (const { rows: parts } of writes) {
      for (const { output, rows } of parts) {
        const { compare, constants, brought } = this.#orderOf(output)
        let seen = tables.get(output.table)
        if (!seen) tables.set(output.table, (seen = { runs: new Runs(compare), constants }))
        if (seen.constants !== constants) return false
        seen.runs.begin()
        for (const row of only(rows, brought)) if (!seen.runs.add(row)) return false
      }
    }
    return [...tables.values()].every(({ runs }) => runs.apart())
  }

  /** Looks at all rows. Once more without each write that is refused. */
  #look(writes: readonly UnitWrite[]): Looked {
    const refused = new Map<UnitWrite, KeyConflictError>()
    for (;;) {
      const last = new Map<string, Map<unknown, Found>>()
      const earlier = new Map<number, boolean>()
      let number = 0
      const before = refused.size
      for (const write of writes) {
        const error = this.#lookAt(write, number, { last, earlier, skip: refused.has(write) })
        if (error) refused.set(write, error)
        number += write.rows.reduce((sum, { rows }) => sum + rows.length, 0)
      }
      if (refused.size === before) return { earlier, refused }
    }
  }

  #lookAt(
    write: UnitWrite,
    from: number,
    {
      last,
      earlier,
      skip,
    }: { readonly last: Map<string, Map<unknown, Found>>; readonly earlier: Map<number, boolean>; readonly skip: boolean },
  ): KeyConflictError | undefined {
    if (skip) return undefined
    let number = from
    for (const { output, rows } of write.rows) {
      const keyOf = this.#keyOf(output)
      const table = this.#tables.get(output.table)
      let known = last.get(output.table)
      if (!known) last.set(output.table, (known = new Map()))
      for (const row of rows) {
        const key = keyOf(row)
        const before = key === undefined ? undefined : known.get(key)
        const found = { number, row, output, write }
        if (before !== undefined) {
          const problem = table && difference(table, before, found)
          const newer = write.rereads === true && before.write !== write && table !== undefined && !isOlder(table, found, before)
          if (problem !== undefined && !newer && table?.onConflict !== 'last')
            return new KeyConflictError(
              rowName(output.table, table?.key ?? [])(whole(row, output)),
              `${problem} (${origin(before, found)})`,
            )
          earlier.set(before.number, problem !== undefined)
        }
        if (key !== undefined) known.set(key, found)
        number++
      }
    }
    return undefined
  }

  #orderOf(output: Output): KeyOrder {
    let order = this.#orders.get(output)
    if (!order) this.#orders.set(output, (order = orderOf(output, this.#tables.get(output.table))))
    return order
  }

  #keyOf(output: Output): (row: Row) => unknown {
    let keyOf = this.#keys.get(output)
    if (!keyOf) this.#keys.set(output, (keyOf = createKeyOf(output, this.#tables.get(output.table))))
    return keyOf
  }
}

/** In what two rows of one key differ, or undefined when they are equal. What SQL computes is equal where the rest is. */
function difference(table: Table, one: Found, other: Found): string | undefined {
  const [a, b] = [one, other].map(({ row, output }) => {
    const all = whole(row, output)
    return Object.fromEntries(table.columns.map((column) => [column.name, exactly(column, all[column.name])]))
  })
  const problem = a && b ? differences(table, a, b) : ''
  if (problem !== '') return problem
  const [computes, too] = [one.output, other.output].map(({ compute }) => JSON.stringify(compute))
  return computes === too ? undefined : 'two outputs of the step compute it in different ways'
}

/** Whether a row has an older time than one that was read before it: what has changed since has a newer one, or the same. */
function isOlder(table: Table, found: Found, before: Found): boolean {
  const column = table.columns.find(({ name }) => name === (found.output.range ?? table.range))
  if (column?.type.kind !== 'timestamp' && column?.type.kind !== 'date') return false
  const [time, earlier] = [exactly(column, found.row[column.name]), exactly(column, before.row[column.name])]
  return time !== null && earlier !== null && time < earlier
}

/** A row with the constants of its output. */
const whole = (row: Row, { constants }: Output): Row => ({ ...row, ...constants })

/** A value as its column has it; one that does not fit as it is: the warehouse refuses it with the name of its row. */
function exactly(column: Column, value: unknown): Value {
  try {
    return coercer({ ...column, nullable: true })(value)
  } catch {
    return String(value)
  }
}

function origin(before: Found, found: Found): string {
  return before.write.unit === found.write.unit
    ? `both of unit ${found.write.unit}`
    : `of unit ${before.write.unit} and of unit ${found.write.unit}`
}

/** How rows of an output lie by their key, as far as rows of the same constants can be told apart by its integers. */
interface KeyOrder {
  readonly compare: Compare<Row>
  /** The columns of the key that rows bring. */
  readonly brought: readonly string[]
  /** What is the same in all of its keys. */
  readonly constants: string
}

/** Kinds of which two integers that differ are two values: as floats, large ones may be one. */
const INTEGERS = new Set(['int', 'bigint', 'uint256', 'int256', 'timestamp'])

function orderOf({ constants }: Output, table: Table | undefined): KeyOrder {
  const key = table?.key ?? []
  const brought = key.filter((name) => constants[name] === undefined)
  const ordered = new Set(table?.columns.flatMap(({ name, type }) => (INTEGERS.has(type.kind) ? [name] : [])))
  const compare: Compare<Row> = (a, b) => {
    let known = false
    for (const name of brought) {
      const [one, other] = [a[name], b[name]]
      if (ordered.has(name) && typeof one === 'bigint' && typeof other === 'bigint') {
        if (one !== other) return one > other ? 1 : -1
        known = true
        // A text may stand for the same as another one.
      } else if (one === undefined || one !== other) return undefined
    }
    return known ? 0 : undefined
  }
  return { compare, brought, constants: JSON.stringify(key.map((name) => constants[name] ?? null)) }
}

/** Gives a value that is equal for rows of equal key, or undefined when the key is computed by SQL. */
function createKeyOf(output: Output, table: Table | undefined): (row: Row) => unknown {
  const columns = (table?.key ?? []).map((name) => {
    const column = table?.columns.find((candidate) => candidate.name === name)
    const coerce = column ? coercer({ ...column, nullable: true }) : (value: unknown) => value as Value
    // The warehouse refuses a value that does not fit with the name of its row; here it makes the key one that no other row has.
    const exact = (value: unknown): Value | undefined => {
      try {
        return coerce(value)
      } catch {
        return undefined
      }
    }
    const constant = output.constants[name]
    if (constant !== undefined) return () => constant
    return (row: Row) => (row[name] === undefined ? undefined : exact(row[name]))
  })
  const [only] = columns
  if (columns.length === 1 && only) return only
  return (row) => {
    let text = ''
    for (const column of columns) {
      const value = column(row)
      if (value === undefined) return undefined
      text += `${String(value)}\u0000`
    }
    return text
  }
}

/** The write with less rows in what it tells the ledger: those that the commits of its unit left out. */
export function countedOnce(write: UnitWrite, left: RowCounts): UnitWrite {
  const less = <T extends LedgerChange>(change: T): T =>
    change.rows === undefined
      ? change
      : { ...change, rows: Object.fromEntries(Object.entries(change.rows).map(([table, n]) => [table, n - (left[table] ?? 0)])) }
  return { ...write, ledger: less(write.ledger), split: write.split?.map(less) }
}

export function sumOf(one: RowCounts, other: RowCounts): RowCounts {
  const sum: Record<string, number> = { ...one }
  for (const [table, n] of Object.entries(other)) sum[table] = (sum[table] ?? 0) + n
  return sum
}
