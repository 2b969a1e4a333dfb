import { randomUUID } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { inspect } from 'node:util'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { systemClock } from '../src/cli/system-clock.js'
import { readPipeline } from '../src/pipeline/read.js'
import type { Pipeline } from '../src/pipeline/pipeline.js'
import { PreflightError } from '../src/plan/preflight.js'
import { renderPlan } from '../src/report/render-plan.js'
import { report } from '../src/report/report.js'
import { summary } from '../src/report/summary.js'
import { fakeChain, type FakeEndpoint } from '../src/sandbox/index.js'
import type { RunEvent } from '../src/sdk/index.js'
import { openLook } from '../src/session/look.js'
import type { RunRequest } from '../src/session/run-held.js'
import { openSession } from '../src/session/session.js'
import type { Surroundings } from '../src/session/surroundings.js'
import { minersFile } from './support/cli.js'
import { projectFolder, temporaryFolder } from './support/folder.js'

let node: FakeEndpoint

beforeAll(async () => {
  node = await fakeChain({ seed: 7, blocks: 120 }).serve()
})
afterAll(() => node.close())

const state = 'sqlite:.pipe/state.db'
const part = { params: {}, select: undefined, limit: undefined }

/** A process without a terminal, and the pipeline as it reads it. */
async function world(rpc = node.url): Promise<{ here: Surroundings; pipeline: Pipeline }> {
  const here: Surroundings = {
    env: { ETH_RPC_URL: rpc },
    cwd: temporaryFolder(),
    signal: new AbortController().signal,
    pid: process.pid,
    host: 'here',
    alive: () => true,
    kill: () => false,
    clock: systemClock,
    random: Math.random,
    newId: () => randomUUID(),
  }
  const { pipeline } = await readPipeline(minersFile, { cwd: here.cwd, env: here.env, environment: 'require' })
  if (!pipeline) throw new Error('no pipeline')
  return { here, pipeline }
}

