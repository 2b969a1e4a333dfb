import {
  type Amendment,
  type Amendments,
  type Axis,
  type Interval,
  type LedgerRow,
  type LedgerStep,
  numberAxis,
  parseInstant,
  PipeError,
  timeAxis,
} from '../sdk/index.js'
import { nameOf, rowStretch, stretchOf } from './axis.js'
import { asksRows, blocksOf, storedBlocks } from './hashes.js'
import { intersect, mod, subtract, union } from './intervals.js'
import { hashesAt } from './seams.js'
import { coveredBy } from './standing.js'

/** A `--range` that means nothing for the step. */
export class ResetRangeError extends PipeError {
  readonly code = 'RESET_RANGE'
  constructor(
    range: string,
    problem: string,
    override readonly hint: string,
  ) {
    super(`--range ${range}${problem}`)
  }
}

/** What to change in the ledger so that units are done again. */
export interface ResetChange extends Amendments {
  /** Units, or parts of them, that will be done again. */
  readonly names: readonly string[]
  /** Those that are not done yet. */
  readonly open: readonly string[]
  /** Numbers of the range that no unit speaks of. */
  readonly unknown: readonly string[]
  /** Whole days (UTC) of which all that is done was marked. Undefined: everything of the step was. */
  readonly days: readonly Interval[] | undefined
}

/**
 * Marks units as not done. One that lies only partly in the range is split; the rest of it stays as it was. Numbers of the
 * range that no unit speaks of are marked, too: what lies there is replaced. `counts`: the step's units are numbers.
 *
 * @throws {ResetRangeError}
 */
export function resetRows(step: LedgerStep, rows: readonly LedgerRow[], range: string | undefined, counts = false): ResetChange {
  const put: Amendment[] = []
  const drop: { step: string; unit: string }[] = []
  const names: string[] = []
  const undone: string[] = []
  const unknown: string[] = []
  const marked: Interval[] = []
  const named = rows.some(({ unit }) => unit === range)
  const whole = rows.length > 0 && rows.every(({ unit }) => unit === 'all')
  if (whole && range === 'all') return resetRows(step, rows, undefined, counts)
  const there = new Set(rows.map(({ unit }) => unit))
  const replaced: { step: string; unit: string }[] = []
  /** A part keeps nothing of a row that has its name by chance: that one speaks of another reading. */
  const split = (row: LedgerRow, part: Amendment) => {
    put.push(part)
    if (part.unit !== row.unit && there.has(part.unit)) replaced.push({ step: row.step, unit: part.unit })
  }
  const stretch = range === undefined ? undefined : parseRange(range, rows, counts)
  if (range !== undefined && whole) throw new ResetRangeError(range, ': this step is done as a whole', 'leave out --range')
  const done = (row: Pick<LedgerRow, 'fingerprint'> | undefined, axis: Axis, at: Interval): Amendment => ({
    step: row ? { ...step, fingerprint: row.fingerprint } : step,
    unit: nameOf(axis, at),
    first: at[0],
    last: at[1],
    state: 'done',
  })
  for (const row of rows) {
    const axis = splitAxis(row)
    const all = axis && rowStretch(axis, row)
    const covered = coveredBy(row, all)
    if (axis && all && stretch) {
      const hit = intersect(covered, [stretch])
      const rest = subtract(covered, hit)
      const open = intersect(subtract([all], covered), [stretch])
      if (hit.length === 0 && open.length === 0) continue
      drop.push({ step: row.step, unit: row.unit })
      for (const at of hit) split(row, done(undefined, axis, at))
      // The part at which the reading stopped keeps the cursor, so that a list goes on from there.
      for (const at of rest)
        split(row, {
          ...done(row, axis, at),
          ...hashesIn(row, all, at),
          cursor: keepsCursor(row, axis, at, covered) ? row.cursor : undefined,
        })
      // A redo that was cut off left rows of an older definition in its rest, so the rest is marked, too.
      if (redoes(row)) for (const at of subtract([all], covered)) split(row, done(undefined, axis, at))
      marked.push(...hit, ...open)
      names.push(...hit.map((at) => nameOf(axis, at)))
      undone.push(...open.map((at) => nameOf(axis, at)))
      continue
    }
    if (range !== undefined && (named ? row.unit !== range : !inRange(row, range, stretch))) continue
    if (redoes(row)) put.push({ step, unit: row.unit, state: 'done', attempts: 0, error: null })
    // One of several that were joined gets a row of its own by it.
    else if (row.state === 'done')
      put.push({ step, unit: row.unit, first: row.first, last: row.last, state: 'done', attempts: 0, error: null })
    // Its reading begins anew: from its cursor on, what lies before that would not be read again.
    else if (covered.length === 0 || !axis) put.push({ step, unit: row.unit, state: 'pending', attempts: 0, error: null, cursor: null })
    else {
      drop.push({ step: row.step, unit: row.unit })
      for (const at of covered) split(row, done(undefined, axis, at))
    }
    if (row.state === 'done' || covered.length > 0 || redoes(row)) names.push(row.unit)
    else undone.push(row.unit)
  }
  // On an axis of time nothing else is marked: what the source holds there is not known before it is asked.
  if (stretch && !rows.some((row) => splitAxis(row)?.of === 'time')) {
    const axis = numberAxis(1)
    const known = rows.map((row) => rowStretch(axis, row)).filter((at) => at !== undefined)
    for (const at of subtract([stretch], known)) {
      put.push(done(undefined, axis, at))
      unknown.push(nameOf(axis, at))
    }
  }
  const days = range === undefined ? undefined : stretch ? wholeDays(marked, stretch) : []
  return {
    put,
    drop: [...drop.filter(({ unit }) => !put.some((entry) => entry.unit === unit)), ...replaced],
    names,
    open: undone,
    unknown,
    days,
  }
}

