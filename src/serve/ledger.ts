import type { Pipeline } from '../pipeline/pipeline.js'
import { type Clock, type DonePlace, type LedgerRow, localPlace, type QuarantineRow, type RunEvent } from '../sdk/index.js'
import type { Look } from '../session/look.js'
import type { Alone } from './alone.js'
import { isNumbers, overlaid, placeOf, type Stretch, stretchesOf, tidied } from './coverage.js'
import type { History } from './history.js'
import { Line } from './line.js'

/** A unit or a key that is left out because its attempts are used up, or that failed. */
export interface Broken {
  readonly step: string
  /** Null where it is a key. */
  readonly unit: string | null
  /** Null where it is a unit. */
  readonly key: string | null
  readonly state: 'failed' | 'quarantined'
  readonly attempts: number
  readonly error: string
  readonly at: string
}

/** What the ledger says of a step. */
export interface StepCoverage {
  /** What its units lie on; null where they are known by name only. */
  readonly axis: 'numbers' | 'time' | null
  readonly line: Line
  /** Of units that lie on no axis: how many are in each state. */
  readonly units: Readonly<Record<string, number>>
}

/** The ledger of a pipeline, and of what moment it is. */
export interface LedgerCopy {
  /** ISO 8601 in UTC; null: it could not be read yet, since a run has the database. */
  readonly asOf: string | null
  /** Nothing can have changed since. */
  readonly current: boolean
  readonly steps: ReadonlyMap<string, StepCoverage>
  readonly broken: readonly Broken[]
}

export interface LedgersParts {
  readonly open: (pipeline: Pipeline) => Promise<Look>
  readonly history: History
  readonly alone: Alone
  readonly clock: Clock
  /** Waits for a run that is ending. */
  readonly settled: (pipeline: string) => Promise<void>
}

/** A server is asked again only after that. */
const FRESH_MS = 2_000

interface Kept {
  readonly run: string
  readonly at: number
  readonly copy: LedgerCopy
}

/** What was begun and done since a copy was read. */
interface Since {
  readonly done: Map<string, Stretch[]>
  readonly running: Map<string, Map<string, Stretch>>
}

/**
 * The ledgers of all pipelines, for those who look. A database that lets one process in can't be read while a run has it: then what
 * was read before the run is told, with what the run has said since.
 */
export class Ledgers {
  readonly #parts: LedgersParts
  readonly #kept = new Map<string, Kept>()
  readonly #since = new Map<string, Since>()

  constructor(parts: LedgersParts) {
    this.#parts = parts
  }

  /** Takes note of what a run of this server says of its units. */
  hear(pipeline: string, event: RunEvent): void {
    if (event.type === 'run:started') this.#since.set(pipeline, { done: new Map(), running: new Map() })
    const since = this.#since.get(pipeline)
    if (!since) return
    if (event.type === 'unit:started') {
      const place = placeOf(event.unit)
      if (place) mapOf(since.running, event.step).set(event.unit, { ...place, state: 'running' })
    }
    if (event.type === 'unit:done' || event.type === 'unit:left' || event.type === 'unit:failed') {
      const place = mapOf(since.running, event.step).get(event.unit)
      mapOf(since.running, event.step).delete(event.unit)
      if (place && event.type === 'unit:done') this.#done(since, event.step, { ...place, state: 'done' })
      if (place && event.type === 'unit:failed' && event.state === 'quarantined')
        this.#done(since, event.step, { ...place, state: 'quarantined' })
    }
  }

