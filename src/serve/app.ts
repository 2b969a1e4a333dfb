import type { Context } from 'hono'
import { Hono } from 'hono'
import { setCookie } from 'hono/cookie'
import { streamSSE } from 'hono/streaming'
import type { Pipeline } from '../pipeline/pipeline.js'
import { escapeJson, jsonLine } from '../report/escape.js'
import { lagsOf } from '../report/lag.js'
import { checksWithHistory, statusReport, viewOf } from '../report/status.js'
import type { Clock } from '../sdk/index.js'
import type { RunRecord } from '../state/store.js'
import { pipelineAnswer, pipelineDetail, runAnswer, runDetail } from './answers.js'
import { backfill, backfillAction, BACKFILLED } from './backfill.js'
import { parallelBody, pauseBody, planBody, resetBody, retryBody, sessionBody, startBody, stopBody } from './bodies.js'
import { bodyOf } from './body.js'
import type { Commands } from './commands.js'
import { coverageAnswer } from './coverage-answer.js'
import type { Feed } from './feed.js'
import { COOKIE, cookieOf, guard, type GuardOptions, same } from './guard.js'
import type { History } from './history.js'
import type { Ledgers } from './ledger.js'
import { metrics, METRICS_TYPE, type Usage } from './metrics.js'
import type { NoticesAnswer } from './notices.js'
import { openapi } from './openapi.js'
import { page } from './page.js'
import { Refusal, refusalOf } from './refusal.js'
import type { Runs, StartRequest } from './runs.js'
import type { Shown } from './shown.js'
import { tell } from './stream.js'
import { afterOf, listUnits, statesOf, type UnitsParts } from './units.js'
import { workersOf } from './workers.js'
import type { Wishes } from './wishes.js'

export interface AppParts extends GuardOptions {
  readonly clock: Clock
  /** By name. */
  readonly pipelines: ReadonlyMap<string, Pipeline>
  readonly runs: Runs
  readonly wishes: Wishes
  readonly history: History
  readonly ledgers: Ledgers
  readonly units: UnitsParts
  readonly commands: Commands
  readonly feed: (pipeline: string) => Feed
  /** Whether pipelines with a schedule are run at their times. */
  readonly schedules: boolean
  readonly notices: (pipeline: Pipeline) => Promise<NoticesAnswer>
  readonly usage: () => Usage
  readonly shown: Shown
  /** Where the built page lies. */
  readonly page: string
  /** Aborted when the server ends. */
  readonly signal: AbortSignal
  /** Hears what nobody expected. */
  readonly report: (error: unknown) => void
}

