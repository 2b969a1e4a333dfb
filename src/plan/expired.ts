import {
  floorTo,
  formatDay,
  identifier,
  type IntervalInput,
  type LedgerReader,
  maySame,
  type Param,
  sql,
  type Table,
  type Texts,
  type Wanted,
} from '../sdk/index.js'
import { type Interval, overlaps } from '../ledger/intervals.js'
import type { Pipeline, Step } from '../pipeline/pipeline.js'

/** What a step reads by its time. */
export interface TimedInput {
  readonly table: string
  readonly input: IntervalInput
  /** The texts of the rows that it reads. */
  readonly constants: Texts
}

/** The inputs of a step that are read by their time. */
export const timedInputs = ({ inputs }: Pick<Step, 'inputs'>): readonly TimedInput[] =>
  inputs.flatMap(({ table, interval, constants = {} }) => (typeof interval === 'object' ? [{ table, input: interval, constants }] : []))

/**
 * Whether the database itself drops what a `retention` lets go (a TTL), whenever it likes. Elsewhere the runner deletes it and writes
 * down what is gone.
 */
export const dropsByItself = ({ kind }: Pick<LedgerReader, 'kind'>): boolean => kind === 'clickhouse'

/** The first instant at which a stretch may begin, so that all that it reads is younger than its retention. */
export function oldestKept(inputs: readonly TimedInput[], pipeline: Pipeline, now: bigint): bigint | undefined {
  const limits = inputs.flatMap(({ table, input }) => {
    const retention = pipeline.tables.get(table)?.retention
    return retention ? [now - BigInt(retention.ms) * 1000n + input.lookbackUs] : []
  })
  return limits.length === 0 ? undefined : limits.reduce((latest, at) => (at > latest ? at : latest))
}

/** Whether rows that a stretch of a step reads were deleted. */
export async function readsDeleted(
  inputs: readonly TimedInput[],
  pipeline: Pipeline,
  warehouse: LedgerReader,
): Promise<(start: bigint, end: bigint) => boolean> {
  if (dropsByItself(warehouse) || !inputs.some(({ table }) => pipeline.tables.get(table)?.retention)) return () => false
  const gone: { readonly lookbackUs: bigint; readonly at: Interval }[] = []
  const query = sql`
    SELECT expired, constants, time_column, first, last
    FROM _pipe_expired
    WHERE pipeline = ${{ type: { kind: 'text' }, value: pipeline.name }}`
  for await (const page of warehouse.query(query)) {
    for (const row of page) {
      // As `Retention` writes it.
      const constants = JSON.parse(String(row.constants)) as Texts
      for (const { table, input, constants: read } of inputs)
        if (table === row.expired && input.column === row.time_column && maySame(read, constants))
          gone.push({ lookbackUs: input.lookbackUs, at: [BigInt(row.first as bigint), BigInt(row.last as bigint)] })
    }
  }
  return (start, end) => gone.some(({ lookbackUs, at }) => overlaps([at], [start - lookbackUs, end]))
}

/** Without the rows of a query that the retention of their table would let go at once, where the query says how old they are. */
export function youngRows(wanted: Wanted, { outputs }: Pick<Step, 'outputs'>, { tables }: Pick<Pipeline, 'tables'>, now: bigint): Wanted {
  if (wanted.kind !== 'rows') return wanted
  const table = tables.get(outputs.find(({ id }) => id === wanted.output)?.table ?? '')
  const retention = table?.retention
  const source = retention && wanted.copied[retention.column]
  if (!table || !retention || source === undefined) return wanted
  const time = sql`k.${identifier(source)}`
  const oldest = instantOf(table, retention.column, now - BigInt(retention.ms) * 1000n)
  return { ...wanted, sql: sql`SELECT k.* FROM (${wanted.sql}\n) AS k WHERE ${time} IS NULL OR ${time} >= ${oldest}` }
}

/** An instant as a column has it: microseconds UTC, or the day that it lies in. */
export function instantOf({ columns }: Table, name: string, us: bigint): Param {
  return columns.find((column) => column.name === name)?.type.kind === 'date'
    ? { type: { kind: 'date' }, value: formatDay(Number(floorTo(us, DAY_US) / DAY_US)) }
    : { type: { kind: 'timestamp' }, value: us }
}

const DAY_US = 86_400_000_000n
