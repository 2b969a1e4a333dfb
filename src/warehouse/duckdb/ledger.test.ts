import { afterEach, describe, expect, test } from 'vitest'
import { type LedgerRow, sqlText, type UnitWrite, type Warehouse } from '../../sdk/index.js'
import { openDuckdb } from './index.js'
import { all, step, write } from '../../../test/support/warehouse.js'

const open: Warehouse[] = []
afterEach(async () => {
  for (const warehouse of open.splice(0)) await warehouse.close()
})

async function opened(units: readonly string[] = ['u']): Promise<Warehouse> {
  const warehouse = await openDuckdb({ path: ':memory:', mode: 'write' })
  open.push(warehouse)
  await warehouse.prepare([])
  await warehouse.open(step, units, 1n)
  return warehouse
}

/** A ledger row without the fields that nothing set. */
function set(row: LedgerRow | undefined): Partial<LedgerRow> {
  return Object.fromEntries(
    Object.entries(row ?? {}).filter(([name, value]) => value !== undefined && !['step', 'unit', 'startedAt', 'updatedAt'].includes(name)),
  )
}

const unit = async (warehouse: Warehouse, key = 'u') => (await warehouse.units('p', 's')).find((row) => row.unit === key)

describe('opening units', () => {
  test('makes new ones running, raises the epoch of known ones and changes nothing else of them', async () => {
    const warehouse = await opened()
    await warehouse.commit([write([], { ledger: { state: 'failed', cursor: [1], attempts: 2, error: 'oh' } })])
    const rows = await warehouse.open({ ...step, fingerprint: 'other' }, ['u', 'new'], 9n)
    expect([...rows].map(([key, row]) => [key, set(row)]).sort()).toEqual([
      ['new', { state: 'running', fingerprint: 'other', epoch: 1n, rows: {}, attempts: 0 }],
      ['u', { state: 'failed', fingerprint: 'f', epoch: 2n, cursor: [1], rows: {}, attempts: 2, error: 'oh' }],
    ])
    expect([...rows.values()].map(({ startedAt, updatedAt }) => [startedAt, updatedAt]).sort()).toEqual([
      [1n, 9n],
      [9n, 9n],
    ])
  })

  test('of 100,000, with a checkpoint each in groups, takes seconds and not minutes', async () => {
    const warehouse = await opened([])
    const keys = Array.from({ length: 100_000 }, (_, i) => `${i}000-${i}999`)
    const started = process.cpuUsage()
    for (let i = 0; i < keys.length; i += 10_000) {
      const group = keys.slice(i, i + 10_000)
      const rows = await warehouse.open(step, group, 1n)
      await warehouse.commit(
        group.map((key): UnitWrite => write([], { unit: key, epoch: rows.get(key)?.epoch ?? 0n, ledger: { state: 'done' } })),
      )
    }
    const { user, system } = process.cpuUsage(started)
    expect(await all(warehouse, 'SELECT state, count(*) AS n FROM _pipe_units GROUP BY state')).toEqual([{ state: 'done', n: 100_000n }])
    expect((await warehouse.units('p')).length).toBe(100_000)
    expect((user + system) / 1e6).toBeLessThan(10)
  }, 120_000)
})

