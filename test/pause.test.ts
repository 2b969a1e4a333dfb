import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { systemClock } from '../src/cli/system-clock.js'
import { readPipeline } from '../src/pipeline/read.js'
import { Control } from '../src/run/control.js'
import { run } from '../src/run/run.js'
import type { RunOptions } from '../src/run/services.js'
import { fakeChain } from '../src/sandbox/index.js'
import type { RunEvent, RunFact } from '../src/sdk/index.js'
import { openState } from '../src/session/open-state.js'
import type { RunRequest } from '../src/session/run-held.js'
import { openSession } from '../src/session/session.js'
import type { Wish } from '../src/state/store.js'
import { openWarehouse } from '../src/warehouse/open.js'
import { fakeIo } from './cli/fake-io.js'
import { atEnd } from './support/cleanup.js'
import { temporaryFolder } from './support/folder.js'
import { linesWorld } from './support/lines-world.js'

const state = 'sqlite:state.db'

/** A run of `p.yaml` of a folder, and what somebody else does to it who knows only the state store. */
async function running(cwd: string, request: Partial<RunRequest>, env: Readonly<Record<string, string>> = {}) {
  const io = fakeIo({ cwd, env })
  const { pipeline } = await readPipeline('p.yaml', { cwd, env, environment: 'require' })
  if (!pipeline) throw new Error('the pipeline has mistakes')
  const [session, store] = [await openSession(pipeline, io, { state }), await openState(state, io)]
  atEnd(async () => {
    await session.close()
    await store.close()
  })
  const events: RunEvent[] = []
  session.subscribe((event) => events.push(event))
  const end = session.run({ params: {}, select: undefined, limit: undefined, ...request })
  return {
    session,
    events,
    end,
    wish: async (change: Partial<Wish>) => store.wish(session.view.run, (before) => ({ ...before, ...change })),
    passes: (ms: number) => io.clock.sleep(ms),
    /** The time of the first fact of this type. */
    async told(type: RunEvent['type']) {
      for (;;) {
        const found = events.find((event) => event.type === type)
        if (found) return found.at
        await io.clock.sleep(5)
      }
    },
  }
}

test('a pause that is longer than the timeout of a step and than the time in which something must move ends nothing, and nothing is looked at', async () => {
  const node = await fakeChain({ blocks: 20 }).serve()
  atEnd(() => node.close())
  // What asks nobody outside has no such time.
  const cwd = linesWorld('chains: { devnet: { id: 1, rpc: "${RPC}", block_time: 2s } }')
  const file = join(cwd, 'p.yaml')
  const changes = {
    'type: counted,': 'type: counted, chain: devnet, timeout: 3s,',
    'needs: [sums]': 'needs: [lines, sums]',
    'with: { checks': 'with: { every: 100ms, checks',
  }
  writeFileSync(
    file,
    Object.entries(changes).reduce((text, [from, to]) => text.replace(from, to), readFileSync(file, 'utf8')),
  )
  const { session, events, end, wish, passes, told } = await running(cwd, { params: { hold: '25' }, stallMs: 2_500 }, { RPC: node.url })
  while (!existsSync(join(cwd, 'held'))) await passes(10)
  await wish({ paused: true })
  await told('run:pausing')
  rmSync(join(cwd, 'held'))
  const pausedAt = await told('run:paused')
  await passes(3_200)
  expect([session.view.state, session.view.steps[0]?.done]).toEqual(['paused', 29])
  await wish({ paused: false })
  expect(await end).toEqual({ outcome: 'done', exitCode: 0 })
  const resumedAt = await told('run:resumed')
  const ms = resumedAt - pausedAt
  const looks = events.filter(({ type }) => type === 'check:evaluated').map(({ at }) => at)
  expect(looks.filter((at) => at < pausedAt).length).toBeGreaterThan(0)
  expect(looks.filter((at) => at >= pausedAt && at < resumedAt)).toEqual([])
  expect([session.view.pausedMs, session.view.steps[0]?.pausedMs]).toEqual([ms, ms])
  expect(events.filter(({ type }) => type === 'run:waiting' || type === 'warning')).toEqual([])
})

