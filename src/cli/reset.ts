import { didYouMean, parseInstant, type LedgerChange, type LedgerRow, type LedgerStep } from '../sdk/index.js'
import { type Interval, intersect, intervalKey, namedAs, parseIntervalKey, subtract, union } from '../plan/intervals.js'
import { coveredBy, isCoveredCursor, RESET_FINGERPRINT } from '../plan/plan.js'
import { withLedger } from './amend.js'
import type { Io } from './io.js'
import type { ResetOptions } from './options.js'
import { UsageError } from './usage-error.js'

/** Marks units as not done, split where the range begins and ends. Deletes nothing: the next run replaces what they wrote. */
export async function resetCommand(file: string, { step, range, state, demo }: ResetOptions, io: Io): Promise<number> {
  return withLedger(file, { state, demo, verb: 'reset' }, io, async (pipeline, warehouse) => {
    const ids = pipeline.steps.map(({ id }) => id)
    const found = pipeline.steps.find(({ id }) => id === step)
    if (!found) throw new UsageError(`--step ${step}: no such step`, didYouMean(step, ids) ?? `it has ${ids.join(', ')}`)
    const rows = await warehouse.units(pipeline.name, step)
    const counts = found.outputs.some((output) => output.range !== undefined)
    const change = resetRows({ pipeline: pipeline.name, step, fingerprint: RESET_FINGERPRINT }, rows, range, counts)
    await warehouse.amend(
      pipeline.name,
      { ...change, ...(range === undefined ? { release: [{ step }] } : {}) },
      BigInt(Math.round(io.clock.now())) * 1000n,
    )
    for (const unit of change.names) io.stdout.write(`${step} ${unit}: will be done again\n`)
    io.stdout.write(
      change.names.length === 0
        ? `nothing of ${step} is done${range === undefined ? '' : ` in ${range}`} (${warehouse.display})\n`
        : `${change.names.length} units in ${warehouse.display} will be replaced by: pipe run ${file}${demo ? ' --demo' : ''}\n`,
    )
  })
}

type Put = LedgerChange & { readonly step: LedgerStep; readonly unit: string }

export interface ResetChange {
  readonly put: readonly Put[]
  readonly drop: readonly { readonly step: string; readonly unit: string }[]
  /** Units that will be done again. */
  readonly names: readonly string[]
}

/**
 * What to change in the ledger. A unit that lies only partly in the range is split; the rest of it stays as it was. Numbers
 * of the range that no unit speaks of are marked, too: what lies there is replaced. `counts`: the step's units are numbers.
 */
export function resetRows(step: LedgerStep, rows: readonly LedgerRow[], range: string | undefined, counts = false): ResetChange {
  const put: Put[] = []
  const drop: { step: string; unit: string }[] = []
  const names: string[] = []
  const stretch = range === undefined ? undefined : parseRange(range, rows, counts)
  if (range !== undefined && rows.length > 0 && rows.every(({ unit }) => unit === 'all'))
    throw new UsageError(`--range ${range}: this step is done as a whole`, 'leave out --range')
  for (const row of rows) {
    const all = parseIntervalKey(row.unit)
    if (all && stretch) {
      const hit = intersect(coveredBy(row), [stretch])
      const rest = subtract(coveredBy(row), hit)
      const open = intersect(subtract([all], coveredBy(row)), [stretch])
      if (hit.length === 0 && open.length === 0) continue
      const nameOf = namedAs(row.unit)
      drop.push({ step: row.step, unit: row.unit })
      for (const interval of hit) put.push({ step, unit: nameOf(interval), state: 'done' })
      // A list goes on from where it was read to, which is the lower end.
      const [lowest] = coveredBy(row)
      for (const interval of rest)
        put.push({
          step: { ...step, fingerprint: row.fingerprint },
          unit: nameOf(interval),
          state: 'done',
          ...(interval[0] === lowest?.[0] && row.cursor !== undefined && row.state === 'done' ? { cursor: row.cursor } : {}),
        })
      // The rest of a redo that was cut off holds rows of an older definition.
      if (redoes(row)) for (const interval of subtract([all], coveredBy(row))) put.push({ step, unit: nameOf(interval), state: 'done' })
      names.push(...union([...hit, ...open]).map(nameOf))
      continue
    }
    const named = range === undefined || inRange(row.unit, range)
    if (!named) continue
    const covered = coveredBy(row)
    if (redoes(row)) put.push({ step, unit: row.unit, state: 'done', attempts: 0, error: null })
    else if (row.state === 'done' || covered.length === 0)
      put.push({ step, unit: row.unit, state: row.state === 'done' ? 'done' : 'pending', attempts: 0, error: null })
    else {
      drop.push({ step: row.step, unit: row.unit })
      for (const interval of covered) put.push({ step, unit: namedAs(row.unit)(interval), state: 'done' })
    }
    names.push(row.unit)
  }
  // Of time nothing is known before the source is asked.
  if (stretch && !rows.some(({ unit }) => unit.includes('..'))) {
    const known = rows.map(({ unit }) => parseIntervalKey(unit)).filter((interval) => interval !== undefined)
    for (const interval of subtract([stretch], known)) {
      put.push({ step, unit: intervalKey(interval), state: 'done' })
      names.push(intervalKey(interval))
    }
  }
  return { put, drop: drop.filter(({ unit }) => !put.some((entry) => entry.unit === unit)), names }
}

const redoes = (row: LedgerRow) => row.state !== 'done' && isCoveredCursor(row.cursor) && row.cursor.redo !== undefined

function parseRange(range: string, rows: readonly LedgerRow[], counts: boolean): Interval | undefined {
  const known = rows.find(({ unit }) => parseIntervalKey(unit))
  if (!known && !counts) return undefined
  if (known?.unit.includes('..')) return parseTimes(range)
  const match = /^(\d+)\.\.(\d+)$/.exec(range)
  if (!match) throw new UsageError(`--range ${range}: this step counts blocks or keys`, 'write two whole numbers: 18000000..18000999')
  const [from, to] = [BigInt(match[1] ?? ''), BigInt(match[2] ?? '')]
  if (from > to) throw new UsageError(`--range ${range} ends before it begins`, `write ${to}..${from}`)
  return [from, to]
}

/** Instants or days, both included: a day as the last one up to its end. */
function parseTimes(range: string): Interval {
  const [first = '', last = '', ...more] = range.split('..')
  const [from, to] = [parseInstant(first), parseInstant(last)]
  if (from === undefined || to === undefined || more.length > 0)
    throw new UsageError(`--range ${range}: this step walks through time`, 'write two days or times: 2024-03-01..2024-03-02')
  const end = /^\d{4}-\d\d-\d\d$/.test(last) ? to + 86_400_000_000n - 1n : to
  if (from > end) throw new UsageError(`--range ${range} ends before it begins`, `write ${last}..${first}`)
  return [from, end]
}

/** Days and other names, compared as text; what begins with the end is before it: `2024-03-02` ends with its last hour. */
function inRange(unit: string, range: string): boolean {
  const [from = '', to = ''] = range.split('..')
  return unit >= from && (unit <= to || unit.startsWith(to))
}