describe('a checkpoint', () => {
  test('keeps what it does not speak of', async () => {
    const warehouse = await opened()
    await warehouse.commit([
      write([], {
        ledger: {
          cursor: { at: 1 },
          rows: { t: 5 },
          attempts: 1,
          endpoint: 'a',
          parentHash: '0x1',
          lastHash: '0x2',
          evidence: { logs: 0 },
          error: 'x',
        },
      }),
    ])
    await warehouse.commit([write([], { ledger: { cursor: null, lastHash: '0x3' } })])
    expect(set(await unit(warehouse))).toEqual({
      state: 'running',
      fingerprint: 'f',
      epoch: 1n,
      cursor: null,
      rows: { t: 5 },
      attempts: 1,
      endpoint: 'a',
      parentHash: '0x1',
      lastHash: '0x3',
      evidence: { logs: 0 },
      error: 'x',
    })
    await warehouse.commit([write([], { ledger: { state: 'done', error: null } })])
    expect(set(await unit(warehouse))).toMatchObject({ state: 'done', rows: { t: 5 } })
    expect((await unit(warehouse))?.error).toBeUndefined()
  })

  test('under another fingerprint keeps nothing of the old one', async () => {
    const warehouse = await opened()
    await warehouse.commit([
      write([], { ledger: { state: 'done', cursor: { at: 1 }, rows: { t: 5 }, parentHash: '0x1', error: 'x', attempts: 3 } }),
    ])
    await warehouse.commit([write([], { step: { ...step, fingerprint: 'g' }, ledger: { rows: { t: 1 } } })])
    expect(set(await unit(warehouse))).toEqual({ state: 'running', fingerprint: 'g', epoch: 1n, rows: { t: 1 }, attempts: 0 })
  })

  test('of several batches of one unit in one commit is the last one, with what the earlier ones said', async () => {
    const warehouse = await opened()
    await warehouse.commit([
      write([], { ledger: { cursor: 1, parentHash: '0x1', error: 'x' } }),
      write([], { ledger: { cursor: 2, error: null } }),
      write([], { ledger: { state: 'done', lastHash: '0x2' }, at: 5n }),
    ])
    expect(set(await unit(warehouse))).toEqual({
      state: 'done',
      fingerprint: 'f',
      epoch: 1n,
      cursor: 2,
      rows: {},
      attempts: 0,
      parentHash: '0x1',
      lastHash: '0x2',
    })
  })

  test('may quote what no database stores', async () => {
    const warehouse = await opened()
    await warehouse.commit([
      write([], {
        ledger: { error: 'a\ud800\0b', cursor: { c: '\udfff \\ud800 \u0000', n: 2n ** 64n } as never },
        quarantine: [{ key: 'k\ud800', error: '\0', attempts: 1 }],
      }),
    ])
    expect(set(await unit(warehouse))).toMatchObject({
      error: 'a\ufffd\ufffdb',
      cursor: { c: '\ufffd \\ud800 \ufffd', n: '18446744073709551616' },
    })
    expect(await warehouse.quarantined('p')).toEqual([{ step: 's', key: 'k\ufffd', error: '\ufffd', attempts: 1, at: 1000n }])
  })
})

describe('a unit that falls into parts', () => {
  test('is replaced by them, and whoever held a part can no longer commit', async () => {
    const warehouse = await opened(['0-9', '5-5'])
    await warehouse.commit([
      write([], {
        unit: '0-9',
        ledger: { state: 'done', cursor: 3 },
        replaces: ['0-9'],
        split: [
          { unit: '0-4', state: 'done', rows: { t: 5 } },
          { unit: '5-5', state: 'quarantined', attempts: 5, error: 'no' },
        ],
      }),
    ])
    expect((await warehouse.units('p')).map((row) => [row.unit, set(row)]).sort()).toEqual([
      ['0-4', { state: 'done', fingerprint: 'f', epoch: 1n, rows: { t: 5 }, attempts: 0 }],
      ['5-5', { state: 'quarantined', fingerprint: 'f', epoch: 2n, rows: {}, attempts: 5, error: 'no' }],
    ])
    expect(await warehouse.commit([write([], { unit: '5-5' }), write([], { unit: '0-9' })])).toEqual([
      { written: false, reason: 'taken' },
      { written: false, reason: 'taken' },
    ])
  })

  test('may be one of its own parts', async () => {
    const warehouse = await opened()
    await warehouse.commit([write([], { ledger: { state: 'done', cursor: 3 }, replaces: ['u'], split: [{ unit: 'u', state: 'done' }] })])
    expect(set(await unit(warehouse))).toEqual({ state: 'done', fingerprint: 'f', epoch: 2n, rows: {}, attempts: 0 })
  })
})