/** The whole HTTP API: JSON in, JSON out. What it may do is what the command line does with the files that were named at the start. */
export function createApp(parts: AppParts): Hono {
  const { clock, pipelines, runs, wishes, history, ledgers, units, commands, feed, shown, signal } = parts
  const app = new Hono()
  const now = () => Math.round(clock.now())
  const at = () => ({ now: now(), schedules: parts.schedules })
  const written = (value: unknown) => shown(escapeJson(JSON.stringify(value)))
  const json = (c: Context, value: unknown, status: 200 | 201 | 202 = 200) => c.body(written(value), status, JSON_TYPE)

  app.onError((error, c) => {
    const refusal = refusalOf(error)
    if (refusal.status === 500) parts.report(error)
    return refuse(c, refusal)
  })
  app.notFound((c) =>
    refuse(c, new Refusal(404, 'NOT_FOUND', 'there is nothing at this address', 'GET /api/openapi.json lists what there is')),
  )
  app.use(guard(parts))
  app.use(page(parts.page))

  app.get('/healthz', (c) => json(c, { ok: true }))
  app.get('/readyz', async (c) => {
    // The state store is what every answer comes from.
    for (const name of pipelines.keys()) await history.last(name)
    return json(c, { ok: true })
  })
  app.get('/metrics', async (c) => c.body(metrics(await lastRuns(), parts.usage()), 200, { 'Content-Type': METRICS_TYPE }))
  app.get('/api/openapi.json', (c) => json(c, openapi()))
  app.post('/api/session', async (c) => {
    const { token } = await bodyOf(c, sessionBody)
    if (parts.token === undefined || !same(token, parts.token)) throw parts.tries.wrong('this is not the token of this server')
    setCookie(c, COOKIE, cookieOf(parts.token), { httpOnly: true, sameSite: 'Strict', path: '/' })
    return json(c, { ok: true })
  })

  app.get('/api/pipelines', async (c) => {
    const last = await lastRuns()
    return json(c, { pipelines: [...pipelines.values()].map((pipeline) => pipelineAnswer(pipeline, last.get(pipeline.name), at())) })
  })
  app.get('/api/pipelines/:name', async (c) => {
    const pipeline = named(c)
    const detail = pipelineDetail(pipeline, await history.last(pipeline.name), at())
    return json(c, { ...detail, notices: await parts.notices(pipeline) })
  })
  app.get('/api/pipelines/:name/steps', async (c) => {
    const pipeline = named(c)
    const last = await history.last(pipeline.name)
    const { graph } = pipelineDetail(pipeline, last, at())
    const status = new Map(
      statusReport({ ...about(pipeline), runs: last ? [last] : [], checks: [], now: now() }).steps.map((step) => [step.id, step]),
    )
    return json(c, { steps: graph.map((step) => ({ ...step, status: status.get(step.id) ?? null })) })
  })
  app.get('/api/pipelines/:name/events', (c) => {
    const { name } = named(c)
    const lastId = c.req.header('last-event-id')
    const refresh = () => history.refresh(name).catch(parts.report)
    return streamSSE(c, (stream) => tell(stream, feed(name), { clock, signal, shown, lastId, refresh }))
  })
  app.post('/api/pipelines/:name/plan', async (c) => {
    const pipeline = named(c)
    return json(c, await commands.plan(pipeline, checked(pipeline, await bodyOf(c, planBody))))
  })
  app.post('/api/pipelines/:name/start', async (c) => {
    const pipeline = named(c)
    return json(c, { run: await runs.start(pipeline, checked(pipeline, await bodyOf(c, startBody))) }, 201)
  })
  app.post('/api/pipelines/:name/stop', async (c) => {
    const pipeline = named(c)
    return json(c, { run: await runs.stop(pipeline, await bodyOf(c, stopBody)) }, 202)
  })
  app.post('/api/pipelines/:name/pause', async (c) => {
    await bodyOf(c, pauseBody)
    return json(c, await wishes.pause(named(c)), 202)
  })
  app.post('/api/pipelines/:name/resume', async (c) => {
    await bodyOf(c, pauseBody)
    return json(c, await wishes.resume(named(c)), 202)
  })
  app.post('/api/pipelines/:name/parallel', async (c) => {
    const pipeline = named(c)
    return json(c, await wishes.parallel(pipeline, checked(pipeline, await bodyOf(c, parallelBody))), 202)
  })
  app.post('/api/pipelines/:name/retry', async (c) => {
    const pipeline = named(c)
    return json(c, { lines: await commands.retry(pipeline, checked(pipeline, await bodyOf(c, retryBody))) })
  })
  app.post('/api/pipelines/:name/reset', async (c) => {
    const pipeline = named(c)
    return json(c, { lines: await commands.reset(pipeline, checked(pipeline, await bodyOf(c, resetBody))) })
  })
  app.get('/api/pipelines/:name/coverage', async (c) => {
    const pipeline = named(c)
    const { asOf, current, params, steps } = await ledgers.read(pipeline)
    const window = { from: numberOf(c, 'from'), to: numberOf(c, 'to'), most: numberOf(c, 'buckets') ?? 1_000 }
    if (window.most < 1 || window.most > 4_000) throw new Refusal(422, 'QUERY_WRONG', '`buckets` is from 1 to 4000')
    const only = c.req.queries('step')?.map((step) => stepOf(pipeline, step).id)
    const asked = pipeline.steps.filter(({ id }) => only === undefined || only.includes(id))
    const last = await history.last(pipeline.name)
    const spans = new Map((last ? viewOf(last).steps : []).map(({ id, span }) => [id, span]))
    return json(c, { asOf, current, params, steps: asked.map(({ id }) => coverageAnswer(id, steps.get(id), spans.get(id), window)) })
  })
  app.get('/api/pipelines/:name/units', async (c) => {
    const pipeline = named(c)
    const { id } = stepOf(pipeline, c.req.query('step') ?? '')
    const at = numberOf(c, 'at')
    if (at !== undefined) return c.body(shown(jsonLine({ units: await ledgers.rowsAt(pipeline, id, at) })), 200, JSON_TYPE)
    const limit = numberOf(c, 'limit') ?? 100
    if (limit < 1 || limit > 1_000) throw new Refusal(422, 'QUERY_WRONG', '`limit` is from 1 to 1000')
    const asked = { states: statesOf(c.req.query('state')), after: afterOf(c.req.query('after')), limit }
    return c.body(shown(jsonLine(await listUnits(units, pipeline, id, asked))), 200, JSON_TYPE)
  })
  app.get('/api/pipelines/:name/workers', async (c) => {
    const { name } = named(c)
    return json(c, { workers: workersOf(await history.last(name), runs.live(name) !== undefined) })
  })
  app.get('/api/pipelines/:name/gates', async (c) => {
    const { name, steps } = named(c)
    const ids = new Set(steps.map(({ id }) => id))
    return json(c, { gates: checksWithHistory(await history.checks(name)).filter(({ step }) => ids.has(step)) })
  })
  app.get('/api/pipelines/:name/quarantine', async (c) => {
    const { asOf, current, broken } = await ledgers.read(named(c))
    return json(c, { asOf, current, count: broken.length, first: broken.slice(0, 1_000) })
  })
  app.get('/api/pipelines/:name/endpoints', async (c) => {
    const last = await history.last(named(c).name)
    const view = last && viewOf(last)
    return json(c, { endpoints: view?.endpoints ?? [], heads: view?.heads ?? {}, lag: view?.follow ? lagsOf(view, now()) : [] })
  })
  app.get('/api/pipelines/:name/throughput', (c) => json(c, feed(named(c).name).course))
  app.get('/api/pipelines/:name/logs', async (c) => logs(c, await history.last(named(c).name)))

  app.get('/api/runs', async (c) => {
    const limit = Math.min(200, numberOf(c, 'limit') ?? 50)
    const of = c.req.query('pipeline')
    if (of !== undefined && !pipelines.has(of)) throw unknownPipeline()
    const found = await Promise.all(
      [...pipelines.keys()].filter((name) => of === undefined || name === of).map((name) => history.runs(name, limit)),
    )
    const newest = found.flat().sort((a, b) => b.startedAt - a.startedAt)
    return json(c, { runs: newest.slice(0, limit).map((run) => runAnswer(run, now())) })
  })
  app.get('/api/runs/:id', async (c) => {
    const run = await runOf(c)
    return json(c, runDetail(run, await history.checks(run.pipeline), now()))
  })
  app.get('/api/runs/:id/logs', async (c) => logs(c, await runOf(c)))

  app.get('/api/admin/backfill', async (c) => json(c, await backfillNow()))
  app.post('/api/admin/backfill', async (c) => {
    const { action } = await bodyOf(c, backfillAction)
    const pipeline = backfilled()
    await (action === 'start' ? runs.start(pipeline, {}) : runs.stop(pipeline))
    return json(c, await backfillNow())
  })
  return app

  function refuse(c: Context, { status, code, message, hint, run }: Refusal): Response {
    if (status === 401) c.header('WWW-Authenticate', 'Bearer')
    if (status === 429) c.header('Retry-After', '60')
    return c.body(written({ error: { code, message, hint, run } }), status, JSON_TYPE)
  }

  /** What a run told, as it kept it, and what it says to people where this server hears that. */
  async function logs(c: Context, run: RunRecord | undefined): Promise<Response> {
    const kept = run && (await history.facts(run.id))
    const said = run && runs.live(run.pipeline)?.run === run.id ? runs.said(run.pipeline) : null
    const about = written({ run: run?.id ?? null, kept: kept !== undefined, dropped: kept?.dropped ?? 0, said })
    return c.body(`${about.slice(0, -1)},"facts":[${shown(kept?.lines.join(',') ?? '')}]}`, 200, JSON_TYPE)
  }

  async function runOf(c: Context): Promise<RunRecord> {
    const run = await history.run(c.req.param('id') ?? '')
    if (!run) throw new Refusal(404, 'NO_SUCH_RUN', 'nothing is known of this run', 'GET /api/runs lists them')
    return run
  }

  function named(c: Context): Pipeline {
    const found = pipelines.get(c.req.param('name') ?? '')
    if (!found) throw unknownPipeline()
    return found
  }

  async function lastRuns() {
    return new Map(await Promise.all([...pipelines.keys()].map(async (name) => [name, await history.last(name)] as const)))
  }

  function backfilled(): Pipeline {
    const found = pipelines.get(BACKFILLED)
    if (!found)
      throw new Refusal(404, 'NO_SUCH_PIPELINE', `no pipeline named ${BACKFILLED} is served`, 'name its file when you start the server')
    return found
  }

  async function backfillNow() {
    const { name, steps } = backfilled()
    return backfill(await history.last(name), steps)
  }
}

