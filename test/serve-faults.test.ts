import diagnostics from 'node:diagnostics_channel'
import { spawn, spawnSync } from 'node:child_process'
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import type { Server } from 'node:http'
import { connect, type Socket } from 'node:net'
import { join } from 'node:path'
import pg from 'pg'
import { describe, expect, test, vi } from 'vitest'
import { systemClock } from '../src/cli/system-clock.js'
import { History } from '../src/serve/history.js'
import { projectFolder, temporaryFolder } from './support/folder.js'
import { linesWorld } from './support/lines-world.js'
import { ask as query, postgresDatabase } from './support/postgres.js'
import { type Answer, realServer } from './support/real-server.js'

const one = '/api/pipelines/enrichment'
const curl = spawnSync('curl', ['--version']).status === 0

describe('a server that listens', () => {
  test('waits 10 seconds for the head of a request and 30 for all of it, cuts off a body without end, and calls none of it its own mistake', async () => {
    const { url, ask, reported } = await realServer(linesWorld())
    const servers = new Set<Server>()
    const see = (message: unknown) => void servers.add((message as { server: Server }).server)
    diagnostics.subscribe('http.server.request.start', see)
    await ask('/healthz')
    diagnostics.unsubscribe('http.server.request.start', see)
    const [server] = servers
    expect([servers.size, server!.headersTimeout, server!.requestTimeout]).toEqual([1, 10_000, 30_000])
    // It looks every five seconds, so that shorter ones show the same sooner.
    Object.assign(server!, { headersTimeout: 1_000, requestTimeout: 2_000 })
    const post = `POST ${one}/start HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n`
    const at = (text: string) => raw(url, text)
    const [noEnd, noHead, noBody, slow] = [
      at(`${post}Transfer-Encoding: chunked\r\n\r\n`),
      at('GET / HTTP/1.1\r\nHost: loc'),
      at(`${post}Content-Length: 20\r\n\r\n{"limit"`),
      at(`${post}Transfer-Encoding: chunked\r\n\r\n`),
    ]
    const drip = setInterval(() => slow.socket.write('1\r\n \r\n'), 100)
    // It takes a part of what is sent to it for ever, and reads no more.
    const chunk = `10000\r\n${' '.repeat(65_536)}\r\n`
    let sent = 0
    while (!noEnd.socket.destroyed && sent < 400) {
      sent++
      await Promise.race([new Promise((resolve) => noEnd.socket.write(chunk, resolve)), noEnd.closed])
    }
    await Promise.all([noEnd.closed, noHead.closed, noBody.closed, slow.closed])
    clearInterval(drip)
    expect(sent).toBeLessThan(400)
    expect([noEnd, noHead, noBody, slow].map(({ heard }) => /^HTTP\/1.1 (\d+)/.exec(heard())?.[1])).toEqual(['413', '408', '408', '408'])
    expect(reported).toEqual([])
    expect((await ask('/healthz')).ok).toBe(true)
  })
})

test('what no page, no stranger and no mistake may get is refused on the wire, too, and says nothing of the inside', async () => {
  const { url, ask, reported } = await realServer(linesWorld())
  const answer = async (head: string) => {
    const { socket, closed, heard } = raw(url, `${head}\r\nConnection: close\r\n\r\n`)
    await Promise.race([closed, systemClock.sleep(2_000)])
    socket.destroy()
    return heard()
  }
  expect(await answer(`GET ${one}/events HTTP/1.1\r\nHost: evil.com`)).toMatch(/^HTTP\/1.1 403 .*HOST_REFUSED/s)
  const preflight = await answer(
    `OPTIONS ${one}/start HTTP/1.1\r\nHost: localhost\r\nOrigin: https://evil.com\r\nAccess-Control-Request-Method: POST`,
  )
  expect(preflight).toMatch(/^HTTP\/1.1 403 /)
  expect(preflight.toLowerCase()).not.toContain('access-control-')
  expect(await answer(`GET /api/runs/${'x'.repeat(10_000_000)} HTTP/1.1\r\nHost: localhost`)).toMatch(/^(HTTP\/1.1 431 .*)?$/s)

  const mistake = new Error("SELECT 'very-secret-word' FROM runs: no such column in /home/pipe/state.db")
  vi.spyOn(History.prototype, 'last').mockRejectedValueOnce(mistake)
  expect(await ask(one)).toEqual({
    error: { code: 'INTERNAL', message: 'a mistake in pipe or in a plugin', hint: 'the log of the server shows it' },
  })
  expect(reported).toEqual([mistake])
})

