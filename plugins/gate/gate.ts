import {
  checkProblems,
  checksSchema,
  type ConfigProblem,
  defineStep,
  describeChecks,
  evaluateCheck,
  parseDuration,
  PipeError,
  referenceName,
  Type,
  type Wanted,
} from '../../src/sdk/authors.js'

/** `every` of a gate is a param whose value is no duration. */
export class GateEveryError extends PipeError {
  readonly code = 'GATE_EVERY'
  override readonly hint = 'give the param a duration: 30m'
  constructor(every: string) {
    super(`every: ${JSON.stringify(every)} is no duration`)
  }
}

export const gate = defineStep({
  type: 'gate',
  summary: 'Stays closed until its queries give what is expected.',
  closes: true,
  config: Type.Object(
    {
      checks: checksSchema,
      every: Type.Optional(
        Type.String({
          description: 'Evaluates also while its needs run, so often: `30m`. Only the evaluation after them closes the gate.',
        }),
      ),
      allow_gaps: Type.Optional(
        Type.Boolean({
          default: false,
          description:
            'Lets the checks decide although something that it needs is incomplete. What is missing is shown with the gate everywhere, and the run ends with exit code 1.',
        }),
      ),
    },
    { additionalProperties: false },
  ),
  example: `name: checked
warehouse: duckdb:data/checked.duckdb
tables:
  numbers: { columns: { n: bigint }, key: [n] }
steps:
  - id: complete
    type: gate
    with:
      checks:
        - name: no negative numbers
          sql: SELECT count(*) FROM numbers WHERE n < 0
          expect: 0
          sample: SELECT n FROM numbers WHERE n < 0 ORDER BY n
`,

  *check({ config: { checks, every }, tables }): Iterable<ConfigProblem> {
    for (const problem of checkProblems(checks, { tables })) yield { ...problem, path: ['checks', ...problem.path] }
    if (every !== undefined && referenceName(every) === undefined && !parseDuration(every))
      yield { path: ['every'], message: 'is no duration', hint: 'for example 30m' }
  },

  async *plan(ctx): AsyncIterable<Wanted> {
    const { checks, every, allow_gaps: allowGaps = false } = ctx.config
    await describeChecks(checks, ctx)
    const everyMs = every === undefined ? undefined : parseDuration(every)
    if (every !== undefined && !everyMs) throw new GateEveryError(every)
    yield { kind: 'task', due: 'always', everyMs, allowGaps }
  },

  async *run(ctx) {
    const early = ctx.unit.piece.kind === 'task' && ctx.unit.piece.early === true
    // One by one, so that what was found before a timeout is told.
    for (const check of ctx.config.checks) yield { checks: [await evaluateCheck(check, ctx, early)] }
  },
})
