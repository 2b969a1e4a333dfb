import {
  type LedgerChange,
  type Output,
  parseColumnType,
  type Row,
  type Statement,
  type Table,
  type UnitWrite,
  type Warehouse,
} from '../../src/sdk/index.js'

/** A declared table from type texts: `table('t', { k: 'bigint', note: 'text?' }, ['k'])`. */
export function table(name: string, columns: Readonly<Record<string, string>>, key: readonly string[], more: Partial<Table> = {}): Table {
  return {
    name,
    columns: Object.entries(columns).map(([column, text]) => {
      const parsed = parseColumnType(text)
      if (!parsed) throw new Error(`no column type: ${text}`)
      return { name: column, ...parsed }
    }),
    key,
    range: key[0],
    indexes: {},
    retention: undefined,
    ...more,
  }
}

/** All columns of a table that nothing else fills. */
export function output(of: Table, more: Partial<Output> = {}): Output {
  const filled = { ...more.compute, ...more.constants }
  return {
    id: of.name,
    table: of.name,
    columns: of.columns.map((column) => column.name).filter((name) => !(name in filled)),
    compute: {},
    constants: {},
    ...more,
  }
}

/** A write of the unit `u` in its first epoch. */
export function write(
  rows: UnitWrite['rows'],
  more: Omit<Partial<UnitWrite>, 'ledger'> & { readonly ledger?: Partial<LedgerChange> } = {},
): UnitWrite {
  return { step, unit: 'u', epoch: 1n, deletes: [], rows, sql: [], at: 1_000n, ...more, ledger: { state: 'running', ...more.ledger } }
}

export const step = { pipeline: 'p', step: 's', fingerprint: 'f' }

export async function all(warehouse: Warehouse, query: string | Statement): Promise<Row[]> {
  const rows: Row[] = []
  for await (const page of warehouse.query(typeof query === 'string' ? { parts: [query], params: [] } : query)) rows.push(...page)
  return rows
}
