import { expect, it } from 'vitest'
import { ledgerRow } from '../../test/support/ledger-row.js'
import { type Amendments, intervalAxis, type LedgerRow, timeUnit, unitsApart } from '../sdk/index.js'
import { joinedIntervals } from './join-intervals.js'

const FIVE = 300_000_000n
const axis = intervalAxis(FIVE)
const step = { pipeline: 'p', step: 's', fingerprint: 'now' }
/** 2024-03-01, and the border of 1,024 intervals before it. */
const DAY = 1_709_251_200_000_000n
const START = DAY - (DAY % (FIVE * 1_024n))
const NOTHING = { put: [], drop: [] }

const nameAt = (i: number) => timeUnit(START + BigInt(i) * FIVE, FIVE)
/** The interval of a place, with as many rows as its place says. */
function row(i: number, change: Partial<LedgerRow> = {}): LedgerRow {
  const first = START + BigInt(i) * FIVE
  return ledgerRow(nameAt(i), { first, last: first + FIVE - 1n, rows: { t: i }, startedAt: first + 7n, ...change })
}
const rowsTo = (count: number, change: Partial<LedgerRow> = {}) => Array.from({ length: count }, (_, i) => row(i, change))
const join = (rows: readonly LedgerRow[], keeps: (row: LedgerRow) => boolean = () => false) => joinedIntervals(rows, step, axis, keeps)

/** A ledger: rows by their names, as a database has them. */
class Ledger {
  readonly raw = new Map<string, LedgerRow>()
  #epoch = 1n

  put(...rows: readonly LedgerRow[]): this {
    for (const each of rows) this.raw.set(each.unit, { ...each, epoch: ++this.#epoch })
    return this
  }

  amend({ put, drop }: Amendments): this {
    for (const { unit } of drop) this.raw.delete(unit)
    this.#epoch++
    for (const { unit, coverage, step: _, error: __, ...change } of put)
      this.raw.set(unit, { ...ledgerRow(unit), ...(change as Partial<LedgerRow>), coverage: coverage ?? undefined, epoch: this.#epoch })
    return this
  }

  get units(): readonly LedgerRow[] {
    return unitsApart([...this.raw.values()])
  }

  /** Names, states, definitions and rows of all units, in their order. */
  get told(): string[] {
    const told = this.units.map(({ unit, state, fingerprint, rows }) => `${unit} ${state} ${fingerprint} ${JSON.stringify(rows)}`)
    return told.sort()
  }

  /** The same without names of definitions, after all that can be joined was joined. */
  joined(): this {
    return this.amend(join(this.units))
  }
}

it('days of intervals leave a few rows, from which each of them is read as it was, and nothing is written where nothing is to be joined', () => {
  const ledger = new Ledger().put(...rowsTo(2_500))
  const before = ledger.told
  ledger.joined()
  expect(ledger.raw.size).toBe(128 + 3)
  expect(ledger.told).toEqual(before)
  expect(join(ledger.units)).toEqual(NOTHING)
  // Rows of the next hours wait until it is worth it.
  ledger.put(...Array.from({ length: 100 }, (_, i) => row(2_500 + i)))
  expect(join(ledger.units)).toEqual(NOTHING)
  const all = ledger.put(...Array.from({ length: 100 }, (_, i) => row(2_600 + i))).told
  ledger.joined()
  expect([ledger.raw.size, ledger.told]).toEqual([128 + 3, all])
  expect(ledger.told).toHaveLength(2_700)
})

it('one of them that is opened, fails or is marked again is told by its own row, and goes back into its neighbours when it is done', () => {
  const ledger = new Ledger().put(...rowsTo(1_000)).joined()
  const expected = (change: Partial<LedgerRow>) =>
    new Ledger().put(...rowsTo(1_000).map((each) => (each.unit === nameAt(400) ? { ...each, ...change } : each))).told
  for (const change of [
    { state: 'running' },
    { state: 'quarantined', attempts: 5 },
    { fingerprint: 'reset' },
  ] satisfies Partial<LedgerRow>[]) {
    ledger.put(row(400, change))
    expect(ledger.told).toEqual(expected(change))
    // As long as it is not done, its neighbours are two rows at most.
    ledger.put(...rowsTo(1_000).slice(-200)).joined()
    expect(ledger.told).toEqual(expected(change))
  }
  ledger
    .put(row(400, { rows: { t: 77 } }))
    .put(...rowsTo(1_000).slice(-260))
    .joined()
  expect(ledger.told).toEqual(expected({ rows: { t: 77 } }))
  expect(ledger.raw.size).toBeLessThan(128 + 3)
})

it('under a new definition all of them are done again by their names, and the rows of the old one go with the last of them', () => {
  const ledger = new Ledger().put(...rowsTo(1_500, { fingerprint: 'before' }))
  ledger.amend(joinedIntervals(ledger.units, { ...step, fingerprint: 'before' }, axis, () => false))
  for (const each of ledger.raw.values()) ledger.put({ ...each, fingerprint: 'before' })
  expect(ledger.told).toEqual(new Ledger().put(...rowsTo(1_500, { fingerprint: 'before' })).told)
  // One of the first 1,024 can't be computed again, since its inputs are gone.
  ledger.put(...rowsTo(1_500).slice(1)).joined()
  expect(ledger.told).toEqual(new Ledger().put(row(0, { fingerprint: 'before' }), ...rowsTo(1_500).slice(1)).told)
  expect([...ledger.raw.values()].filter(({ fingerprint }) => fingerprint === 'before')).toHaveLength(1)
  ledger.put(...rowsTo(260)).joined()
  expect(ledger.told).toEqual(new Ledger().put(...rowsTo(1_500)).told)
  expect([...ledger.raw.values()].filter(({ fingerprint }) => fingerprint === 'before')).toEqual([])
})

it('what says more than that it is done keeps its row, and no unit is said to be opened later than it began', () => {
  const told = [{ cursor: 3 }, { evidence: 1 }, { attempts: 1 }, { coverage: { numbers: ['1', '2'] as const } }]
  const rows = rowsTo(400).map((each, i) => ({ ...each, ...told[i] }))
  const own = new Ledger().put(...rows).joined()
  expect([...own.raw.keys()].filter((name) => name <= nameAt(4)).sort()).toEqual([0, 1, 2, 3].map(nameAt))
  expect(join(rowsTo(400), () => true)).toEqual(NOTHING)
  expect(join(rowsTo(256))).toEqual(NOTHING)
  const part = own.units.find(({ unit }) => unit === nameAt(5))
  expect([part?.isPart, part?.startedAt]).toEqual([true, part?.first])
})
