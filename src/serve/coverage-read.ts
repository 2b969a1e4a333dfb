import { redoReason } from '../ledger/fingerprints.js'
import { tentativeRound } from '../ledger/standing.js'
import type { Pipeline, Step } from '../pipeline/pipeline.js'
import { TOUCHED } from '../plan/touched-units.js'
import type { DonePlace, LedgerReader, LedgerRow } from '../sdk/index.js'
import type { LastRun } from '../session/last-run.js'
import { isNumbers, overlaid, placeOf, type Stretch, tidied, without } from './coverage.js'
import { type RowsRule, stretchesOf } from './coverage-rows.js'
import { ofKeys } from './coverage-keys.js'
import { type Definition, momentOf } from './definitions.js'
import { Line } from './line.js'

/** What the ledger says of a step. */
export interface StepCoverage {
  /** What its units lie on; null where they are known by name only. */
  readonly axis: 'numbers' | 'time' | null
  readonly line: Line
  /** Of units that lie on no axis: how many are in each state. */
  readonly units: Readonly<Record<string, number>>
  /** Why what was read once is to be read again: `changed: calls`, `reset`. */
  readonly reasons: readonly string[]
}

export interface ReadOptions {
  /** Knows all tables of the pipeline. */
  readonly warehouse: LedgerReader
  readonly pipeline: Pipeline
  readonly step: Step
  readonly definition: Definition
  readonly isRunning: boolean
  readonly last: Pick<LastRun, 'params' | 'heads' | 'now'>
}

interface Read {
  readonly coverage: StepCoverage
  /** Units that are not done, and those that lie on no axis. */
  readonly rows: readonly LedgerRow[]
}

/** Reads what the ledger says of a step, as a plan would take it. */
export async function readCoverage({ warehouse, pipeline, step, definition, isRunning, last }: ReadOptions): Promise<Read> {
  const { id, with: config } = step
  const { fingerprint, problem } = definition
  const isProved = typeof config === 'object' && config !== null && 'verify' in config && config.verify === 'proof'
  const rule: RowsRule = { fingerprint, isProved, isRunning }
  const lines = { current: new Line(), stale: new Line() }
  let axis: DonePlace['axis'] | undefined
  for await (const page of warehouse.donePlaces({ pipeline: pipeline.name, step: id, fingerprint })) {
    addTo(lines, page, isProved)
    axis ??= page[0]?.axis
  }
  const rows = await warehouse.units(pipeline.name, id, { besidesDonePlaces: true })
  const touched = step.inputs.length === 0 ? [] : (await warehouse.touched(pipeline.name, id)).map(({ unit }) => unit)
  const others = (await warehouse.definitions(pipeline.name, id)).filter((other) => other !== fingerprint)
  const reasons = others.map((other) => problem ?? redoReason(other, fingerprint))
  if (touched.length > 0) reasons.push(TOUCHED)
  if (rows.some((row) => tentativeRound(row) !== undefined)) reasons.push('read again until its source is complete')
  const [lying] = rows.filter((row) => row.first !== undefined)
  const lies = axis ?? (lying && (isNumbers(lying.unit) ? 'numbers' : 'time'))
  if (!lies) return { coverage: { axis: null, line: lines.current, units: counts(rows, fingerprint, touched), reasons }, rows }
  const known = overlaid(overlaid(lines.current, lines.stale), stretchesOf(rows, rule))
  const counted = again(known, touched)
  const keys = { pipeline, step, given: last.params, moment: momentOf(last), warehouse, isRunning }
  const line = lies === 'numbers' && problem === undefined ? await ofKeys(counted, keys) : counted
  return { coverage: { axis: lies, line, units: {}, reasons: hasStale(line) ? [...new Set(reasons)] : [] }, rows }
}

/** What was done of these units is stale. */
function again(known: Line, units: readonly string[]): Line {
  const places = tidied(
    units.flatMap((unit): Stretch[] => [placeOf(unit)].flatMap((place) => (place ? [{ ...place, state: 'stale' }] : []))),
  )
  if (places.length === 0) return known
  // Where nothing was known, what was touched is missing still.
  const there = tidied([...places].flatMap((place) => [...within(known, place)]))
  return overlaid(without(known, there), there)
}

function* within(known: Line, { from, to }: Stretch): Generator<Stretch> {
  for (let i = known.firstAt(from); ; i++) {
    const stretch = known.at(i)
    if (!stretch || stretch.from > to) return
    if (READ.has(stretch.state)) yield { from: Math.max(from, stretch.from), to: Math.min(to, stretch.to), state: 'stale' }
  }
}

const READ: ReadonlySet<string> = new Set(['done', 'proved', 'empty'])

/** The same where another definition counts now: what was read is stale. */
export function outdated(line: Line): Line {
  const found = new Line()
  for (const stretch of line) found.add(READ.has(stretch.state) ? { ...stretch, state: 'stale' } : stretch)
  return found
}

function hasStale(line: Line): boolean {
  for (const { state } of line) if (state === 'stale') return true
  return false
}

function counts(rows: readonly LedgerRow[], fingerprint: string, touched: readonly string[]): Record<string, number> {
  const units: Record<string, number> = {}
  for (const row of rows) {
    const isStale = row.state === 'done' && (row.fingerprint !== fingerprint || touched.includes(row.unit))
    const state = isStale ? 'stale' : row.state
    units[state] = (units[state] ?? 0) + 1
  }
  return units
}

/** Places that come sorted. Overlapping ones, which no unit of ours makes, would be joined where they are of one state. */
function addTo({ current, stale }: { current: Line; stale: Line }, places: readonly DonePlace[], isProved: boolean): void {
  for (const { first, last, isEmpty, isCurrent, isProved: said } of places) {
    const [from, to] = [Number(first), Number(last)]
    if (!Number.isSafeInteger(from) || !Number.isSafeInteger(to)) continue
    const read = (said ?? isProved) ? 'proved' : 'done'
    if (isCurrent) current.add({ from, to, state: isEmpty ? 'empty' : read })
    else stale.add({ from, to, state: 'stale' })
  }
}
