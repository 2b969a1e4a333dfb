import { type TSchema, Type } from '@sinclair/typebox'
import { NOTICE_KINDS } from '../pipeline/receivers.js'
import type { Json } from '../sdk/index.js'
import { backfillAction } from './backfill.js'
import { parallelBody, pauseBody, planBody, resetBody, retryBody, sessionBody, startBody, stopBody } from './bodies.js'
import { COVERAGE_STATES } from './coverage.js'
import { shipped } from './shipped.js'
import { UNIT_STATES } from './units.js'

/** One thing that can be asked of the server. */
export interface Operation {
  readonly method: 'get' | 'post'
  /** With names of the address in braces. */
  readonly path: string
  readonly summary: string
  /** What may follow the question mark. */
  readonly query?: Readonly<Record<string, { readonly schema: TSchema; readonly description: string; readonly required?: true }>>
  readonly body?: { readonly schema: TSchema; readonly example: Json }
  readonly status: 200 | 201 | 202
  /** Left out: text or a stream, as `type` says. */
  readonly answer?: TSchema
  readonly type?: string
}

/** A part of what is generated from the types. */
const of = (path: string) => Type.Unsafe<Json>({ $ref: `#/components/schemas/${path}` })
const nullable = <T extends TSchema>(schema: T) => Type.Union([schema, Type.Null()])
const instant = Type.String({ description: 'ISO 8601 in UTC' })
const states = [
  ...['never', 'starting', 'running', 'pausing', 'paused', 'stopping'],
  ...['done', 'incomplete', 'stopped', 'error', 'interrupted'],
] as const
const state = Type.Union(states.map((name) => Type.Literal(name)))
const counts = Type.Record(Type.String(), Type.Number())

const run = Type.Object({
  id: Type.String(),
  pipeline: Type.String(),
  state,
  exitCode: nullable(Type.Integer()),
  error: nullable(Type.String()),
  warehouse: Type.String(),
  host: Type.String(),
  pid: Type.Integer(),
  startedAt: instant,
  endedAt: nullable(instant),
  updatedAt: instant,
  elapsedMs: Type.Number(),
  rows: counts,
})

const schedule = Type.Object({
  cron: Type.String(),
  timezone: Type.String(),
  missed: Type.Union([Type.Literal('run'), Type.Literal('skip')]),
  enabled: Type.Boolean({ description: 'false: this server begins no run by itself (--no-schedules)' }),
  next: Type.Array(instant, { description: 'the next three times' }),
})

const pipeline = Type.Object({
  name: Type.String(),
  description: nullable(Type.String()),
  file: Type.String(),
  state,
  run: nullable(run),
  steps: counts,
  progress: Type.Object({ done: Type.Number(), total: nullable(Type.Number()), quarantined: Type.Number() }),
  schedule: nullable(schedule),
})

const param = Type.Object({
  name: Type.String(),
  type: Type.String(),
  default: Type.Unknown({ description: 'null: it has none' }),
  oneOf: nullable(Type.Array(Type.Unknown(), { description: 'the values that it may have' })),
  description: nullable(Type.String()),
})

const step = Type.Object({
  id: Type.String(),
  title: Type.String(),
  type: Type.String(),
  needs: Type.Array(Type.String()),
  chain: nullable(Type.String()),
  source: nullable(Type.String()),
  tables: Type.Array(Type.String()),
  parallel: nullable(Type.Object({ of: Type.Union([Type.Literal('units'), Type.Literal('requests')]), most: nullable(Type.Integer()) })),
})

const kinds = Type.Union(NOTICE_KINDS.map((name) => Type.Literal(name)))

const notices = Type.Object({
  enabled: Type.Boolean({ description: 'a demo tells nobody' }),
  receivers: Type.Array(
    Type.Object({
      type: Type.Union((['webhook', 'slack', 'smtp'] as const).map((name) => Type.Literal(name))),
      host: Type.String(),
      on: Type.Array(kinds),
      told: Type.Array(Type.Object({ kind: kinds, about: Type.String({ description: 'empty: the run itself' }), at: instant }), {
        description: 'what it knows of that is not over, the newest first',
      }),
    }),
  ),
})

const stretch = { from: Type.Number(), to: Type.Number() }
const coverageState = Type.Union(COVERAGE_STATES.map((name) => Type.Literal(name)))
const asOf = { asOf: Type.Union([instant, Type.Null()], { description: 'null: a run has the database' }), current: Type.Boolean() }