describe('changes by hand', () => {
  test('mark, drop and release, count what changed, and fence off whoever works on it', async () => {
    const warehouse = await opened(['a', 'b', 'c'])
    const quarantine = ['k1', 'k2', 'k3'].map((key) => ({ key, error: 'e', attempts: 5 }))
    await warehouse.commit([write([], { unit: 'a', ledger: { state: 'done', cursor: 1, rows: { t: 1 } }, quarantine })])
    const changed = await warehouse.amend(
      'p',
      {
        put: [
          { step: { ...step, fingerprint: 'marked' }, unit: 'a', state: 'done' },
          { step, unit: 'new', state: 'pending', error: 'why' },
        ],
        drop: [
          { step: 's', unit: 'b' },
          { step: 's', unit: 'not there' },
        ],
        release: [{ step: 's', keys: ['k1', 'k2', 'k9'] }],
      },
      7n,
    )
    expect(changed).toBe(5)
    expect((await warehouse.units('p')).map((row) => [row.unit, set(row)]).sort()).toEqual([
      ['a', { state: 'done', fingerprint: 'marked', epoch: 2n, cursor: 1, rows: { t: 1 }, attempts: 0 }],
      ['c', { state: 'running', fingerprint: 'f', epoch: 1n, rows: {}, attempts: 0 }],
      ['new', { state: 'pending', fingerprint: 'f', epoch: 1n, rows: {}, attempts: 0, error: 'why' }],
    ])
    expect(await warehouse.commit([write([], { unit: 'a' }), write([], { unit: 'b' })])).toEqual(
      Array.from({ length: 2 }, () => ({ written: false, reason: 'taken' })),
    )
    expect(await warehouse.amend('p', { release: [{ step: 's' }, { step: 'other' }] }, 8n)).toBe(1)
    expect(await warehouse.quarantined('p')).toEqual([])
  })

  test('drop a unit and write it anew in one go', async () => {
    const warehouse = await opened()
    await warehouse.commit([write([], { ledger: { cursor: 1 } })])
    await warehouse.amend('p', { drop: [{ step: 's', unit: 'u' }], put: [{ step, unit: 'u', state: 'done' }] }, 2n)
    expect(set(await unit(warehouse))).toEqual({ state: 'done', fingerprint: 'f', epoch: 2n, rows: {}, attempts: 0 })
  })
})

test('quarantined keys are counted once, with their last error', async () => {
  const warehouse = await opened()
  const entry = (error: string) => ({ key: '7', error, attempts: 5 })
  await warehouse.commit([write([], { quarantine: [entry('first'), entry('second')] })])
  await warehouse.commit([write([], { quarantine: [entry('third')], at: 9n })])
  expect(await warehouse.quarantined('p', 's')).toEqual([{ step: 's', key: '7', error: 'third', attempts: 5, at: 9n }])
  expect(await warehouse.quarantined('other')).toEqual([])
})

test('the genesis of a chain is remembered', async () => {
  const warehouse = await opened()
  expect(await warehouse.genesis(1)).toBeUndefined()
  await warehouse.rememberGenesis(1, '0xab')
  await warehouse.rememberGenesis(1, '0xcd')
  expect([await warehouse.genesis(1), await warehouse.genesis(2)]).toEqual(['0xcd', undefined])
})

test('steps and pipelines do not see each other', async () => {
  const warehouse = await opened()
  await warehouse.open({ ...step, step: 't' }, ['u'], 1n)
  await warehouse.open({ ...step, pipeline: 'q' }, ['u'], 1n)
  await warehouse.commit([write([], { step: { ...step, step: 't' }, ledger: { state: 'done' } })])
  expect(await all(warehouse, 'SELECT pipeline, step, state FROM _pipe_units ORDER BY 1, 2')).toEqual([
    { pipeline: 'p', step: 's', state: 'running' },
    { pipeline: 'p', step: 't', state: 'done' },
    { pipeline: 'q', step: 's', state: 'running' },
  ])
  expect((await warehouse.units('p')).length).toBe(2)
  expect(await all(warehouse, sqlText('SELECT rows FROM _pipe_units LIMIT 1'))).toEqual([{ rows: {} }])
})
