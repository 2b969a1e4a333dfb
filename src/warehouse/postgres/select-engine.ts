import type { PostgresSession } from '../../postgres/session.js'
import { codeOf } from '../../postgres/faults.js'
import { type Column, type ColumnType, formatDecimal, isExactNumber, quoteIdentifier, sql, sqlText } from '../../sdk/index.js'
import { SqlTimeoutError } from '../errors.js'
import { type Given, notSelect, type SelectEngine } from '../selects.js'
import { textPattern } from '../text-values.js'
import { sqlType } from '../types.js'
import { execute, run, select } from './statements.js'
import { type Field, portableType } from './values.js'

const CURSOR = 'DECLARE pipe_check NO SCROLL CURSOR FOR '

/** Moves rows of queries inside a transaction of Postgres. What takes long is given to `stoppable`. */
export function selectEngine(session: PostgresSession, stoppable: <T>(work: () => Promise<T>) => Promise<T>): SelectEngine {
  const temporary = (name: string): string => `pg_temp.${name}`
  return {
    kind: 'postgres',
    temporary,
    run: (statement) => stoppable(() => execute(session, statement)),
    async check(query) {
      try {
        // Postgres takes nothing but a SELECT here, and that changes no data.
        await run(session, sql`${sqlText(CURSOR)}${query}`, CURSOR.length)
      } catch (error) {
        throw isNotSelect(error) ? notSelect() : error
      }
      await session.query('CLOSE pipe_check')
    },
    async fill(name, query, timeoutMs) {
      await session.query(`DROP TABLE IF EXISTS ${temporary(name)}`)
      const create = sql`CREATE TEMPORARY TABLE ${sqlText(name)} ON COMMIT DROP AS ${query}`
      if (timeoutMs === undefined) return void (await stoppable(() => execute(session, create)))
      const { rows } = await session.query(
        "SELECT current_setting('statement_timeout') AS before, set_config('statement_timeout', $1, true)",
        [String(Math.max(1, Math.ceil(timeoutMs)))],
      )
      try {
        await stoppable(() => execute(session, create))
      } catch (error) {
        throw codeOf(error) === '57014' ? new SqlTimeoutError(timeoutMs, error) : error
      }
      await session.query("SELECT set_config('statement_timeout', $1, true)", [rows[0]?.before ?? '0'])
    },
    async columns(name) {
      return (await session.query(`SELECT * FROM ${temporary(name)} LIMIT 0`)).fields.map(given)
    },
    rows: (statement) => stoppable(() => select(session, statement)),
  }
}

/** Whether Postgres stumbled at the first word of the query, or found that it writes. */
function isNotSelect(error: unknown): boolean {
  const cause = error instanceof Error ? error.cause : undefined
  const { position, message } = (cause ?? {}) as { readonly position?: string; readonly message?: string }
  return (
    (codeOf(cause) === '42601' && Number(position) === CURSOR.length + 1) ||
    (codeOf(cause) === '0A000' && /DECLARE CURSOR/i.test(message ?? ''))
  )
}

function given(field: Field): Given {
  const name = quoteIdentifier(field.name)
  const { kind } = portableType(field)
  const value = (column: Column): string => `CAST(${name} AS ${sqlType(column.type, 'postgres')})`
  const misfits = (column: Column): readonly string[] => {
    const pattern = kind === 'text' ? textPattern(column.type) : undefined
    const fits = pattern && `(CAST(${name} AS text) ~ '${pattern}')`
    if (isExactNumber(column.type)) {
      const number = fits ? `CASE WHEN ${fits} THEN CAST(${name} AS numeric) END` : `CAST(${name} AS numeric)`
      return [...(fits ? [`NOT ${fits}`] : []), ...numberMisfits(number, column)]
    }
    if (fits) return [`NOT ${fits}`]
    // A time without end is no instant, and nobody could read it.
    const endless = kind === 'timestamp' || kind === 'date' ? [`NOT isfinite(${name})`] : []
    // Its hour would be cut off in silence.
    if (column.type.kind === 'date' && kind === 'timestamp')
      return [...endless, `CAST(CAST(${name} AS date) AS timestamp) <> CAST(${name} AS timestamp)`]
    return column.type.kind === 'timestamp' || column.type.kind === 'date' ? endless : []
  }
  return { name: field.name, value, misfits }
}

/** Postgres rounds what has too many fraction digits, and raises an error that names no row for what is too wide. */
function numberMisfits(number: string, { type }: Column): string[] {
  const scale = type.kind === 'decimal' ? type.scale : 0
  const [least, most] = borders(type)
  return [`${number} <> round(${number}, ${scale})`, `NOT ${number} BETWEEN ${least} AND ${most}`]
}

function borders(type: ColumnType): readonly [least: string, most: string] {
  switch (type.kind) {
    case 'int':
      return [String(-(2n ** 31n)), String(2n ** 31n - 1n)]
    case 'bigint':
      return [String(-(2n ** 63n)), String(2n ** 63n - 1n)]
    case 'uint256':
      return ['0', String(2n ** 256n - 1n)]
    case 'decimal': {
      const most = formatDecimal(10n ** BigInt(type.precision) - 1n, type.scale)
      return [`-${most}`, most]
    }
    default:
      return [String(-(2n ** 255n)), String(2n ** 255n - 1n)]
  }
}
