import type { Pipeline } from '../pipeline/pipeline.js'
import { type Clock, type LedgerRow, localPlace, type UnitPage, type UnitState } from '../sdk/index.js'
import type { Look } from '../session/look.js'
import type { Alone } from './alone.js'
import type { History } from './history.js'
import { Refusal } from './refusal.js'

/** Rows of the ledger, as they are at a moment. Units that touch may be one row. */
export interface UnitsAnswer {
  /** ISO 8601 in UTC. */
  readonly asOf: string
  /** No run is under way. */
  readonly current: boolean
  readonly units: readonly LedgerRow[]
  /** What `after` of the next page is; null: there is none. */
  readonly next: string | null
}

export interface UnitsParts {
  readonly open: (pipeline: Pipeline) => Promise<Look>
  readonly history: History
  readonly alone: Alone
  readonly clock: Clock
  /** Waits for a run that is ending. */
  readonly settled: (pipeline: string) => Promise<void>
}

export const UNIT_STATES: readonly UnitState[] = ['pending', 'running', 'done', 'failed', 'quarantined']

export interface UnitsAsked {
  readonly states: readonly UnitState[] | undefined
  readonly after: UnitPage['after']
  readonly limit: number
}

/** Lists units of a step, read from the ledger itself. @throws {Refusal} while a run has a database that lets nobody else in. */
export async function listUnits(
  parts: UnitsParts,
  pipeline: Pipeline,
  step: string,
  { states, after, limit }: UnitsAsked,
): Promise<UnitsAnswer> {
  const { open, history, alone, clock, settled } = parts
  const { name } = pipeline
  await settled(name)
  return alone.do(name, async () => {
    const last = await history.last(name)
    const isRunning = last?.outcome === 'running'
    if (isRunning && localPlace(pipeline.warehouse))
      throw new Refusal(
        409,
        'WAREHOUSE_HELD',
        `run ${last.id} has the database, and lets nobody else in`,
        'coverage and workers say what is known meanwhile; ask again when the run has ended',
        last.id,
      )
    const look = await open(pipeline)
    try {
      await look.warehouse.assume([])
      const asOf = new Date(clock.now()).toISOString()
      const units = await look.warehouse.unitPage(name, step, { states, after, limit: limit + 1 })
      const page = units.slice(0, limit)
      return { asOf, current: !isRunning, units: page, next: units.length > limit ? placeOf(page.at(-1)) : null }
    } finally {
      await look.close()
    }
  })
}

/** The place behind a row, which the next page begins at. */
const placeOf = (row: LedgerRow | undefined): string | null => (row ? `${row.first ?? ''}:${row.unit}` : null)

/** @throws {Refusal} for what no page gave. */
export function afterOf(text: string | undefined): UnitPage['after'] {
  if (text === undefined) return undefined
  const [, first = '', unit] = /^(-?\d{1,19}|):(.+)$/s.exec(text) ?? []
  if (unit === undefined) throw new Refusal(422, 'QUERY_WRONG', '`after` is `next` of the page before')
  return { unit, first: first === '' ? undefined : BigInt(first) }
}

/** @throws {Refusal} */
export function statesOf(text: string | undefined): readonly UnitState[] | undefined {
  const names = text?.split(',')
  const known = UNIT_STATES.filter((state) => names?.includes(state))
  if (names && known.length !== names.length)
    throw new Refusal(422, 'QUERY_WRONG', `\`state\` is one or more of ${UNIT_STATES.join(', ')}, with commas between them`)
  return names && known
}
