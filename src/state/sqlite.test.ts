import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import Libsql from 'libsql'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { Clock } from '../sdk/index.js'
import { lockPipeline } from './lock.js'
import { openStateStore } from './open.js'
import type { StateStore } from './store.js'

const clock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  sleep: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
}
const machine = { host: 'here', alive: (pid: number) => pid === 1 }
const first = {
  id: 'r1',
  pipeline: 'miners',
  warehouse: 'duckdb:m.duckdb',
  file: 'miners.yaml',
  hash: 'h1',
  pid: 1,
  host: 'here',
  startedAt: 1_000,
}
const check = { name: 'all there', passed: false, severity: 'error', value: '3', expect: '= 0', sql: 'SELECT 3' } as const

let folder = ''
let url = ''
const opened: StateStore[] = []

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'pipe-state-'))
  url = `sqlite:${join(folder, 'deep', 'state.db')}`
})
afterEach(async () => {
  for (const store of opened.splice(0)) await store.close()
  rmSync(folder, { recursive: true, force: true })
})

async function open(options: { readonly readOnly?: boolean } = {}): Promise<StateStore> {
  const store = await openStateStore(url, { clock, machine, ...options })
  opened.push(store)
  return store
}

test('a run is kept with everything that was said about it, also after the store was closed', async () => {
  const store = await open()
  await store.startRun(first)
  await store.updateRun('r1', { resolved: { heads: { ethereum: '999' } }, view: { steps: [1, 'ü\u0000x'] } }, 2_000)
  await store.updateRun('r1', { endedAt: 3_000, outcome: 'incomplete', exitCode: 1 }, 3_000)
  await store.recordCheck('r1', 'complete', check, { final: true, at: 2_500 })
  await store.close()
  const again = await open()
  expect(await again.runs('miners')).toEqual([
    {
      ...first,
      endedAt: 3_000,
      outcome: 'incomplete',
      exitCode: 1,
      resolved: { heads: { ethereum: '999' } },
      view: { steps: [1, 'ü\u0000x'] },
      wish: { paused: false, parallel: {} },
      updatedAt: 3_000,
    },
  ])
  expect(await again.checks('miners', 10)).toEqual([{ run: 'r1', step: 'complete', result: check, final: true, at: 2_500 }])
  expect(await again.runs('other')).toEqual([])
})

test('what is wanted of a run reaches it with its next word, is changed by two at once without a loss, and dies with the run', async () => {
  const [run, server] = [await open(), await open()]
  await run.startRun(first)
  expect(await run.updateRun('r1', { view: {} }, 2_000)).toEqual({ paused: false, parallel: {} })
  const lines = server.wish('r1', (before) => ({ ...before, parallel: { ...before.parallel, lines: 8 } }))
  const pause = run.wish('r1', (before) => ({ ...before, paused: true }))
  expect([await lines, await pause]).toEqual([true, true])
  expect(await run.updateRun('r1', { view: {} }, 3_000)).toEqual({ paused: true, parallel: { lines: 8 } })
  expect((await server.run('r1'))?.wish).toEqual({ paused: true, parallel: { lines: 8 } })
  const refused = server.wish('r1', () => {
    throw new Error('it is paused already')
  })
  await expect(refused).rejects.toThrow('it is paused already')
  await run.updateRun('r1', { endedAt: 4_000, outcome: 'stopped', exitCode: 140 }, 4_000)
  expect(await server.wish('r1', () => ({ paused: false, parallel: {} }))).toBe(false)
  await run.startRun({ ...first, id: 'r2' })
  expect((await run.run('r2'))?.wish).toEqual({ paused: false, parallel: {} })
})

test('runs come newest first, by warehouse and limit, whatever the clock said', async () => {
  const store = await open()
  await store.startRun(first)
  await store.startRun({ ...first, id: 'r2', warehouse: 'duckdb:n.duckdb', startedAt: 900 })
  await store.startRun({ ...first, id: 'r3', startedAt: 800 })
  expect((await store.runs('miners')).map((run) => run.id)).toEqual(['r3', 'r2', 'r1'])
  expect((await store.runs('miners', { limit: 2 })).map((run) => run.id)).toEqual(['r3', 'r2'])
  expect([(await store.run('r2'))?.warehouse, await store.run('r9')]).toEqual(['duckdb:n.duckdb', undefined])
  expect((await store.runs('miners', { warehouse: 'duckdb:m.duckdb' })).map((run) => run.id)).toEqual(['r3', 'r1'])
})