const stepCoverage = Type.Object({
  step: Type.String(),
  axis: nullable(Type.Union([Type.Literal('numbers'), Type.Literal('time')])),
  from: Type.Number({ description: 'the first place that the ledger speaks of or the last run wanted' }),
  to: Type.Number({ description: 'the last one; before the first: there is none' }),
  units: counts,
  reasons: Type.Array(Type.String(), { description: 'why what is `stale` (it was read once) is to be read again: changed: calls' }),
  stretches: nullable(Type.Array(Type.Object({ ...stretch, state: coverageState }))),
  buckets: nullable(Type.Array(Type.Object({ ...stretch, places: counts }))),
})

const place = Type.String({ description: 'a block, or microseconds UTC' })

const unit = Type.Object({
  step: Type.String(),
  unit: Type.String(),
  state: Type.Union(UNIT_STATES.map((name) => Type.Literal(name))),
  fingerprint: Type.String({ description: 'the definition that it was done under' }),
  epoch: Type.String(),
  first: Type.Optional(place),
  last: Type.Optional(place),
  rows: counts,
  attempts: Type.Integer(),
  endpoint: Type.Optional(Type.String()),
  error: Type.Optional(Type.String()),
  startedAt: Type.String({ description: 'microseconds UTC' }),
  updatedAt: Type.String({ description: 'microseconds UTC' }),
})

const worker = Type.Object({
  run: Type.String(),
  host: Type.String(),
  pid: Type.Integer(),
  own: Type.Boolean({ description: 'started by this server' }),
  state,
  since: instant,
  lastSeen: instant,
  steps: Type.Array(
    Type.Object({
      step: Type.String(),
      units: Type.Integer({ description: 'how many are under way' }),
      first: Type.Array(Type.Object({ unit: Type.String(), since: instant }), { description: 'those that were begun first, at most 32' }),
    }),
  ),
})

const backfill = Type.Object({
  running: Type.Boolean(),
  startedAt: nullable(instant),
  currentProcess: nullable(Type.String()),
  completedProcesses: Type.Array(Type.String()),
  failedProcesses: Type.Array(Type.String()),
  progress: Type.Object({ total: Type.Integer(), completed: Type.Integer(), failed: Type.Integer() }),
})

const logs = Type.Object({
  run: nullable(Type.String()),
  kept: Type.Boolean({ description: 'false: nothing is kept of it, which holds for all but the newest 20 runs' }),
  dropped: Type.Integer({ description: 'how many older facts are gone: at most 500 are kept, and 256 kB' }),
  said: nullable(Type.String({ description: 'null where this server does not hear it' })),
  facts: Type.Array(of('event')),
})

const broken = Type.Object({
  step: Type.String(),
  unit: nullable(Type.String({ description: 'null where it is a key' })),
  key: nullable(Type.String({ description: 'null where it is a unit' })),
  state: Type.Union([Type.Literal('failed'), Type.Literal('quarantined')]),
  attempts: Type.Integer(),
  error: Type.String(),
  at: instant,
})

const begun = Type.Object({ run: Type.String({ description: 'its id' }) })
const asked = Type.Object({ run: Type.String({ description: 'its id' }), state })
const lines = Type.Object({ lines: Type.Array(Type.String()) })
const one = '/api/pipelines/{name}'