  async read(pipeline: Pipeline): Promise<LedgerCopy> {
    const { history, alone, clock, settled } = this.#parts
    const { name } = pipeline
    await settled(name)
    return alone.do(`ledger ${name}`, async () => {
      const last = await history.last(name)
      const run = last === undefined ? '' : `${last.id} ${last.outcome} ${last.endedAt}`
      const isLocal = localPlace(pipeline.warehouse) !== undefined
      const kept = this.#kept.get(name)
      const isRunning = last?.outcome === 'running'
      if (kept && (isLocal ? isRunning || kept.run === run : clock.monotonic() - kept.at < FRESH_MS))
        return this.#now(name, kept.copy, isRunning)
      if (isLocal && isRunning) return this.#now(name, { asOf: null, current: false, steps: new Map(), broken: [] }, true)
      const copy = await alone.do(name, () => this.#readAnew(pipeline))
      this.#kept.set(name, { run, at: clock.monotonic(), copy })
      this.#since.delete(name)
      return { ...copy, current: !isRunning }
    })
  }

  /** The rows of the ledger at a place of a step, as they are now. @throws where a run has the database. */
  async rowsAt(pipeline: Pipeline, step: string, place: number): Promise<readonly LedgerRow[]> {
    await this.#parts.settled(pipeline.name)
    return this.#parts.alone.do(pipeline.name, async () => {
      const look = await this.#parts.open(pipeline)
      try {
        await look.warehouse.assume([])
        const [at, rows] = [BigInt(place), await look.warehouse.units(pipeline.name, step, { at: BigInt(place) })]
        // Of what was joined, the units beside it come, too.
        return rows.filter(({ first, last }) => first !== undefined && last !== undefined && first <= at && last >= at)
      } finally {
        await look.close()
      }
    })
  }

  async #readAnew(pipeline: Pipeline): Promise<LedgerCopy> {
    const look = await this.#parts.open(pipeline)
    try {
      await look.warehouse.assume([])
      const steps = new Map<string, StepCoverage>()
      const broken: Broken[] = []
      for (const { id, with: config } of pipeline.steps) {
        const isProved = typeof config === 'object' && config !== null && 'verify' in config && config.verify === 'proof'
        const done = new Line()
        let axis: DonePlace['axis'] | undefined
        for await (const page of look.warehouse.donePlaces(pipeline.name, id)) {
          addTo(done, page, isProved)
          axis ??= page[0]?.axis
        }
        const rows = await look.warehouse.units(pipeline.name, id, { besidesDonePlaces: true })
        steps.set(id, stepCoverage(done, rows, axis, isProved))
        broken.push(...rows.flatMap(brokenUnit))
      }
      broken.push(...(await look.warehouse.quarantined(pipeline.name)).map(brokenKey))
      return { asOf: new Date(this.#parts.clock.now()).toISOString(), current: true, steps, broken }
    } finally {
      await look.close()
    }
  }

  /** A copy with what was heard since. */
  #now(name: string, copy: LedgerCopy, isRunning: boolean): LedgerCopy {
    const since = this.#since.get(name)
    if (!since) return { ...copy, current: copy.current && !isRunning }
    const steps = new Map(copy.steps)
    for (const step of new Set([...since.done.keys(), ...since.running.keys()])) {
      const heard = [...(since.done.get(step) ?? []), ...(since.running.get(step)?.values() ?? [])]
      const names = [...(since.running.get(step)?.keys() ?? [])]
      const known = steps.get(step) ?? { axis: null, line: new Line(), units: {} }
      if (heard.length === 0) continue
      const axis = known.axis ?? (names[0] === undefined || isNumbers(names[0]) ? 'numbers' : 'time')
      steps.set(step, { ...known, axis, line: overlaid(known.line, heard) })
    }
    return { ...copy, steps, current: false }
  }

  #done(since: Since, step: string, stretch: Stretch): void {
    const done = since.done.get(step) ?? []
    done.push(stretch)
    // Neighbours are joined now and then: a run may do a million units.
    since.done.set(step, done.length % 4_096 === 0 ? [...tidied(done)] : done)
  }
}

function mapOf<V>(maps: Map<string, Map<string, V>>, key: string): Map<string, V> {
  let found = maps.get(key)
  if (!found) maps.set(key, (found = new Map()))
  return found
}

/** Places that come sorted. Overlapping ones, which no unit of ours makes, would be joined where they are of one state. */
function addTo(line: Line, places: readonly DonePlace[], isProved: boolean): void {
  const read = isProved ? 'proved' : 'done'
  for (const { first, last, isEmpty } of places) {
    const [from, to] = [Number(first), Number(last)]
    if (Number.isSafeInteger(from) && Number.isSafeInteger(to)) line.add({ from, to, state: isEmpty ? 'empty' : read })
  }
}

function stepCoverage(done: Line, rows: readonly LedgerRow[], axisOfDone: DonePlace['axis'] | undefined, isProved: boolean): StepCoverage {
  const [first] = rows.filter((row) => row.first !== undefined)
  const axis = axisOfDone ?? (first && (isNumbers(first.unit) ? 'numbers' : 'time'))
  if (axis) return { axis, line: overlaid(done, stretchesOf(rows, isProved)), units: {} }
  const units: Record<string, number> = {}
  for (const { state } of rows) units[state] = (units[state] ?? 0) + 1
  return { axis: null, line: done, units }
}

function brokenUnit({ step, unit, state, attempts, error, updatedAt }: LedgerRow): Broken[] {
  if (state !== 'failed' && state !== 'quarantined') return []
  return [{ step, unit, key: null, state, attempts, error: error ?? '', at: instant(updatedAt) }]
}

function brokenKey({ step, key, attempts, error, at }: QuarantineRow): Broken {
  return { step, unit: null, key, state: 'quarantined', attempts, error, at: instant(at) }
}

const instant = (us: bigint) => new Date(Number(us / 1_000n)).toISOString()
