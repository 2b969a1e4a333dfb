import {
  floorTo,
  formatDay,
  identifier,
  type IntervalInput,
  joinSql,
  type LedgerReader,
  type LedgerRow,
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

/**
 * What the database itself drops of rows that a step reads: none of them; those that were written so long ago, however old they are;
 * or any that are so old. Told by the TTL of the tables in place: one that goes by `_pipe_written`, the time at which a row was written,
 * keeps old rows as long as new ones.
 */
export async function dropping(
  inputs: readonly TimedInput[],
  { tables }: Pick<Pipeline, 'tables'>,
  warehouse: LedgerReader,
): Promise<'nothing' | 'written' | 'any'> {
  const kept = [...new Set(inputs.flatMap(({ table }) => (tables.get(table)?.retention ? [table] : [])))]
  if (!dropsByItself(warehouse) || kept.length === 0) return 'nothing'
  const names = joinSql(
    kept.map((value) => sql`${{ type: { kind: 'text' }, value }}`),
    ', ',
  )
  const query = sql`SELECT create_table_query AS ddl FROM system.tables WHERE database = currentDatabase() AND name IN (${names})`
  const limits: (string | undefined)[] = []
  for await (const page of warehouse.query(query)) for (const { ddl } of page) limits.push(/\bTTL\b(.*)$/s.exec(String(ddl))?.[1])
  if (limits.length < kept.length) return 'any'
  const dropped = limits.filter((limit) => limit !== undefined)
  if (dropped.length === 0) return 'nothing'
  return dropped.every((limit) => limit.includes('_pipe_written')) ? 'written' : 'any'
}

/** The first instant at which a stretch may begin, so that all that it reads is younger than its retention. */
export function oldestKept(inputs: readonly TimedInput[], pipeline: Pipeline, now: bigint): bigint | undefined {
  return latest(keptUs(inputs, pipeline).map(({ us, lookbackUs }) => now - us + lookbackUs))
}

/**
 * Whether all rows that a stretch reads were written in the last half of what the shortest retention gives them, so that they stay for as
 * long again. Of one that was never computed `since` says when the first of them came. One that was old already when it was first
 * opened was computed then because this held, so they are at most so much older than that.
 */
export function writtenLately(inputs: readonly TimedInput[], pipeline: Pipeline, now: bigint) {
  const lately = latest(keptUs(inputs, pipeline).map(({ us }) => now - us / 2n))
  return (start: bigint, row: Pick<LedgerRow, 'state' | 'startedAt'> | undefined, since: bigint | undefined): boolean => {
    if (lately === undefined) return true
    if (row?.state !== 'done') return since !== undefined && since > lately
    const oldest = oldestKept(inputs, pipeline, row.startedAt)
    return row.startedAt > lately && oldest !== undefined && start < oldest
  }
}

const keptUs = (inputs: readonly TimedInput[], { tables }: Pick<Pipeline, 'tables'>) =>
  inputs.flatMap(({ table, input: { lookbackUs } }) => {
    const retention = tables.get(table)?.retention
    return retention ? [{ us: BigInt(retention.ms) * 1000n, lookbackUs }] : []
  })

const latest = (instants: readonly bigint[]): bigint | undefined =>
  instants.length === 0 ? undefined : instants.reduce((latest, at) => (at > latest ? at : latest))

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
