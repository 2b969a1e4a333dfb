import { createHash } from 'node:crypto'
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import type { Migration, WarehouseReader } from '../sdk/index.js'
import { scanSql, sqlStatements } from '../sdk/sql-scan.js'

type Kind = WarehouseReader['kind']

/** Why a folder of migrations can't be used as it is. */
export interface MigrationProblem {
  readonly message: string
  readonly hint: string
}

export interface MigrationFolder {
  /** In the order in which they are applied. */
  readonly migrations: readonly Migration[]
  readonly problems: readonly MigrationProblem[]
}

const KINDS: readonly Kind[] = ['duckdb', 'postgres', 'clickhouse']
const NAME = /^(\d{4})-[\w.-]+\.sql$/
/** What would end the transaction that a migration runs in. */
const TRANSACTION = /^(?:BEGIN|START|COMMIT|END|ROLLBACK|ABORT|SAVEPOINT|RELEASE)\b/i

/**
 * The numbered SQL files of one warehouse: `FOLDER/duckdb/0001-what.sql`, from 0001 without a gap. Names that begin with a
 * dot are left alone. No folder for a warehouse means that it needs none.
 */
export function readMigrations(folder: string, kind: Kind): MigrationFolder {
  const problems: MigrationProblem[] = []
  if (!namesIn(folder).includes(kind)) return { migrations: [], problems }
  const migrations: Migration[] = []
  const numbers = new Map<number, string>()
  for (const name of namesIn(join(folder, kind))) {
    const shown = `${kind}/${name}`
    const number = NAME.exec(name)?.[1]
    if (number === undefined) {
      problems.push({ message: `${shown} is no numbered SQL file`, hint: 'call it 0001-what.sql, or move it elsewhere' })
      continue
    }
    const other = numbers.get(Number(number))
    if (other !== undefined)
      problems.push({ message: `${kind}/${other} and ${name} have the same number`, hint: 'number one of them anew' })
    numbers.set(Number(number), name)
    const read = readMigration(join(folder, kind, name), name)
    if ('message' in read) problems.push({ ...read, message: `${shown} ${read.message}` })
    else migrations.push(read)
  }
  const sorted = [...numbers.keys()].sort((a, b) => a - b)
  const gap = sorted.findIndex((number, i) => number !== i + 1)
  if (gap !== -1)
    problems.push({
      message: `${kind}/ has no ${String(gap + 1).padStart(4, '0')}-….sql before ${numbers.get(sorted[gap] ?? 0) ?? ''}`,
      hint: 'migrations are numbered from 0001 without a gap',
    })
  return { migrations, problems }
}

/** What is wrong in a whole folder, for every warehouse. */
export function checkMigrations(folder: string): readonly MigrationProblem[] {
  if (!statSync(folder).isDirectory()) return [{ message: 'is no folder', hint: `name a folder that holds ${KINDS.join(', ')}` }]
  const unknown = namesIn(folder)
    .filter((name) => !KINDS.includes(name as Kind))
    .map((name) => ({ message: `holds ${name}, which is no warehouse`, hint: `it has one folder a warehouse: ${KINDS.join(', ')}` }))
  return [...unknown, ...KINDS.flatMap((kind) => readMigrations(folder, kind).problems)]
}

function readMigration(path: string, name: string): Migration | MigrationProblem {
  let raw: string
  try {
    raw = new TextDecoder('utf-8', { fatal: true }).decode(readFileSync(path))
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : ''
    return code === 'ERR_ENCODING_INVALID_ENCODED_DATA'
      ? { message: 'is not UTF-8 text', hint: 'save it as UTF-8' }
      : { message: `can't be read (${code || String(error)})`, hint: 'check what it is and who may read it' }
  }
  // A checkout may change line ends; that is no other migration.
  const text = raw.replaceAll('\r\n', '\n')
  const { unclosed } = scanSql(text)
  const lineOf = (offset: number) => text.slice(0, offset).split('\n').length
  if (unclosed) return { message: `opens ${unclosed.what} in line ${lineOf(unclosed.offset)} and never closes it`, hint: 'close it' }
  const statements = sqlStatements(text)
  if (statements.length === 0) return { message: 'holds no statement', hint: 'write SQL into it, or delete it' }
  const control = statements.find((statement) => TRANSACTION.test(statement.text))
  if (control)
    return {
      message: `has ${control.text.split(/\s/, 1)[0]?.toUpperCase() ?? ''} in line ${lineOf(control.offset)}`,
      hint: 'take it out: a migration runs in one transaction of its own where the warehouse has them',
    }
  return {
    name,
    checksum: createHash('sha256').update(text).digest('hex'),
    statements: statements.map((statement) => ({ text: statement.text, line: lineOf(statement.offset) })),
  }
}

/** Sorted, without those that begin with a dot; none when there is no such folder. */
function namesIn(folder: string): string[] {
  try {
    return readdirSync(folder)
      .filter((name) => !name.startsWith('.'))
      .sort()
  } catch (error) {
    if (error instanceof Error && 'code' in error && (error.code === 'ENOENT' || error.code === 'ENOTDIR')) return []
    throw error
  }
}
