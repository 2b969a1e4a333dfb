import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type ApiServer, type FakeApi, fakeApi } from '../src/sandbox/index.js'
import { apiYaml } from './support/api-run.js'
import { temporaryFolder } from './support/folder.js'
import { readDuckdb } from './support/read-duckdb.js'
import { type PipeProcess, spawnPipe } from './support/spawn-pipe.js'

/** More for a longer look: PIPE_TEST_KILLS=100 npx vitest run test/pages-resume.test.ts */
const KILLS = Number(process.env.PIPE_TEST_KILLS ?? 3)
const DAY = 86_400

let api: FakeApi
let server: ApiServer

beforeAll(async () => {
  // Three days up to now: the clock of a process is the machine's.
  const now = Math.floor(Date.now() / 1000)
  api = fakeApi({ seed: 17, rows: 2_000, every: 400, from: now - 3 * DAY })
  server = await api.serve({ bound: 'exclusive' })
  // Slow enough that a run has many moments to be killed in.
  server.fault({ kind: 'latency', ms: 8, jitterMs: 6 })
})
afterAll(() => server.close())

function project(
  way: string,
  limit = 20,
): { start: () => PipeProcess; table: () => Promise<Record<string, string>[]>; done: () => Promise<number> } {
  const cwd = temporaryFolder()
  const file = join(cwd, 'p.yaml')
  writeFileSync(file, apiYaml({ way, limit, cover: 'last: 4' }))
  const read = () => readDuckdb(join(cwd, 'p.duckdb'))
  return {
    start: () => spawnPipe(['run', file, '--output', 'json'], { cwd, env: { URL: server.url } }),
    table: async () => (await read()).t?.rows.map(({ id, fee }) => ({ id: String(id), fee: String(fee) })) ?? [],
    done: async () => (await read())._pipe_units?.rows.filter(({ state }) => state !== 'done').length ?? -1,
  }
}

const source = () =>
  [...api.transactions].map(({ id, fee }) => ({ id: String(id), fee: String(fee) })).sort((a, b) => (a.id < b.id ? -1 : 1))

/** New rows with the time of now, and some that are late. */
function grow(): void {
  const now = Math.floor(Date.now() / 1000)
  api.add(5, { at: now - 1 })
  api.add(3, { at: now - 20 })
}

/** Runs until one ends by itself. `dies` decides when each of the first runs is killed. */
async function until(start: () => PipeProcess, dies: (run: PipeProcess, n: number) => Promise<unknown> | undefined): Promise<number> {
  for (let n = 1; ; n++) {
    const run = start()
    void dies(run, n)?.then(
      () => run.kill('SIGKILL'),
      () => undefined,
    )
    const { code, signal, stderr } = await run.exit
    if (signal === 'SIGKILL') {
      grow()
      continue
    }
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    return n - 1
  }
}

describe('kill -9 of a run that pages', () => {
  it.each(['next', 'ties', 'windows'])(
    'by %s, at random moments and after commits, with growth in between: in the end the table is the source',
    async (way) => {
      const { start, table, done } = project(way)
      let seed = 42
      const random = () => (seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648) / 2_147_483_648
      const killed = await until(start, (run, n) => {
        if (n > KILLS) return undefined
        // In the first lane, at the edge of a page, in the second lane.
        if (n % 2 === 1) return run.saw(new RegExp(`("type":"batch:committed"[^]*){${1 + (n >> 1)}}`))
        return run.saw('"type":"batch:committed"').then(() => new Promise((resolve) => setTimeout(resolve, random() * 60)))
      })
      expect(killed).toBeGreaterThan(1)
      // A last look, when what came in last is no longer on its way.
      expect((await start().exit).code).toBe(0)
      expect(await table()).toEqual(source())
      expect(await done()).toBe(0)
    },
    120_000,
  )

  it('three runs at different times, with growth between them, hold what the source holds; a fourth asks a handful of pages', async () => {
    const { start, table } = project('next', 50)
    for (let n = 0; n < 3; n++) {
      expect((await start().exit).code).toBe(0)
      expect(await table()).toEqual(source())
      grow()
    }
    expect((await start().exit).code).toBe(0)
    const before = server.count()
    expect((await start().exit).code).toBe(0)
    expect(server.count() - before).toBeLessThanOrEqual(8)
    expect(await table()).toEqual(source())
  }, 120_000)
})
