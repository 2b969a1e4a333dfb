import { describe, expect, it } from 'vitest'
import {
  type Clock,
  type Output,
  PipeError,
  type RunFact,
  type Table,
  type UnitWrite,
  type Warehouse,
  type WorkerRow,
  type WriteOutcome,
} from '../sdk/index.js'
import { Committer } from './committer.js'
import { Heartbeat } from './heartbeat.js'

const table: Table = {
  name: 't',
  columns: [
    { name: 'k', type: { kind: 'bigint' }, nullable: false },
    { name: 'v', type: { kind: 'text' }, nullable: false },
  ],
  key: ['k'],
  range: 'k',
  indexes: {},
  retention: undefined,
}
const output: Output = { id: 't', table: 't', columns: ['k', 'v'], compute: {}, constants: {} }

const write = (unit: string, rows: readonly { k: bigint | string; v: string }[] = []): UnitWrite => ({
  step: { pipeline: 'p', step: 's', fingerprint: 'f' },
  unit,
  epoch: 1n,
  deletes: [],
  rows: [{ output, rows }],
  sql: [],
  ledger: { state: 'running' },
  at: 0n,
})

/** Time that passes only when the test says so. */
function testClock(): Clock & { pass(ms: number): void } {
  let now = 0
  let sleepers: { at: number; wake: () => void }[] = []
  return {
    now: () => now,
    monotonic: () => now,
    sleep: (ms, signal) =>
      new Promise((resolve, reject) => {
        sleepers.push({ at: now + ms, wake: resolve })
        signal?.addEventListener('abort', () => reject(new Error('stopped')), { once: true })
      }),
    pass: (ms) => {
      now += ms
      for (const { wake } of sleepers.filter(({ at }) => at <= now)) wake()
      sleepers = sleepers.filter(({ at }) => at > now)
    },
  }
}

class BadValueError extends PipeError {
  readonly code = 'TEST_BAD_VALUE'
}

function setup(
  commit: (writes: readonly UnitWrite[]) => readonly WriteOutcome[] = (writes) => writes.map(() => ({ written: true, rows: {} })),
) {
  const commits: (readonly UnitWrite[])[] = []
  const workers: (WorkerRow | undefined)[] = []
  const facts: RunFact[] = []
  const clock = testClock()
  const warehouse = {
    commit: (writes: readonly UnitWrite[], worker?: WorkerRow) => {
      workers.push(worker)
      const outcomes = commit(writes)
      commits.push(writes)
      return Promise.resolve(outcomes)
    },
  } as unknown as Warehouse
  const heartbeat = new Heartbeat({ worker: 'p@here', pipeline: 'p', host: 'here', pid: 7, startedAt: 5n }, clock)
  const committer = new Committer({ warehouse, tables: new Map([['t', table]]), clock, heartbeat, emit: (fact) => facts.push(fact) })
  return { committer, commits, workers, clock, facts }
}

const turn = () => new Promise((resolve) => setImmediate(resolve))

