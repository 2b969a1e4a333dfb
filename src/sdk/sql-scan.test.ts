import { describe, expect, it } from 'vitest'
import { scanSql, sqlStatements } from './sql-scan.js'

const statements = (sql: string) => sqlStatements(sql).map(({ text }) => text)

describe('the statements of a SQL text', () => {
  it('end at semicolons outside of quotes and comments', () => {
    expect(
      statements(`
        -- one; two
        SELECT ';' AS "a;b" /* ; /* ; */ ; */ ;
        SELECT $$ ; $$, $f$ ; $$ ; $f$, E'\\';' ;; ;
        SELECT 'it''s; fine' -- the end;`),
    ).toEqual([`SELECT ';' AS "a;b" /* ; /* ; */ ; */`, `SELECT $$ ; $$, $f$ ; $$ ; $f$, E'\\';'`, `SELECT 'it''s; fine' -- the end;`])
  })

  it('are none where there are only blanks and comments', () => {
    expect(statements(' ; -- nothing\n/* ; */;\n')).toEqual([])
  })

  it('begin at their first character that is no comment', () => {
    const sql = '-- why\n\n  SELECT 1;\nSELECT 2'
    expect(sqlStatements(sql).map(({ offset }) => sql.slice(offset, offset + 8))).toEqual(['SELECT 1', 'SELECT 2'])
  })

  it('say where a quote is never closed', () => {
    expect(scanSql("SELECT 1; SELECT 'x;").unclosed).toEqual({ what: "'", offset: 17 })
  })
})
