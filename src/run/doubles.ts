import { coercer, type LedgerChange, type Output, type Row, type Table, type UnitWrite, type Value } from '../sdk/index.js'

/** Numbers of rows by table. */
export type RowCounts = Readonly<Record<string, number>>

/** A write as it is committed, and what of it was left out. */
export interface WithoutDoubles {
  readonly write: UnitWrite
  /** Rows whose key came again later in the same commit. */
  readonly dropped: RowCounts
}

/** Finds rows that have the same key, in the tables of one pipeline. */
export class Doubles {
  readonly #tables: ReadonlyMap<string, Table>
  readonly #keys = new Map<Output, (row: Row) => unknown>()

  constructor(tables: ReadonlyMap<string, Table>) {
    this.#tables = tables
  }

  /** The writes of one commit with each key once: the later row is kept, on every warehouse. */
  resolve(writes: readonly UnitWrite[]): readonly WithoutDoubles[] {
    const earlier = this.#earlier(writes)
    if (earlier.size === 0) return writes.map((write) => ({ write, dropped: {} }))
    let number = 0
    return writes.map((write) => {
      const dropped: Record<string, number> = {}
      const rows = write.rows.map(({ output, rows: all }) => {
        const kept = all.filter(() => !earlier.has(number++))
        if (kept.length < all.length) dropped[output.table] = (dropped[output.table] ?? 0) + all.length - kept.length
        return { output, rows: kept }
      })
      return { write: { ...write, rows }, dropped }
    })
  }

  /** The rows, counted through all writes, whose key comes again. */
  #earlier(writes: readonly UnitWrite[]): ReadonlySet<number> {
    const last = new Map<string, Map<unknown, number>>()
    const earlier = new Set<number>()
    let number = 0
    for (const { rows: parts } of writes) {
      for (const { output, rows } of parts) {
        const keyOf = this.#keyOf(output)
        let known = last.get(output.table)
        if (!known) last.set(output.table, (known = new Map()))
        for (const row of rows) {
          const key = keyOf(row)
          const before = key === undefined ? undefined : known.get(key)
          if (before !== undefined) earlier.add(before)
          if (key !== undefined) known.set(key, number)
          number++
        }
      }
    }
    return earlier
  }

  #keyOf(output: Output): (row: Row) => unknown {
    let keyOf = this.#keys.get(output)
    if (!keyOf) this.#keys.set(output, (keyOf = createKeyOf(output, this.#tables.get(output.table))))
    return keyOf
  }
}

/** Gives a value that is equal for rows of equal key, or undefined when the key is computed by SQL. */
function createKeyOf(output: Output, table: Table | undefined): (row: Row) => unknown {
  const columns = (table?.key ?? []).map((name) => {
    const column = table?.columns.find((candidate) => candidate.name === name)
    const exact = column ? coercer({ ...column, nullable: true }) : (value: unknown) => value as Value
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
