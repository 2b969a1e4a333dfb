import {
  type Consumer,
  type IntervalInput,
  identifier,
  joinSql,
  maySame,
  type Row,
  sql,
  sqlText,
  type Statement,
  type Table,
  type Texts,
  timeUnit,
  touchedBounds,
  touchedStarts,
} from '../sdk/index.js'
import type { WarehouseKind } from './types.js'

type Step = Pick<Consumer, 'pipeline' | 'step' | 'constants'>

/** Who is to know of changes of one table. */
export interface Watched {
  readonly kind: WarehouseKind
  readonly times: readonly { readonly input: IntervalInput; readonly steps: readonly Step[] }[]
  readonly whole: readonly Step[]
  readonly every: readonly Step[]
}

/** The consumers of each table, by its name. */
export function watchedTables(consumers: readonly Consumer[], kind: WarehouseKind): ReadonlyMap<string, Watched> {
  const tables = new Map<string, { times: Map<string, { input: IntervalInput; steps: Step[] }>; whole: Step[]; every: Step[] }>()
  for (const { pipeline, step, table, interval, constants } of consumers) {
    let watched = tables.get(table)
    if (!watched) tables.set(table, (watched = { times: new Map(), whole: [], every: [] }))
    const who = { pipeline, step, constants }
    if (interval === 'whole' || interval === 'every') {
      watched[interval].push(who)
      continue
    }
    const name = JSON.stringify([interval.column, String(interval.everyUs), String(interval.lookbackUs)])
    const same = watched.times.get(name)
    if (same) same.steps.push(who)
    else watched.times.set(name, { input: interval, steps: [who] })
  }
  return new Map([...tables].map(([table, { times, whole, every }]) => [table, { kind, times: [...times.values()], whole, every }]))
}

/**
 * The texts that all rows have which a change of an output can meet: a row that is overwritten has the same key, and may have had others
 * outside of it.
 */
export const sharedTexts = ({ key }: Pick<Table, 'key'>, constants: Texts): Texts =>
  Object.fromEntries(Object.entries(constants).filter(([column]) => key.includes(column)))

/** Those who read rows with these texts; undefined when nobody does. */
function readersOf(watched: Watched, texts: Texts): Watched | undefined {
  const reading = (steps: readonly Step[]) => steps.filter(({ constants = {} }) => maySame(constants, texts))
  const times = watched.times.map(({ input, steps }) => ({ input, steps: reading(steps) })).filter(({ steps }) => steps.length > 0)
  const [whole, every] = [reading(watched.whole), reading(watched.every)]
  return times.length + whole.length + every.length === 0 ? undefined : { ...watched, times, whole, every }
}

/**
 * SQL columns that say which units rows touch: two for each time that somebody goes by, under names made of `prefix`.
 * `row` is the alias of the rows, or undefined where there is none.
 */
export function boundsOf({ kind, times }: Watched, row: string | undefined, prefix = 'pipe_touch'): Statement {
  const columns = times.flatMap(({ input }, i) => {
    const column = identifier(input.column)
    const { first, last } = touchedBounds(row === undefined ? column : sql`${sqlText(row)}.${column}`, input, kind)
    return [sql`${first} AS ${sqlText(`${prefix}_${2 * i}`)}`, sql`${last} AS ${sqlText(`${prefix}_${2 * i + 1}`)}`]
  })
  return columns.length > 0 ? joinSql(columns, ', ') : sqlText(`1 AS ${prefix}`)
}

/** The names of those columns. */
export function boundNames({ times }: Watched, prefix = 'pipe_touch'): string {
  return times.length > 0 ? times.flatMap((_, i) => [`${prefix}_${2 * i}`, `${prefix}_${2 * i + 1}`]).join(', ') : prefix
}

/** Rows of bounds, as `boundsOf` selects them. */
export type Bounds = readonly (readonly (bigint | null)[])[]

/** What the changes of one commit touch. */
export class Touched {
  readonly #tables: ReadonlyMap<string, Watched>
  readonly #select: (statement: Statement) => Promise<Bounds>
  readonly #units = new Map<string, Row>()
  readonly #every = new Map<string, Step & Pick<Watched, 'kind'>>()

