import type { Pipeline } from '../pipeline/pipeline.js'
import { type Clock, isPipeError, type LedgerRow, localPlace, type QuarantineRow, type RunEvent } from '../sdk/index.js'
import { type LastRun, lastOf, RUNS_LOOKED_AT } from '../session/last-run.js'
import type { Look } from '../session/look.js'
import type { Alone } from './alone.js'
import { isNumbers, overlaid, placeOf, type Stretch, tidied } from './coverage.js'
import { outdated, readCoverage, type StepCoverage } from './coverage-read.js'
import { type Definition, definitionsOf } from './definitions.js'
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

/** The ledger of a pipeline, and of what moment it is. */
export interface LedgerCopy {
  /** ISO 8601 in UTC; null: it could not be read yet, since a run has the database. */
  readonly asOf: string | null
  /** Nothing can have changed since. */
  readonly current: boolean
  /** The params whose definitions count as done: those of the last run, where they are not the defaults. */
  readonly params: Readonly<Record<string, string>>
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
  /** Changes when the file of the warehouse does; undefined: it is no file. */
  readonly stamp: (pipeline: Pipeline) => Promise<string | undefined>
}

/** What does not say whether it has changed is asked again only after that. */
const FRESH_MS = 2_000

type Definitions = ReadonlyMap<string, Definition>

interface Kept {
  readonly stamp: string | undefined
  readonly at: number
  readonly copy: LedgerCopy
  readonly definitions: Definitions
}

/** How it is with a pipeline when its ledger is asked for. */
interface Asked {
  readonly isRunning: boolean
  readonly last: LastRun
  readonly definitions: Definitions
}

/** What was begun and done since a copy was read. */
interface Since {
  readonly done: Map<string, Stretch[]>
  readonly running: Map<string, Map<string, Stretch>>
  /** What the units of a step lie on, by their names. */
  readonly axes: Map<string, 'numbers' | 'time'>
}

/**
 * The ledgers of all pipelines, for those who look. A database that lets one process in can't be read while a run has it: then what
 * was read before the run is told, with what the run has said since.
 */
export class Ledgers {
  readonly #parts: LedgersParts
  readonly #kept = new Map<string, Kept>()
  readonly #since = new Map<string, Since>()
  readonly #defined = new Map<string, { readonly key: string; readonly definitions: Definitions }>()

  constructor(parts: LedgersParts) {
    this.#parts = parts
  }