test('a run that follows begins no round while it is paused, says how far it is behind, and reads it when it goes on, as wide as it is told', async () => {
  const chain = fakeChain({ blocks: 20 })
  const node = await chain.serve()
  atEnd(() => node.close())
  const cwd = temporaryFolder()
  writeFileSync(join(cwd, 'p.yaml'), FOLLOWING)
  const { session, events, end, wish, passes, told } = await running(cwd, { follow: true, waitMs: 200 }, { RPC: node.url })
  await told('round:ended')
  await wish({ paused: true })
  await told('run:paused')
  const rounds = () => events.filter(({ type }) => type === 'round:started').length
  const before = rounds()
  chain.add(30)
  await passes(800)
  const lag = () => events.findLast((event) => event.type === 'lag')
  expect([session.view.state, rounds(), lag()]).toMatchObject(['paused', before, { head: '50', behind: 30 }])
  node.clearLog()
  node.fault({ kind: 'latency', ms: 30 })
  await wish({ paused: false, parallel: { heads: 1 } })
  while (lag()?.behind !== 0) await passes(20)
  await passes(100)
  session.stop()
  // One request of the step, and the look at the head. By itself it makes five at once.
  expect([session.view.steps[0]?.parallel, node.totals.peakInFlight]).toEqual([
    { of: 'requests', most: 1 },
    expect.toSatisfy((n) => n <= 2),
  ])
  expect([await end, rounds()]).toEqual([{ outcome: 'done', exitCode: 0 }, before + 1])
})

test('no step begins while a run is paused; those that wait begin when it goes on, or are stopped with it', async () => {
  const cwd = linesWorld()
  const { pipeline } = await readPipeline('p.yaml', { cwd, env: {}, environment: 'require' })
  if (!pipeline) throw new Error('the pipeline has mistakes')
  const warehouse = await openWarehouse(`duckdb:${join(cwd, 'p.duckdb')}`, { mode: 'write' })
  atEnd(() => warehouse.close())
  await warehouse.prepare([...pipeline.tables.values()])
  const nobody = () => ({})
  /** Begins a run that is paused before its first step, and does something to it once it rests. */
  const begun = async (then: (control: Control, drain: AbortController) => void) => {
    const facts: RunFact['type'][] = []
    const [stop, drain] = [new AbortController(), new AbortController()]
    const emit = ({ type }: RunFact) => {
      facts.push(type)
      if (type === 'run:paused') then(control, drain)
    }
    const control: Control = new Control({ clock: systemClock, emit, over: drain.signal })
    control.take({ paused: true, parallel: {} })
    const options: RunOptions = {
      ...{
        pipeline,
        warehouse,
        moment: { now: 0n, head: () => Promise.reject(new Error('nobody is asked')) },
        clock: systemClock,
        random: Math.random,
        emit,
        control,
      },
      ...{ signal: stop.signal, drain: drain.signal, given: {}, select: undefined, limit: undefined },
      ...{ rpc: nobody as never, http: nobody as never, redact: (text: string) => text, onCheck: () => undefined },
    }
    const { outcome, steps } = await control.during(() => run(options))
    return [outcome, [...steps.values()].map((end) => end.outcome), facts.slice(0, 3)]
  }
  expect(await begun((_, drain) => drain.abort())).toEqual([
    'stopped',
    ['stopped', 'blocked', 'stopped'],
    ['run:pausing', 'run:paused', 'step:ended'],
  ])
  expect(await begun((control) => control.take({ paused: false, parallel: {} }))).toEqual([
    'done',
    ['complete', 'complete', 'complete'],
    ['run:pausing', 'run:paused', 'run:resumed'],
  ])
})

const FOLLOWING = `name: live
params:
  from: { type: block, default: covered }
  to: { type: block, default: head }
warehouse: duckdb:live.duckdb
chains: { devnet: { id: 1, rpc: "\${RPC}", confirmations: 0, block_time: 2s } }
tables:
  heads: { columns: { number: bigint }, key: [number] }
steps:
  - id: heads
    type: rpc-batch
    chain: devnet
    into: heads
    with:
      over: { blocks: { from: $from, to: $to } }
      batch: 1
      calls: { block: { method: eth_getBlockByNumber, params: [$number, false] } }
      row: { number: block.number }
`
