import { type Column, COLUMN_TYPES, parseColumnType, parseDuration, type Table } from '../sdk/index.js'
import { type Declared } from './yaml/declared.js'
import { entriesOf, type Field, fieldOf, itemsOf, textOf, type Where } from './yaml/node.js'
import { nameChecker } from './names.js'
import type { Problems } from './yaml/problems.js'
import { listing, suggestion } from './schema/schema-problems.js'

/**
 * Declared tables. Where a part is wrong it is reported and the rest is kept, so that what refers to a table is not reported
 * for it again.
 */
export function readTables(declared: ReadonlyMap<string, Declared>, problems: Problems): ReadonlyMap<string, Table> {
  const tables = new Map<string, Table>()
  const tableName = nameChecker('table', problems)
  const indexName = nameChecker('index', problems)
  for (const [name, { field, key }] of declared) {
    if (tableName(name, key) && /^_pipe_/i.test(name))
      problems.error(key, `table names that begin with \`_pipe_\` belong to the ledger`, 'choose another name')
    else if (/__next$/i.test(name)) problems.error(key, 'table names that end in `__next` belong to rebuilds', 'choose another name')
    tables.set(name, readTable(name, field, problems, indexName))
  }
  for (const [name, { field }] of declared) {
    for (const index of entriesOf(fieldOf(field, 'indexes'))) {
      if (tables.has(index.key)) problems.error(index, `index \`${index.key}\` has the name of a table`, `such as ${name}_${index.key}`)
    }
  }
  return tables
}

function readTable(name: string, field: Field, problems: Problems, indexName: ReturnType<typeof nameChecker>): Table {
  const columns = readColumns(fieldOf(field, 'columns'), problems)
  const byName = new Map(columns.map((column) => [column.name, column]))
  const unknown = (at: Where, column: string): void =>
    problems.error(
      at,
      `table \`${name}\` has no column \`${column}\``,
      suggestion(column, byName.keys()) ?? listing('it has', [...byName.keys()]),
    )
  /** The columns of a list; unknown ones and doubles are reported. */
  const columnsOf = (list: Field, what: string): readonly string[] => {
    const found: string[] = []
    for (const item of itemsOf(list)) {
      const column = textOf(item)
      if (column === undefined) continue
      if (!byName.has(column)) unknown(item, column)
      else if (found.includes(column)) problems.error(item, `column \`${column}\` is twice in ${what}`)
      else found.push(column)
    }
    return found
  }
  const key = readKey(fieldOf(field, 'key'), columnsOf, byName, problems)
  const indexes: Record<string, readonly string[]> = {}
  for (const index of entriesOf(fieldOf(field, 'indexes'))) {
    if (indexName(index.key, index)) indexes[index.key] = columnsOf(index.field, 'the index')
  }
  return {
    name,
    columns,
    key,
    range: readRange(fieldOf(field, 'range'), key, byName, problems, unknown),
    rangeNamed: textOf(fieldOf(field, 'range')) === undefined ? undefined : true,
    indexes,
    retention: readRetention(fieldOf(field, 'retention'), byName, problems, unknown),
    onConflict: textOf(fieldOf(field, 'on_conflict')) === 'last' ? 'last' : undefined,
  }
}

function readColumns(field: Field, problems: Problems): readonly Column[] {
  const columns: Column[] = []
  const columnName = nameChecker('column', problems)
  for (const entry of entriesOf(field)) {
    const text = textOf(entry.field)
    columnName(entry.key, entry)
    const parsed = text === undefined ? undefined : parseColumnType(text)
    if (text !== undefined && !parsed) {
      const plain = text.replace(/[?\s]+$/, '')
      const hint = /^decimal\b/i.test(plain)
        ? 'a decimal has 1 to 38 digits, and no more of them after the point: decimal(38,6)'
        : (suggestion(
            plain,
            COLUMN_TYPES.map((type) => type.replace(/\(.*/, '')),
          ) ?? `the types are ${COLUMN_TYPES.join(', ')}; ? after one means may be null`)
      problems.error(entry.field, `unknown column type ${JSON.stringify(text.slice(0, 60))}`, hint)
    }
    columns.push({ name: entry.key, type: parsed?.type ?? { kind: 'text' }, nullable: parsed?.nullable ?? false })
  }
  return columns
}

function readKey(
  field: Field,
  columnsOf: (list: Field, what: string) => readonly string[],
  byName: ReadonlyMap<string, Column>,
  problems: Problems,
): readonly string[] {
  const key = columnsOf(field, 'the key')
  itemsOf(field).forEach((item) => {
    const column = byName.get(textOf(item) ?? '')
    if (column?.nullable === true)
      problems.error(item, `key column \`${column.name}\` may be null`, 'a key names a row: take the ? from its type')
    if (column?.type.kind === 'json' || column?.type.kind === 'float') {
      problems.error(
        item,
        `a ${column.type.kind} column can't be in a key: its values can't be compared exactly`,
        'use another column, or another type',
      )
    }
  })
  return key
}

const RANGES: ReadonlySet<string> = new Set(['int', 'bigint', 'timestamp', 'date'])

function readRange(
  field: Field,
  key: readonly string[],
  byName: ReadonlyMap<string, Column>,
  problems: Problems,
  unknown: (at: Where, column: string) => void,
): string | undefined {
  const name = textOf(field)
  if (name === undefined) return key.find((column) => RANGES.has(byName.get(column)?.type.kind ?? ''))
  const column = byName.get(name)
  if (!column) unknown(field, name)
  else if (!RANGES.has(column.type.kind))
    problems.error(field, `range must be an integer, date or timestamp column (\`${name}\` is ${column.type.kind})`)
  return column ? name : undefined
}

function readRetention(
  field: Field,
  byName: ReadonlyMap<string, Column>,
  problems: Problems,
  unknown: (at: Where, column: string) => void,
): Table['retention'] {
  const [entry] = entriesOf(field)
  if (!entry) return undefined
  const ms = parseDuration(textOf(entry.field) ?? '')
  const column = byName.get(entry.key)
  if (!column) unknown(entry, entry.key)
  else if (column.type.kind !== 'timestamp' && column.type.kind !== 'date')
    problems.error(entry, `retention goes by a timestamp or date column (\`${entry.key}\` is ${column.type.kind})`)
  if (ms === 0) problems.error(entry.field, 'a retention of nothing keeps nothing', 'leave it out to keep all rows')
  return column && ms !== undefined ? { column: entry.key, ms } : undefined
}
