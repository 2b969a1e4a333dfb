import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { numberAxis, PipeError, sqlText } from '../sdk/index.js'
import { add, begin, coverageOf, end, type Reading } from './coverage.js'
import { count, cutAligned, type Interval, subtract, union } from './intervals.js'

class Broken extends PipeError {
  readonly code = 'BROKEN'
}
const axis = numberAxis(100)
const all: Interval = [0n, 99n]
const batch = (covers: Interval[], more = {}) => ({ rows: { t: [] }, covers, ...more })

function fold(
  batches: readonly Parameters<typeof add>[1][],
  clearing: Parameters<typeof add>[3] = 'none',
  from: Reading = begin(all, undefined),
) {
  const clears: Interval[][] = []
  const reading = batches.reduce((before: Reading, given) => {
    const added = add(before, given, axis, clearing)
    clears.push([...added.clears])
    return added.reading
  }, from)
  return { reading, clears }
}

describe('a unit whose batches say what they cover', () => {
  it('is done in any order of batches, and lacks what none of them spoke of', () => {
    fc.assert(
      fc.property(fc.shuffledSubarray([...cutAligned(all, 7n)]), (parts) => {
        const ended = end(fold(parts.map((part) => batch([part]))).reading)
        if (parts.length === 0) expect(ended).toBeUndefined()
        else expect(ended).toEqual({ done: union(parts), tentative: [], failed: [], missing: subtract([all], parts) })
      }),
    )
  })

  it('goes on from what was committed, and counts nothing twice', () => {
    const { reading } = fold([batch([[0n, 49n]])])
    const again = begin(all, { state: 'running', coverage: coverageOf(reading, undefined) ?? undefined })
    const added = add(again, batch([[40n, 99n]]), axis, 'none')
    expect(added.fresh).toEqual([[50n, 99n]])
    expect(end(added.reading)?.missing).toEqual([])
  })

  it('with what failed by name it is whole, and each failure is a stretch of its own', () => {
    const failed = [{ key: '50', error: new Broken('no') }]
    const { reading } = fold([
      batch(
        [
          [0n, 49n],
          [51n, 99n],
        ],
        { failed },
      ),
    ])
    const ended = end(reading)
    expect([ended?.missing, ended?.failed.map(({ at }) => at)]).toEqual([[], [[50n, 50n]]])
  })

  it('names what it says of places that it does not hold', () => {
    const outside = (given: Parameters<typeof add>[1]) => add(begin(all, undefined), given, axis, 'none').outside
    expect(outside({ covers: [[90n, 100n]] })).toBe('90-100')
    expect(outside({ failed: [{ key: '100', error: new Broken('no') }] })).toBe('100')
    expect(outside({ failed: [{ key: 'x', error: new Broken('no') }] })).toBe('x')
    expect(outside({ covers: [[0n, 99n]] })).toBeUndefined()
  })
})

describe('a unit on no axis that is done again', () => {
  const begun = begin(undefined, undefined)
  const added = (reading: Reading, given: Parameters<typeof add>[1]) => add(reading, given, undefined, 'said')
  const row = { rows: { t: [{ n: 1n }] } }

  it('does away with its older rows once, with the first batch that changes a table', () => {
    const first = added(begun, { rows: { t: [] } })
    expect([first.empties, coverageOf(first.reading, 'changed: row')]).toEqual([false, { covered: [], redo: 'changed: row' }])
    for (const given of [row, { selects: [{ output: 't', sql: sqlText('SELECT 1'), replace: true }] }, { sql: [sqlText('SELECT 1')] }]) {
      const second = added(first.reading, given)
      expect([second.empties, coverageOf(second.reading, 'changed: row')]).toEqual([true, null])
      expect(added(second.reading, row).empties).toBe(false)
    }
  })

  it('and one that is not, has none', () => {
    expect(add(begun, row, undefined, 'none').empties).toBe(false)
  })
})

describe('a unit that is done again', () => {
  it('deletes each place once, where its batches cover it', () => {
    const { clears } = fold([batch([[0n, 9n]]), batch([[5n, 19n]]), batch([[20n, 99n]])], 'said')
    expect(clears).toEqual([[[0n, 9n]], [[10n, 19n]], [[20n, 99n]]])
    expect(count(clears.flat())).toBe(100n)
  })

  it('deletes all of it with its first batch when the batches say nothing, and never again after a kill', () => {
    const { reading, clears } = fold([{ rows: { t: [] } }, { rows: { t: [] } }], 'said')
    expect(clears).toEqual([[all], []])
    expect(end(reading)).toBeUndefined()
    const coverage = coverageOf(reading, 'changed: row')
    expect(coverage).toEqual({ covered: [], cleared: true })
    const resumed = begin(all, { state: 'running', coverage: coverage ?? undefined })
    expect(fold([{ rows: { t: [] } }], 'said', resumed).clears).toEqual([[]])
  })

  it('deletes all of it at once where rows do not tell which part they are of', () => {
    expect(fold([batch([[50n, 99n]]), batch([[0n, 49n]])], 'whole').clears).toEqual([[all], []])
  })

  it('keeps the reason while older rows are left', () => {
    const { reading } = fold([batch([[0n, 9n]])], 'said')
    expect(coverageOf(reading, 'reset')).toEqual({ covered: [['0', '9']], redo: 'reset' })
  })
})