test('limits and rates are replaced by newer ones', async () => {
  const store = await open()
  const limits = { chain: 'ethereum', endpoint: 'a.example', batch: 10, maxBatch: undefined, parallel: 5, maxBlockRange: undefined, at: 1 }
  await store.rememberLimits([limits, { ...limits, endpoint: 'b.example' }])
  await store.rememberLimits([{ ...limits, batch: undefined, maxBatch: 100, maxBlockRange: 2_000, at: 2 }])
  expect(await store.limits('ethereum')).toEqual([
    { ...limits, batch: undefined, maxBatch: 100, maxBlockRange: 2_000, at: 2 },
    { ...limits, endpoint: 'b.example' },
  ])
  const rate = { pipeline: 'miners', step: 'blocks', piecesPerSecond: 812.5, bytesPerPiece: 640, at: 1 }
  await store.rememberRates([rate])
  await store.rememberRates([{ ...rate, piecesPerSecond: 900, at: 2 }])
  expect(await store.rates('miners')).toEqual([{ ...rate, piecesPerSecond: 900, at: 2 }])
})

test('what receivers were told is replaced as a whole, for one pipeline into one warehouse', async () => {
  const store = await open()
  const receiver = 'slack hooks.slack.com'
  const failure = { receiver, kind: 'failure', about: 'blocks', at: 5 } as const
  await store.rememberTold('miners', 'duckdb:m', [failure, { receiver: 'webhook b', kind: 'stall', about: '', at: 6 }])
  await store.rememberTold('miners', 'duckdb:n', [failure])
  await store.rememberTold('miners', 'duckdb:m', [{ ...failure, at: 7 }])
  expect(await store.told('miners', 'duckdb:m')).toEqual([{ ...failure, at: 7 }])
  expect(await store.told('miners', 'duckdb:n')).toEqual([failure])
  expect(await store.told('other', 'duckdb:m')).toEqual([])
})

test('a run whose process is dead is crashed, for readers at once and for good when the next run starts', async () => {
  const store = await open()
  await store.startRun({ ...first, pid: 4_000_000 })
  await store.startRun({ ...first, id: 'elsewhere', host: 'other', pid: 4_000_000 })
  expect((await store.runs('miners')).map((run) => [run.id, run.outcome])).toEqual([
    ['elsewhere', 'running'],
    ['r1', 'crashed'],
  ])
  await store.startRun({ ...first, id: 'r3' })
  const blind = await openStateStore(url, { clock })
  opened.push(blind)
  expect((await blind.runs('miners')).map((run) => [run.id, run.outcome])).toEqual([
    ['r3', 'running'],
    ['elsewhere', 'running'],
    ['r1', 'crashed'],
  ])
})

test('a run whose lock is free is crashed although another process has its pid now', async () => {
  const store = await open()
  const lock = await lockPipeline({
    pipeline: 'miners',
    warehouse: `duckdb:${join(folder, 'm.duckdb')}`,
    stateDir: folder,
    clock,
    self: { pid: 1, host: 'here', since: 1 },
  })
  await store.startRun({ ...first, lockFile: lock.path })
  expect((await store.runs('miners'))[0]?.outcome).toBe('running')
  await lock.release()
  expect((await store.runs('miners'))[0]?.outcome).toBe('crashed')
  expect((await store.run('r1'))?.outcome).toBe('crashed')
})

test('only the newest 200 runs of a pipeline are kept, with their checks', async () => {
  const store = await open()
  for (let i = 1; i <= 203; i++) await store.startRun({ ...first, id: `r${i}` })
  await store.recordCheck('r4', 'complete', check, { final: true, at: 1 })
  await store.startRun({ ...first, id: 'last' })
  const runs = await store.runs('miners')
  expect([runs.length, runs[0]?.id, runs.at(-1)?.id]).toEqual([200, 'last', 'r5'])
  await store.startRun({ ...first, id: 'r4' })
  expect(await store.checks('miners', 10)).toEqual([])
})

