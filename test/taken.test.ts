import { randomUUID } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { systemClock } from '../src/cli/system-clock.js'
import { readPipeline } from '../src/pipeline/read.js'
import { fakeChain, type FakeEndpoint } from '../src/sandbox/index.js'
import type { Clock } from '../src/sdk/index.js'
import { openSession, type Session } from '../src/session/session.js'
import type { Surroundings } from '../src/session/surroundings.js'
import { chdbMissing, type ClickhouseServer, startClickhouse } from './support/clickhouse-server.js'
import { temporaryFolder } from './support/folder.js'
import { ask, postgresDatabase } from './support/postgres.js'
import { spawnPipe } from './support/spawn-pipe.js'

const LAST = 999
const PIPELINE = `name: heights
warehouse: \${WAREHOUSE_URL}
chains:
  ethereum: { rpc: "\${RPC_URL}" }
tables:
  blocks: { columns: { number: bigint, hash: hash }, key: [number] }
steps:
  - id: blocks
    type: rpc-batch
    chain: ethereum
    into: blocks
    with:
      over: { blocks: { from: 0, to: ${LAST} }, chunk: 100 }
      calls: { block: { method: eth_getBlockByNumber, params: [$number, false] } }
      row: { number: block.number, hash: block.hash }
`

let quick: FakeEndpoint
/** Answers after a while, so that a run into it is always in the middle. */
let slow: FakeEndpoint

beforeAll(async () => {
  const chain = fakeChain({ seed: 3, blocks: 1_100 })
  quick = await chain.serve()
  slow = await chain.serve()
  slow.fault({ kind: 'latency', ms: 250 })
}, 120_000)
afterAll(() => Promise.all([quick.close(), slow.close()]))

/** A folder of a machine of its own, with the pipeline in it. */
function machine(): string {
  const cwd = temporaryFolder()
  writeFileSync(join(cwd, 'heights.yaml'), PIPELINE)
  return cwd
}

const part = { params: {}, select: undefined, limit: undefined }

/** Of a machine that can be told to look no more whether its run still holds the pipeline: that is what it waits two seconds for. */
class SleepyClock implements Clock {
  readonly now = systemClock.now
  readonly monotonic = systemClock.monotonic
  #asleep: (() => void) | undefined
  readonly #awake = new AbortController()

