import {
  bindSql,
  type CheckResult,
  type ConfigProblem,
  defineStep,
  didYouMean,
  isPipeError,
  parseDuration,
  sqlReferences,
  type RunContext,
  type Static,
  type Statement,
  Type,
  type Wanted,
} from '../../src/sdk/index.js'
import { meets, parseExpectation } from './expectation.js'

const config = Type.Object(
  {
    checks: Type.Array(
      Type.Object(
        {
          name: Type.String({ minLength: 1, description: 'What holds when the check passes, in words.' }),
          sql: Type.Union([Type.String(), Type.Record(Type.String(), Type.String())], { description: 'Query that gives one number.' }),
          expect: Type.Union([Type.Number(), Type.String()], {
            description: 'What the number must be: `0`, `">= 80"`, `"between 1 and 5"`.',
          }),
          while_running: Type.Optional(
            Type.Union([Type.Number(), Type.String()], { description: 'What is expected of it while the needs still run.' }),
          ),
          severity: Type.Optional(
            Type.Union([Type.Literal('error'), Type.Literal('warn')], {
              default: 'error',
              description: '`warn` reports and leaves the gate open.',
            }),
          ),
          timeout: Type.Optional(Type.String({ default: '10m', description: 'Longest time that the query may take.' })),
        },
        { additionalProperties: false },
      ),
      { minItems: 1, description: 'The gate opens when all of them pass.' },
    ),
    every: Type.Optional(
      Type.String({ description: 'Evaluates also while its needs run, so often: `30m`. Only the evaluation after them closes the gate.' }),
    ),
    allow_gaps: Type.Optional(
      Type.Boolean({ default: false, description: 'Evaluates and shows it although a need is incomplete. The gate stays closed.' }),
    ),
  },
  { additionalProperties: false },
)

type Config = Static<typeof config>
type Check = Config['checks'][number]

const DEFAULT_TIMEOUT_MS = 600_000

export const gate = defineStep({
  type: 'gate',
  summary: 'Stays closed until its queries give what is expected.',
  config,
  closes: true,
  example: `name: checked
warehouse: duckdb:data/checked.duckdb
tables:
  numbers: { columns: { n: bigint }, key: [n] }
steps:
  - id: complete
    type: gate
    with:
      checks:
        - { name: no negative numbers, sql: SELECT count(*) FROM numbers WHERE n < 0, expect: 0 }
`,

  *check({ config, names }): Iterable<ConfigProblem> {
    for (const [i, check] of config.checks.entries()) {
      for (const text of typeof check.sql === 'string' ? [check.sql] : Object.values(check.sql)) {
        for (const { name } of sqlReferences(text)) {
          if (!names.has(name) && !names.has(name.split('.', 1)[0] ?? ''))
            yield {
              path: ['checks', i, 'sql'],
              message: `$${name} is not defined`,
              hint: didYouMean(name, names) ?? 'params and $now are known here',
            }
        }
      }
      for (const field of ['expect', 'while_running'] as const) {
        const wanted = check[field]
        if (wanted !== undefined && parseExpectation(wanted) === undefined)
          yield {
            path: ['checks', i, field],
            message: `${JSON.stringify(wanted)} is no expectation`,
            hint: 'a number, or one of "= 0", ">= 80", "< 5", "between 1 and 5"',
          }
      }
      if (check.timeout !== undefined && parseDuration(check.timeout) === undefined)
        yield { path: ['checks', i, 'timeout'], message: 'is no duration', hint: 'for example 30s or 10m' }
    }
    if (config.every !== undefined && parseDuration(config.every) === undefined)
      yield { path: ['every'], message: 'is no duration', hint: 'for example 30m' }
  },

  async *plan(ctx): AsyncIterable<Wanted> {
    // Every query is prepared before anything is fetched: a typo must not wait for the end of a backfill.
    for (const check of ctx.config.checks) await ctx.warehouse.describe(statementOf(check, ctx))
    const everyMs = ctx.config.every === undefined ? undefined : parseDuration(ctx.config.every)
    yield { kind: 'task', due: 'always', everyMs, allowGaps: ctx.config.allow_gaps ?? false }
  },

  async *run(ctx) {
    const early = ctx.unit.piece.kind === 'task' && ctx.unit.piece.early === true
    const checks: CheckResult[] = []
    for (const check of ctx.config.checks) checks.push(await evaluate(check, ctx, early))
    yield { checks }
  },
})

async function evaluate(check: Check, ctx: RunContext<Config, never>, early: boolean): Promise<CheckResult> {
  const wanted = (early ? check.while_running : undefined) ?? check.expect
  const expectation = parseExpectation(wanted)
  const statement = statementOf(check, ctx)
  const result = { name: check.name, severity: check.severity ?? 'error', expect: String(wanted), sql: statement.parts.join('?') }
  const failed = (problem: string, value: string | null = null): CheckResult => ({ ...result, passed: false, value, problem })
  try {
    const rows: Readonly<Record<string, unknown>>[] = []
    for await (const page of ctx.warehouse.query(statement, {
      signal: ctx.signal,
      timeoutMs: parseDuration(check.timeout ?? '') ?? DEFAULT_TIMEOUT_MS,
    }))
      rows.push(...page)
    const values = Object.values(rows[0] ?? {})
    if (rows.length !== 1) return failed(`gave ${rows.length} rows, one is wanted`)
    if (values.length !== 1) return failed(`gave ${values.length} columns, one is wanted`)
    const [value] = values
    if (value === null || value === undefined) return failed('gave NULL')
    const text = typeof value === 'boolean' ? undefined : String(value as bigint)
    const passed = text === undefined || !expectation ? undefined : meets(text, expectation)
    if (text === undefined || passed === undefined) return failed(`gave ${JSON.stringify(String(value as bigint))}, which is no number`)
    return { ...result, passed, value: text }
  } catch (error) {
    if (ctx.signal.aborted || !isPipeError(error)) throw error
    // A check that can't be evaluated keeps the gate closed.
    return failed(error.message)
  }
}

function statementOf(check: Check, { scope, warehouse }: Pick<RunContext<Config, never>, 'scope' | 'warehouse'>): Statement {
  const text = typeof check.sql === 'string' ? check.sql : (check.sql[warehouse.kind] ?? check.sql.default ?? '')
  return bindSql(text, scope)
}
