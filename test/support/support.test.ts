import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { DuckDBInstance } from '@duckdb/node-api'
import { expect, test } from 'vitest'
import { projectFolder, temporaryFolder } from './folder.js'
import { readDuckdb } from './read-duckdb.js'
import { runPipe, spawnPipe } from './spawn-pipe.js'

test('a DuckDB file is read exactly, and its hash does not depend on the order of writing', async () => {
  const write = async (values: readonly string[]): Promise<string> => {
    const file = join(temporaryFolder(), 'a.duckdb')
    const instance = await DuckDBInstance.create(file)
    const connection = await instance.connect()
    await connection.run('CREATE TABLE t (id BIGINT PRIMARY KEY, amount BIGNUM, "at" TIMESTAMP); CREATE TABLE free (b TEXT, a INTEGER)')
    await connection.run('CREATE VIEW v AS SELECT * FROM t')
    for (const value of values) await connection.run(`INSERT INTO t VALUES ${value}`)
    connection.closeSync()
    instance.closeSync()
    return file
  }
  const rows = [
    `(1, '${2n ** 256n - 1n}'::BIGNUM, NULL)`,
    `(10, '${-(2n ** 255n)}'::BIGNUM, '2024-02-29 12:00:00.000001')`,
    `(9, '0'::BIGNUM, NULL)`,
  ]
  const one = await readDuckdb(await write(rows))
  expect(Object.keys(one)).toEqual(['free', 't'])
  expect(one.t!.rows).toEqual([
    { id: '1', amount: String(2n ** 256n - 1n), at: null },
    { id: '9', amount: '0', at: null },
    { id: '10', amount: String(-(2n ** 255n)), at: '2024-02-29 12:00:00.000001' },
  ])
  expect(await readDuckdb(await write(rows.toReversed()))).toEqual(one)
  const other = await write([...rows.slice(1), `(1, '${2n ** 256n - 2n}'::BIGNUM, NULL)`])
  expect((await readDuckdb(other)).t!.hash).not.toBe(one.t!.hash)
  expect((await readDuckdb(other, { tables: ['t'], without: ['amount'] })).t!.rows[0]).toEqual({ id: '1', at: null })
  await expect(readDuckdb(other, { tables: ['x'] })).rejects.toThrow('has no table x')
})

test.skipIf(!existsSync(join(projectFolder, 'dist/src/cli/main.js')))('pipe runs as a process whose output and end are known', async () => {
  const cwd = temporaryFolder()
  const { code, signal, stdout, stderr } = await runPipe(['no-such-command'], { cwd })
  expect({ code, signal, stdout }).toEqual({ code: 2, signal: null, stdout: '' })
  expect(stderr).toContain('no-such-command')
  const helping = spawnPipe(['--help'], { cwd })
  await helping.saw(/Usage: pipe/)
  await expect(helping.saw('never said')).rejects.toThrow('ended (0) without never said')
  const killed = spawnPipe(['--help'], { cwd })
  killed.kill('SIGKILL')
  expect(await killed.exit).toMatchObject({ code: null, signal: 'SIGKILL' })
})
