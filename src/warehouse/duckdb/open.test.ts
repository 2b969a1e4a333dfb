import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterEach, describe, expect, test } from 'vitest'
import { sqlText, type Warehouse } from '../../sdk/index.js'
import { temporaryFolder } from '../../../test/support/folder.js'
import { all, output, step, table, write } from '../../../test/support/warehouse.js'
import { openWarehouse } from '../open.js'
import { openDuckdb } from './index.js'

const t = table('t', { k: 'bigint', v: 'uint256' }, ['k'])
const row = { k: 1n, v: 2n }
const support = (name: string) => fileURLToPath(new URL(`../../../test/support/${name}`, import.meta.url))

const children: ChildProcess[] = []
const open: Warehouse[] = []
afterEach(async () => {
  for (const warehouse of open.splice(0)) await warehouse.close()
  for (const child of children.splice(0)) if (child.exitCode === null && child.signalCode === null) await stopped(child)
})

async function opened(path: string, mode: 'write' | 'plan' = 'write'): Promise<Warehouse> {
  const warehouse = await openDuckdb({ path, mode })
  open.push(warehouse)
  return warehouse
}

async function filled(path: string): Promise<void> {
  const warehouse = await openDuckdb({ path, mode: 'write' })
  await warehouse.prepare([t])
  await warehouse.open(step, ['u'], 1n)
  await warehouse.commit([write([{ output: output(t), rows: [row] }])])
  await warehouse.close()
}

/** Starts a process that commits until it is stopped, and waits for its first lines. */
async function committing(
  path: string,
  options: { readonly lines?: number; readonly limit?: string; readonly rows?: number } = {},
): Promise<{ child: ChildProcess; output: () => string }> {
  const args = ['--import', 'tsx', support('commit-until-killed.ts'), path, String(options.rows ?? 200)]
  const child =
    options.limit === undefined
      ? spawn(process.execPath, args)
      : spawn('sh', ['-c', `${options.limit}; exec "$0" "$@"`, process.execPath, ...args])
  children.push(child)
  let text = ''
  child.stderr?.on('data', (data) => (text += String(data)))
  await new Promise<void>((resolve) => {
    child.stdout?.on('data', (data) => {
      text += String(data)
      if (text.split('\n').length > (options.lines ?? 1)) resolve()
    })
    child.once('exit', () => resolve())
  })
  return { child, output: () => text }
}

function stopped(child: ChildProcess): Promise<void> {
  const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  child.kill('SIGKILL')
  return gone
}

describe('opening', () => {
  test('makes the folder and the file, and reads back what another run wrote', async () => {
    const path = join(temporaryFolder(), 'deep', 'er', 'x.duckdb')
    await filled(path)
    const warehouse = await opened(path)
    expect(await all(warehouse, 'SELECT * FROM t')).toEqual([row])
    expect([warehouse.kind, warehouse.transactional, warehouse.display]).toEqual(['duckdb', true, `duckdb:${path}`])
  })

  test('for a plan creates nothing where nothing is', async () => {
    const path = join(temporaryFolder(), 'no', 'x.duckdb')
    const warehouse = await opened(path, 'plan')
    await warehouse.assume([t])
    expect([
      await warehouse.units('p'),
      await warehouse.quarantined('p'),
      await warehouse.genesis(1),
      await warehouse.drift([t]),
      await all(warehouse, 'SELECT * FROM t'),
    ]).toEqual([[], [], undefined, [], []])
    expect(existsSync(join(path, '..'))).toBe(false)
  })

  test('for a plan changes nothing of a file, not even the file', async () => {
    const path = join(temporaryFolder(), 'x.duckdb')
    await filled(path)
    const before = readFileSync(path)
    const warehouse = await opened(path, 'plan')
    await warehouse.assume([t, table('other', { k: 'bigint' }, ['k'])])
    expect(await all(warehouse, 'SELECT t.k, (SELECT count(*) FROM other) AS n FROM t')).toEqual([{ k: 1n, n: 0n }])
    expect((await warehouse.units('p')).length).toBe(1)
    expect(() => warehouse.commit([write([])])).toThrow('was opened for planning')
    await warehouse.close()
    expect(readFileSync(path).equals(before)).toBe(true)
    expect(readdirSync(join(path, '..'))).toEqual(['x.duckdb'])
  })

  test.each([
    ['a folder', (path: string) => mkdirSync(path), 'is a folder, not a file'],
    ['text', (path: string) => writeFileSync(path, 'hello, this is no database. '.repeat(1000)), 'is not a DuckDB file'],
    [
      'an SQLite file',
      (path: string) => writeFileSync(path, Buffer.concat([Buffer.from('SQLite format 3\0'), Buffer.alloc(8192)])),
      'is not a DuckDB file',
    ],
    ['an empty file', (path: string) => writeFileSync(path, ''), 'is an empty file, not a DuckDB file'],
  ])('of %s fails by name and leaves it as it is', async (_, make, problem) => {
    const path = join(temporaryFolder(), 'x.duckdb')
    make(path)
    const size = statSync(path).size
    for (const mode of ['write', 'plan'] as const) await expect(openDuckdb({ path, mode })).rejects.toThrow(`duckdb:${path}: ${problem}`)
    expect([statSync(path).size, readdirSync(join(path, '..'))]).toEqual([size, ['x.duckdb']])
  })

  test('of a damaged file fails by name', async () => {
    const path = join(temporaryFolder(), 'x.duckdb')
    await filled(path)
    truncateSync(path, 5000)
    await expect(openDuckdb({ path, mode: 'write' })).rejects.toThrow('is damaged')
  })

  test('below a file fails by name', async () => {
    const file = join(temporaryFolder(), 'file')
    writeFileSync(file, '')
    await expect(openDuckdb({ path: join(file, 'x.duckdb'), mode: 'write' })).rejects.toThrow('a part of its path is a file, not a folder')
  })

  test('where nobody may write fails by name', async () => {
    await expect(openDuckdb({ path: '/proc/x.duckdb', mode: 'write' })).rejects.toMatchObject({ code: 'WAREHOUSE_OPEN', blame: 'outage' })
  })

  test('of a ledger that a newer pipe wrote is refused', async () => {
    const path = join(temporaryFolder(), 'x.duckdb')
    await filled(path)
    const warehouse = await openDuckdb({ path, mode: 'write' })
    await warehouse.prepare([t])
    await warehouse.commit([write([], { sql: [sqlText('UPDATE _pipe_ledger SET version = 99')] })])
    await warehouse.close()
    for (const mode of ['write', 'plan'] as const)
      await expect(openDuckdb({ path, mode })).rejects.toThrow('its ledger has version 99, this pipe knows up to 3')
  })

  test('of a file that another process holds names that process', async () => {
    const path = join(temporaryFolder(), 'x.duckdb')
    const { child } = await committing(path)
    for (const mode of ['write', 'plan'] as const) {
      await expect(openDuckdb({ path, mode })).rejects.toMatchObject({
        code: 'WAREHOUSE_HELD',
        pid: child.pid,
        message: `duckdb:${path} is held by process ${child.pid}`,
      })
    }
    await stopped(child)
    await (await opened(path)).prepare([t])
  })
})

