import {
  bindSql,
  type CheckResult,
  defineStep,
  describeChecks,
  evaluateChecks,
  parseDuration,
  placed,
  type PlanContext,
  queryColumnProblems,
  SelectColumnsError,
  sqlFor,
  sqlReferences,
  type Statement,
  type Wanted,
} from '../../src/sdk/authors.js'
import { checkConfig, inputsOf, outputsOf } from './check.js'
import { config, type Config, cursor, isTable, type Part, type TablePart } from './config.js'
import { buildBegun, snapshotBefore, snapshotPath, snapshotText } from './snapshot.js'

export const rebuild = defineStep({
  type: 'rebuild',
  summary: 'Builds new versions of tables beside the old ones, checks them, and swaps all of them at once.',
  config,
  cursor,
  needsWhole: true,
  units: 1,
  example: `name: published
warehouse: duckdb:data/published.duckdb
chains:
  ethereum: { rpc: "\${ETH_RPC_URL}" }
tables:
  headers: { columns: { number: bigint, miner: address }, key: [number] }
  miners: { columns: { miner: address, blocks: bigint }, key: [miner] }
  figures: { columns: { name: text, value: bigint }, key: [name] }
steps:
  - id: headers
    type: rpc-batch
    chain: ethereum
    into: headers
    with:
      over: { blocks: { from: 0, to: 99 } }
      calls:
        block: { method: eth_getBlockByNumber, params: [$number, false] }
      row: { number: block.number, miner: block.miner }
  - id: publish
    type: rebuild
    needs: [headers]
    with:
      parts:
        - id: miners
          into: miners
          sql: SELECT miner, count(*) AS blocks FROM headers GROUP BY miner
        - id: complete
          checks:
            - { name: blocks without a miner, sql: SELECT (SELECT count(*) FROM headers) - (SELECT sum(blocks) FROM miners__next), expect: 0 }
        - id: figures
          into: figures
          sql: SELECT 'miners' AS name, count(*) AS value FROM miners__next
      snapshot: data/published_$now.json
`,

  check: checkConfig,
  inputs: inputsOf,
  outputs: outputsOf,

  async *plan(ctx): AsyncIterable<Wanted> {
    let usesNow = false
    for (const [i, part] of ctx.config.parts.entries()) {
      try {
        if (isTable(part)) await describeTable(part, ctx)
        else await describeChecks(part.checks, ctx)
      } catch (error) {
        throw placed(nameOf(part, i), error)
      }
      usesNow ||= isTable(part) && sqlReferences(textOf(part, ctx)).some(({ name }) => name === 'now')
    }
    yield { kind: 'task', due: usesNow ? 'always' : 'touched', named: 'inputs' }
  },

  async *run(ctx) {
    const { parts, keep = 2, snapshot } = ctx.config
    let left = ctx.cursor
    if (!left) {
      const checks: { part: string; result: CheckResult }[] = []
      for (const [i, part] of parts.entries()) {
        const named = nameOf(part, i)
        if (isTable(part)) {
          const timeoutMs = parseDuration(part.timeout ?? '3h')
          yield { named, selects: [{ output: part.into, sql: statement(part, ctx), replace: true, timeoutMs }] }
        } else {
          const results = await evaluateChecks(part.checks, ctx)
          checks.push(...results.map((result) => ({ part: part.id, result })))
          yield { named, checks: results }
        }
      }
      if (snapshot === undefined) {
        left = {}
      } else {
        const begun = await buildBegun(ctx)
        left = { path: snapshotPath(snapshot, ctx.scope, begun), snapshot: await snapshotBefore(ctx, begun, checks) }
      }
      // With a cursor, so that a unit that is killed from here on writes its snapshot, and swaps nothing once more.
      yield { swap: { keep }, cursor: left }
    }
    if (left.path !== undefined) await ctx.write(left.path, await snapshotText(left.snapshot, ctx))
  },
})

/** A part as messages call it: by its name, its place in the file and its table. */
const nameOf = (part: Part, i: number): string => `part ${part.id} (parts[${i}]${isTable(part) ? `, table ${part.into}` : ''})`

/** @throws {SelectColumnsError} when the query of a part does not fit its table. */
async function describeTable(part: TablePart, ctx: PlanContext<Config>): Promise<void> {
  const columns = await ctx.warehouse.describe(statement(part, ctx))
  const table = ctx.tables.get(part.into)
  const problems = table ? queryColumnProblems(columns, table, []) : []
  if (problems.length > 0) throw new SelectColumnsError(problems)
}

type Context = Pick<PlanContext<Config>, 'scope' | 'warehouse'>

const textOf = ({ sql }: TablePart, { warehouse }: Context): string => sqlFor(sql, warehouse.kind, 'sql')

const statement = (part: TablePart, ctx: Context): Statement => bindSql(textOf(part, ctx), ctx.scope)
