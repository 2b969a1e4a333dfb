import { afterAll, beforeAll, expect, test } from 'vitest'
import type { PlanReport } from '../../src/plan/forecast.js'
import { fakeChain, type FakeEndpoint, type Fault } from '../../src/sandbox/index.js'
import type { RunEvent } from '../../src/sdk/index.js'
import { minersFile, pipe } from '../support/cli.js'
import { temporaryFolder } from '../support/folder.js'
import { schemaErrors } from '../support/json-schema.js'

let node: FakeEndpoint

beforeAll(async () => {
  node = await fakeChain({ seed: 11, blocks: 300 }).serve()
})
afterAll(() => node.close())

test('`pipe plan --json` fits its schema before and after a run, and --detailed-exitcode tells them apart', async () => {
  const world = { cwd: temporaryFolder(), env: { ETH_RPC_URL: node.url } }
  const before = await pipe(['plan', minersFile, '--json', '--detailed-exitcode'], world)
  expect([before.code, before.err]).toEqual([4, ''])
  await pipe(['run', minersFile], world)
  const after = await pipe(['plan', minersFile, '--json', '--detailed-exitcode'], world)
  expect([after.code, after.err]).toEqual([0, ''])
  const reports = [before, after].map(({ out }) => JSON.parse(out) as PlanReport)
  expect(reports.map((report) => schemaErrors('plan', report))).toEqual([[], []])
  expect(reports[0]?.steps[0]?.units[0]).toEqual({
    unit: '0-290',
    piece: { kind: 'stretch', of: 'numbers', from: '0', to: '290', order: 'newest-first' },
    size: 291,
    reason: 'new',
  })
  expect(reports.map(({ work, steps }) => [work, steps.slice(0, 2).map(({ id, pieces, done }) => [id, pieces, done])])).toEqual([
    [
      true,
      [
        ['blocks', 291, 0],
        ['balances', 0, 0],
      ],
    ],
    [
      false,
      [
        ['blocks', 0, 291],
        ['balances', 0, 290],
      ],
    ],
  ])
})

test('`pipe run --output json` prints one event a line, each of which fits its schema', async () => {
  const retried = await eventsOfRun([{ kind: 'rate-limit', retryAfter: 0, methods: ['eth_getBalance'], times: 1 }])
  expect(retried).toMatchObject({ wrong: [], first: 'run:started', last: 'run:ended' })
  const work = ['run:resolved', 'step:planned', 'step:started', 'unit:started', 'batch:committed', 'commit:done', 'unit:done', 'step:ended']
  expect(retried.types).toEqual(expect.arrayContaining([...work, 'check:evaluated', 'request', 'retry', 'endpoint']))

  const broken = await eventsOfRun([
    { kind: 'error', error: { code: 3, message: 'execution reverted' }, methods: ['eth_getBalance'], after: 500 },
  ])
  expect(broken).toMatchObject({ wrong: [], first: 'run:started', last: 'run:ended' })
  expect(broken.types).toContain('key:quarantined')
})

/** The types of events that a run prints, and what does not fit the schema, each once. */
async function eventsOfRun(faults: readonly Fault[]): Promise<{ wrong: string[]; types: string[]; first: unknown; last: unknown }> {
  const own = await fakeChain({ seed: 11, blocks: 300 }).serve()
  for (const fault of faults) own.fault(fault)
  const { out } = await pipe(['run', minersFile, '--output', 'json'], { cwd: temporaryFolder(), env: { ETH_RPC_URL: own.url } })
  await own.close()
  const events = out
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as RunEvent)
  const wrong = events.flatMap((event) => schemaErrors('run-event', event).map((error) => `${event.type} ${error}`))
  return {
    wrong: [...new Set(wrong)],
    types: [...new Set(events.map(({ type }) => type))],
    first: events[0]?.type,
    last: events.at(-1)?.type,
  }
}
