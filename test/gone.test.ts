import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DuckDBInstance } from '@duckdb/node-api'
import pg from 'pg'
import { describe, expect, it } from 'vitest'
import { pipe } from './support/cli.js'
import { temporaryFolder } from './support/folder.js'
import { postgresDatabase } from './support/postgres.js'

const upsert = (id: string, into: string, sql: string) =>
  `  - { id: ${id}, type: sql-upsert, into: ${into}, with: { mode: upsert, sql: "${sql}" } }\n`
const FILL = upsert('fill', 'n', "SELECT 1 AS k, 'a' AS who UNION ALL SELECT 2, 'a'")

function world(steps: string, warehouse = 'duckdb:w.duckdb') {
  const cwd = temporaryFolder()
  const write = (of: string, tables = '') =>
    writeFileSync(
      join(cwd, 'p.yaml'),
      `name: p\nparams: { who: { type: text, default: a } }\nwarehouse: ${warehouse}\ntables:\n  n: { columns: { k: bigint, who: text }, key: [k] }\n${tables}steps:\n${of}`,
    )
  write(steps)
  return {
    cwd,
    write,
    cli: (...args: string[]) => pipe([args[0] ?? '', 'p.yaml', ...args.slice(1)], { cwd, env: {} }),
    async sql(text: string): Promise<unknown[]> {
      const instance = await DuckDBInstance.create(join(cwd, 'w.duckdb'))
      const connection = await instance.connect()
      try {
        return (await connection.runAndReadAll(text)).getRowsJson()
      } finally {
        connection.closeSync()
        instance.closeSync()
      }
    },
  }
}

const GONE = 'table n is gone, and the ledger says that 1 unit of step fill is done'

describe('a table that is gone', () => {
  it('stops a run and a plan before anything is made, and what they advise has it filled again', async () => {
    const { cli, sql } = world(FILL)
    expect((await cli('run')).code).toBe(0)
    await sql('DROP TABLE n')
    for (const command of ['run', 'plan']) {
      const { code, out, err } = await cli(command, '--param', 'who=a')
      expect([code, out + err]).toEqual([2, expect.stringContaining(GONE) as unknown])
      expect(out + err).toContain('pipe reset p.yaml --param who=a --step fill')
    }
    expect((await cli('verify')).code).toBe(1)
    expect(await sql("SELECT count(*) FROM duckdb_tables() WHERE table_name = 'n'")).toEqual([['0']])
    expect((await cli('reset', '--step', 'fill')).code).toBe(0)
    expect((await cli('run')).code).toBe(0)
    expect(await sql('SELECT k FROM n ORDER BY k')).toEqual([['1'], ['2']])
    expect((await cli('verify')).code).toBe(0)
  })

  it('keeps what other steps did from being lost in a run that forgets one step, and is made by a run that forgets all', async () => {
    const { cli, sql, write } = world('')
    write(FILL + upsert('more', 'm', 'SELECT 3 AS k'), '  m: { columns: { k: bigint }, key: [k] }\n')
    expect((await cli('run')).code).toBe(0)
    await sql('DROP TABLE n')
    await sql('DROP TABLE m')
    const { code, err } = await cli('run', '--fresh', '--select', 'fill')
    expect([code, err]).toEqual([
      2,
      expect.stringContaining('table m is gone, and the ledger says that 1 unit of step more is done') as unknown,
    ])
    expect(err).not.toContain(GONE)
    expect((await cli('run', '--fresh')).code).toBe(0)
    expect([await sql('SELECT k FROM n ORDER BY k'), await sql('SELECT k FROM m')]).toEqual([[['1'], ['2']], [['3']]])
  })

  it('is none that a step fills only since a change of the file', async () => {
    const { cli, sql, write } = world(FILL)
    expect((await cli('run')).code).toBe(0)
    write(FILL + upsert('other', 'm', 'SELECT 1 AS k'), '  m: { columns: { k: bigint }, key: [k] }\n')
    expect((await cli('run')).code).toBe(0)
    write(FILL.replace('into: n', 'into: n2'), '  n2: { columns: { k: bigint, who: text }, key: [k] }\n')
    expect((await cli('run')).code).toBe(0)
    expect(await sql('SELECT k FROM n2 ORDER BY k')).toEqual([['1'], ['2']])
  })

  it('stops a run into Postgres, too', async () => {
    const url = await postgresDatabase()
    const { cli } = world(FILL, url)
    expect((await cli('run')).code).toBe(0)
    const client = new pg.Client(url)
    await client.connect()
    await client.query('DROP TABLE n')
    await client.end()
    const { code, err } = await cli('run')
    expect([code, err]).toEqual([2, expect.stringContaining(GONE) as unknown])
    expect([(await cli('reset', '--step', 'fill')).code, (await cli('run')).code, (await cli('verify')).code]).toEqual([0, 0, 0])
  })
})