/** The days that hold something of these, as far as they lie in the stretch as a whole. */
function wholeDays(marked: readonly Interval[], [from, to]: Interval): Interval[] {
  return union(marked).flatMap(([first, last]): Interval[] => {
    const [begin, end] = [first - mod(first, DAY_US), last - mod(last, DAY_US) + DAY_US - 1n]
    const whole: Interval = [begin < from ? begin + DAY_US : begin, end > to ? end - DAY_US : end]
    return whole[0] <= whole[1] ? [whole] : []
  })
}

const DAY_US = 86_400_000_000n
/** A year, or more of an instant: `2024`, `2024-03`, `2024-03-01T05:00:00Z`. */
const BEGINS_A_TIME = /^\d{4}(-\d\d.*)?$/

/** The axis along which a unit can be split; undefined for one that is done as a whole, as `all` and what is named by its start. */
function splitAxis({ first, last, unit }: LedgerRow): Axis | undefined {
  if (first === undefined || last === undefined) return undefined
  if (unit === nameOf(numberAxis(1), [first, last])) return numberAxis(1)
  return unit === nameOf(timeAxis(), [first, last]) ? timeAxis() : undefined
}

/** What a part of a unit of blocks knows of their hashes: without them a reorg would not be found. */
function hashesIn(row: LedgerRow, all: Interval, at: Interval): Pick<Amendment, 'coverage' | 'parentHash' | 'lastHash'> {
  if (asksRows(row)) return { coverage: { covered: [], numbers: row.coverage?.numbers, blocks: row.coverage?.blocks } }
  const known = blocksOf(row.coverage).filter(([number]) => at[0] <= number && number <= at[1])
  const blocks = storedBlocks(known)
  return {
    coverage: blocks && { blocks },
    ...hashesAt(row, all, at),
  }
}

function isInTime({ first, last, unit }: LedgerRow): boolean {
  return first !== undefined && last !== undefined && unit !== nameOf(numberAxis(1), [first, last])
}

function keepsCursor(row: LedgerRow, axis: Axis, at: Interval, covered: readonly Interval[]): boolean {
  if (row.state !== 'done') return false
  return axis.of === 'time' ? at[0] === covered[0]?.[0] : at[1] === covered.at(-1)?.[1]
}

const redoes = ({ state, coverage }: LedgerRow) => state !== 'done' && coverage?.redo !== undefined

function parseRange(range: string, rows: readonly LedgerRow[], counts: boolean): Interval | undefined {
  const named = rows.find(({ unit }) => unit === range)
  const own = named && splitAxis(named)
  if (named && own) return rowStretch(own, named)
  if (!named && range.split('..').includes(''))
    throw new ResetRangeError(range, ' has an end that is empty', 'write A..B, both ends included, or a unit as pipe prints it')
  const axis = rows.map(splitAxis).find((found) => found !== undefined)
  // Units of days are days, also of a table whose rows say their block.
  if (!axis && rows.some(isInTime) && !range.split('..').every((end) => BEGINS_A_TIME.test(end)))
    throw new ResetRangeError(
      range,
      ': this step has units of time',
      'write a day or two, or a unit as pipe prints it: 2024-03-01..2024-03-02',
    )
  if (!axis && (!counts || rows.some(isInTime))) return undefined
  if (axis?.of === 'time') {
    const times = timesOf(range)
    if (!times) throw new ResetRangeError(range, ': this step walks through time', 'write two days or times: 2024-03-01..2024-03-02')
    return forwards(range, times)
  }
  const ends = range.split('..').map((end) => /^(\d+)(?:-(\d+))?$/.exec(end))
  const [first, last] = [ends[0], ends.at(-1)]
  if (!first || !last || ends.length > 2)
    throw new ResetRangeError(range, ': this step counts blocks or keys', 'write two whole numbers: 18000000..18000999')
  return forwards(range, [BigInt(first[1] ?? ''), BigInt(last[2] ?? last[1] ?? '')])
}

/** @throws {ResetRangeError} for one that ends before it begins. */
function forwards(range: string, [from, to]: Interval): Interval {
  const [first = '', last = ''] = range.split('..')
  if (from > to) throw new ResetRangeError(range, ' ends before it begins', `write ${last}..${first}`)
  return [from, to]
}

/** Instants, days, or units as they are named, both included: a day as the last one up to its end. Undefined: something else. */
function timesOf(range: string): Interval | undefined {
  const ends = range.split('..')
  const last = ends.at(-1) ?? ''
  const instants = ends.map(parseInstant)
  const [from, to] = [instants[0], instants.at(-1)]
  if (from === undefined || to === undefined || instants.includes(undefined) || ![1, 2, 4].includes(ends.length)) return undefined
  return [from, /^\d{4}-\d\d-\d\d$/.test(last) ? to + DAY_US - 1n : to]
}

/**
 * Units that can't be split: those of time by where they begin, numbers by what they hold, others by their names as text, where what
 * begins with the end is before it.
 */
function inRange({ unit, first }: LedgerRow, range: string, stretch: Interval | undefined): boolean {
  const numbers = stretchOf(numberAxis(1), unit)
  if (stretch && numbers) return intersect([numbers], [stretch]).length > 0
  const times = first === undefined ? undefined : timesOf(range)
  if (times && first !== undefined) return times[0] <= first && first <= times[1]
  const [from = '', to = from] = range.split('..')
  return unit >= from && (unit <= to || unit.startsWith(to))
}