  async sleep(ms: number, signal?: AbortSignal): Promise<void> {
    const sleeps = this.#asleep !== undefined && ms === 2_000
    if (!sleeps) return systemClock.sleep(ms, signal)
    this.#asleep?.()
    const end = AbortSignal.any([this.#awake.signal, ...(signal ? [signal] : [])])
    await systemClock.sleep(300_000, end).catch(() => signal?.throwIfAborted())
  }

  /** Resolves when it has looked for the last time. */
  nod(): Promise<void> {
    return new Promise((resolve) => (this.#asleep = resolve))
  }

  wake(): void {
    this.#asleep = undefined
    this.#awake.abort()
  }
}

/** A session as a process of that host opens it, with a state store and locks of its own. */
async function session(host: string, pid: number, warehouse: string, rpc: string, clock: Clock = systemClock): Promise<Session> {
  const cwd = machine()
  const here: Surroundings = {
    env: { RPC_URL: rpc, WAREHOUSE_URL: warehouse },
    cwd,
    signal: new AbortController().signal,
    pid,
    host,
    alive: () => true,
    kill: () => false,
    clock,
    random: Math.random,
    newId: () => randomUUID(),
  }
  const { pipeline, problems } = await readPipeline(join(cwd, 'heights.yaml'), { cwd, env: here.env, environment: 'require' })
  if (!pipeline) throw new Error(JSON.stringify(problems))
  return openSession(pipeline, here, { state: 'sqlite:.pipe/state.db' })
}

async function until(what: () => Promise<boolean>): Promise<void> {
  while (!(await what())) await sleep(20)
}

const LOCKS =
  "SELECT pid, application_name AS name FROM pg_stat_activity WHERE application_name LIKE 'pipe % @%' AND datname = current_database()"
const cutLock = (database: string) => ask(database, `SELECT pg_terminate_backend(pid) FROM (${LOCKS}) AS l`)

/** Every row as it is, with the transaction that wrote it: one that is written again as it was shows. */
async function postgresContent(database: string) {
  const rows = await ask(database, 'SELECT number, hash, xmin::text AS by FROM blocks ORDER BY number')
  const units = await ask(database, 'SELECT unit, state, epoch, rows, xmin::text AS by FROM _pipe_units ORDER BY unit')
  return { rows, units }
}

describe('a run into Postgres whose lock is gone', () => {
  it('and that was paused while another one took its pipeline writes nothing more, and says who has it', async () => {
    const database = await postgresDatabase()
    const run = (rpc: string) =>
      spawnPipe(['run', 'heights.yaml', '--output', 'plain'], { cwd: machine(), env: { RPC_URL: rpc, WAREHOUSE_URL: database } })
    const first = run(slow.url)
    const count = async () =>
      Number((await ask(database, "SELECT count(*) AS n FROM pg_tables WHERE tablename = 'blocks'"))[0]?.n) &&
      Number((await ask(database, 'SELECT count(*) AS n FROM blocks'))[0]?.n)
    await until(async () => (await count()) > 0)
    // Not in the middle of a commit: what that one locked is free a minute later only.
    await until(async () => {
      first.kill('SIGSTOP')
      await sleep(20)
      const [busy] = await ask(
        database,
        "SELECT count(*) AS n FROM pg_stat_activity WHERE state LIKE 'idle in transaction%' OR (state = 'active' AND application_name = 'pipe')",
      )
      if (busy?.n !== '0') first.kill('SIGCONT')
      return busy?.n === '0'
    })
    expect(await count()).toBeLessThan(LAST + 1)
    await cutLock(database)

    const second = run(quick.url)
    expect(await second.exit).toMatchObject({ code: 0, stderr: '' })
    const before = await postgresContent(database)
    expect(before.rows.map(({ number }) => number)).toEqual(Array.from({ length: LAST + 1 }, (_, n) => String(n)))

    first.kill('SIGCONT')
    const { code, stderr } = await first.exit
    expect([code, stderr]).toEqual([
      3,
      expect.stringMatching(new RegExp(`another run took pipeline heights: pid ${second.pid} on \\S+, since 2`)) as string,
    ])
    expect(await postgresContent(database)).toEqual(before)
  }, 180_000)

  it('takes the lock again when nobody else took it, and ends as if nothing had been', async () => {
    const database = await postgresDatabase()
    const first = await session('one', 1, database, slow.url)
    const running = first.run(part)
    await until(async () => first.view.steps[0]?.state === 'running')
    const [before] = await ask(database, LOCKS)
    await cutLock(database)
    await until(async () => (await ask(database, LOCKS)).some(({ pid }) => pid !== before?.pid))
    expect(await running).toEqual({ outcome: 'done', exitCode: 0 })
    await first.close()
  }, 180_000)

  it('stops within seconds when another one took it, also while it waits for an answer', async () => {
    const database = await postgresDatabase()
    const silent = await fakeChain({ seed: 3, blocks: 1_100 }).serve()
    silent.fault({ kind: 'latency', ms: 60_000, methods: ['eth_getBlockByNumber'] })
    const first = await session('one', 1, database, silent.url)
    const ended = first.run(part).catch((error: unknown) => error)
    await until(async () => first.view.steps[0]?.state === 'running')
    const stranger = new pg.Client({ connectionString: database, application_name: 'pipe 7 @elsewhere 1700000000000' })
    await stranger.connect()
    const [lock] = await ask(
      database,
      "SELECT ((classid::bigint << 32) | objid::bigint)::text AS key FROM pg_locks WHERE locktype = 'advisory' AND granted",
    )
    // It waits for the lock, so it has it before the first one learns that it is gone.
    const got = stranger.query('SELECT pg_advisory_lock($1::bigint)', [lock?.key])
    await until(async () => (await ask(database, "SELECT 1 AS one FROM pg_locks WHERE locktype = 'advisory' AND NOT granted")).length > 0)
    await ask(database, `SELECT pg_terminate_backend(pid) FROM (${LOCKS}) AS l WHERE name LIKE 'pipe 1 @%'`)
    await got
    const started = performance.now()
    expect(await ended).toMatchObject({
      code: 'PIPELINE_TAKEN',
      exitCode: 3,
      message: expect.stringContaining('heights: pid 7 on elsewhere, since 2023-11-14T22:13:20.000Z') as string,
    })
    expect(performance.now() - started).toBeLessThan(6_000)
    expect(first.view).toMatchObject({ state: 'ended', outcome: 'error', exitCode: 3 })
    await first.close()
    await stranger.end()
    await silent.close()
  }, 180_000)
})

const missing = chdbMissing()

describe.skipIf(missing !== undefined)('two machines on one server of ClickHouse', () => {
  let server: ClickhouseServer
  beforeAll(async () => {
    server = await startClickhouse()
  }, 180_000)
  afterAll(() => server.close())

  it('do not run one pipeline at once; one that is gone is followed, and writes nothing when it comes back', async () => {
    const url = await server.database()
    const database = new URL(url).pathname.slice(1)
    const clock = new SleepyClock()
    const first = await session('one', 1, url, slow.url, clock)
    const ended = first.run(part).catch((error: unknown) => error)
    await until(async () => first.view.commits.count > 0)
    const stuck = slow.fault({ kind: 'latency', ms: 300_000 })
    await expect(session('two', 2, url, quick.url)).rejects.toMatchObject({
      code: 'PIPELINE_HELD',
      message: expect.stringContaining('another run holds pipeline heights: pid 1 on one, since 2') as string,
    })
    await clock.nod()
    // As if it had not been heard of for a minute: its machine sleeps.
    await server.admin(
      'INSERT INTO _pipe_holders (pipeline, holder, host, pid, since, seen_at, _pipe_version, _pipe_deleted) SETTINGS insert_allow_materialized_columns = 1 SELECT pipeline, holder, host, pid, since, seen_at - 60, _pipe_version + 1, 0 FROM _pipe_holders FINAL',
      database,
    )
    const second = await session('two', 2, url, quick.url)
    expect(await second.run(part)).toEqual({ outcome: 'done', exitCode: 0 })
    clock.wake()
    expect(await ended).toMatchObject({ code: 'PIPELINE_TAKEN', message: expect.stringContaining('pid 2 on two, since 2') as string })
    await first.close()
    await second.close()
    expect(await server.admin('SELECT count(), uniqExact(number), min(number), max(number) FROM blocks FINAL', database)).toBe(
      `${LAST + 1}\t${LAST + 1}\t0\t${LAST}`,
    )
    expect(await server.admin('SELECT DISTINCT state FROM _pipe_units FINAL', database)).toBe('done')
    stuck.remove()
    // Who ended is not waited for.
    await (await session('three', 3, url, quick.url)).close()
  }, 180_000)
})

it('whether two machines on ClickHouse were tested is said', () => {
  expect([undefined, missing]).toContain(missing)
})