test('the newest facts of a run are kept as it wrote them last, of the newest 20 runs of a pipeline', async () => {
  const store = await open()
  await store.startRun({ ...first, id: 'r1' })
  expect(await store.facts('r1')).toBeUndefined()
  for (const kept of [
    { lines: [], dropped: 0 },
    { lines: ['{"type":"a"}', '{"type":"b\\n"}'], dropped: 3 },
  ]) {
    await store.rememberFacts('r1', kept)
    expect(await store.facts('r1')).toEqual(kept)
  }
  for (let i = 2; i <= 20; i++) await store.startRun({ ...first, id: `r${i}` })
  expect((await store.facts('r1'))?.dropped).toBe(3)
  await store.startRun({ ...first, id: 'r21' })
  expect(await store.facts('r1')).toBeUndefined()
})

test('looking at a state file that does not exist finds nothing and creates nothing', async () => {
  const store = await open({ readOnly: true })
  expect(await store.runs('miners')).toEqual([])
  expect(readdirSync(folder)).toEqual([])
})

test('a reader sees a run of another process go on', async () => {
  const writer = await open()
  const reader = await open({ readOnly: true })
  await writer.startRun(first)
  await writer.updateRun('r1', { view: { done: 1 } }, 2_000)
  expect((await reader.runs('miners'))[0]?.view).toEqual({ done: 1 })
})

test('processes that open a new store at the same moment all find it ready', async () => {
  const script = `
    const { openStateStore } = await import(${JSON.stringify(new URL('./open.ts', import.meta.url).href)})
    const clock = { now: () => Date.now(), monotonic: () => performance.now(), sleep: (ms) => new Promise((resolve) => setTimeout(resolve, ms)) }
    await Promise.all([import('knex'), import('libsql')])
    console.log('ready')
    process.stdin.once('data', async () => {
      const store = await openStateStore(process.argv[1], { clock })
      await store.startRun({ id: 'r' + process.pid, pipeline: 'miners', warehouse: 'w', file: 'f', hash: 'h', pid: process.pid, host: 'x', startedAt: 1 })
      await store.close()
      process.exit(0)
    })`
  const children = Array.from({ length: 4 }, () =>
    spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', script, url], { stdio: ['pipe', 'pipe', 'inherit'] }),
  )
  await Promise.all(children.map((child) => once(child.stdout, 'data')))
  const ended = Promise.all(children.map((child) => once(child, 'exit')))
  for (const child of children) child.stdin.write('go\n')
  expect((await ended).map(([code]) => code as unknown)).toEqual([0, 0, 0, 0])
  expect((await (await open()).runs('miners')).length).toBe(4)
}, 60_000)

test('a store of a newer version is refused and stays as it is', async () => {
  await (await open()).close()
  const path = url.slice('sqlite:'.length)
  const db = new Libsql(path)
  db.exec(`INSERT INTO migrations (name, batch, migration_time) VALUES ('999-later.js', 2, 0)`)
  db.close()
  await expect(openStateStore(url, { clock })).rejects.toMatchObject({
    code: 'STATE_NEWER',
    message: `${path} was written by a newer version of pipe (it has 999-later.js)`,
  })
})

test('a migration that was killed half way leaves nothing and the next open does it all', async () => {
  const path = join(folder, 'state.db')
  const db = new Libsql(path)
  db.exec('PRAGMA journal_mode = WAL; BEGIN IMMEDIATE; CREATE TABLE runs (half int)')
  // Closing without COMMIT is what the file sees of a kill.
  db.close()
  const store = await openStateStore(`sqlite:${path}`, { clock })
  opened.push(store)
  await store.startRun(first)
  expect((await store.runs('miners')).length).toBe(1)
})

test.each([
  ['a folder in its place', (path: string) => path, 'is a folder'],
  ['a file where a folder should be', (path: string) => join(path, 'file', 'state.db'), 'a part of the path is a file, not a folder'],
  ['a text file', (path: string) => join(path, 'file'), 'is not a state file of pipe'],
])('%s is named', async (_, place, problem) => {
  writeFileSync(join(folder, 'file'), 'just text, and long enough to be no database header at all '.repeat(20))
  await expect(openStateStore(`sqlite:${place(folder)}`, { clock })).rejects.toMatchObject({
    code: 'STATE_FILE',
    message: expect.stringContaining(`${folder}`) as string,
  })
  await expect(openStateStore(`sqlite:${place(folder)}`, { clock })).rejects.toThrow(problem)
})

test('a state URL of another kind is refused without showing it', async () => {
  await expect(openStateStore('mysql://me:secret@db/state', { clock })).rejects.toThrow(
    'mysql:…: is no state store that this version knows',
  )
  expect(existsSync('mysql:')).toBe(false)
})