  /** @param select Runs a query inside the transaction that is open. */
  constructor(tables: ReadonlyMap<string, Watched>, select: (statement: Statement) => Promise<Bounds>) {
    this.#tables = tables
    this.#select = select
  }

  /** Who watches rows of the table, or undefined when nobody does. `constants`: those of the output whose rows change; left out: of any. */
  of(table: Table, constants: Texts = {}): Watched | undefined {
    const watched = this.#tables.get(table.name)
    return watched && readersOf(watched, sharedTexts(table, constants))
  }

  /** Runs SQL whose every row is the bounds of changed rows (`boundsOf`, several times over). Resolves to how many rows it gave. */
  async see(watched: Watched, statement: Statement): Promise<number> {
    return this.seeRows(watched, await this.#select(statement))
  }

  /** The same for rows that are here already. */
  seeRows(watched: Watched, rows: Bounds): number {
    if (rows.length === 0) return 0
    for (const step of watched.whole) this.#add(step, 'all')
    for (const step of watched.every) this.#every.set(`${step.pipeline}\0${step.step}`, { ...step, kind: watched.kind })
    const width = 2 * watched.times.length
    watched.times.forEach(({ input, steps }, i) => {
      const seen = new Set<bigint>()
      let before: readonly unknown[] = []
      for (const row of rows) {
        for (let index = 2 * i; index < row.length && width > 0; index += width) {
          const [first, last] = [row[index], row[index + 1]]
          // A row without a time falls into no unit.
          if (first === null || first === undefined || last === null || last === undefined) continue
          // Rows of one block have one time.
          if (first === before[0] && last === before[1]) continue
          before = [first, last]
          for (const start of touchedStarts({ first, last }, input.everyUs)) seen.add(start)
        }
      }
      for (const start of seen) for (const step of steps) this.#add(step, timeUnit(start, input.everyUs))
    })
    return rows.length
  }

  /** Rows of `_pipe_touched` to add, and SQL that adds further ones. */
  rows(at: bigint): { readonly rows: readonly Row[]; readonly more: readonly Statement[] } {
    return {
      rows: [...this.#units.values()].map((row) => ({ ...row, at })),
      more: [...this.#every.values()].map(({ pipeline, step, kind }) => touchEvery(pipeline, step, at, kind)),
    }
  }

  #add({ pipeline, step }: Step, unit: string): void {
    this.#units.set(`${pipeline}\0${step}\0${unit}`, { pipeline, step, unit })
  }
}

/** Forgets that units were touched. */
export function clearTouched(units: readonly { readonly pipeline: string; readonly step: string; readonly unit: string }[]): Statement {
  const conditions = units.map(
    ({ pipeline, step, unit }) => sql`(pipeline = ${text(pipeline)} AND step = ${text(step)} AND unit = ${text(unit)})`,
  )
  return sql`DELETE FROM _pipe_touched WHERE ${joinSql(conditions, ' OR ')}`
}

/** Touches one unit by hand. */
export function touchUnit(pipeline: string, step: string, unit: string, at: bigint, kind: WarehouseKind): Statement {
  return sql`
    INSERT INTO _pipe_touched (pipeline, step, unit, "at")
    VALUES (${text(pipeline)}, ${text(step)}, ${text(unit)}, ${time(at)})
    ${overTouched(kind)}`
}

function touchEvery(pipeline: string, step: string, at: bigint, kind: WarehouseKind): Statement {
  return sql`
    INSERT INTO _pipe_touched (pipeline, step, unit, "at")
    SELECT pipeline, step, unit, ${time(at)}
    FROM _pipe_units
    WHERE pipeline = ${text(pipeline)} AND step = ${text(step)}
    ORDER BY unit
    ${overTouched(kind)}`
}

/**
 * What becomes of a touch that is there. Where other processes write, too, it is written anew, which locks it: a consumer that
 * takes the older one away at that moment would take this one with it.
 */
const overTouched = (kind: WarehouseKind): Statement =>
  sqlText(`ON CONFLICT (pipeline, step, unit) DO ${kind === 'postgres' ? 'UPDATE SET "at" = excluded."at"' : 'NOTHING'}`)

const text = (value: string) => ({ type: { kind: 'text' }, value }) as const
const time = (value: bigint) => ({ type: { kind: 'timestamp' }, value }) as const