describe('a session', () => {
  it('plans, runs and shows a run without a terminal, and holds the pipeline until it is closed', async () => {
    const { here, pipeline } = await world()
    const session = await openSession(pipeline, here, { state })
    const events: RunEvent['type'][] = []
    session.subscribe(({ type }) => events.push(type))
    const plan = await session.plan(part)
    expect([plan.heads, plan.steps[0]?.pieces]).toEqual([{ ethereum: '120' }, 111])
    await expect(openSession(pipeline, here, { state })).rejects.toMatchObject({ code: 'PIPELINE_HELD' })
    expect(await session.run(part)).toEqual({ outcome: 'done', exitCode: 0 })
    expect(session.view).toMatchObject({ state: 'ended', outcome: 'done', exitCode: 0, heads: { ethereum: '120' } })
    expect([events[0], events.at(-1)]).toEqual(['run:started', 'run:ended'])
    await expect(session.run(part)).rejects.toThrow('a session runs once')
    await session.close()
    const again = await openSession(pipeline, here, { state })
    expect((await again.plan(part)).work).toBe(false)
    await again.close()
  })

  it('spends what the budget of an endpoint has, and says so in its plan and its report', async () => {
    const { here, pipeline } = await world()
    const costs: Record<string, number> = { eth_getBlockByNumber: 20, eth_getBalance: 10 }
    const budget = { creditsPerSecond: 1_500, costs, default: 1 }
    const chains = [...pipeline.chains].map(([name, chain]) => {
      const endpoints = chain.endpoints.map((endpoint) => ({ ...endpoint, budget }))
      return [name, { ...chain, endpoints }] as const
    })
    const about = { file: pipeline.file }
    const session = await openSession({ ...pipeline, chains: new Map(chains) }, here, { state })
    const before = node.log.length
    const plan = await session.plan(part)
    // 111 blocks, and what the balances take is known when there are blocks.
    expect(plan.steps.map(({ budget }) => budget)).toEqual([
      { credits: 2_220, perSecond: 1_500, seconds: 1.48 },
      { credits: 0, perSecond: 1_500, seconds: 0 },
      null,
    ])
    expect(renderPlan(plan, about)).toContain('  2,220 credits, at least 0:01 by a budget of 1,500/s\n')
    const shared = { provider: 'one.example', chains: ['base', 'ethereum'], steps: ['a', 'b'], credits: 9_000, perSecond: 300, seconds: 30 }
    expect([plan.budgets, renderPlan({ ...plan, budgets: [shared] }, about)]).toEqual([
      [],
      expect.stringContaining(
        '\n\none budget of 300/s at one.example for base, ethereum: 9,000 credits in all, at least 0:30\n\nin all about',
      ),
    ])
    expect(await session.run(part)).toEqual({ outcome: 'done', exitCode: 0 })
    const spent = node.log.slice(before).flatMap(({ calls }) => calls.map(({ method }) => costs[method] ?? 1))
    const end = report(session.view, about)
    // What the plan asked is no part of the run.
    expect(end.credits).toMatchObject([{ chain: 'ethereum', perSecond: 1_500 }])
    expect(end.credits[0]?.credits).toBeGreaterThanOrEqual(2_220 + 110 * 10)
    expect(end.credits[0]?.credits).toBeLessThanOrEqual(spent.reduce((sum, cost) => sum + cost, 0))
    expect(end.elapsedMs).toBeGreaterThan(2_000)
    expect(summary(end)).toMatch(/\n {2}credits +\S+ [\d,]+, \d+ % of its budget of 1,500\/s\n/)
    await session.close()
  })

  it('plans no credits of a chain for a list elsewhere that only takes its name', async () => {
    const { here } = await world()
    const params = { from: '1', to: '100' }
    const read = { cwd: here.cwd, env: { ETHEREUM_RPC_URLS: node.url }, environment: 'require', params } as const
    const { pipeline } = await readPipeline(join(projectFolder, 'pipelines/chain-metrics.yaml'), read)
    const [ethereum] = pipeline?.chains.values() ?? []
    if (!pipeline || !ethereum) throw new Error('no pipeline')
    const budget = { creditsPerSecond: 330, costs: {}, default: 20 }
    const chains = new Map([['ethereum', { ...ethereum, endpoints: ethereum.endpoints.map((endpoint) => ({ ...endpoint, budget })) }]])
    const look = await openLook({ ...pipeline, chains, migrations: undefined }, here, { state })
    const { steps, budgets } = await look.plan({ ...part, params, select: ['blocks', 'prices'] })
    expect([steps.map(({ id, calls, budget }) => [id, calls, budget && budget.credits]), budgets]).toEqual([
      [
        ['blocks[ethereum]', 200, 4_000],
        ['prices[ethereum]', expect.any(Number), null],
      ],
      [],
    ])
    await look.close()
  })

  it('that is to begin fresh does again what was done, and only for the steps that are chosen', async () => {
    const { here, pipeline } = await world()
    const run = async (request: Partial<RunRequest>) => {
      const session = await openSession(pipeline, here, { state })
      await session.run({ ...part, ...request })
      await session.close()
      return session.view.steps.map(({ id, done }) => [id, done])
    }
    const all = await run({})
    expect(all.slice(0, 2)).toEqual([
      ['blocks', 111],
      ['balances', 110],
    ])
    expect(await run({ fresh: true })).toEqual(all)
    expect(await run({ fresh: true, select: ['blocks'] })).toEqual([['blocks', 111]])
    const left = await openLook(pipeline, here, { state })
    expect((await left.plan(part)).work).toBe(false)
    await left.close()
  })

  it('that is stopped ends after its commits, and the next one goes on', async () => {
    const { here, pipeline } = await world()
    const session = await openSession(pipeline, here, { state })
    session.subscribe(({ type }) => type === 'step:started' && session.stop())
    expect(await session.run(part)).toEqual({ outcome: 'stopped', exitCode: 143 })
    expect(session.view).toMatchObject({ stopping: 'SIGTERM', outcome: 'stopped' })
    await session.close()
    const next = await openSession(pipeline, here, { state })
    expect((await next.run(part)).outcome).toBe('done')
    await next.close()
  })

  it('that can not go on says so in its last event, and throws it', async () => {
    const { here, pipeline } = await world()
    // Whoever made this pipeline lost its chain, and thinks that the name is a secret.
    const session = await openSession({ ...pipeline, chains: new Map(), secrets: ['ethereum'] }, here, { state })
    await expect(session.run(part)).rejects.toThrow('no chain ***')
    expect(session.view).toMatchObject({ state: 'ended', outcome: 'error', exitCode: 2, error: 'no chain ***' })
    await session.close()
  })

  it('throws no secret when it is opened either, nor does a look', async () => {
    const { here, pipeline } = await world()
    writeFileSync(join(here.cwd, 'hunter22'), '')
    const secret = { ...pipeline, warehouse: 'duckdb:hunter22/in/a/file', secrets: ['hunter22'] }
    for (const open of [openSession, openLook]) {
      const error = (await open(secret, here, { state }).catch((thrown: unknown) => thrown)) as Error
      expect([error instanceof Error, inspect(error, { depth: 9 }).includes('hunter22')]).toEqual([true, false])
    }
  })

  it('throws no secret of the environment, and the error is still what it was', async () => {
    const { here, pipeline } = await world(`${node.url}/v2/a1b2c3d4e5f6a7b8c9d0`)
    const steps = pipeline.steps.map((step) => ({
      ...step,
      definition: {
        ...step.definition,
        plan: () => {
          throw new Error(`no plan for ${here.env.ETH_RPC_URL ?? ''}`)
        },
      },
    }))
    const fails = async (work: Promise<unknown>) => {
      const error: unknown = await work.then(
        () => undefined,
        (thrown: unknown) => thrown,
      )
      expect(error).toBeInstanceOf(PreflightError)
      expect(error).toMatchObject({
        code: 'PREFLIGHT',
        hint: 'nothing was fetched; mend the file and run again',
        message: expect.stringContaining('no plan for ***') as string,
        cause: { code: 'STEP_PLAN', message: expect.stringContaining('no plan for ***') as string },
      })
      expect(inspect(error, { depth: Infinity, showHidden: true })).not.toContain('a1b2c3d4e5f6a7b8c9d0')
    }
    const session = await openSession({ ...pipeline, steps }, here, { state })
    await fails(session.plan(part))
    await fails(session.run(part))
    await session.close()
    const look = await openLook({ ...pipeline, steps }, here, { state })
    await fails(look.plan(part))
    await look.close()
  })

  it('is looked at by others: a look makes nothing, and knows what the last run was asked for', async () => {
    const { here, pipeline } = await world()
    const before = await openLook(pipeline, here, { state })
    expect([await before.lastRun(), (await before.plan(part)).work]).toMatchObject([{ any: false }, true])
    await before.close()
    const session = await openSession(pipeline, here, { state })
    await session.run({ ...part, params: { from: '100' } })
    await session.close()
    const look = await openLook(pipeline, here, { state })
    const last = await look.lastRun()
    expect(last).toMatchObject({ any: true, running: undefined, params: { from: '100' }, heads: { ethereum: '120' } })
    const report = await look.verify({ pipeline, params: last.params, last, step: undefined, sample: 1, demo: false })
    expect([report.ok, report.findings]).toEqual([true, []])
    await look.close()
  })
})
