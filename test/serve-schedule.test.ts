import { expect, test } from 'vitest'
import { systemClock } from '../src/cli/system-clock.js'
import type { Clock } from '../src/sdk/index.js'
import { hook } from './support/hook.js'
import { linesWorld } from './support/lines-world.js'
import { type Answer, realServer } from './support/real-server.js'

const HOUR = 3_600_000
const one = '/api/pipelines/enrichment'

test('a pipeline runs at its times as if somebody had started it, never beside another run, once for all that was missed, and people are told', async () => {
  const to = await hook()
  const cwd = linesWorld(`schedule: "0 */6 * * *"
notify: [{ type: webhook, url: "\${HOOK_URL}", on: [failure, completion] }]
`)
  const env = { HOOK_URL: `${to.url}/only-receivers-know-this` }
  const clock = movable(Date.UTC(2026, 10, 29, 11, 30))
  const first = await realServer(cwd, { env, clock })
  const { schedule, notices } = await first.ask(one)
  const receivers = [{ type: 'webhook', host: new URL(to.url).host, on: ['failure', 'completion'], told: [] }]
  expect(notices).toEqual({ enabled: true, receivers })
  expect(schedule).toEqual({
    cron: '0 */6 * * *',
    timezone: 'UTC',
    missed: 'run',
    enabled: true,
    next: ['2026-11-29T12:00:00.000Z', '2026-11-29T18:00:00.000Z', '2026-11-30T00:00:00.000Z'],
  })
  expect(first.launched()).toEqual([])

  clock.pass(HOUR)
  const { run } = await first.until(one, ({ state }) => state === 'done')
  expect(first.launched()).toEqual([['run', 'p.yaml', '--output', 'json']])
  expect(first.said).toEqual([`schedule of enrichment: run ${run.id} for 2026-11-29T12:00:00.000Z`])
  const told = to.posts.map(({ body }) => JSON.parse(body) as Answer)
  expect(told.map((notice) => [notice.kind, notice.run])).toEqual([['completion', run.id]])

  // A run that somebody started, over two times: one run makes up for both when it has been stopped.
  const { run: slow } = await first.ask(`${one}/start`, { params: { count: 9_000, pause: 50 } })
  clock.pass(12 * HOUR)
  await systemClock.sleep(200)
  expect(first.launched()).toHaveLength(2)
  expect(await first.ask(`${one}/stop`, {})).toEqual({ run: slow })
  await first.until(`/api/runs/${slow}`, ({ state }) => state === 'stopped')
  clock.pass(60_000)
  const late = (await first.until('/api/runs', ({ runs }) => runs.length === 3 && runs[0].state === 'done')).runs[0]
  expect(first.launched()).toHaveLength(3)
  expect(first.said.slice(1)).toEqual([
    `schedule of enrichment: run ${late.id} for 2026-11-30T00:00:00.000Z, which makes up for 1 missed time`,
  ])
  await first.close()

  // Nobody was there for two days.
  const second = await realServer(cwd, { env, clock: movable(late.startedAt as string, 48 * HOUR) })
  await second.until('/api/runs', ({ runs }) => runs.length === 4 && runs[0].state === 'done')
  expect(second.launched()).toHaveLength(1)
  expect(second.said).toEqual([expect.stringMatching(/^schedule of enrichment: run \S+ for \S+, which makes up for 7 missed times$/)])
  await second.close()
  expect(second.reported).toEqual([])

  // One to look with: it says that it begins nothing, and what people were told.
  const third = await realServer(cwd, { env, schedules: false })
  expect((await third.ask(one)).schedule).toMatchObject({ cron: '0 */6 * * *', enabled: false, next: [] })
  await third.over((await third.ask(`${one}/start`, { params: { count: 20, fail: true }, fresh: true })).run)
  expect((await third.ask(one)).notices.receivers[0].told).toEqual([{ kind: 'failure', about: 'lines', at: expect.stringMatching(/Z$/) }])
})

/** A clock that goes on from a moment, and over which time can pass at once. */
function movable(from: number | string, by = 0): Clock & { pass(ms: number): void } {
  let ahead = new Date(from).getTime() + by - systemClock.now()
  const now = () => systemClock.now() + ahead
  return {
    now,
    monotonic: () => systemClock.monotonic(),
    pass: (ms) => void (ahead += ms),
    sleep: async (ms, signal) => {
      const until = now() + ms
      while (now() < until) await systemClock.sleep(Math.min(10, until - now()), signal)
    },
  }
}