describe('openWarehouse', () => {
  test('takes duckdb: and names what is not there without showing it', async () => {
    const path = join(temporaryFolder(), 'x.duckdb')
    const warehouse = await openWarehouse(`duckdb:${path}`, { mode: 'write' })
    open.push(warehouse)
    expect(warehouse.display).toBe(`duckdb:${path}`)
    for (const [url, problem] of [
      ['clickhouse://user:secret@host/db?secret=1', 'warehouse has an option secret that is not known; cluster is the one there is'],
      ['chdb:', 'warehouse chdb: names no folder'],
      ['mysql://user:secret@host/db', 'warehouse scheme mysql: is not known'],
      ['secret', 'warehouse has no scheme'],
      ['duckdb:', 'warehouse duckdb: names no file'],
    ] as const) {
      const error = await openWarehouse(url, { mode: 'plan' }).then(
        () => undefined,
        (thrown: Error) => thrown,
      )
      expect(error?.message).toBe(problem)
    }
  })
})

describe('the memory of DuckDB', () => {
  // One text of more than the limit can't be put aside.
  const large = "SELECT length(string_agg(repeat('x', 1000), '')) AS n FROM range(200000)"
  const needy = async (url: string) => {
    const warehouse = await openWarehouse(url, { mode: 'write' })
    open.push(warehouse)
    const told: string[] = []
    const [row] = await all(warehouse, large).catch((error: unknown) => [{ error }])
    warehouse.hear((message) => told.push(message))
    await all(warehouse, large).catch(() => undefined)
    return { row, told }
  }

  test('is what the URL says, with threads and the folder for what is put aside; SQL can change none of it', async () => {
    const folder = temporaryFolder()
    const path = join(folder, 'x.duckdb')
    const warehouse = await openWarehouse(`duckdb:${path}?memory_limit=1GiB&threads=3&temp_directory=${folder}/aside`, { mode: 'write' })
    open.push(warehouse)
    expect(warehouse.display).toBe(`duckdb:${path}`)
    const settings = await all(
      warehouse,
      "SELECT name, value FROM duckdb_settings() WHERE name IN ('memory_limit', 'threads', 'temp_directory', 'lock_configuration') ORDER BY name",
    )
    expect(settings).toEqual([
      { name: 'lock_configuration', value: 'true' },
      { name: 'memory_limit', value: '1.0 GiB' },
      { name: 'temp_directory', value: `${folder}/aside` },
      { name: 'threads', value: '3' },
    ])
    await expect(warehouse.execute([sqlText("SET memory_limit = '2GB'")])).rejects.toThrow('may not run SET statements')
  })

  test('is limited as before after a commit, which has what was freed given back', async () => {
    for (const [settings, limit] of [
      ['', '38.1 MiB'],
      ['?memory_limit=1GiB', '1.0 GiB'],
    ]) {
      const warehouse = await openWarehouse(`duckdb:${join(temporaryFolder(), 'x.duckdb')}${settings}`, { mode: 'write' })
      open.push(warehouse)
      await warehouse.prepare([t])
      await warehouse.open(step, ['u'], 1n)
      await warehouse.commit([write([{ output: output(t), rows: [row] }])])
      expect(await all(warehouse, "SELECT current_setting('memory_limit') AS held")).toEqual([{ held: limit }])
    }
  })

  test('is raised as far as a statement needs, which is said once; a limit that was given holds, and the error says how to raise it', async () => {
    const path = join(temporaryFolder(), 'x.duckdb')
    const { row, told } = await needy(`duckdb:${path}`)
    expect(row).toEqual({ n: 200_000_000n })
    expect(told).toEqual([
      expect.stringMatching(
        /^DuckDB needs more than 256 MB of memory: it may take [\d.]+ [MG]B now, a quarter of this machine; duckdb:PATH\?memory_limit=… sets another limit$/,
      ),
    ])
    const given = join(temporaryFolder(), 'y.duckdb')
    const fixed = await needy(`duckdb:${given}?memory_limit=256MB`)
    expect(fixed).toEqual({
      row: {
        error: expect.objectContaining({
          code: 'WAREHOUSE_STORAGE',
          message: expect.not.stringContaining('SET') as string,
          hint: expect.stringContaining(`duckdb:${given}?memory_limit=4GB`) as string,
        }) as Error,
      },
      told: [],
    })
  })
})