const JSON_TYPE = { 'Content-Type': 'application/json; charset=utf-8' }

const about = ({ name, file }: Pipeline) => ({ pipeline: name, file })

const unknownPipeline = () => new Refusal(404, 'NO_SUCH_PIPELINE', 'no pipeline of this name is served', 'GET /api/pipelines lists them')

function stepOf({ steps }: Pipeline, step: string) {
  const found = steps.find(({ id }) => id === step)
  if (!found) throw new Refusal(422, 'NO_SUCH_STEP', 'the pipeline has no such step', `it has ${steps.map(({ id }) => id).join(', ')}`)
  return found
}

type Asked = Pick<StartRequest, 'params' | 'select'> & { readonly step?: string }

/** What names params and steps names those of the pipeline. */
function checked<T extends Asked>(pipeline: Pipeline, asked: T): T {
  const { params = {}, select = [], step } = asked
  const unknown = Object.keys(params).find((name) => !pipeline.params.has(name))
  if (unknown !== undefined)
    throw new Refusal(
      422,
      'NO_SUCH_PARAM',
      `the pipeline has no param ${JSON.stringify(unknown)}`,
      `it has ${[...pipeline.params.keys()].join(', ') || 'none'}`,
    )
  const ids = new Set(pipeline.steps.flatMap(({ id }) => [id, id.replace(/\[.*\]$/, '')]))
  for (const id of select) if (!ids.has(id)) stepOf(pipeline, id)
  if (step !== undefined) stepOf(pipeline, step)
  return asked
}

function numberOf(c: Context, name: string): number | undefined {
  const text = c.req.query(name)
  if (text === undefined) return undefined
  const value = /^-?\d{1,16}$/.test(text) ? Number(text) : NaN
  if (!Number.isSafeInteger(value)) throw new Refusal(422, 'QUERY_WRONG', `\`${name}\` is a whole number`)
  return value
}