describe('Committer', () => {
  it('commits writes of several units together when the oldest is 250 ms old', async () => {
    const { committer, commits, clock } = setup()
    committer.join()
    committer.join()
    const all = [
      committer.push(write('a', [{ k: 1n, v: 'a' }]), { broken: false }),
      committer.push(write('b', [{ k: 2n, v: 'b' }]), { broken: false }),
    ]
    await turn()
    clock.pass(249)
    await turn()
    expect(commits).toEqual([])
    clock.pass(1)
    await Promise.all(all)
    expect(commits.map((writes) => writes.map(({ unit }) => unit))).toEqual([['a', 'b']])
  })

  it('commits at once when everyone who could push waits for a commit', async () => {
    const { committer, commits } = setup()
    const producer = committer.join()
    await producer.wait(committer.push(write('a'), { broken: false }))
    expect(commits.length).toBe(1)
  })

  it('commits what is pushed right when it has committed everything, however soon', async () => {
    for (let turns = 0; turns < 8; turns++) {
      const { committer, commits } = setup()
      await committer.push(write('first'), { broken: false })
      for (let i = 0; i < turns; i++) await Promise.resolve()
      void committer.push(write('second'), { broken: false })
      await turn()
      expect({ turns, commits: commits.length }).toEqual({ turns, commits: 2 })
    }
  })

  it('commits 2,048 small writes at once, whatever their age and whoever is still at work', async () => {
    const { committer, commits } = setup()
    committer.join()
    const all = Array.from({ length: 2_050 }, (_, i) => committer.push(write(String(i)), { broken: false }))
    await Promise.all(all.slice(0, 2_048))
    expect(commits.map((writes) => writes.length)).toEqual([2_048])
  })

  it('there is room until two commits are queued, and again when one is taken', async () => {
    const { committer, clock } = setup()
    committer.join()
    const rows = (from: number, count: number) => Array.from({ length: count }, (_, i) => ({ k: BigInt(from + i), v: '' }))
    let room = false
    void committer.push(write('a', rows(0, 9_999)), { broken: false })
    await committer.room()
    void committer.push(write('b', rows(10_000, 10_001)), { broken: false })
    void committer.room().then(() => (room = true))
    expect(room).toBe(false)
    clock.pass(250)
    await turn()
    expect(room).toBe(true)
  })

  it('a row that comes again in the same commit is written once, also when it is written another way; a newer reading of it is counted', async () => {
    const { committer, commits } = setup()
    const producer = committer.join()
    const results = await producer.wait(
      Promise.all([
        committer.push(
          write('a', [
            { k: 1n, v: 'first' },
            { k: 2n, v: 'kept' },
          ]),
          { broken: false },
        ),
        committer.push(
          {
            ...write('b', [
              { k: '0x1', v: 'second' },
              { k: 3n, v: 'x' },
              { k: '3', v: 'x' },
            ]),
            rereads: true,
          },
          { broken: false },
        ),
      ]),
    )
    expect(commits[0]?.map(({ rows }) => rows[0]?.rows)).toEqual([
      [{ k: 2n, v: 'kept' }],
      [
        { k: '0x1', v: 'second' },
        { k: '3', v: 'x' },
      ],
    ])
    const counted = { written: true, changed: false, doubles: 1, rows: {}, replaced: 0, there: { t: 1 } }
    expect(results).toEqual([
      { ...counted, overwritten: { t: 1 } },
      { ...counted, overwritten: {} },
    ])
  })

  it('two different rows of one key are refused with the names of both units; the first one and those beside them are written', async () => {
    const { committer, commits } = setup()
    const producer = committer.join()
    const session = { broken: false }
    const results = await producer.wait(
      Promise.allSettled([
        committer.push(write('a', [{ k: 1n, v: 'first' }]), { broken: false }),
        committer.push(write('b', [{ k: 5n, v: 'before' }]), session),
        committer.push(write('b', [{ k: 1n, v: 'second' }]), session),
        committer.push(write('b', [{ k: 6n, v: 'after' }]), session),
        committer.push(
          write('c', [
            { k: 2n, v: 'x' },
            { k: 2n, v: 'y' },
          ]),
          { broken: false },
        ),
        committer.push(write('d', [{ k: 2n, v: 'z' }]), { broken: false }),
      ]),
    )
    expect(results.map((result) => (result.status === 'rejected' ? (result.reason as Error).message : result.value.written))).toEqual([
      true,
      true,
      't (k=1): two different rows have this key: v "first" and "second" (of unit a and of unit b)',
      'an earlier write of this unit failed',
      't (k=2): two different rows have this key: v "x" and "y" (both of unit c)',
      true,
    ])
    expect(commits.map((writes) => writes.map(({ unit, rows }) => [unit, rows[0]?.rows]))).toEqual([
      [
        ['a', [{ k: 1n, v: 'first' }]],
        ['b', [{ k: 5n, v: 'before' }]],
        ['d', [{ k: 2n, v: 'z' }]],
      ],
    ])
  })

  it('one bad value among a thousand writes takes some twenty commits to find, not a thousand', async () => {
    let tried = 0
    const { committer, commits } = setup((writes) => {
      tried++
      if (writes.some(({ unit }) => unit === '321')) throw new BadValueError('bad')
      return writes.map(() => ({ written: true, rows: {} }))
    })
    const producer = committer.join()
    const results = await producer.wait(
      Promise.allSettled(Array.from({ length: 1_000 }, (_, i) => committer.push(write(String(i)), { broken: false }))),
    )
    expect(results.flatMap(({ status }, i) => (status === 'rejected' ? [i] : []))).toEqual([321])
    expect(commits.flat().length).toBe(999)
    expect(tried).toBeLessThan(25)
  })

  it('a bad value fails its own unit and not those that shared a commit with it', async () => {
    const { committer, commits } = setup((writes) => {
      if (writes.some(({ unit }) => unit === 'bad')) throw new BadValueError('bad')
      return writes.map(() => ({ written: true, rows: {} }))
    })
    const producer = committer.join()
    const results = await producer.wait(
      Promise.allSettled([
        committer.push(write('a'), { broken: false }),
        committer.push(write('bad'), { broken: false }),
        committer.push(write('c'), { broken: false }),
      ]),
    )
    expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'fulfilled'])
    expect(commits.map((writes) => writes.map(({ unit }) => unit))).toEqual([['a'], ['c']])
  })

  it('after a failed write nothing more of that attempt is written: its checkpoint would speak of rows that are not there', async () => {
    const { committer, commits } = setup((writes) => {
      if (writes.some(({ rows }) => rows[0]?.rows.length === 1)) throw new BadValueError('bad')
      return writes.map(() => ({ written: true, rows: {} }))
    })
    const producer = committer.join()
    const session = { broken: false }
    const results = await producer.wait(
      Promise.allSettled([committer.push(write('a', [{ k: 1n, v: 'bad' }]), session), committer.push(write('a'), session)]),
    )
    expect(results.map(({ status }) => status)).toEqual(['rejected', 'rejected'])
    expect(commits).toEqual([])
  })

  it('a write whose unit was taken over is told so, and breaks its attempt', async () => {
    const { committer } = setup((writes) => writes.map(() => ({ written: false, reason: 'taken' })))
    const producer = committer.join()
    const session = { broken: false }
    expect(await producer.wait(committer.push(write('a'), session))).toEqual({
      written: false,
      changed: false,
      doubles: 0,
      rows: {},
      replaced: 0,
      there: {},
      overwritten: {},
    })
    expect(session.broken).toBe(true)
  })

  it('says who commits with the first commit, and again when ten seconds have passed', async () => {
    const { committer, workers, clock } = setup()
    const producer = committer.join()
    for (const [unit, ms] of Object.entries({ a: 0, b: 9_999, c: 1, d: 1 })) {
      clock.pass(ms)
      await producer.wait(committer.push(write(unit), { broken: false }))
    }
    const shown = { worker: 'p@here', pipeline: 'p', host: 'here', pid: 7, step: 's', startedAt: 5n }
    expect(workers).toEqual([
      { ...shown, unit: 'a', heartbeatAt: 0n },
      undefined,
      { ...shown, unit: 'c', heartbeatAt: 10_000_000n },
      undefined,
    ])
  })

  it('says it with the next commit when one failed', async () => {
    const { committer, workers } = setup((writes) => {
      if (writes.some(({ unit }) => unit === 'bad')) throw new BadValueError('bad')
      return writes.map(() => ({ written: true, rows: {} }))
    })
    const producer = committer.join()
    await producer.wait(committer.push(write('bad'), { broken: false }).catch(() => undefined))
    await producer.wait(committer.push(write('a'), { broken: false }))
    expect(workers.map((worker) => worker?.unit)).toEqual(['bad', 'a'])
  })
})