describe('a file that is deleted while it is open', () => {
  test.each(['deleted', 'replaced'])('and %s, is an error of the next commit and of the next query', async (how) => {
    const path = join(temporaryFolder(), 'x.duckdb')
    await filled(path)
    const warehouse = await opened(path)
    const bytes = readFileSync(path)
    rmSync(path)
    if (how === 'replaced') writeFileSync(path, bytes)
    const gone = { code: 'WAREHOUSE_GONE', blame: 'outage' }
    await expect(warehouse.prepare([t])).rejects.toMatchObject(gone)
    await expect(warehouse.open(step, ['u'], 1n)).rejects.toMatchObject(gone)
    await expect(all(warehouse, 'SELECT 1 AS one')).rejects.toMatchObject(gone)
  })
})

describe('a process that dies', () => {
  /** What the file holds: rows and checkpoint must speak of the same. */
  async function agree(path: string): Promise<number> {
    const warehouse = await openDuckdb({ path, mode: 'write' })
    try {
      const [unit] = await warehouse.units('p')
      const at = unit?.rows.t ?? 0
      const [found] = unit
        ? await all(
            warehouse,
            "SELECT count(*) AS n, coalesce(max(k), -1) AS top, coalesce(bool_and(v = CAST(CAST(k AS VARCHAR) || repeat('0', 60) AS BIGNUM) OR k = 0), TRUE) AS exact FROM t",
          )
        : [{ n: 0n, top: -1n, exact: true }]
      expect(found).toEqual({ n: BigInt(at), top: BigInt(at) - 1n, exact: true })
      return at
    } finally {
      await warehouse.close()
    }
  }

  test('at any moment leaves rows and checkpoint that agree, and the next one goes on', async () => {
    const path = join(temporaryFolder(), 'x.duckdb')
    const kills = Number(process.env.PIPE_TEST_KILLS ?? 6)
    let before = 0
    for (let i = 0; i < kills; i++) {
      const { child, output: text } = await committing(path, { lines: 1 + (i % 3), rows: [50, 500, 3000][i % 3] ?? 1 })
      // Spread over the phases of a commit, which takes some milliseconds.
      await new Promise((resolve) => setTimeout(resolve, (i * 37) % 101))
      await stopped(child)
      const plan = await openDuckdb({ path, mode: 'plan' })
      const planned = (await plan.units('p'))[0]?.rows.t ?? 0
      await plan.close()
      const at = await agree(path)
      expect(planned).toBe(at)
      const reported = Number(/committed (\d+)\n(?!.*committed)/s.exec(text())?.[1] ?? 0)
      expect(at).toBeGreaterThanOrEqual(Math.max(before, reported))
      before = at
    }
    expect(before).toBeGreaterThan(0)
  }, 300_000)

  test.skipIf(process.platform === 'win32')(
    'of a limit of the shell keeps what was committed, and says so',
    async () => {
      const path = join(temporaryFolder(), 'x.duckdb')
      // No file may grow beyond 2 MB.
      const { child, output: text } = await committing(path, { lines: 1_000_000, limit: 'ulimit -f 4096', rows: 3000 })
      expect(child.exitCode === 0).toBe(false)
      expect(text()).toContain('a file may not get larger (`ulimit -f`); nothing of this commit was written')
      const reported = Number(/committed (\d+)\n(?!.*committed)/s.exec(text())?.[1] ?? 0)
      expect(reported).toBeGreaterThan(0)
      expect(await agree(path)).toBeGreaterThanOrEqual(reported)
    },
    120_000,
  )
})
