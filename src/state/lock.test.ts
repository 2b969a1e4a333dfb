import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import ts from 'typescript'
import { afterAll, afterEach, beforeEach, expect, test } from 'vitest'
import type { Clock } from '../sdk/index.js'
import { lockIsFree, lockPipeline, type PipelineLock } from './lock.js'

const clock: Clock = {
  now: () => Date.now(),
  monotonic: () => performance.now(),
  sleep: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
}
const self = { pid: process.pid, host: 'here', since: 1_700_000_000_000 }

/** The lock as JavaScript: twenty processes start three times as fast without a loader. */
const compiled = mkdtempSync(join(tmpdir(), 'pipe-lock-compiled-'))
const source = fileURLToPath(new URL('../..', import.meta.url))
for (const file of ['src/state/lock', 'src/state/file-errors', 'src/sdk/errors', 'src/sdk/folders', 'src/sdk/urls']) {
  const { outputText } = ts.transpileModule(readFileSync(join(source, `${file}.ts`), 'utf8'), {
    compilerOptions: { module: ts.ModuleKind.ESNext, target: ts.ScriptTarget.ES2022, verbatimModuleSyntax: true },
  })
  mkdirSync(dirname(join(compiled, file)), { recursive: true })
  writeFileSync(join(compiled, `${file}.js`), outputText)
}
writeFileSync(join(compiled, 'package.json'), '{ "type": "module" }')
symlinkSync(join(source, 'node_modules'), join(compiled, 'node_modules'))
afterAll(() => rmSync(compiled, { recursive: true, force: true }))

let folder = ''
const locks: PipelineLock[] = []
const children: ChildProcess[] = []

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'pipe-lock-'))
})
afterEach(async () => {
  for (const lock of locks.splice(0)) await lock.release()
  for (const child of children.splice(0)) child.kill('SIGKILL')
  rmSync(folder, { recursive: true, force: true })
})

async function lock(pipeline: string, warehouse: string): Promise<PipelineLock> {
  const taken = await lockPipeline({ pipeline, warehouse, stateDir: join(folder, 'state'), clock, self })
  locks.push(taken)
  return taken
}

interface Contender {
  readonly pid: number
  /** Tries for the lock now. Resolves to what came of it. */
  go(): Promise<{ readonly won: boolean; readonly message: string; readonly ms: number }>
  /** Collects garbage, a handle that nobody keeps among it. */
  collect(): void
  kill(): Promise<void>
}

