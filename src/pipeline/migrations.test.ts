import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { temporaryFolder } from '../../test/support/folder.js'
import { checkMigrations, readMigrations } from './migrations.js'

/** A folder of migrations with these files. */
function folder(files: Readonly<Record<string, string | Buffer>>): string {
  const root = temporaryFolder()
  for (const [name, text] of Object.entries(files)) {
    mkdirSync(join(root, name, '..'), { recursive: true })
    writeFileSync(join(root, name), text)
  }
  return root
}

const messages = (files: Readonly<Record<string, string | Buffer>>) => checkMigrations(folder(files)).map(({ message }) => message)

describe('a folder of migrations', () => {
  it('gives the files of one warehouse in their order, each with its statements', () => {
    const root = folder({
      'duckdb/0002-more.sql': 'CREATE VIEW b AS SELECT 2;',
      'duckdb/0001-views.sql': '-- first\nCREATE VIEW a AS SELECT 1;\n\nCREATE VIEW c AS SELECT 3;\n',
      'duckdb/.keep': '',
      'postgres/0001-views.sql': 'CREATE VIEW p AS SELECT 1',
    })
    const { migrations, problems } = readMigrations(root, 'duckdb')
    expect([problems, migrations.map(({ name, statements }) => ({ name, statements }))]).toEqual([
      [],
      [
        {
          name: '0001-views.sql',
          statements: [
            { text: 'CREATE VIEW a AS SELECT 1', line: 2 },
            { text: 'CREATE VIEW c AS SELECT 3', line: 4 },
          ],
        },
        { name: '0002-more.sql', statements: [{ text: 'CREATE VIEW b AS SELECT 2', line: 1 }] },
      ],
    ])
    expect(readMigrations(root, 'clickhouse')).toEqual({ migrations: [], problems: [] })
    expect(checkMigrations(root)).toEqual([])
  })

  it('has the same checksums whatever line ends a checkout made', () => {
    const [unix, windows] = ['SELECT 1;\nSELECT 2;\n', 'SELECT 1;\r\nSELECT 2;\r\n'].map(
      (text) => readMigrations(folder({ 'duckdb/0001-a.sql': text }), 'duckdb').migrations[0]?.checksum,
    )
    expect(unix).toMatch(/^[0-9a-f]{64}$/)
    expect(windows).toBe(unix)
  })

  it('is refused with all that is wrong in it', () => {
    expect(
      messages({
        'duckdb/0001-a.sql': 'SELECT 1',
        'duckdb/0001-b.sql': 'SELECT 1',
        'duckdb/0003-c.sql': 'SELECT 1',
        'duckdb/4-d.sql': 'SELECT 1',
        'duckdb/notes.txt': '',
        'mysql/0001-a.sql': 'SELECT 1',
        'postgres/0001-a.sql': '-- nothing yet\n',
        'postgres/0002-b.sql': "SELECT 1;\nSELECT 'x;\n",
        'postgres/0003-c.sql': 'CREATE TABLE t (i int);\ncommit;\n',
        'postgres/0004-d.sql': Buffer.from([0xff, 0xfe, 0x00]),
        'postgres/0005-e.sql/x': '',
      }),
    ).toEqual([
      'holds mysql, which is no warehouse',
      'duckdb/0001-a.sql and 0001-b.sql have the same number',
      'duckdb/4-d.sql is no numbered SQL file',
      'duckdb/notes.txt is no numbered SQL file',
      'duckdb/ has no 0002-….sql before 0003-c.sql',
      'postgres/0001-a.sql holds no statement',
      "postgres/0002-b.sql opens ' in line 2 and never closes it",
      'postgres/0003-c.sql has COMMIT in line 2',
      'postgres/0004-d.sql is not UTF-8 text',
      "postgres/0005-e.sql can't be read (EISDIR)",
    ])
  })
})
