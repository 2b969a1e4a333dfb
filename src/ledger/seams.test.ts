import { expect, it } from 'vitest'
import { ledgerRow } from '../../test/support/ledger-row.js'
import { type LedgerRow, numberAxis } from '../sdk/index.js'
import { reconcile } from './reconcile.js'
import { resetRows } from './reset.js'
import { rewound } from './rewind.js'
import { brokenSeams, endsOf, restoredEnds, seamInWords, storedEnds } from './seams.js'

const link = (number: number, hash?: string, parentHash?: string) => ({ number: BigInt(number), hash, parentHash })
const step = { pipeline: 'p', step: 's', fingerprint: 'now' }
const axis = numberAxis(100)

it('the hashes at the ends of what is covered are kept until their neighbours are covered, too', () => {
  const first = endsOf([[0n, 9n]], [link(0, 'a0', '0x'), link(9, 'a9', 'a8')])
  expect(first).toEqual([link(0, undefined, '0x'), link(9, 'a9')])
  const apart = endsOf(
    [
      [0n, 9n],
      [11n, 11n],
      [13n, 20n],
    ],
    [...first, link(11, 'a11', 'a10'), link(13, 'a13')],
  )
  expect(apart).toEqual([link(0, undefined, '0x'), link(9, 'a9'), link(11, 'a11', 'a10')])
  expect(restoredEnds({ ends: storedEnds(apart) })).toEqual(apart)
  expect(endsOf([[0n, 20n]], [...apart, link(10, 'a10', 'a9'), link(12, 'a12', 'a11')])).toEqual([link(0, undefined, '0x')])
})

/** Blocks 0 to 99, of which 10 to 19 and 40 to 49 are there. */
const half = ledgerRow('0-99', {
  state: 'running',
  first: 0n,
  last: 99n,
  coverage: {
    covered: [
      ['10', '19'],
      ['40', '49'],
    ],
    ends: storedEnds([link(10, undefined, 'a9'), link(19, 'a19'), link(40, undefined, 'a39'), link(49, 'a49')]),
  },
})

it('parts of a unit that was left half done know them, whoever cuts it: the next plan, a rewind, a reset', () => {
  const hashes = (put: readonly { unit: string; parentHash?: string | undefined; lastHash?: string | undefined }[]) =>
    put.flatMap(({ unit, parentHash, lastHash }) => ((parentHash ?? lastHash) === undefined ? [] : [[unit, parentHash, lastHash]]))
  const target = { step, axis, planned: () => false, redoes: false, moves: false, round: 0n }
  expect(hashes(reconcile({ rows: [half], fingerprint: 'now' }, target).put)).toEqual([
    ['10-19', 'a9', 'a19'],
    ['40-49', 'a39', 'a49'],
  ])
  expect(hashes(rewound(step, [half], 44n).put)).toEqual([
    ['10-19', 'a9', 'a19'],
    ['40-44', 'a39', undefined],
  ])
  expect(hashes(resetRows({ ...step, fingerprint: 'reset' }, [half], '15..60').put)).toEqual([['10-14', 'a9', undefined]])
})

it('a seam is broken where both sides know a hash and it is not the same, in done units and in parts', () => {
  const seams = (...rows: LedgerRow[]) => brokenSeams({ rows, fingerprint: 'now' }, axis).map((seam) => seamInWords(seam, axis))
  const done = (first: bigint, last: bigint, parentHash?: string, lastHash?: string, fingerprint = 'now') =>
    ledgerRow(`${first}-${last}`, { first, last, parentHash, lastHash, fingerprint })
  expect(seams(half, done(0n, 9n, '0x', 'a9'), done(20n, 39n), done(50n, 99n, 'a49'))).toEqual([])
  expect(seams(half, done(0n, 9n, '0x', 'b9', 'before'), done(21n, 39n, 'b20', 'b38'))).toEqual([
    '21-39 ends with block 39, b38, and 40-49 goes on from a39: one of them is of another fork',
  ])
  expect(seams(done(0n, 9n, '0x', 'b9'), half)).toEqual([
    '0-9 ends with block 9, b9, and 10-19 goes on from a9: one of them is of another fork',
  ])
})