/** A process of its own that tries for the lock when told, and holds it until it is killed. */
async function contender(warehouse: string): Promise<Contender> {
  const script = `
    const { lockPipeline } = await import(${JSON.stringify(pathToFileURL(join(compiled, 'src/state/lock.js')).href)})
    const clock = { now: () => Date.now(), monotonic: () => performance.now(), sleep: (ms) => new Promise((resolve) => setTimeout(resolve, ms)) }
    const alive = (pid) => { try { process.kill(pid, 0); return true } catch { return false } }
    await import('libsql')
    console.log('ready')
    process.stdin.once('data', async () => {
      const started = performance.now()
      const self = { pid: process.pid, host: 'here', since: 1700000000000 }
      const said = (won, message) => console.log(JSON.stringify({ won, message, ms: performance.now() - started }))
      await lockPipeline({ pipeline: 'miners', warehouse: process.argv[1], stateDir: '.', clock, self, alive }).then(() => said(true, ''), (error) => said(false, error.message))
    })
    process.stdin.on('data', () => globalThis.gc())`
  const child = spawn(process.execPath, ['--expose-gc', '--input-type=module', '-e', script, warehouse], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  children.push(child)
  await once(child.stdout, 'data')
  return {
    // A child that printed has a pid.
    pid: child.pid!,
    async go() {
      const answer = once(child.stdout, 'data')
      child.stdin.write('go\n')
      return JSON.parse(String((await answer)[0])) as Awaited<ReturnType<Contender['go']>>
    },
    collect() {
      child.stdin.write('collect\n')
    },
    async kill() {
      const gone = once(child, 'exit')
      child.kill('SIGKILL')
      await gone
    },
  }
}

test('the second process loses within a second, naming the first, and gets the lock at once after kill -9', async () => {
  const warehouse = `duckdb:${join(folder, 'data', 'miners.duckdb')}`
  const [holder, second, third] = await Promise.all([contender(warehouse), contender(warehouse), contender(warehouse)])
  expect(await holder.go()).toMatchObject({ won: true })
  holder.collect()
  await clock.sleep(300)
  const lost = await second.go()
  expect(lost).toMatchObject({
    won: false,
    message: `another run holds pipeline miners: pid ${holder.pid} on here, since 2023-11-14T22:13:20.000Z`,
  })
  expect(lost.ms).toBeLessThan(1_000)
  await holder.kill()
  const next = await third.go()
  expect(next.won).toBe(true)
  expect(next.ms).toBeLessThan(1_000)
}, 60_000)

test('of twenty processes that start at once after a kill exactly one wins, and the others name it', async () => {
  const warehouse = `duckdb:${join(folder, 'miners.duckdb')}`
  const dead = await contender(warehouse)
  await dead.go()
  await dead.kill()
  const all = await Promise.all(Array.from({ length: 20 }, () => contender(warehouse)))
  const outcomes = await Promise.all(all.map((one) => one.go()))
  const winners = all.filter((_, i) => outcomes[i]?.won)
  expect(winners.length).toBe(1)
  expect(new Set(outcomes.filter((outcome) => !outcome.won).map((outcome) => outcome.message))).toEqual(
    new Set([`another run holds pipeline miners: pid ${winners[0]?.pid} on here, since 2023-11-14T22:13:20.000Z`]),
  )
}, 120_000)

test('a released lock can be taken again, also twice released', async () => {
  const warehouse = `duckdb:${join(folder, 'm.duckdb')}`
  const first = await lock('miners', warehouse)
  await expect(lock('miners', warehouse)).rejects.toMatchObject({ code: 'PIPELINE_HELD', holder: self })
  await first.release()
  await first.release()
  const second = await lock('miners', warehouse)
  await first.release()
  await expect(lock('miners', warehouse)).rejects.toMatchObject({ code: 'PIPELINE_HELD' })
  await second.release()
  expect(readdirSync(folder)).toEqual(['m.duckdb.miners.lock'])
})

test('other pipelines and other warehouses are not held, the same file under another name is', async () => {
  const path = join(folder, 'm.duckdb')
  writeFileSync(path, '')
  symlinkSync(path, join(folder, 'link.duckdb'))
  mkdirSync(join(folder, 'real'))
  symlinkSync(join(folder, 'real'), join(folder, 'alias'))
  await lock('miners', `duckdb:${path}`)
  await lock('a/../b', `duckdb:${path}`)
  await lock('miners', `duckdb:${join(folder, 'n.duckdb')}`)
  await lock('miners', `duckdb:${join(folder, 'real', 'new.duckdb')}`)
  await expect(lock('miners', `duckdb:${join(folder, 'link.duckdb')}`)).rejects.toThrow('another run holds')
  await expect(lock('miners', `duckdb:${join(folder, 'alias', 'new.duckdb')}`)).rejects.toThrow('another run holds')
  expect(readdirSync(folder).filter((name) => name.includes('a%2F'))).toEqual([
    'm.duckdb.a%2F..%2Fb.lock',
    'm.duckdb.a%2F..%2Fb.lock.holder',
  ])
})

test('a warehouse in memory needs no lock', async () => {
  const first = await lock('miners', 'duckdb::memory:')
  await lock('miners', 'duckdb::memory:')
  expect(first.path).toBe(undefined)
  expect(readdirSync(folder)).toEqual([])
})

test('a server is locked in the state folder, whoever logs in, and its password is in no file name', async () => {
  await lock('miners', 'clickhouse://me:secret@db/pipe')
  await expect(lock('miners', 'clickhouse://you:other@db/pipe')).rejects.toThrow('another run holds')
  await lock('miners', 'clickhouse://me:secret@db/other')
  expect(readdirSync(join(folder, 'state')).filter((name) => /secret|other/.test(name))).toEqual([])
})

test('whether a lock is free is told without taking or creating it', async () => {
  const warehouse = `duckdb:${join(folder, 'm.duckdb')}`
  const path = join(folder, 'm.duckdb.miners.lock')
  expect(await lockIsFree(path)).toBe(true)
  expect(existsSync(path)).toBe(false)
  const taken = await lock('miners', warehouse)
  expect(taken.path).toBe(path)
  expect(await lockIsFree(path)).toBe(false)
  // Looking must not have given the lock back.
  await expect(lock('miners', warehouse)).rejects.toThrow('another run holds')
  await taken.release()
  expect(await lockIsFree(path)).toBe(true)
})

test('a folder that can not be made is named', async () => {
  writeFileSync(join(folder, 'file'), '')
  await expect(lock('miners', `duckdb:${join(folder, 'file', 'm.duckdb')}`)).rejects.toMatchObject({
    code: 'STATE_FILE',
    message: expect.stringContaining('a part of the path is a file, not a folder') as string,
  })
})
