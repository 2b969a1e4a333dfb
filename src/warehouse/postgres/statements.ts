import type { QueryResult } from 'pg'
import { codeOf, serverFault } from '../../postgres/faults.js'
import type { PostgresSession, TextRow } from '../../postgres/session.js'
import type { Row, Statement } from '../../sdk/index.js'
import { SqlError } from '../errors.js'
import { render } from '../statement.js'
import { statementError } from './errors.js'
import { paramText, reader } from './values.js'

/** What a step may run inside a commit. Nothing that ends the transaction, changes the session or reaches outside of the database. */
const STEP_STATEMENTS = new Set(['SELECT', 'WITH', 'VALUES', 'INSERT', 'UPDATE', 'DELETE', 'MERGE', 'CREATE', 'ALTER', 'DROP', 'TRUNCATE'])

/** Runs one statement inside the transaction that is open. `prefix` is how much of its beginning is ours, for messages. */
export async function run(session: PostgresSession, statement: Statement, prefix = 0): Promise<QueryResult<TextRow>> {
  const { text, params } = render(statement, 'postgres')
  try {
    return await session.query(text, params.map(paramText))
  } catch (error) {
    throw isServers(error) ? error : statementError('', error, { text, prefix })
  }
}

/** Runs one statement. Resolves to the rows it changed. */
export async function execute(session: PostgresSession, statement: Statement): Promise<number> {
  return (await run(session, statement)).rowCount ?? 0
}

/** Runs a query of ours, whose result is small. */
export async function select(session: PostgresSession, statement: Statement): Promise<Row[]> {
  return toRows(await run(session, statement))
}

/** Rows with their values as `Row` promises them. */
export function toRows({ rows, fields }: QueryResult<TextRow>): Row[] {
  const readers = fields.map((field) => [field.name, reader(field)] as const)
  return rows.map((texts) =>
    Object.fromEntries(
      readers.map(([name, read]) => {
        const text = texts[name]
        return [name, text === null || text === undefined ? null : read(text)]
      }),
    ),
  )
}

/** The same for a statement of a step. @throws {SqlError} for one that steps may not run. */
export async function executeOfStep(session: PostgresSession, statement: Statement): Promise<number> {
  const word = firstWord(statement.parts.join(' '))
  if (!STEP_STATEMENTS.has(word))
    throw new SqlError(`a step may not run ${word === '' ? 'an empty statement' : `${word} statements`}`, {
      hint: 'insert, update, delete, create, alter or drop',
    })
  return execute(session, statement)
}

/** Errors that say something of the transaction or the connection, not of the statement. */
function isServers(error: unknown): boolean {
  return serverFault(error) !== undefined || /^(?:40|55P03|57014|53)/.test(codeOf(error))
}

/** The first word of a statement in capitals; comments and brackets before it are skipped. */
function firstWord(text: string): string {
  let at = 0
  for (let depth = 0; at < text.length; at++) {
    const two = text.slice(at, at + 2)
    if (two === '/*') {
      depth++
      at++
    } else if (two === '*/' && depth > 0) {
      depth--
      at++
    } else if (depth === 0 && two === '--') {
      const end = text.indexOf('\n', at)
      at = end === -1 ? text.length : end
    } else if (depth === 0 && !/[\s(;]/.test(text.charAt(at))) {
      break
    }
  }
  return /^\w*/.exec(text.slice(at))?.[0].toUpperCase() ?? ''
}