describe.each([undefined, 'a-token-of-43-characters-that-nobody-guesses'])('with the token %s', (token) => {
  test.skipIf(!curl)('the curl lines of README do what they say, as they are printed (skipped where there is no curl)', async () => {
    const cwd = linesWorld()
    const text = readFileSync(join(cwd, 'p.yaml'), 'utf8')
    writeFileSync(join(cwd, 'miners.yaml'), text.replace('name: enrichment', 'name: miners').replace('p.duckdb', 'm.duckdb'))
    writeFileSync(join(cwd, 'p.yaml'), text.replace('hold: { type: int, default: 0 }', 'hold: { type: int, default: 15 }'))
    const { url } = await realServer(cwd, { token, files: ['miners.yaml'] })
    const type = async (line: string) => {
      const { out, seen } = shell(line.replace('localhost:8080', `localhost:${new URL(url).port}`))
      await seen(line.includes('/events') ? 'event: view' : undefined)
      return line.includes('/events') ? out() : (JSON.parse(out()) as Answer)
    }
    const printed = [...readFileSync(join(projectFolder, 'README.md'), 'utf8').matchAll(/^curl .*$/gm)].map(([line]) => line)
    expect(printed.map((line) => /8080(\S+)/.exec(line)?.[1])).toEqual([
      '/api/pipelines',
      ...['start', 'events', 'coverage', 'pause', 'parallel', 'resume'].map((what) => `/api/pipelines/miners/${what}`),
      ...Array<string>(3).fill('/api/admin/backfill'),
    ])
    if (token !== undefined)
      for (const line of printed.filter((each) => !each.includes('/events')))
        expect([line, await type(line)]).toMatchObject([line, { error: { code: 'TOKEN_WRONG' } }])
    const lines = token === undefined ? printed : printed.map((line) => `${line} -H 'Authorization: Bearer ${token}'`)
    const [pipelines, start, events, coverage, pause, parallel, resume, ...old] = lines as [string, ...string[]] & { length: 10 }
    const [backfill, startBackfill, stopBackfill] = old

    expect(((await type(pipelines)) as Answer).pipelines.map(({ name }: Answer) => name)).toEqual(['enrichment', 'miners'])
    for (const line of [pause!, resume!]) expect(await type(line)).toMatchObject({ error: { code: 'NOT_RUNNING' } })
    // README's step is one of miners.yaml.
    expect(await type(parallel!)).toMatchObject({ error: { code: 'NO_SUCH_STEP' } })
    expect(await type(start!)).toEqual({ run: expect.any(String) })
    expect(await type(events!)).toContain('event: view\ndata: {"run":')
    expect(await type(coverage!)).toMatchObject({ steps: [{ step: 'lines' }, { step: 'sums' }, { step: 'complete' }] })
    const stands = (running: boolean, ended: Answer = {}) => ({
      ...{ running, startedAt: running ? expect.any(String) : null, currentProcess: null, completedProcesses: [], failedProcesses: [] },
      ...{ progress: { total: 2, completed: 0, failed: 0 }, ...ended },
    })
    expect(await type(backfill!)).toEqual(stands(false))
    expect(await type(startBackfill!)).toMatchObject({ running: true })
    await vi.waitFor(async () => expect(await type(backfill!)).toEqual(stands(true, { currentProcess: 'lines' })), 5_000)
    expect(await type(startBackfill!)).toMatchObject({ error: { code: 'RUNS_ALREADY' } })
    await vi.waitFor(() => expect(existsSync(join(cwd, 'held'))).toBe(true))
    expect(await type(stopBackfill!)).toMatchObject({ running: true, currentProcess: 'lines' })
    rmSync(join(cwd, 'held'))
    await vi.waitFor(async () => expect(await type(backfill!)).toEqual(stands(false, { startedAt: expect.any(String) })), 5_000)
    expect(await type(stopBackfill!)).toMatchObject({ error: { code: 'NOT_RUNNING' } })
  })
})

/** What a person types, until it has ended or has said a word. */
function shell(line: string) {
  const child = spawn('sh', ['-c', `exec ${line}`], {
    env: { PATH: process.env.PATH, NO_PROXY: '*' },
    stdio: ['ignore', 'pipe', 'ignore'],
  })
  let said = ''
  const seen = (word: string | undefined) =>
    new Promise<void>((resolve) => {
      child.stdout.setEncoding('utf8').on('data', (part: string) => {
        said += part
        if (word !== undefined && said.includes(word)) child.kill()
      })
      child.once('close', () => resolve())
    })
  return { seen, out: () => said }
}

