import {
  bindSql,
  type CheckContext,
  defineStep,
  intervalAxis,
  type Output,
  type Param,
  parseDuration,
  type PlanContext,
  queryColumnProblems,
  type Row,
  SelectColumnsError,
  type Scope,
  sqlFor,
  sqlReferences,
  type Statement,
  type Wanted,
} from '../../src/sdk/authors.js'
import { checkConfig, inputsOf, spanOf, namesOf } from './check.js'
import { config, type Config } from './config.js'

const ROWS_A_UNIT = 10_000

export const sqlUpsert = defineStep({
  type: 'sql-upsert',
  summary: 'Fills a table with what a SELECT gives, as a whole or one interval at a time, and again only where its inputs changed.',
  config,
  requires: ['into'],
  units: 8,
  example: `name: activity
warehouse: duckdb:data/activity.duckdb
chains:
  ethereum: { rpc: "\${ETH_RPC_URL}" }
tables:
  headers: { columns: { number: bigint, timestamp: timestamp, miner: address }, key: [number] }
  miners_by_hour: { columns: { hour: timestamp, miner: address, blocks: bigint }, key: [hour, miner] }
steps:
  - id: headers
    type: rpc-batch
    chain: ethereum
    into: headers
    with:
      over: { blocks: { from: 0, to: 99 } }
      calls:
        block: { method: eth_getBlockByNumber, params: [$number, false] }
      row: { number: block.number, timestamp: block.timestamp, miner: block.miner }
  - id: miners_by_hour
    type: sql-upsert
    needs: [headers]
    into: miners_by_hour
    with:
      interval: { by: 1h, of: { headers: timestamp } }
      sql: |
        SELECT date_trunc('hour', timestamp) AS hour, miner, count(*) AS blocks
        FROM headers WHERE timestamp >= $start AND timestamp < $end GROUP BY 1, 2
`,

  names: namesOf,
  check: checkConfig,
  inputs: inputsOf,
  outputs: outputsOf,

  async *plan(ctx): AsyncIterable<Wanted> {
    const { interval } = ctx.config
    const text = textOf(ctx)
    const columns = await ctx.warehouse.describe(statement(ctx, { start: 0n, end: 0n }))
    const problems = ctx.into ? queryColumnProblems(columns, ctx.into, Object.keys(ctx.config.constants ?? {})) : []
    if (problems.length > 0) throw new SelectColumnsError(problems)
    if (ctx.config.mode === 'rows') {
      yield rowsWanted(
        ctx,
        columns.map(({ name }) => name),
      )
      return
    }
    const due = sqlReferences(text).some(({ name }) => name === 'now') ? 'always' : 'touched'
    yield interval
      ? { kind: 'stretches', axis: intervalAxis(spanOf(interval).everyUs), domain: 'inputs', due, order: 'newest-first' }
      : { kind: 'task', due }
  },

  async *run(ctx) {
    const { piece } = ctx.unit
    const [output] = ctx.outputs
    if (!output) throw new Error('a sql-upsert has one output')
    if (piece.kind === 'rows') {
      for await (const { rows } of ctx.input()) yield { rows: { [output.id]: rows.map((row) => pick(row, output.columns)) } }
      return
    }
    const timeoutMs = parseDuration(ctx.config.timeout ?? '1h')
    yield {
      selects: [
        {
          output: output.id,
          sql: statement(ctx, piece.kind === 'stretch' ? { start: piece.from, end: piece.to + 1n } : undefined),
          replace: ctx.config.mode !== 'upsert',
          timeoutMs,
        },
      ],
    }
  },
})

/** All columns of the table: which of them the SELECT gives is known when it is planned. */
function outputsOf({ config: { constants = {} }, into }: CheckContext<Config>): Output[] {
  if (!into) return []
  const columns = into.columns.map(({ name }) => name).filter((name) => !Object.hasOwn(constants, name))
  return [{ id: into.name, table: into.name, columns, compute: {}, constants }]
}

/** Every row of the SELECT that the table has not, or has with another value. */
function rowsWanted(ctx: PlanContext<Config>, columns: readonly string[]): Wanted {
  const [output] = ctx.outputs
  if (!output || !ctx.into) throw new Error('a sql-upsert has one output')
  const own = columns.filter((name) => output.columns.includes(name))
  return {
    kind: 'rows',
    sql: statement(ctx, undefined),
    key: ctx.into.key.filter((name) => own.includes(name)),
    output: output.id,
    copied: Object.fromEntries(own.map((name) => [name, name])),
    constants: output.constants,
    chunk: ROWS_A_UNIT,
    order: 'oldest-first',
  }
}

/** What the SELECT gave, without the text of its key. */
function pick(row: Row, columns: readonly string[]): Row {
  return Object.fromEntries(columns.flatMap((name) => (name in row ? [[name, row[name] ?? null]] : [])))
}

type Context = Pick<PlanContext<Config>, 'config' | 'scope' | 'warehouse'>

function textOf({ config: { sql }, warehouse }: Context): string {
  return sqlFor(sql, warehouse.kind, 'sql')
}

function statement(ctx: Context, interval: { readonly start: bigint; readonly end: bigint } | undefined): Statement {
  const time = (value: bigint): Param => ({ type: { kind: 'timestamp' }, value })
  const bounds: Scope =
    interval && ctx.config.interval
      ? new Map([
          ['start', time(interval.start)],
          ['end', time(interval.end)],
        ])
      : new Map()
  return bindSql(textOf(ctx), new Map([...ctx.scope, ...bounds]))
}
