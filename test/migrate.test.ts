import { mkdirSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { beforeEach, describe, expect, it } from 'vitest'
import type { Migration } from '../src/sdk/index.js'
import { openDuckdb } from '../src/warehouse/duckdb/index.js'
import { applyMigration, pendingMigrations } from '../src/warehouse/migrate.js'
import { pipe } from './support/cli.js'
import { temporaryFolder } from './support/folder.js'
import { schemaErrors } from './support/json-schema.js'
import { readDuckdb } from './support/read-duckdb.js'
import { spawnPipe } from './support/spawn-pipe.js'
import { all } from './support/warehouse.js'

const file = `name: rollups
warehouse: duckdb:data/r.duckdb
migrations: sql
tables:
  days: { columns: { day: date, n: bigint }, key: [day] }
  notes: { columns: { id: bigint, note: "text?" }, key: [id] }
steps:
  - { id: any, type: gate, with: { checks: [{ name: days, sql: SELECT count(*) FROM busy_days, expect: 0 }] } }
`

let cwd: string
beforeEach(() => {
  cwd = temporaryFolder()
  mkdirSync(join(cwd, 'sql/duckdb'), { recursive: true })
  writeFileSync(join(cwd, 'rollups.yaml'), file)
})

const put = (name: string, text: string) => writeFileSync(join(cwd, 'sql/duckdb', name), text)
const run = (...args: string[]) => pipe([...args.slice(0, 1), 'rollups.yaml', ...args.slice(1)], { cwd })
const database = () => readDuckdb(join(cwd, 'data/r.duckdb'), { without: ['applied_at'] })
const applied = async () =>
  (await database())._pipe_migrations?.rows.map(({ name, statement, statements }) => [name, statement, statements])

/** The declared `notes`, with a default that no column type can say; and a view over the declared `days`. */
const FIRST = `CREATE TABLE notes (id BIGINT PRIMARY KEY, note VARCHAR DEFAULT 'none; yet');
CREATE VIEW busy_days AS SELECT day FROM days WHERE n > 1000;
`

describe('pipe migrate', () => {
  it('applies what is pending, each file once, beside tables that are declared and before they are filled', async () => {
    put('0001-views.sql', FIRST)
    const first = await run('migrate')
    expect([first.code, first.out, first.err]).toEqual([
      0,
      '0001-views.sql: applied (2 statements)\n1 applied to duckdb:' + join(cwd, 'data/r.duckdb') + '\n',
      '',
    ])
    put('0002-more.sql', "INSERT INTO notes (id) VALUES (1);\nINSERT INTO days VALUES ('2024-03-01', 5)")
    const second = await run('migrate', '--json')
    const report = JSON.parse(second.out) as unknown
    expect([report, schemaErrors('migrate', report)]).toEqual([
      {
        pipeline: 'rollups',
        warehouse: `duckdb:${join(cwd, 'data/r.duckdb')}`,
        applied: ['0002-more.sql'],
        before: ['0001-views.sql'],
      },
      [],
    ])
    expect((await run('migrate')).out).toBe(`nothing to apply: all 2 migrations are in duckdb:${join(cwd, 'data/r.duckdb')}\n`)
    expect((await database()).notes?.rows).toEqual([{ id: '1', note: 'none; yet' }])
    expect(await applied()).toEqual([
      ['0001-views.sql', '2', '2'],
      ['0002-more.sql', '2', '2'],
    ])
    expect((await run('run')).code).toBe(0)
  })

  it('is what run, plan and reset ask for while something is pending, and they touch nothing', async () => {
    put('0001-views.sql', FIRST)
    for (const command of [['run'], ['plan'], ['reset', '--step', 'any']]) {
      const { code, err } = await run(...command)
      expect([code, err]).toEqual([
        2,
        `error: 1 migration is not applied to duckdb:${join(cwd, 'data/r.duckdb')}: 0001-views.sql (MIGRATIONS_PENDING)\n  apply it first: pipe migrate rollups.yaml\n`,
      ])
    }
    await run('migrate')
    expect((await run('plan')).code).toBe(0)
  })

  it('applies nothing of a file that fails, names the line, and goes on there when it is mended', async () => {
    put('0001-views.sql', FIRST)
    put('0002-more.sql', 'CREATE TABLE extra (i INT);\n\nINSERT INTO nowhere VALUES (1);\n')
    put('0003-last.sql', 'CREATE TABLE last (i INT)')
    const failed = await run('migrate')
    expect([failed.code, failed.out]).toEqual([2, '0001-views.sql: applied (2 statements)\n'])
    expect(failed.err).toMatch(/^error: 0002-more\.sql:3: .*nowhere.*; nothing of it was applied \(MIGRATION_FAILED\)\n/s)
    expect(Object.keys(await database())).not.toContain('extra')
    put('0002-more.sql', 'CREATE TABLE extra (i INT);\n')
    expect((await run('migrate')).out).toContain('2 applied to')
    expect((await applied())?.map(([name]) => name)).toEqual(['0001-views.sql', '0002-more.sql', '0003-last.sql'])
  })

  it('refuses a file that was changed, renamed or taken away after it was applied', async () => {
    put('0001-views.sql', FIRST)
    await run('migrate')
    const where = join(cwd, 'sql/duckdb/0001-views.sql')
    const errors: string[] = []
    const tried = async (command: string) =>
      errors.push((await run(command)).err.split('\n')[0]?.replace(`duckdb:${join(cwd, 'data/r.duckdb')}: `, '') ?? '')
    writeFileSync(where, `${FIRST}-- and a thought\n`)
    await tried('migrate')
    await tried('run')
    writeFileSync(where, FIRST)
    renameSync(where, join(cwd, 'sql/duckdb/0001-other.sql'))
    await tried('migrate')
    expect(errors).toEqual([
      'error: 0001-views.sql was changed after it was applied (MIGRATION_HISTORY)',
      'error: 0001-views.sql was changed after it was applied (MIGRATION_HISTORY)',
      'error: 0001-views.sql was applied and is no longer among the files (MIGRATION_HISTORY)',
    ])
  })

  it('is not needed by validate to see gaps and unknown files, with the place in the pipeline file', async () => {
    put('0001-views.sql', FIRST)
    put('0003-late.sql', 'SELECT 1')
    put('README.md', '')
    for (const command of ['validate', 'migrate', 'run']) {
      const { code, out, err } = await run(command)
      expect([code, (out + err).split('\n').slice(0, 2)]).toEqual([
        2,
        [
          'rollups.yaml:3:13  migrations: duckdb/README.md is no numbered SQL file (call it 0001-what.sql, or move it elsewhere)',
          'rollups.yaml:3:13  migrations: duckdb/ has no 0002-….sql before 0003-late.sql (migrations are numbered from 0001 without a gap)',
        ],
      ])
    }
  })

  it('makes tables that are then held against `tables`, with a hint at the next migration', async () => {
    put('0001-notes.sql', 'CREATE TABLE notes (id BIGINT PRIMARY KEY); CREATE VIEW busy_days AS SELECT day FROM days WHERE n > 1000;')
    expect((await run('migrate')).code).toBe(0)
    const { code, err } = await run('run')
    expect(code).toBe(2)
    expect(err).toContain('notes: has no column note (VARCHAR)')
    expect(err).toContain('put it into the next numbered file of `migrations`, and run `pipe migrate ')
  })

  it('has nothing to do where the pipeline has no migrations', async () => {
    writeFileSync(join(cwd, 'rollups.yaml'), file.replace('migrations: sql\n', ''))
    const { code, out } = await run('migrate')
    expect([code, out]).toEqual([0, 'rollups.yaml has no migrations for duckdb: nothing to apply\n'])
  })
})

describe('pipe run --demo', () => {
  it('applies migrations itself: its database is its own', async () => {
    const blocks = `name: heads
warehouse: duckdb:data/heads.duckdb
migrations: sql
chains: { ethereum: { rpc: "\${ETH_RPC_URL}" } }
tables: { heads: { columns: { number: bigint, hash: hash }, key: [number] } }
steps:
  - id: heads
    type: rpc-batch
    chain: ethereum
    into: heads
    with:
      over: { blocks: { from: 0, to: 9 } }
      calls: { block: { method: eth_getBlockByNumber, params: [$number, false] } }
      row: { number: block.number, hash: block.hash }
  - { id: seen, type: gate, needs: [heads], with: { checks: [{ name: all of them, sql: SELECT n FROM seen, expect: 10 }] } }
`
    writeFileSync(join(cwd, 'heads.yaml'), blocks)
    put('0001-seen.sql', 'CREATE VIEW seen AS SELECT count(*) AS n FROM heads')
    const { code, out, err } = await pipe(['run', 'heads.yaml', '--demo'], { cwd })
    expect({ code, out: code === 0 ? '' : out }).toEqual({ code: 0, out: '' })
    expect(err).toContain('0001-seen.sql: applied (1 statement)\n')
  }, 60_000)
})

describe('pipe migrate as a process', () => {
  it('keeps a second one out, which names it (3); killed in the middle of a file it leaves nothing of it, and the next one ends with all of it', async () => {
    const slow = (rows: string) =>
      `CREATE TABLE early (i INT);\nCREATE TABLE slow AS SELECT sum(hash(i)) AS h FROM range(${rows}) AS r(i);\nCREATE TABLE late (i INT);\n`
    put('0001-views.sql', FIRST)
    // Never done on any machine.
    put('0002-slow.sql', slow('1000000000000000'))
    const first = spawnPipe(['migrate', 'rollups.yaml'], { cwd })
    await first.saw('0001-views.sql: applied')
    const second = await run('migrate')
    expect([second.code, second.err]).toEqual([3, expect.stringContaining(`another run holds pipeline rollups: pid ${first.pid} on `)])
    first.kill('SIGKILL')
    await first.exit
    const made = async () => Object.keys(await database()).filter((name) => ['early', 'slow', 'late'].includes(name))
    expect([(await applied())?.length, await made()]).toEqual([1, []])
    put('0002-slow.sql', slow('1000'))
    expect((await run('migrate')).code).toBe(0)
    expect([(await applied())?.length, await made()]).toEqual([2, ['early', 'late', 'slow']])
  })
})

describe('where a warehouse has no transactions', () => {
  const migration = (checksum: string, ...statements: string[]): Migration => ({
    name: '0001-a.sql',
    checksum,
    statements: statements.map((text, i) => ({ text, line: i + 1 })),
  })

  it('statements are applied one by one: what failed or was cut off is done again, what is done is not', async () => {
    const opened = await openDuckdb({ path: ':memory:', mode: 'write' })
    await opened.prepare([])
    const sent: string[] = []
    const warehouse = {
      display: opened.display,
      transactional: false,
      query: opened.query.bind(opened),
      execute: (statements: Parameters<typeof opened.execute>[0]) => {
        sent.push(statements[0]?.parts[0] ?? '')
        return opened.execute(statements)
      },
    } as const
    const apply = (of: Migration) => applyMigration(warehouse, 'p', of, () => 1n)
    const pending = async (of: Migration) => (await pendingMigrations(warehouse, 'p', [of])).length
    const broken = migration('x', 'CREATE TABLE a (i INT)', 'INSERT INTO nowhere VALUES (1)', 'CREATE TABLE c (i INT)')
    await expect(apply(broken)).rejects.toMatchObject({
      code: 'MIGRATION_FAILED',
      message: expect.stringMatching(/^0001-a\.sql:2: .*nowhere.*; the statement before it is applied$/s) as string,
    })
    expect(await pending(broken)).toBe(1)
    // Meant for a cut connection: the same text goes on behind what is done.
    await opened.execute([{ parts: ['CREATE TABLE nowhere (i INT)'], params: [] }])
    sent.length = 0
    await apply(broken)
    expect([sent, await pending(broken)]).toEqual([['INSERT INTO nowhere VALUES (1)', 'CREATE TABLE c (i INT)'], 0])
    expect(await all(opened, 'SELECT statement, statements FROM _pipe_migrations ORDER BY 1')).toEqual([
      { statement: 1n, statements: 3n },
      { statement: 2n, statements: 3n },
      { statement: 3n, statements: 3n },
    ])
    // Half done and changed since: all of it again.
    await opened.execute([{ parts: ['DELETE FROM _pipe_migrations WHERE statement > 1'], params: [] }])
    const mended = migration('y', 'CREATE TABLE IF NOT EXISTS a (i INT)', 'CREATE TABLE d (i INT)')
    sent.length = 0
    await apply(mended)
    expect([sent.slice(1), await pending(mended)]).toEqual([['CREATE TABLE IF NOT EXISTS a (i INT)', 'CREATE TABLE d (i INT)'], 0])
    await opened.close()
  })
})