test('a stop in the middle of a swap lets it end or leaves all tables as they were, and the run says which', async () => {
  const cwd = temporaryFolder()
  writeFileSync(join(cwd, 'p.yaml'), REBUILD)
  const database = await postgresDatabase()
  const { ask, over } = await realServer(cwd, { env: { PG_URL: database } })
  const startWith = (most: number) => ask(`${one}/start`, { params: { most } })
  const rows = async () => (await query(database, 'SELECT amount, value FROM flows, figures')).flatMap((row) => Object.values(row))
  await over((await startWith(1)).run)
  expect(await rows()).toEqual(['1', '1'])
  const found: string[] = []
  const other = new pg.Client({ connectionString: database })
  await other.connect()
  let [most, there] = [1, 1]
  // The build waits for a lock of ours, the swap for whoever reads the table, and the end of the unit for a lock again.
  await query(
    database,
    `CREATE FUNCTION waits() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM pg_advisory_xact_lock(7); RETURN NULL; END';
     CREATE TRIGGER waits AFTER UPDATE ON _pipe_units FOR EACH ROW WHEN (NEW.step = 'publish' AND NEW.state = 'done') EXECUTE FUNCTION waits()`,
  )
  for (const [moment, lock] of Object.entries(LOCKS))
    for (const how of [{}, { now: true }]) {
      await other.query(`BEGIN; ${lock}`)
      const { run } = await startWith(++most)
      await vi.waitFor(async () => expect(await query(database, 'SELECT 1 FROM pg_locks WHERE NOT granted')).toHaveLength(1), 10_000)
      expect(await ask(`${one}/stop`, how)).toEqual({ run })
      // What is built is given up at once, what is committed comes to its end.
      if (moment !== 'build' || !('now' in how)) await other.query('COMMIT')
      const { state, view } = await over(run)
      await other.query('COMMIT')
      const publish = (view.steps as Answer[]).find(({ id }) => id === 'publish')!
      const warnings = (view.warnings as Answer[]).map(({ message }) => String(message).split(':')[0])
      // Rows count when readers see them. Both tables are of one version, and that one of which the run speaks.
      if (publish.rows.flows === 1) there = most
      expect(await rows()).toEqual([String(there), String(there)])
      found.push(`${moment}${'now' in how ? ' now' : ''}: ${[state, publish.state, ...warnings].join(', ')}`)
    }
  await other.end()
  expect(found).toEqual([
    'build: done, complete',
    'build now: stopped, stopped, nothing was swapped',
    'swap: done, complete',
    'swap now: stopped, stopped, the swap was done before the stop',
    // What came in since is not published any more: the run does only what the one before left behind its swap.
    'end: stopped, stopped',
    'end now: stopped, stopped',
  ])
  await over((await startWith(99)).run)
  expect(await rows()).toEqual(['99', '99'])
})

const LOCKS = {
  build: 'SELECT pg_advisory_xact_lock(8)',
  swap: 'LOCK TABLE flows IN ACCESS SHARE MODE',
  end: 'SELECT pg_advisory_xact_lock(7)',
}

const REBUILD = `name: enrichment
warehouse: \${PG_URL}
params: { most: { type: int, default: 1 } }
tables:
  moves: { columns: { k: bigint, amount: bigint }, key: [k] }
  flows: { columns: { amount: bigint }, key: [amount] }
  figures: { columns: { value: bigint }, key: [value] }
steps:
  - { id: moves, type: sql-upsert, into: moves, with: { sql: 'SELECT 1 AS k, $most AS amount' } }
  - id: publish
    type: rebuild
    needs: [moves]
    with:
      parts:
        - { id: flows, into: flows, sql: 'SELECT max(amount) AS amount FROM moves WHERE pg_advisory_xact_lock_shared(8) IS NOT NULL' }
        - { id: figures, into: figures, sql: SELECT max(amount) AS value FROM flows__next }
`

/** A connection on which a text was sent. */
function raw(url: string, text: string): { readonly socket: Socket; readonly closed: Promise<void>; heard(): string } {
  const socket = connect(Number(new URL(url).port), '127.0.0.1')
  let heard = ''
  socket.setEncoding('utf8').on('data', (part: string) => (heard += part))
  socket.on('error', () => undefined)
  socket.write(text)
  const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()))
  return { socket, closed, heard: () => heard }
}