/** Everything that can be asked, in the order of the document. */
export const operations: readonly Operation[] = [
  {
    method: 'get',
    path: '/api/pipelines',
    summary: 'All pipelines, each at a glance',
    status: 200,
    answer: Type.Object({ pipelines: Type.Array(pipeline) }),
  },
  {
    method: 'get',
    path: one,
    summary: 'One pipeline: its params, its graph and how it stands',
    status: 200,
    answer: Type.Intersect([pipeline, Type.Object({ params: Type.Array(param), graph: Type.Array(step), notices })]),
  },
  {
    method: 'get',
    path: `${one}/steps`,
    summary: 'Its steps, with their state in the last run',
    status: 200,
    answer: Type.Object({ steps: Type.Array(Type.Intersect([step, Type.Object({ status: nullable(of('run/properties/steps/items')) })])) }),
  },
  {
    method: 'get',
    path: `${one}/events`,
    summary: 'What happens, as server-sent events: fact, view, resync. Last-Event-ID goes on where it ended',
    status: 200,
    type: 'text/event-stream',
  },
  {
    method: 'post',
    path: `${one}/plan`,
    summary: 'What a run would do now, why, and what it would cost; changes nothing (schemas/plan.schema.json)',
    body: { schema: planBody, example: { limit: 10 } },
    status: 200,
    answer: of('plan'),
  },
  {
    method: 'post',
    path: `${one}/start`,
    summary: 'Starts a run; 409 names the one that runs',
    body: { schema: startBody, example: { limit: 10 } },
    status: 201,
    answer: begun,
  },
  {
    method: 'post',
    path: `${one}/stop`,
    summary: 'Asks the run to end when the units under way are done; the next run does the rest',
    body: { schema: stopBody, example: {} },
    status: 202,
    answer: begun,
  },
  {
    method: 'post',
    path: `${one}/pause`,
    summary:
      'Has the run begin nothing further: units under way are done, then it waits until it is resumed or stopped. Also one of cron or a shell',
    body: { schema: pauseBody, example: {} },
    status: 202,
    answer: asked,
  },
  {
    method: 'post',
    path: `${one}/resume`,
    summary: 'Has a run go on that is paused',
    body: { schema: pauseBody, example: {} },
    status: 202,
    answer: asked,
  },
  {
    method: 'post',
    path: `${one}/parallel`,
    summary: 'How much a step, or each of them, does at once in the run that is under way; the file stays as it is',
    body: { schema: parallelBody, example: { step: 'lines', parallel: 4 } },
    status: 202,
    answer: Type.Object({ run: Type.String({ description: 'its id' }), parallel: counts }),
  },
  {
    method: 'post',
    path: `${one}/retry`,
    summary: 'Lets units out of quarantine; the next run does them',
    body: { schema: retryBody, example: {} },
    status: 200,
    answer: lines,
  },
  {
    method: 'post',
    path: `${one}/reset`,
    summary: 'Marks units of a step as not done; the next run does them',
    body: { schema: resetBody, example: { step: 'lines', range: '1..10' } },
    status: 200,
    answer: lines,
  },
  {
    method: 'get',
    path: `${one}/coverage`,
    summary: 'Which places are there, proved, empty, missing, in quarantine or under way: as stretches, or in buckets where they are many',
    query: {
      step: { schema: Type.String(), description: 'only this step; may be given several times' },
      from: { schema: Type.Integer(), description: 'first place of the window: a block, or microseconds UTC' },
      to: { schema: Type.Integer(), description: 'last place of the window' },
      buckets: { schema: Type.Integer({ minimum: 1, maximum: 4_000, default: 1_000 }), description: 'at most so many parts a step' },
    },
    status: 200,
    answer: Type.Object({
      ...asOf,
      params: Type.Record(Type.String(), Type.String(), { description: 'whose definitions count as done: those of the last run' }),
      steps: Type.Array(stepCoverage),
    }),
  },
  {
    method: 'get',
    path: `${one}/units`,
    summary: 'Rows of the ledger, by where they lie: those at one place, or a page of all; 409 while a run has a database of one process',
    query: {
      step: { schema: Type.String(), description: 'its step', required: true },
      at: { schema: Type.Integer(), description: 'only those at this place, which the rest says nothing to: a block, or microseconds UTC' },
      state: { schema: Type.String(), description: `only in these states, with commas: ${UNIT_STATES.join(', ')}` },
      after: { schema: Type.String(), description: '`next` of the page before' },
      limit: { schema: Type.Integer({ minimum: 1, maximum: 1_000, default: 100 }), description: 'at most so many' },
    },
    status: 200,
    answer: Type.Object({
      asOf: Type.Optional(instant),
      current: Type.Optional(Type.Boolean({ description: 'no run is under way' })),
      units: Type.Array(unit),
      next: Type.Optional(nullable(Type.String({ description: '`after` of the next page' }))),
    }),
  },
  {
    method: 'get',
    path: `${one}/workers`,
    summary: 'Which processes are at work on it, whoever started them, and what they are at',
    status: 200,
    answer: Type.Object({ workers: Type.Array(worker) }),
  },
  {
    method: 'get',
    path: `${one}/gates`,
    summary: 'Checks of the last run, each with what it gave before',
    status: 200,
    answer: Type.Object({ gates: Type.Array(of('run/properties/checks/items')) }),
  },
  {
    method: 'get',
    path: `${one}/quarantine`,
    summary: 'Units and keys that failed or whose attempts are used up: how many, and the first 1,000',
    status: 200,
    answer: Type.Object({ ...asOf, count: Type.Integer(), first: Type.Array(broken) }),
  },
  {
    method: 'get',
    path: `${one}/endpoints`,
    summary: 'Endpoints of the last run: requests, errors, limits that were found, and how far behind the head it is',
    status: 200,
    answer: Type.Object({
      endpoints: Type.Array(of('run/properties/view/properties/endpoints/items')),
      heads: Type.Record(Type.String(), Type.String()),
      lag: Type.Array(of('run/properties/lag/items')),
    }),
  },
  {
    method: 'get',
    path: `${one}/throughput`,
    summary: 'How far the run was at moments since this server hears of it: pieces, rows, and requests by endpoint',
    status: 200,
    answer: Type.Object({
      run: Type.String(),
      samples: Type.Array(Type.Object({ at: Type.Number(), pieces: Type.Number(), rows: Type.Number(), requests: counts })),
    }),
  },
  {
    method: 'get',
    path: `${one}/logs`,
    summary: 'What its last run told, as that of a run is given',
    status: 200,
    answer: logs,
  },
  {
    method: 'get',
    path: '/api/runs',
    summary: 'Runs, the newest first, whoever started them',
    query: {
      pipeline: { schema: Type.String(), description: 'only of this one' },
      limit: { schema: Type.Integer({ minimum: 1, maximum: 200, default: 50 }), description: 'at most so many' },
    },
    status: 200,
    answer: Type.Object({ runs: Type.Array(run) }),
  },
  {
    method: 'get',
    path: '/api/runs/{id}',
    summary: 'One run with everything that is known of it',
    status: 200,
    answer: of('run'),
  },
  {
    method: 'get',
    path: '/api/runs/{id}/logs',
    summary:
      'The newest facts of a run, whoever started it, at most a second old (schemas/run-event.schema.json), and what it says to people',
    status: 200,
    answer: logs,
  },
  { method: 'get', path: '/api/admin/backfill', summary: 'How the pipeline named enrichment stands', status: 200, answer: backfill },
  {
    method: 'post',
    path: '/api/admin/backfill',
    summary: 'Starts or stops it; 409 when it runs already',
    body: { schema: backfillAction, example: { action: 'start' } },
    status: 200,
    answer: backfill,
  },
  {
    method: 'post',
    path: '/api/session',
    summary: 'Gives a page its cookie for the token',
    body: { schema: sessionBody, example: { token: 'the value of PIPE_TOKEN' } },
    status: 200,
    answer: Type.Object({ ok: Type.Boolean() }),
  },
  { method: 'get', path: '/metrics', summary: 'Figures for Prometheus', status: 200, type: 'text/plain' },
  { method: 'get', path: '/healthz', summary: 'Whether the server lives', status: 200, answer: Type.Object({ ok: Type.Boolean() }) },
  { method: 'get', path: '/readyz', summary: 'Whether the state store answers', status: 200, answer: Type.Object({ ok: Type.Boolean() }) },
]

