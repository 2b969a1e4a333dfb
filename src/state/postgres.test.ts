import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeAll, describe, expect, test } from 'vitest'
import { ask, postgresDatabase, withParams, withPath } from '../../test/support/postgres.js'
import { atEnd } from '../../test/support/cleanup.js'
import { temporaryFolder } from '../../test/support/folder.js'
import { postgresProxy } from '../../test/support/postgres-proxy.js'
import type { Clock } from '../sdk/index.js'
import { openPostgres } from '../warehouse/postgres/index.js'
import { lockPipeline, type PipelineLock } from './lock.js'
import { openStateStore } from './open.js'
import type { StateStore } from './store.js'

const clock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  sleep: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
}
const self = { pid: 42, host: 'here', since: 1_700_000_000_000 }

let database = ''
const locks: PipelineLock[] = []
const stores: StateStore[] = []
beforeAll(async () => {
  database = await postgresDatabase()
})
afterEach(async () => {
  for (const lock of locks.splice(0)) await lock.release()
  for (const store of stores.splice(0)) await store.close()
})

async function lock(pipeline: string, warehouse: string): Promise<PipelineLock> {
  const taken = await lockPipeline({ pipeline, warehouse, stateDir: temporaryFolder(), clock, self })
  locks.push(taken)
  return taken
}

describe('the lock of a pipeline on Postgres', () => {
  test('is held in the database, by pipeline and schema, and its holder is named', async () => {
    const first = await lock('miners', database)
    await expect(lock('miners', withParams(database, { schema: 'public' }))).rejects.toMatchObject({
      code: 'PIPELINE_HELD',
      exitCode: 3,
      message: 'another run holds pipeline miners: pid 42 on here, since 2023-11-14T22:13:20.000Z',
    })
    await lock('wallets', database)
    await lock('miners', withParams(database, { schema: 'other' }))
    await first.release()
    await first.release()
    await lock('miners', database)
  })

  test('is free at once when its process is killed', async () => {
    const child = holder(database)
    const [said] = (await once(child.stdout!, 'data')) as [Buffer]
    expect(String(said)).toBe('held\n')
    await expect(lock('miners', database)).rejects.toThrow(`pid ${child.pid} on there`)
    const gone = once(child, 'exit')
    child.kill('SIGKILL')
    await gone
    await lock('miners', database)
  })

  test('is taken again when the server ended the session that held it', async () => {
    await lock('miners', database)
    const held =
      "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
    const [before] = await ask(database, held)
    await ask(database, `SELECT pg_terminate_backend(${before?.pid})`)
    for (;;) {
      const [now] = await ask(database, held)
      if (now && now.pid !== before?.pid) break
      await clock.sleep(20)
    }
    await expect(lock('miners', database)).rejects.toThrow('pid 42 on here')
  })

  test('is refused behind a pool that gives each transaction another session, and so is the warehouse', async () => {
    const pool = await transactionPool(database)
    const problem = { code: 'POSTGRES_POOLER', message: expect.stringContaining('a pool in transaction mode') as string }
    await expect(lock('miners', pool)).rejects.toMatchObject(problem)
    await expect(openPostgres({ url: pool, mode: 'plan' })).rejects.toMatchObject(problem)
  })

  test('says where nobody answers, without the password', async () => {
    const proxy = await postgresProxy(database)
    proxy.close()
    const error = (await lock('miners', proxy.url).catch((thrown: unknown) => thrown)) as Error
    expect(error).toMatchObject({ code: 'WAREHOUSE_OPEN', blame: 'outage' })
    expect(error.message).toBe(`postgres://127.0.0.1:${new URL(proxy.url).port}${new URL(proxy.url).pathname}: the connection was cut`)
  })
})

