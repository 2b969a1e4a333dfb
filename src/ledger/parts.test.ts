import { expect, it } from 'vitest'
import { numberAxis, PipeError } from '../sdk/index.js'
import type { End } from './coverage.js'
import { partsOf, type Whole } from './parts.js'

class Broken extends PipeError {
  readonly code = 'BROKEN'
  override readonly blame: 'own' | 'outage'
  constructor(blame: 'own' | 'outage') {
    super(`broken by ${blame}`)
    this.blame = blame
  }
}
const row = { state: 'done' as const, first: 0n, last: 9n, rows: { t: 10 }, parentHash: '0xp', lastHash: '0xl', coverage: null }
const whole: Whole = {
  key: '0-9',
  axis: numberAxis(10),
  row,
  blocks: [
    [1n, '0x1'],
    [8n, '0x8'],
  ],
  ends: [
    { number: 3n, hash: '0x3' },
    { number: 6n, parentHash: '0x5' },
  ],
  redo: undefined,
  now: 7n,
  attempts: 3,
  redact: (text) => text.toUpperCase(),
}
const nothing: End = { done: [], tentative: [], failed: [], missing: [] }
const failed = (from: bigint, to: bigint, blame: 'own' | 'outage') => ({
  key: `${from}-${to}`,
  at: [from, to] as const,
  error: new Broken(blame),
})
const failure = { state: 'quarantined', error: 'BROKEN BY OWN', attempts: 3, coverage: undefined }
const names = ([first, last]: readonly [bigint, bigint]) => ({ unit: `${first}-${last}`, first, last })

it('a unit of which nothing failed and nothing is tentative is done as a whole', () => {
  expect(partsOf({ ...nothing, done: [[0n, 9n]] }, whole)).toEqual({ ledger: row })
})

it('a unit that failed as a whole keeps its name, and why it is done again', () => {
  const end = { ...nothing, failed: [failed(0n, 9n, 'own')] }
  const ledger = { ...failure, first: 0n, last: 9n, coverage: null }
  expect(partsOf(end, whole)).toEqual({ ledger })
  expect(partsOf(end, { ...whole, redo: 'changed' })).toEqual({ ledger: { ...ledger, coverage: { covered: [], redo: 'changed' } } })
})

it('parts between failures keep their own hashes and blocks, and no part what was counted of all', () => {
  const end: End = {
    ...nothing,
    done: [
      [0n, 3n],
      [6n, 9n],
    ],
    failed: [failed(4n, 4n, 'own'), failed(5n, 5n, 'outage')],
  }
  expect(partsOf(end, whole)).toEqual({
    ledger: { state: 'done' },
    replaces: ['0-9'],
    split: [
      { ...names([0n, 3n]), state: 'done', parentHash: '0xp', lastHash: '0x3', coverage: { blocks: [['1', '0x1']] } },
      { ...names([6n, 9n]), state: 'done', parentHash: '0x5', lastHash: '0xl', coverage: { blocks: [['8', '0x8']] } },
      { ...names([4n, 4n]), ...failure },
      { ...names([5n, 5n]), state: 'failed', error: 'BROKEN BY OUTAGE' },
    ],
  })
})

it('the first done part takes what was counted of all where the rest is tentative, which is done for this round', () => {
  expect(partsOf({ ...nothing, done: [[0n, 6n]], tentative: [[7n, 9n]] }, whole)).toEqual({
    ledger: { state: 'done' },
    replaces: ['0-9'],
    split: [
      { ...row, ...names([0n, 6n]), lastHash: undefined },
      { ...names([7n, 9n]), state: 'done', lastHash: '0xl', coverage: { covered: [], tentative: '7' } },
    ],
  })
  const [all] = partsOf({ ...nothing, tentative: [[0n, 9n]] }, whole).split ?? []
  expect(all).toEqual({ ...row, unit: '0-9', coverage: { covered: [], tentative: '7' } })
})
