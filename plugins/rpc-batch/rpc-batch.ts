import {
  bindSql,
  defineStep,
  didYouMean,
  fieldPath,
  numberAxis,
  PipeError,
  pathRoot,
  type PlanContext,
  type RowsConfig,
  rowsOf,
  type Scope,
  sqlFor,
  type Statement,
  type Wanted,
} from '../../src/sdk/authors.js'
import { abiProblem, mentionedNames } from './calls.js'
import { checkConfig, checkNumbers, outputsOf, namesOf } from './check.js'
import { config, type Config, isBlocks } from './config.js'
import { ParamNumberError } from './params.js'
import { readUnit } from './read.js'

/** The query of `over.sql` and what uses it do not fit together. */
export class QueryNamesError extends PipeError {
  readonly code = 'QUERY_NAMES'
  constructor(
    problem: string,
    override readonly hint: string,
  ) {
    super(`over.sql: ${problem}`)
  }
}

/** `from` lies after `to`, once both are known. */
export class ReversedRangeError extends PipeError {
  readonly code = 'RANGE_REVERSED'
  override readonly hint = 'give a `from` that is not after `to`'
  constructor(from: number, to: number) {
    super(`blocks from ${from} to ${to}: there are none`)
  }
}

export const rpcBatch = defineStep({
  type: 'rpc-batch',
  summary: 'Asks JSON-RPC calls for every block of a range or every row of a query and stores their results as rows.',
  config,
  requires: ['chain'],
  parallel: 'requests',
  units: 32,
  example: `name: headers
warehouse: duckdb:data/headers.duckdb
chains:
  ethereum: { rpc: "\${ETH_RPC_URL}" }
tables:
  headers: { columns: { number: bigint, hash: hash, timestamp: timestamp }, key: [number] }
steps:
  - id: headers
    type: rpc-batch
    chain: ethereum
    into: headers
    with:
      over: { blocks: { from: 0, to: 99 } }
      calls:
        block: { method: eth_getBlockByNumber, params: [$number, false] }
      row: { number: block.number, hash: block.hash, timestamp: block.timestamp }
`,

  names: namesOf,
  check: checkConfig,
  rpc: ({ batch }) => ({ batch }),
  outputs: outputsOf,

  async *plan(ctx): AsyncIterable<Wanted> {
    const { over, calls } = ctx.config
    const price = { perPiece: Object.keys(calls).length, methods: methodsOf(calls) }
    for (const [name, call] of Object.entries(calls)) {
      const problem = 'function' in call ? await abiProblem(call.function) : undefined
      if (problem !== undefined)
        throw new QueryNamesError(`calls.${name}.function: ${problem}`, 'write it as in Solidity: balanceOf(address) returns (uint256)')
    }
    // Those that stand in the file were checked with it; params are put in by now.
    for (const [name, call] of Object.entries(calls))
      for (const { path, message, hint } of checkNumbers(name, call)) throw new ParamNumberError(path.join('.'), message, hint)
    if (isBlocks(over)) {
      const { from, to } = over.blocks
      if (from > to + 1) throw new ReversedRangeError(from, to)
      yield {
        kind: 'stretches',
        axis: numberAxis(over.chunk ?? 1000),
        domain: [BigInt(from), BigInt(to)],
        due: 'uncovered',
        order: over.order ?? 'oldest-first',
        price,
      }
      return
    }
    const sql = bindSql(sqlFor(over.sql, ctx.warehouse.kind, 'over.sql'), ctx.scope)
    const columns = await queryColumns(ctx, sql)
    const [output, ...beside] = ctx.outputs
    const [copied, ...others] = rowsOf(ctx.config, ctx.into).map(({ row }) => copiedFrom(columns, row))
    if (!copied || !output) throw new QueryNamesError('has nothing to fill', 'give `row` or `rows`')
    yield {
      kind: 'rows',
      sql,
      key: over.key,
      output: output.id,
      copied,
      copiedBeside: Object.fromEntries(beside.map(({ id }, i) => [id, others[i] ?? {}])),
      constants: output.constants,
      chunk: over.chunk ?? 10_000,
      order: over.order ?? 'oldest-first',
      price,
    }
  },

  run: readUnit,
})

/** How many of the calls each method has. */
function methodsOf(calls: Config['calls']): Readonly<Record<string, number>> {
  const methods: Record<string, number> = {}
  for (const call of Object.values(calls)) {
    const method = 'method' in call ? call.method : 'eth_call'
    methods[method] = (methods[method] ?? 0) + 1
  }
  return methods
}

/** Columns of a row that are those of the query as they are. No call has the name of one. */
function copiedFrom(columns: ReadonlySet<string>, row: RowsConfig['row']): Readonly<Record<string, string>> {
  return Object.fromEntries(
    Object.entries(row).flatMap(([column, field]) => (typeof field === 'string' && columns.has(field) ? [[column, field]] : [])),
  )
}

/** The names of the query's columns, once everything that uses one was found to have it. */
async function queryColumns(ctx: PlanContext<Config>, sql: Statement): Promise<ReadonlySet<string>> {
  const columns = new Set((await ctx.warehouse.describe(sql)).map(({ name }) => name))
  const calls = Object.keys(ctx.config.calls)
  const params: Scope = ctx.scope
  for (const name of columns) {
    if (params.has(name)) throw new QueryNamesError(`the column ${name} has the name of a param`, 'give it another name: AS …')
    if (calls.includes(name)) throw new QueryNamesError(`the column ${name} has the name of a call`, 'give it another name: AS …')
  }
  const known = [...columns, ...calls]
  const need = (name: string, where: string) => {
    if (!known.includes(name) && !params.has(name))
      throw new QueryNamesError(
        `${where} uses ${name}, which is neither a column of the query nor a call`,
        didYouMean(name, known) ?? `it gives ${[...columns].join(', ')}`,
      )
  }
  for (const [name, call] of Object.entries(ctx.config.calls)) {
    for (const mentioned of mentionedNames(call)) if (!params.has(mentioned)) need(pathRoot(mentioned), `calls.${name}`)
  }
  for (const rows of rowsOf(ctx.config, ctx.into)) {
    const inner = new Set([...Object.keys(rows.each ?? {}), ...(rows.each ? ['index'] : [])])
    for (const [column, field] of Object.entries(rows.row)) {
      const path = fieldPath(field)
      if (path !== undefined && !inner.has(pathRoot(path))) need(pathRoot(path), `row.${column}`)
    }
  }
  return columns
}
