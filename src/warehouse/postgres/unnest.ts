import { coercer, type Column, quoteIdentifier, type Row } from '../../sdk/index.js'
import { sqlType } from '../types.js'
import { writer } from './values.js'

/** Few rows as a table: SQL in brackets that reads them from as many arrays as there are columns, and the arrays. */
export interface Unnested {
  readonly rows: string
  readonly values: readonly (readonly (string | null)[])[]
}

/**
 * For rows of the ledger, which are few: faster than a staging table. `$1` and so on are taken. `types` are those that SQL
 * sees, where they differ from those that the values have here.
 */
export function unnested(columns: readonly Column[], rows: readonly Row[], types = columns): Unnested {
  const names = columns.map(({ name }) => quoteIdentifier(name))
  const arrays = columns.map((_, i) => `$${i + 1}::text[]`)
  const typed = types.map(({ type }, i) => `CAST(${names[i]} AS ${sqlType(type, 'postgres')}) AS ${names[i]}`)
  return {
    rows: `(SELECT ${typed.join(', ')} FROM unnest(${arrays.join(', ')}) AS a(${names.join(', ')}))`,
    values: columns.map((column) => {
      const coerce = coercer(column)
      const text = writer(column.type)
      return rows.map((row) => {
        const exact = coerce(row[column.name])
        return exact === null ? null : text(exact)
      })
    }),
  }
}