  /** Takes note of what a run of this server says of its units. */
  hear(pipeline: string, event: RunEvent): void {
    if (event.type === 'run:started') this.#since.set(pipeline, { done: new Map(), running: new Map(), axes: new Map() })
    const since = this.#since.get(pipeline)
    if (!since) return
    if (event.type === 'unit:started') {
      const place = placeOf(event.unit)
      if (place) {
        mapOf(since.running, event.step).set(event.unit, { ...place, state: 'running' })
        since.axes.set(event.step, isNumbers(event.unit) ? 'numbers' : 'time')
      }
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
      const runs = await history.runs(name, RUNS_LOOKED_AT)
      const last = lastOf(runs, pipeline)
      const asked = { isRunning: runs[0]?.outcome === 'running', last, definitions: await this.#definitions(pipeline, last) }
      const isLocal = localPlace(pipeline.warehouse) !== undefined
      const kept = this.#kept.get(name)
      if (isLocal && asked.isRunning) return this.#now(name, kept, asked)
      const stamp = await this.#parts.stamp(pipeline)
      const isSame = stamp === undefined ? clock.monotonic() - (kept?.at ?? -Infinity) < FRESH_MS : stamp === kept?.stamp
      // What was heard of a run that wrote nothing is nothing.
      if (isSame && stamp !== undefined && !asked.isRunning) this.#since.delete(name)
      if (kept && isSame && keyOf(kept.definitions) === keyOf(asked.definitions)) return this.#now(name, kept, asked)
      try {
        const copy = await alone.do(name, () => this.#readAnew(pipeline, asked))
        this.#kept.set(name, { stamp, at: clock.monotonic(), copy, definitions: asked.definitions })
        this.#since.delete(name)
        return { ...copy, current: !asked.isRunning }
      } catch (error) {
        // Somebody else has the file: a reset, or a run that is not known here yet.
        if (!kept || !isPipeError(error) || error.code !== 'WAREHOUSE_HELD') throw error
        return { ...this.#now(name, kept, asked), current: false }
      }
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

  /** They are the same as long as the last run is. */
  async #definitions(pipeline: Pipeline, last: LastRun): Promise<Definitions> {
    const key = JSON.stringify([last.params, last.heads, last.now])
    const known = this.#defined.get(pipeline.name)
    if (known?.key === key) return known.definitions
    const definitions = await definitionsOf(pipeline, last)
    this.#defined.set(pipeline.name, { key, definitions })
    return definitions
  }

  async #readAnew(pipeline: Pipeline, { isRunning, last, definitions }: Asked): Promise<LedgerCopy> {
    const look = await this.#parts.open(pipeline)
    try {
      const { warehouse } = look
      await warehouse.assume([...pipeline.tables.values()])
      const steps = new Map<string, StepCoverage>()
      const broken: Broken[] = []
      for (const step of pipeline.steps) {
        const definition = definitions.get(step.id)
        if (!definition) throw new Error(`step ${step.id} has no definition`)
        const { coverage, rows } = await readCoverage({ warehouse, pipeline, step, definition, isRunning, last })
        steps.set(step.id, coverage)
        broken.push(...rows.flatMap(brokenUnit))
      }
      broken.push(...(await warehouse.quarantined(pipeline.name)).map(brokenKey))
      return { asOf: new Date(this.#parts.clock.now()).toISOString(), current: true, params: last.params, steps, broken }
    } finally {
      await look.close()
    }
  }

  /** What was read, as it is to be taken now, with what was heard since. */
  #now(name: string, kept: Kept | undefined, { isRunning, last, definitions }: Asked): LedgerCopy {
    const steps = new Map<string, StepCoverage>()
    for (const [step, known] of kept?.copy.steps ?? []) {
      const isSame = kept?.definitions.get(step)?.fingerprint === definitions.get(step)?.fingerprint
      steps.set(step, isSame ? known : { ...known, line: outdated(known.line), reasons: ['changed'] })
    }
    const since = this.#since.get(name)
    for (const step of new Set([...(since?.done.keys() ?? []), ...(since?.running.keys() ?? [])])) {
      const running = since?.running.get(step) ?? new Map<string, Stretch>()
      const heard = [...(since?.done.get(step) ?? []), ...running.values()]
      const known = steps.get(step) ?? { axis: null, line: new Line(), units: {}, reasons: [] }
      if (heard.length === 0) continue
      const axis = known.axis ?? since?.axes.get(step) ?? null
      steps.set(step, { ...known, axis, line: overlaid(known.line, heard) })
    }
    const { asOf = null, broken = [] } = kept?.copy ?? {}
    return { asOf, current: asOf !== null && !isRunning && !since, params: last.params, steps, broken }
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

const keyOf = (definitions: Definitions): string => JSON.stringify([...definitions])

function brokenUnit({ step, unit, state, attempts, error, updatedAt }: LedgerRow): Broken[] {
  if (state !== 'failed' && state !== 'quarantined') return []
  return [{ step, unit, key: null, state, attempts, error: error ?? '', at: instant(updatedAt) }]
}

function brokenKey({ step, key, attempts, error, at }: QuarantineRow): Broken {
  return { step, unit: null, key, state: 'quarantined', attempts, error, at: instant(at) }
}

const instant = (us: bigint) => new Date(Number(us / 1_000n)).toISOString()
