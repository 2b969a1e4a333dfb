import { coveredBy, standing, tentativeRound } from '../ledger/standing.js'
import { rowStretch } from '../ledger/axis.js'
import { subtract } from '../ledger/intervals.js'
import { type Axis, type Interval, type LedgerRow, numberAxis, timeAxis } from '../sdk/index.js'
import type { CoverageState, Stretch } from './coverage.js'

export interface RowsRule {
  /** Under which definition what is done counts as done. */
  readonly fingerprint: string
  /** Whether what does not say what it is believed by is proved. */
  readonly isProved: boolean
  /** Whether a run is at work: what one that is gone had under way is missing. */
  readonly isRunning: boolean
}

/** The stretches of units as a plan takes them: what is done, what is done again, and what keeps the rest from being read. */
export function stretchesOf(rows: readonly LedgerRow[], rule: RowsRule): Stretch[] {
  const lying = rows.filter(({ first, last }) => first !== undefined && last !== undefined)
  return [numberAxis(1), timeAxis()].flatMap((axis) => onAxis(axis, lying, rule))
}

function onAxis(axis: Axis, rows: readonly LedgerRow[], { fingerprint, isProved, isRunning }: RowsRule): Stretch[] {
  const { done, stale, quarantined } = standing(axis, { rows, fingerprint })
  const current = rows.filter((row) => row.fingerprint === fingerprint)
  const allOf = (row: LedgerRow): Interval[] => [rowStretch(axis, row)].filter((all) => all !== undefined)
  const whole = (some: readonly LedgerRow[]) => some.flatMap(allOf)
  const left = (row: LedgerRow) => allOf(row).flatMap((all) => subtract([all], coveredBy(row, all)))
  return [
    ...inState('missing', whole(rows)),
    ...inState('stale', [...stale.map(({ interval }) => interval), ...whole(current.filter((row) => tentativeRound(row) !== undefined))]),
    ...inState('running', isRunning ? current.filter(({ state }) => state === 'running').flatMap(left) : []),
    ...inState(
      'quarantined',
      quarantined.map(({ interval }) => interval),
    ),
    ...inState('done', done),
    ...inState(
      'proved',
      current.filter((row) => isProvedBy(row, isProved)).flatMap((row) => subtract(allOf(row), left(row))),
    ),
    ...inState('empty', whole(current.filter(isEmpty))),
  ]
}

function inState(state: CoverageState, places: readonly Interval[]): Stretch[] {
  return places
    .map(([first, last]) => ({ from: Number(first), to: Number(last), state }))
    .filter(({ from, to }) => Number.isSafeInteger(from) && Number.isSafeInteger(to))
}

/** What its evidence says, or else the file. */
function isProvedBy({ evidence }: LedgerRow, otherwise: boolean): boolean {
  const said = JSON.stringify(evidence ?? null).match(/"verified":("[^"]*")?/g)
  return said ? said.every((each) => each === '"verified":"proof"') : otherwise
}

/** Nothing was there, and the source said so in a way that is kept. */
function isEmpty({ state, coverage, rows, evidence }: LedgerRow): boolean {
  const counts = Object.values(rows)
  const isSaid = evidence !== undefined && evidence !== null && counts.length > 0 && counts.every((count) => count === 0)
  return isSaid && state === 'done' && coverage?.tentative === undefined
}
