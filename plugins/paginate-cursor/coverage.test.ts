import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { subtract, union } from '../../src/ledger/intervals.js'
import { formatInstant } from '../../src/sdk/index.js'
import { begin, cover, type Coverage, type Frame, holds, isWhole, resume, stored, type Stretch, take } from './coverage.js'
import type { PageRow } from './page.js'

const NOW = 1_000n
const middle: Frame = { unit: [100n, 500n], head: false, window: false, now: NOW, overlap: 10n, disorder: 10n }
const head: Frame = { ...middle, unit: [100n, NOW], head: true }
const row = (time: bigint): PageRow => ({ key: `${time}`, time, record: null, pointer: '', made: [] })
const place = (n: number) => ({ n })

/** Folds pages of times down to the end of the unit, or of the list: the last page is that where `ends` says so. */
function fold(from: Coverage, pages: readonly (readonly bigint[])[], { ends = false, clock = NOW } = {}) {
  let [coverage, low] = [from, undefined as bigint | undefined]
  const said: { covers: Stretch[]; clears: Stretch[]; tentative: Stretch[] }[] = []
  for (const [i, times] of pages.entries()) {
    const rows = times.map(row)
    coverage = take(coverage, { rows, fresh: rows, place: place(i), low })
    low = [low, ...times].reduce((least, time) => (time !== undefined && (least === undefined || time < least) ? time : least))
    const done = isWhole(coverage, low) || (ends && i === pages.length - 1)
    const { coverage: next, ...added } = cover(coverage, { low, done, clock })
    said.push({ covers: [...added.covers], clears: [...added.clears], tentative: [...added.tentative] })
    coverage = next
    if (done) break
  }
  return { coverage, low, said }
}

describe('what pages of a list cover, newest first,', () => {
  it('goes down from the top of the unit to the lowest time that was taken, less how far rows stand out of order', () => {
    const { said, coverage } = fold(begin(middle), [[600n, 450n], [300n], [89n]])
    expect(said).toEqual([
      { covers: [[461n, 500n]], clears: [[450n, 500n]], tentative: [] },
      { covers: [[311n, 460n]], clears: [[300n, 449n]], tentative: [] },
      { covers: [[100n, 310n]], clears: [[100n, 299n]], tentative: [] },
    ])
    expect(coverage).toMatchObject({ top: 500n, down: 100n, cleared: 100n, left: { place: place(2), low: 300n } })
  })

  it('ends at the head below the newest row that is not of the future: what lies above is done for this round', () => {
    const { said } = fold(begin(head), [[1_200n, 900n], [400n]], { ends: true })
    expect(said).toEqual([
      { covers: [], clears: [[900n, 1_000n]], tentative: [] },
      { covers: [[100n, 889n]], clears: [[100n, 899n]], tentative: [[890n, 1_000n]] },
    ])
  })

  it('is nothing of a list without rows at the head, and all of a unit below it', () => {
    expect(fold(begin(head), [[]], { ends: true }).said).toEqual([{ covers: [], clears: [[100n, 1_000n]], tentative: [[100n, 1_000n]] }])
    expect(fold(begin(middle), [[]], { ends: true }).said).toEqual([{ covers: [[100n, 500n]], clears: [[100n, 500n]], tentative: [] }])
  })

  it('ends in a window where the clock of the source was when it answered', () => {
    const window = begin({ ...head, window: true, disorder: 0n })
    expect(fold(window, [[800n]], { ends: true, clock: 700n }).said).toEqual([
      { covers: [[100n, 689n]], clears: [[100n, 1_000n]], tentative: [[690n, 1_000n]] },
    ])
  })

  it('adds up to all of the unit once, whatever the pages', () => {
    const pages = fc.array(fc.array(fc.bigInt(0n, 1_100n), { maxLength: 4 }), { minLength: 1, maxLength: 6 })
    fc.assert(
      fc.property(pages, fc.constantFrom(middle, head), (times, frame) => {
        const { said } = fold(begin(frame), times, { ends: true })
        const spoken = said.flatMap(({ covers, tentative }) => [...covers, ...tentative])
        expect(subtract([frame.unit], spoken)).toEqual([])
        const sizes = (some: readonly Stretch[]) => some.reduce((sum, [from, to]) => sum + to - from + 1n, 0n)
        expect(sizes(spoken)).toBe(sizes(union(spoken)))
      }),
    )
  })
})

describe('a unit that goes on where an earlier one came to', () => {
  const text = (instant: bigint) => formatInstant(instant)

  it('covers below what its own cursor says is covered, and clears below what was read', () => {
    const before = fold(begin(middle), [[450n], [300n]])
    const cursor = stored(before.coverage, { place: place(2), low: 300n })
    expect(cursor).toEqual({ place: place(2), down: text(311n), low: text(300n), top: text(500n) })
    const { said } = fold(resume(middle, cursor ?? {}) as Coverage, [[200n]], { ends: true })
    expect(said).toEqual([{ covers: [[100n, 310n]], clears: [[100n, 299n]], tentative: [] }])
  })

  it('takes the place alone of one above it, at the first page with rows below that one', () => {
    const above = fold(begin({ ...middle, unit: [501n, 900n] }), [[700n], [520n, 495n], [300n]])
    const cursor = stored(above.coverage, { place: place(3), low: 300n })
    expect(cursor).toEqual({ place: place(1), down: text(501n), low: text(700n), top: text(900n) })
    expect(resume(middle, cursor ?? {})).toEqual(begin(middle))
  })

  it('begins anew where nothing below is left, or where it is not known what was covered', () => {
    expect(resume(middle, { down: text(100n), low: text(90n), top: text(500n) })).toBeUndefined()
    expect(resume(middle, {})).toBeUndefined()
    expect(resume(head, {})).toEqual(begin(head))
    expect(stored(begin(head), { place: place(0), low: undefined })).toBeUndefined()
  })
})

it('a row without a time belongs to every unit, one with a time to that which holds it', () => {
  expect([99n, 100n, 500n, 501n].map((time) => holds(begin(middle), row(time)))).toEqual([false, true, true, false])
  expect(holds(begin(middle), { ...row(0n), time: undefined })).toBe(true)
})
