import { type ColumnType, type Drift, isExactNumber, quoteIdentifier, type Table } from '../sdk/index.js'
import { identifiers } from './ddl.js'
import { sqlType, type WarehouseKind } from './types.js'

/** A table or view as the catalog describes it. Names are as `Catalog.name` makes them. */
export interface Existing {
  /** What it is when it is no table: `a view`. */
  readonly other: string | undefined
  readonly columns: ReadonlyMap<string, { readonly name: string; readonly type: string; readonly required: boolean }>
  /** Column sets that are unique: the primary key first. */
  readonly unique: readonly (readonly string[])[]
  readonly traps: readonly Trap[]
}

/** `Existing` while it is read. */
export interface Found {
  readonly other: string | undefined
  readonly columns: Map<string, { readonly name: string; readonly type: string; readonly required: boolean }>
  readonly unique: string[][]
  readonly traps: Trap[]
}

/** What refuses every row, or changes, hides or swallows some without a word. */
export interface Trap {
  /** It refuses single rows by an error, or is looked after when rows were written: it is said, and keeps no run from beginning. */
  readonly minor?: boolean
  /** It matters only where this column is declared. */
  readonly column?: string | undefined
  /** It matters only where this table is declared, too. */
  readonly besides?: string | undefined
  readonly problem: string
  readonly fix?: string | undefined
}

/** How the catalog of a warehouse speaks of types and names. */
export interface Catalog {
  readonly kind: WarehouseKind
  /** What two names have in common that the warehouse takes for one. */
  name(name: string): string
  /** Whether a column of that SQL type keeps every value of the portable type. */
  holds(sql: string, type: ColumnType): boolean
}

/**
 * How the table that is there differs from the declared one, with what would mend it.
 *
 * @param others The names of all declared tables.
 */
export function tableDrift(table: Table, existing: Existing, catalog: Catalog, others: ReadonlySet<string>): Drift[] {
  const drift = (problem: string, fix?: string): Drift => ({ table: table.name, problem, fix })
  const alter = `ALTER TABLE ${quoteIdentifier(table.name)}`
  if (existing.other !== undefined) return [drift(`is ${existing.other}, not a table`)]
  const drifts = table.columns.flatMap((column) => {
    const name = quoteIdentifier(column.name)
    const type = sqlType(column.type, catalog.kind)
    const there = existing.columns.get(catalog.name(column.name))
    const isKey = table.key.includes(column.name)
    if (!there) {
      const add = `${alter} ADD COLUMN ${name} ${type}`
      return [
        drift(
          `has no column ${column.name} (${type})`,
          isKey ? undefined : column.nullable ? add : `${add}; -- fill it, then:\n${alter} ALTER COLUMN ${name} SET NOT NULL`,
        ),
      ]
    }
    const found: Drift[] = []
    if (!catalog.holds(there.type, column.type)) {
      found.push(
        drift(
          `column ${column.name} is ${there.type}, not ${type}`,
          isKey ? undefined : `${alter} ALTER COLUMN ${name} SET DATA TYPE ${type}${using(name, type, catalog.kind)}`,
        ),
      )
    } else if (isWider(there.type, type, column.type)) {
      found.push(drift(`column ${column.name} is ${there.type}, ${wider(type)}`))
    }
    if (there.required && column.nullable) {
      found.push(drift(`column ${column.name} is NOT NULL and may be null in the pipeline`, `${alter} ALTER COLUMN ${name} DROP NOT NULL`))
    }
    return found
  })
  const declared = new Set(table.columns.map(({ name }) => catalog.name(name)))
  const extra = [...existing.columns].filter(([name, column]) => column.required && !declared.has(name))
  const key = table.key.map((name) => catalog.name(name))
  const keyed = existing.unique.some((columns) => columns.length === key.length && columns.every((name) => key.includes(name)))
  const [primary] = existing.unique
  return [
    ...drifts,
    ...existing.traps
      .filter(
        ({ minor, column, besides }) =>
          minor !== true && (column === undefined || declared.has(column)) && (besides === undefined || others.has(besides)),
      )
      .map(({ problem, fix }) => drift(problem, fix)),
    ...extra.map(([, { name }]) =>
      drift(`column ${name} is NOT NULL and nothing fills it`, `${alter} ALTER COLUMN ${quoteIdentifier(name)} DROP NOT NULL`),
    ),
    ...(keyed
      ? []
      : [
          drift(
            primary ? `its key is (${primary.join(', ')}), not (${table.key.join(', ')})` : `has no key (${table.key.join(', ')})`,
            primary ? undefined : `${alter} ADD PRIMARY KEY (${identifiers(table.key)})`,
          ),
        ]),
  ]
}

/** What a table has that may refuse single rows, as a sentence; undefined when it has nothing of that kind. */
export function mayRefuse(table: Table, traps: readonly Trap[]): string | undefined {
  const found = [...new Set(traps.filter(({ minor }) => minor === true).map(({ problem }) => problem))]
  if (found.length === 0) return undefined
  const more = found.length > 5 ? `, and ${found.length - 5} more` : ''
  return `${table.name} has rules of its own: ${found.slice(0, 5).join(', ')}${more}. A row that they refuse is an error that names it, and so are rows that they take away or change`
}

/**
 * Whether a column that keeps every value of a number keeps others, too: the source's would be refused one by one, long after the
 * run began, though the table has room for them. `numeric` of Postgres has no width that could differ.
 */
export function isWider(there: string, declared: string, type: ColumnType): boolean {
  const bare = (sql: string) => sql.replace(/\s/g, '').toLowerCase()
  if (!isExactNumber(type) || bare(there) === bare(declared)) return false
  return !(there === 'numeric' && type.kind !== 'int' && type.kind !== 'bigint')
}

export const wider = (declared: string): string => `wider than ${declared}: declare the type that it has`

/** Postgres turns text into numbers only when told to. */
function using(name: string, type: string, kind: WarehouseKind): string {
  return kind === 'postgres' ? ` USING ${name}::${type}` : ''
}