describe('the state store in Postgres', () => {
  const run = {
    id: 'r1',
    pipeline: 'miners',
    warehouse: 'w',
    file: 'miners.yaml',
    hash: 'h',
    pid: 1,
    host: 'here',
    startedAt: 1_700_000_000_123,
  }
  const machine = { host: 'here', alive: (pid: number) => pid === 1 }
  const check = { name: 'all there', passed: false, severity: 'error', value: '3', expect: '= 0', sql: 'SELECT 3' } as const

  async function open(url: string, options: { readonly readOnly?: boolean } = {}): Promise<StateStore> {
    const store = await openStateStore(url, { clock, machine, ...options })
    stores.push(store)
    return store
  }

  test('keeps runs, checks, limits and rates as the one in a file does, in a schema of its own', async () => {
    const url = await postgresDatabase()
    expect(await (await open(url, { readOnly: true })).runs('miners')).toEqual([])
    expect(await ask(url, "SELECT nspname FROM pg_namespace WHERE nspname LIKE 'pipe%'")).toEqual([])
    const store = await open(url)
    await store.startRun(run)
    await store.updateRun('r1', { resolved: { heads: { ethereum: '999' } }, view: { steps: [1, 'ü\u0000\ud800x'] } }, 2_000)
    await store.updateRun('r1', { endedAt: 3_000, outcome: 'incomplete', exitCode: 1 }, 3_000)
    await store.startRun({ ...run, id: 'r2', pid: 4_000_000 })
    await store.startRun({ ...run, id: 'r3' })
    await store.recordCheck('r1', 'complete', check, { final: true, at: 2_500 })
    const limits = { chain: 'ethereum', endpoint: 'a.example', batch: 10, maxBatch: undefined, parallel: 5, maxBlockRange: 2 ** 40, at: 1 }
    await store.rememberLimits([limits])
    await store.rememberLimits([{ ...limits, at: 2 }])
    const rate = { pipeline: 'miners', step: 'blocks', piecesPerSecond: 812.5, bytesPerPiece: 640, at: 1 }
    await store.rememberRates([rate])
    const facts = { lines: ['{"type":"a"}', '{"type":"b"}'], dropped: 2 }
    for (const dropped of [1, 2]) await store.rememberFacts('r3', { ...facts, dropped })
    const reader = await open(url, { readOnly: true })
    const runs = await reader.runs('miners')
    expect(runs.map(({ id, outcome }) => [id, outcome])).toEqual([
      ['r3', 'running'],
      ['r2', 'crashed'],
      ['r1', 'incomplete'],
    ])
    expect(runs[2]).toEqual({
      ...run,
      endedAt: 3_000,
      outcome: 'incomplete',
      exitCode: 1,
      resolved: { heads: { ethereum: '999' } },
      view: { steps: [1, 'ü\u0000\ud800x'] },
      wish: { paused: false, parallel: {} },
      updatedAt: 3_000,
    })
    const wishes = ['lines', 'sums'].map((step) =>
      store.wish('r3', ({ parallel }) => ({ paused: true, parallel: { ...parallel, [step]: 8 } })),
    )
    expect([await Promise.all(wishes), await store.wish('r1', (before) => before)]).toEqual([[true, true], false])
    expect(await store.updateRun('r3', { view: {} }, 4_000)).toEqual({ paused: true, parallel: { lines: 8, sums: 8 } })
    expect(await reader.checks('miners', 10)).toEqual([{ run: 'r1', step: 'complete', result: check, final: true, at: 2_500 }])
    expect(await reader.limits('ethereum')).toEqual([{ ...limits, at: 2 }])
    expect(await reader.rates('miners')).toEqual([rate])
    expect(await reader.facts('r3')).toEqual(facts)
    expect(
      await ask(url, "SELECT DISTINCT schemaname FROM pg_tables WHERE schemaname NOT IN ('pg_catalog', 'information_schema')"),
    ).toEqual([{ schemaname: 'pipe_state' }])
  })

  test('is made by several processes at the same moment, once', async () => {
    const url = withParams(await postgresDatabase(), { schema: 'mine' })
    const opened = await Promise.all(Array.from({ length: 4 }, () => open(url)))
    await Promise.all(opened.map((store, i) => store.startRun({ ...run, id: `r${i}` })))
    expect((await opened[0]?.runs('miners'))?.length).toBe(4)
  })

  test('of a newer version is refused, a server that is not there is named', async () => {
    const url = await postgresDatabase()
    await (await open(url)).close()
    await ask(url, "INSERT INTO pipe_state.migrations (name, batch, migration_time) VALUES ('999-later.js', 2, now())")
    await expect(open(url)).rejects.toMatchObject({
      code: 'STATE_NEWER',
      message: expect.stringContaining('it has 999-later.js') as string,
    })
    await expect(open(withPath(url, 'nope'))).rejects.toMatchObject({
      code: 'STATE_SERVER',
      message: expect.stringContaining('there is no such database') as string,
    })
  })
})

/** A process of its own that holds the lock of `miners` until it is killed. */
function holder(warehouse: string): ChildProcess {
  const script = `
    const { lockPipeline } = await import(${JSON.stringify(new URL('./lock.ts', import.meta.url).href)})
    const self = { pid: process.pid, host: 'there', since: 1 }
    await lockPipeline({ pipeline: 'miners', warehouse: process.argv[1], stateDir: '.', clock: undefined, self })
    console.log('held')`
  const child = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', script, warehouse], {
    cwd: fileURLToPath(new URL('../..', import.meta.url)),
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  atEnd(() => child.kill('SIGKILL'))
  return child
}

/**
 * A pool in transaction mode, as far as its clients can tell: it logs each of them in on a session of the server, of which
 * it keeps the first and gives that to everybody, one transaction at a time, and it makes up the numbers of the sessions.
 */
async function transactionPool(server: string): Promise<string> {
  const target = new URL(server)
  const sockets = new Set<Socket>()
  let shared: Socket | undefined
  let owner: Socket | undefined
  const queue: { readonly client: Socket; readonly chunk: Buffer }[] = []
  const next = () => {
    const [first] = queue
    if (!first || (owner && owner !== first.client)) return
    owner = first.client
    queue.shift()
    shared?.write(first.chunk)
    for (const more of queue.filter(({ client }) => client === owner)) {
      queue.splice(queue.indexOf(more), 1)
      shared?.write(more.chunk)
    }
  }
  const listener = createServer((client) => {
    const login = connect(Number(target.port), target.hostname)
    for (const socket of [client, login]) {
      sockets.add(socket)
      socket.on('error', () => undefined)
    }
    let ready = false
    client.on('data', (chunk) => {
      if (!ready) return void login.write(chunk)
      // Terminate: the session is kept for others.
      if (chunk[0] === 0x58) return
      queue.push({ client, chunk })
      next()
    })
    login.on('data', (chunk) => {
      if (ready) return
      const key = chunk.indexOf(Buffer.from('K\0\0\0\x0c'))
      if (key >= 0) chunk.writeInt32BE(900_000 + sockets.size, key + 5)
      client.write(chunk)
      ready = chunk.includes(Buffer.from('Z\0\0\0\x05I'))
      if (!ready) return
      if (shared) return void login.destroy()
      shared = login
      login.removeAllListeners('data').on('data', (answer: Buffer) => {
        owner?.write(answer)
        if (!answer.includes(Buffer.from('Z\0\0\0\x05I'))) return
        owner = undefined
        next()
      })
    })
  })
  listener.listen(0, '127.0.0.1')
  await once(listener, 'listening')
  atEnd(() => {
    listener.close()
    for (const socket of sockets) socket.destroy()
  })
  const url = new URL(server)
  url.port = String((listener.address() as { readonly port: number }).port)
  return url.href
}