const refusal = Type.Object({
  error: Type.Object({
    code: Type.String(),
    message: Type.String(),
    hint: Type.Optional(Type.String()),
    run: Type.Optional(Type.String({ description: 'the run that is in the way' })),
  }),
})

/** The OpenAPI document. */
export function openapi(): Json {
  const paths: Record<string, Record<string, unknown>> = {}
  const examples = answerExamples()
  for (const operation of operations) (paths[operation.path] ??= {})[operation.method] = described(operation, examples)
  const document = {
    openapi: '3.1.0',
    info: {
      title: 'pipe serve',
      version: '1',
      description: 'Runs, plans and views of pipelines. Nothing can be run but the files that the server was started with.',
    },
    components: { securitySchemes: { token: { type: 'http', scheme: 'bearer' } }, schemas: shippedSchemas() },
    security: [{}, { token: [] }],
    paths,
  }
  // Plain data, but for what TypeBox marks its schemas with, which JSON leaves out.
  return JSON.parse(JSON.stringify(document)) as Json
}

/** What `pipe plan --json`, `pipe run --output json` and a run are, as it is generated from their types. */
function shippedSchemas() {
  const files = { plan: 'plan.schema.json', event: 'run-event.schema.json', run: 'run.schema.json' }
  return Object.fromEntries(Object.entries(files).map(([name, file]) => [name, shipped(file)]))
}

/** Answers of a small pipeline, by method and path. A test compares them with what is answered. */
export const answerExamples = () => shipped('api-examples.json') as Readonly<Record<string, Json>>

function described({ method, path, summary, query = {}, body, status, answer, type }: Operation, examples: Readonly<Record<string, Json>>) {
  const inPath = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => ({ name, in: 'path', required: true, schema: Type.String() }))
  const inQuery = Object.entries(query).map(([name, { schema, description, required = false }]) => ({
    name,
    in: 'query',
    description,
    required,
    schema,
  }))
  const media = answer
    ? { 'application/json': { schema: answer, example: examples[`${method} ${path}`] } }
    : { [type ?? 'text/plain']: { schema: Type.String() } }
  return {
    summary,
    parameters: [...inPath, ...inQuery],
    requestBody: body && { required: true, content: { 'application/json': body } },
    responses: {
      [status]: { description: 'done', content: media },
      default: { description: 'refused: what is wrong and what to do', content: { 'application/json': { schema: refusal } } },
    },
  }
}
