import { Ajv2020 } from 'ajv/dist/2020.js'
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test, vi } from 'vitest'
import { escapeText } from '../src/report/escape.js'
import { operations } from '../src/serve/openapi.js'
import { createServing, startServer } from '../src/serve/serve.js'
import { openState } from '../src/session/open-state.js'
import { atEnd } from './support/cleanup.js'
import { projectFolder } from './support/folder.js'
import { linesWorld } from './support/lines-world.js'
import type { Answer } from './support/real-server.js'
import { serveOptions } from './support/serve-options.js'

const SECRET = 'postgres://pipe:very-secret-word@localhost/x'

/** A server over a folder, with its runs in this process. */
async function serving(cwd = linesWorld()) {
  const { options, io, launch, reported } = await serveOptions(cwd, { DATABASE_URL: SECRET })
  const store = await openState(options.state, io)
  const ended = new AbortController()
  const { app, runs } = createServing(options, io, store, ended.signal)
  atEnd(async () => {
    ended.abort()
    await runs.close()
    await store.close()
  })
  const ask = async (path: string, body?: unknown) => {
    const method = body === undefined ? 'GET' : 'POST'
    const headers = { host: 'localhost', 'content-type': 'application/json' }
    const response = await app.request(path, { method, headers, body: body === undefined ? undefined : JSON.stringify(body) })
    const text = await response.text()
    // Every answer of this file: no folder of this machine, no secret, nothing that a terminal or a log takes for a line of its own.
    for (const part of [cwd, projectFolder, 'very-secret-word']) expect(text).not.toContain(part)
    if (path !== '/metrics') expect(escapeText(text)).toBe(text)
    const json = response.headers.get('content-type')?.startsWith('application/json') ? (JSON.parse(text) as Answer) : undefined
    return { status: response.status, text, json: json ?? {} }
  }
  const until = async (path: string, is: (answer: Answer) => boolean) => {
    for (;;) {
      const { json } = await ask(path)
      if (is(json)) return json
      await io.clock.sleep(50)
    }
  }
  const over = (id: unknown) => until(`/api/runs/${String(id)}`, ({ endedAt }) => endedAt !== null)
  return { app, ask, until, over, launch, cwd, io, options, reported, runs }
}

const one = '/api/pipelines/enrichment'
/** The admin API of old. That it starts and stops is shown by the curl lines of README. */
const OLD = '/api/admin/backfill'

describe('a pipeline that is served', () => {
  test('is planned, started, watched, and found in the history as it was', async () => {
    const { ask, app, over } = await serving()
    const [before] = (await ask('/api/pipelines')).json.pipelines
    expect([before.name, before.file, before.state, before.run, before.progress]).toEqual([
      'enrichment',
      'p.yaml',
      'never',
      null,
      { done: 0, total: null, quarantined: 0 },
    ])
    const never = { running: false, startedAt: null, currentProcess: null, completedProcesses: [], failedProcesses: [] }
    expect((await ask(OLD)).json).toEqual({ ...never, progress: { total: 2, completed: 0, failed: 0 } })
    const plan = await ask(`${one}/plan`, { params: { count: 30 } })
    expect([plan.status, plan.json.work, plan.json.steps[0].pieces]).toEqual([200, true, 30])
    const events = await app.request(`${one}/events`, { headers: { host: 'localhost' } })
    const heard = readEvents(events)
    const started = await ask(`${one}/start`, { params: { count: 30 } })
    expect(started.status).toBe(201)
    const run = await over(started.json.run)
    expect([run.state, run.exitCode, run.rows, run.view.state]).toEqual(['done', 0, { lines: 30, sums: 30 }, 'ended'])
    expect(run.steps.map((step: Answer) => [step.id, step.state, step.done])).toEqual([
      ['lines', 'complete', 30],
      ['sums', 'complete', expect.any(Number)],
      ['complete', 'complete', expect.any(Number)],
    ])
    expect((await ask(OLD)).json).toEqual({
      ...never,
      startedAt: expect.stringMatching(/^\d{4}-.*Z$/),
      completedProcesses: ['lines', 'sums'],
      progress: { total: 2, completed: 2, failed: 0 },
    })
    expect([(await ask(OLD, { action: 'stop' })).status, (await ask(OLD, { action: 'restart' })).status]).toEqual([409, 422])
    const told = await heard((event) => event.event === 'view' && JSON.parse(event.data)?.outcome === 'done')
    const facts = told.filter(({ event }) => event === 'fact').map(({ data }) => JSON.parse(data) as Answer)
    expect(facts.map(({ type }) => type)).toEqual(expect.arrayContaining(['run:started', 'step:planned', 'step:ended', 'run:ended']))
    const back = await app.request(`${one}/events`, {
      headers: { host: 'localhost', 'last-event-id': told.find(({ event }) => event === 'fact')!.id! },
    })
    const again = await readEvents(back)(({ event }) => event === 'view')
    expect(again.filter(({ event }) => event === 'fact').map(({ data }) => JSON.parse(data) as Answer)).toEqual(facts.slice(1))
    expect((await ask('/api/runs')).json.runs.map(({ id, state }: Answer) => [id, state])).toEqual([[started.json.run, 'done']])
    expect((await ask(`${one}/gates`)).json.gates.map(({ name, passed }: Answer) => [name, passed])).toEqual([['all doubled', true]])
    const { steps, current } = (await ask(`${one}/coverage`)).json
    expect([current, steps[0].stretches]).toEqual([true, [{ from: 1, to: 30, state: 'done' }]])
    expect((await ask(`${one}/coverage?step=lines&from=21&to=50`)).json.steps[0].stretches).toEqual([{ from: 21, to: 30, state: 'done' }])
    expect((await ask(`${one}/units?step=lines&at=25`)).json.units).toMatchObject([{ state: 'done', rows: { lines: expect.any(Number) } }])
    const some = await ask(`${one}/units?step=lines&state=done,failed&limit=1`)
    expect([some.status, some.json]).toMatchObject([
      200,
      { current: true, units: [{ unit: '1-30', state: 'done', first: '1' }], next: null },
    ])
    expect((await ask(`${one}/reset`, { step: 'lines', range: '11..20' })).json.lines.at(-1)).toMatch(/will be replaced by: pipe run/)
    const metrics = (await ask('/metrics')).text
    for (const line of ['pipe_run_running{pipeline="enrichment"} 0', 'pipe_step_pieces_done_total{pipeline="enrichment",step="lines"} 30'])
      expect(metrics).toContain(`${line}\n`)
    // A run that does not come to its gate takes nothing of what it gave before.
    await over((await ask(`${one}/start`, { select: ['lines'] })).json.run)
    expect((await ask(`${one}/gates`)).json.gates.map(({ name, passed }: Answer) => [name, passed])).toEqual([['all doubled', true]])
  })

  test('runs once at a time: of many that start it one does, the others are told which; stop ends it, and the next run goes on', async () => {
    const { ask, over, launch, until, cwd } = await serving()
    const slow = { params: { count: 400, hold: 45 } }
    const answers = await Promise.all(Array.from({ length: 50 }, () => ask(`${one}/start`, slow)))
    const [won] = answers.filter(({ status }) => status === 201)
    expect(answers.filter(({ status }) => status === 409).map(({ json }) => json.error.run)).toEqual(Array(49).fill(won!.json.run))
    expect(launch.lines).toHaveLength(1)
    const { steps, current } = await until(
      `${one}/coverage`,
      (answer) => existsSync(join(cwd, 'held')) && answer.steps[0].stretches?.some(({ state }: Answer) => state === 'done'),
    )
    expect([current, steps[0].stretches[0].state]).toEqual([false, 'done'])
    expect((await ask(`${one}/plan`, {})).json.error).toMatchObject({ code: 'RUNS_ALREADY', run: won!.json.run })
    expect((await ask(`${one}/units?step=lines`)).json.error).toMatchObject({ code: 'WAREHOUSE_HELD', run: won!.json.run })
    const at = { step: 'lines', units: 1, first: [{ unit: '40-49', since: expect.stringMatching(/Z$/) }] }
    const { workers } = await until(`${one}/workers`, (answer) => answer.workers[0].steps[0].units === 1)
    expect(workers).toMatchObject([{ run: won!.json.run, host: 'here', pid: process.pid, own: true, state: 'running', steps: [at] }])
    expect(await ask(`${one}/stop`, {})).toMatchObject({ status: 202, json: { run: won!.json.run } })
    expect((await ask(`${one}/start`, {})).json.error).toMatchObject({ code: 'RUNS_ALREADY', run: won!.json.run })
    await until(one, ({ state }) => state === 'stopping')
    rmSync(join(cwd, 'held'))
    expect((await over(won!.json.run)).state).toBe('stopped')
    const read = (await until(`${one}/coverage`, (answer) => answer.current)).steps[0].stretches
    expect(read).toEqual([
      { from: 1, to: 49, state: 'done' },
      { from: 50, to: 400, state: 'missing' },
    ])
    const next = await ask(`${one}/start`, { params: { count: 400 } })
    const done = await over(next.json.run)
    expect([done.state, done.rows.lines]).toEqual(['done', 351])
    expect((await ask(`${one}/stop`, {})).json.error.code).toBe('NOT_RUNNING')
  })

  test('is stopped when the units under way are done, or at once where that is asked for; what was begun is not begun again', async () => {
    const { ask, over, until, cwd, launch } = await serving()
    const held = join(cwd, 'held')
    const startAndHold = async (hold: number) => {
      const { run } = (await ask(`${one}/start`, { params: { hold } })).json
      await until(one, () => existsSync(held))
      return run as string
    }
    const first = await startAndHold(15)
    expect(await ask(`${one}/stop`, {})).toMatchObject({ status: 202, json: { run: first } })
    await until(one, ({ state }) => state === 'stopping')
    rmSync(held)
    const drained = await over(first)
    expect([drained.state, drained.exitCode, drained.rows]).toEqual(['stopped', 140, { lines: 19 }])
    expect(drained.steps.map((step: Answer) => [step.id, step.state])).toEqual([
      ['lines', 'stopped'],
      ['sums', 'blocked'],
      ['complete', 'stopped'],
    ])
    const second = await startAndHold(35)
    expect(await ask(`${one}/stop`, { now: true })).toMatchObject({ status: 202, json: { run: second } })
    const cut = await over(second)
    expect([cut.state, cut.exitCode]).toEqual(['stopped', 143])
    const read = cut.rows.lines as number
    expect([10, 15]).toContain(read)
    rmSync(held)
    const last = await over((await ask(`${one}/start`, {})).json.run)
    expect([last.state, last.rows]).toEqual(['done', { lines: 21 - read, sums: 40 }])

    // The run of another user is seen, and not reached.
    const other = launch(['run', 'p.yaml', '--param', 'count=60', '--param', 'hold=55'])
    await until(one, ({ state }) => state === 'running' && existsSync(held))
    const { id } = (await ask(one)).json.run
    const { workers } = await until(`${one}/workers`, (answer) => answer.workers[0].steps[0]?.units === 1)
    expect(workers).toMatchObject([{ run: id, own: false, steps: [{ step: 'lines', first: [{ unit: '50-59' }] }] }])
    const types = (answer: Answer) => answer.facts.map(({ type }: Answer) => type) as string[]
    const begun = await until(`/api/runs/${id}/logs`, (answer) => answer.kept)
    expect([begun.run, begun.said, types(begun)[0]]).toEqual([id, null, 'run:started'])
    expect(await ask(`${one}/stop`, {})).toMatchObject({ status: 409, json: { error: { code: 'NOT_REACHED', run: id } } })
    other.kill('SIGTERM')
    expect((await over(id)).state).toBe('stopped')
    expect((await ask(`${one}/workers`)).json).toEqual({ workers: [] })
    expect(types((await ask(`${one}/logs`)).json).slice(-2)).toEqual(['step:ended', 'run:ended'])
  })

  test('is paused once what is under way is done, and goes on when it is told to, or ends when it is stopped, whoever started it', async () => {
    const { ask, over, until, cwd, launch } = await serving()
    const held = join(cwd, 'held')
    const code = async (path: string, body: unknown = {}) => (await ask(`${one}/${path}`, body)).json.error?.code
    expect([await code('pause'), await code('resume')]).toEqual(['NOT_RUNNING', 'NOT_RUNNING'])
    const { run } = (await ask(`${one}/start`, { params: { hold: 15 } })).json
    await until(one, () => existsSync(held))
    expect(await code('resume')).toBe('NOT_PAUSED')
    const asked = Date.now()
    expect(await ask(`${one}/pause`, {})).toMatchObject({ status: 202, json: { run, state: 'pausing' } })
    expect([(await ask(one)).json.state, await code('pause')]).toEqual(['pausing', 'PAUSED_ALREADY'])
    const fact = async (type: string) => {
      const { facts } = await until(`${one}/logs`, (logs) => logs.facts.some((each: Answer) => each.type === type))
      return facts.find((each: Answer) => each.type === type)
    }
    expect((await fact('run:pausing')).at - asked).toBeLessThan(1_500)
    rmSync(held)
    await until(one, ({ state }) => state === 'paused')
    const { view } = (await ask(`/api/runs/${run}`)).json
    expect([view.state, view.pausedAt, view.steps[0].rows, view.steps[0].open.units]).toEqual([
      ...['paused', (await fact('run:paused')).at, { lines: 19 }, 0],
    ])
    // Nothing moves, and the run goes on to say that it lives.
    const { updatedAt } = view.run ? (await ask(one)).json.run : {}
    await until(one, (answer) => answer.run.updatedAt !== updatedAt)
    expect((await ask(one)).json).toMatchObject({ state: 'paused', progress: { done: 19 } })
    const resumed = Date.now()
    expect(await ask(`${one}/resume`, {})).toMatchObject({ status: 202, json: { run, state: 'paused' } })
    expect((await fact('run:resumed')).at - resumed).toBeLessThan(1_500)
    const done = await over(run)
    expect([done.state, done.rows, done.view.pausedAt]).toEqual(['done', { lines: 40, sums: 40 }, null])
    expect(done.view.pausedMs).toBe((await fact('run:resumed')).at - (await fact('run:paused')).at)

    // One that this server did not start, as cron does; it is paused before its first step has ended, and stopped then.
    const other = launch(['run', 'p.yaml', '--param', 'count=70', '--param', 'hold=45'])
    let said = ''
    other.stdout.on('data', (text) => (said += String(text)))
    const { run: foreign } = await until(one, ({ state }) => state === 'running' && existsSync(held))
    expect(await ask(`${one}/pause`, {})).toMatchObject({ status: 202, json: { run: foreign.id, state: 'pausing' } })
    await vi.waitFor(() => expect(said).toContain('\npausing pipeline=enrichment\n'), 1_500)
    rmSync(held)
    await until(one, ({ state }) => state === 'paused')
    other.kill('SIGUSR2')
    const stopped = await over(foreign.id)
    expect([stopped.state, stopped.exitCode, stopped.rows]).toEqual(['stopped', 140, { lines: 49 }])
    const next = await over((await ask(`${one}/start`, { params: { count: 70 } })).json.run)
    expect([next.state, next.rows.lines, next.view.pausedMs]).toEqual(['done', 21, 0])
  })

  test('does more at once while it runs where that is asked for, and says of which steps it means nothing', async () => {
    const { ask, over, until, cwd } = await serving()
    const held = join(cwd, 'held')
    const code = async (body: unknown) => (await ask(`${one}/parallel`, body)).json.error?.code
    expect(await code({ parallel: 2 })).toBe('NOT_RUNNING')
    const { graph } = (await ask(one)).json
    expect(graph.map(({ parallel }: Answer) => parallel)).toEqual([{ of: 'units', most: 1 }, { of: 'units', most: 8 }, null])
    const { run } = (await ask(`${one}/start`, { params: { hold: 5 }, select: ['lines', 'complete'] })).json
    await until(one, () => existsSync(held))
    const wrong = [
      { parallel: 0 },
      { parallel: 1.5 },
      { step: 'nope', parallel: 2 },
      { step: 'complete', parallel: 2 },
      { step: 'sums', parallel: 2 },
    ]
    expect(await Promise.all(wrong.map(code))).toEqual(['BODY_WRONG', 'BODY_WRONG', 'NO_SUCH_STEP', 'NOT_PARALLEL', 'NOT_IN_RUN'])
    // The only unit that may be open waits; with a second one all others are done beside it.
    const before = await until(`/api/runs/${run}`, (answer) => answer.steps[0].done === 5)
    expect(before.steps[0].parallel).toEqual({ of: 'units', most: 1 })
    const wider = await ask(`${one}/parallel`, { parallel: 2 })
    expect(wider).toMatchObject({ status: 202, json: { run, parallel: { lines: 2 } } })
    // What the document says of answers that only a run which is under way brings about.
    const answers = { parallel: wider, pause: await ask(`${one}/pause`, {}), resume: await ask(`${one}/resume`, {}) }
    const ajv = new Ajv2020({ strict: false })
    for (const [name, { json }] of Object.entries(answers)) {
      const { answer } = operations.find(({ path }) => path === `/api/pipelines/{name}/${name}`)!
      expect([name, ajv.validate(answer!, json), ajv.errorsText()]).toEqual([name, true, 'No errors'])
    }
    const { steps } = await until(`/api/runs/${run}`, (answer) => answer.steps[0].done === 36)
    expect(steps[0].parallel).toEqual({ of: 'units', most: 2 })
    rmSync(held)
    expect((await over(run)).rows).toEqual({ lines: 40 })
  })

  test('a step that fails says why, in words that are safe to show, and what was quarantined can be tried again', async () => {
    const { ask, over, reported } = await serving()
    const { run } = (await ask(`${one}/start`, { params: { fail: true } })).json
    const ended = await over(run)
    expect([ended.state, ended.exitCode]).toEqual(['incomplete', 1])
    const { count, first } = (await ask(`${one}/quarantine`)).json
    expect([count, first[0].unit, first[0].state]).toEqual([1, '10-19', 'quarantined'])
    // What it is, for programs; as it is written, no line of it can be taken for another one.
    const words = 'line 13 of book.txt <img src=x> is torn\nrun: done \x1b[2J\u202eforged\u2028'
    expect(first[0].error).toContain(words)
    expect((await ask(`/api/runs/${run}`)).json.view.steps[0].failures[0].error).toContain(words)
    const logs = await ask(`${one}/logs`)
    expect([logs.json.run, logs.json.kept, logs.json.dropped]).toEqual([run, true, 0])
    expect(logs.json.facts.at(-1)).toMatchObject({ type: 'run:ended', outcome: 'incomplete' })
    expect(logs.json.facts.find(({ type }: Answer) => type === 'unit:failed').error).toContain(words)
    expect(logs.text.split('\\u001b[2J\\u202eforged\\u2028')).toHaveLength(2)
    expect((await ask(`${one}/coverage`)).json.steps[0].stretches.map(({ state }: Answer) => state)).toEqual([
      'done',
      'quarantined',
      'done',
    ])
    expect((await ask('/api/admin/backfill')).json).toMatchObject({ running: false, failedProcesses: expect.arrayContaining(['lines']) })
    expect((await ask(`${one}/retry`, {})).json.lines.at(-1)).toMatch(/^1 will be tried again/)
    expect((await over((await ask(`${one}/start`, {})).json.run)).state).toBe('done')
    expect(reported).toEqual([])
  })

  test('what a run wanted and did not come to is missing, and several steps are asked for at once', async () => {
    const { ask, over } = await serving()
    await over((await ask(`${one}/start`, { params: { count: 30 }, limit: 10 })).json.run)
    const { steps } = (await ask(`${one}/coverage?step=lines&step=complete`)).json
    expect(steps).toEqual([
      {
        ...{ step: 'lines', axis: 'numbers', from: 1, to: 30, units: {}, reasons: [], buckets: null },
        stretches: [
          { from: 1, to: 10, state: 'done' },
          { from: 11, to: 30, state: 'missing' },
        ],
      },
      { step: 'complete', axis: null, from: 0, to: -1, units: expect.any(Object), reasons: [], stretches: [], buckets: null },
    ])
    expect((await ask(`${one}/coverage?step=lines&from=6&to=50&buckets=1`)).json.steps[0].buckets).toEqual([
      { from: 6, to: 30, places: { done: 5, missing: 20 } },
    ])
  })

  test('what a run can not begin with is refused with its reason, and nothing but the served files can be run', async () => {
    const { ask, launch, runs } = await serving()
    const code = async (path: string, body?: unknown) => {
      const { status, json } = await ask(path, body)
      return `${status} ${json.error?.code}`
    }
    expect(await code(`${one}/start`, { params: { nope: 1 } })).toBe('422 NO_SUCH_PARAM')
    expect(await code(`${one}/start`, { select: ['--demo'] })).toBe('422 NO_SUCH_STEP')
    expect(await code(`${one}/reset`, { step: '--all' })).toBe('422 NO_SUCH_STEP')
    expect(await code(`${one}/start`, { file: '/etc/passwd' })).toBe('422 BODY_WRONG')
    for (const path of [
      '/api/pipelines/..%2fp.yaml',
      '/api/runs/..%2f..%2fstate.db',
      `/api/runs/${'x'.repeat(5_000)}`,
      '/../p.yaml',
      '/p.yaml',
    ])
      expect([path, (await ask(path)).status]).toEqual([path, 404])
    expect(launch.lines).toEqual([])
    const { json, status } = await ask(`${one}/start`, { params: { count: 'many' } })
    expect([status, json.error.code]).toEqual([422, 'NOT_STARTED'])
    expect(json.error.message).toContain('count')
    // It waits for its turn when the server is told to end.
    const plan = ask(`${one}/plan`, {})
    const late = code(`${one}/start`, {})
    await vi.waitFor(() => expect(launch.lines.at(-1)?.[0]).toBe('plan'))
    await runs.close()
    expect([(await plan).status, await late, await code(`${one}/start`, {})]).toEqual([200, '503 SERVER_ENDS', '503 SERVER_ENDS'])
    expect(launch.lines.map(([command]) => command)).toEqual(['run', 'plan'])
  })
})

test('every operation of the OpenAPI document is there, takes its example, and answers as it says and as its example shows', async () => {
  const { app, ask, over, until, cwd } = await serving()
  const { run } = (await ask(`${one}/start`, { params: { fail: true, hold: 35 } })).json
  const atWork = await until(`${one}/workers`, ({ workers }) => existsSync(join(cwd, 'held')) && workers[0].steps.length > 0)
  rmSync(join(cwd, 'held'))
  await over(run)
  const { runs } = (await ask('/api/runs')).json
  const document = (await ask('/api/openapi.json')).json
  const ajv = new Ajv2020({ strict: false })
  ajv.addSchema(document, 'api')
  const wrong: unknown[] = []
  const answers: Record<string, unknown> = {}
  // What only looks comes first: there is something in quarantine.
  const [gets, posts] = ['get', 'post'].map((wanted) => operations.filter(({ method }) => method === wanted))
  for (const { method, path, body, status, answer, query = {}, type } of [...gets!, ...posts!]) {
    if (type === 'text/event-stream' || path === '/api/session') continue
    const given = Object.entries(query).filter(([, { required }]) => required)
    const words = given.map(([name]) => `${name}=lines`).join('&')
    const url = `${path.replace('{name}', 'enrichment').replace('{id}', runs[0].id as string)}${words === '' ? '' : `?${words}`}`
    // What stops, starts or changes a run meets what the operation before it left.
    const accepted = /\/(stop|pause|resume|parallel|backfill)$/.test(path) ? [status, 409] : [status]
    const { json, ...got } = await ask(url, body?.example)
    if (!accepted.includes(got.status as typeof status)) wrong.push({ method, url, status: got.status, text: got.text })
    const pointer = ['paths', path, method, 'responses', status, 'content', 'application/json', 'schema'].map(pointed).join('/')
    const check = (value: unknown, what: string) => {
      if (!ajv.validate({ $ref: `api#/${pointer}` }, value)) wrong.push({ [what]: url, errors: ajv.errorsText(ajv.errors) })
    }
    if (answer && got.status === status) {
      const found = path.endsWith('/workers') ? atWork : json
      answers[`${method} ${path}`] = short(found)
      check(found, 'answer')
      if (!RECORD) check(document.paths[path][method].responses[status].content['application/json'].example, 'example')
    }
    if (path.endsWith('/start')) await over(json.run)
  }
  expect(wrong).toEqual([])
  if (RECORD) writeFileSync(EXAMPLES, `${JSON.stringify(answers, null, 2)}\n`)
  // To record them again: PIPE_TEST_RECORD=1 npx vitest run test/serve.test.ts -t OpenAPI
  const examples = JSON.parse(readFileSync(EXAMPLES, 'utf8')) as Record<string, unknown>
  for (const [operation, answer] of Object.entries(answers))
    expect([operation, differences(examples[operation], answer)]).toEqual([operation, []])
  const served = app.routes
    .filter(({ path, method }) => method !== 'ALL' && path !== '/api/openapi.json')
    .map(({ method, path }) => `${method.toLowerCase()} ${path.replace(/:(\w+)/g, '{$1}')}`)
  expect(operations.map(({ method, path }) => `${method} ${path}`).sort()).toEqual(served.sort())
  expect([document.openapi, Object.keys(document.paths)]).toEqual(['3.1.0', [...new Set(operations.map(({ path }) => path))]])
})

const RECORD = process.env.PIPE_TEST_RECORD !== undefined
const EXAMPLES = join(projectFolder, 'schemas/api-examples.json')

const pointed = (name: string | number) => encodeURIComponent(String(name).replaceAll('~', '~0').replaceAll('/', '~1'))

/** The same with one item of each list, and without what only this machine has. */
function short(value: unknown): unknown {
  if (Array.isArray(value)) return value.every((item) => typeof item === 'number') ? value : value.slice(0, 1).map(short)
  if (typeof value !== 'object' || value === null) return value === process.pid ? 4_321 : value
  return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, short(item)]))
}

/** Where two values are not of one shape: one has a field that the other has not, or of another type. Null and an empty list fit any. */
function differences(a: unknown, b: unknown, at = ''): string[] {
  if (a === null || b === null) return []
  if (Array.isArray(a) && Array.isArray(b)) return a.length === 0 || b.length === 0 ? [] : differences(a[0], b[0], `${at}[]`)
  if (typeof a !== 'object' || typeof b !== 'object') return typeof a === typeof b ? [] : [`${at}: ${typeof a}, ${typeof b}`]
  const [one, other] = [a as Record<string, unknown>, b as Record<string, unknown>]
  return [...new Set([...Object.keys(one), ...Object.keys(other)])].flatMap((name) => differences(one[name], other[name], `${at}.${name}`))
}

test('an address that others reach wants a long token, by header or by the cookie that it is given for, and is not guessed at', async () => {
  const { options, io } = await serving()
  const refused = (bind: string, given?: string) => startServer({ ...options, bind, token: given }, io)
  await expect(refused('0.0.0.0')).rejects.toMatchObject({ code: 'OPEN_TO_ALL' })
  await expect(refused('::', 'x'.repeat(31))).rejects.toMatchObject({ code: 'OPEN_TO_ALL' })
  const token = 'x'.repeat(43)
  const server = await startServer({ ...options, bind: '0.0.0.0', token }, io)
  const port = Number(new URL(server.url).port)
  const ask = async (path: string, headers: Record<string, string> = {}, body?: unknown) => {
    const init = body === undefined ? {} : { method: 'POST', body: JSON.stringify(body) }
    const given = { 'content-type': 'application/json', connection: 'close', ...headers }
    return fetch(`http://127.0.0.1:${port}${path}`, { ...init, headers: given })
  }
  expect((await ask('/api/pipelines')).status).toBe(401)
  expect((await ask('/api/pipelines', { authorization: `Bearer ${token}` })).status).toBe(200)
  const session = await ask('/api/session', {}, { token })
  const [cookie = '', ...flags] = (session.headers.get('set-cookie') ?? '').split('; ')
  expect([cookie.includes(token), flags.sort()]).toEqual([false, ['HttpOnly', 'Path=/', 'SameSite=Strict']])
  expect((await ask('/api/pipelines', { cookie })).status).toBe(200)
  const events = await ask(`${one}/events`, { cookie })
  await readEvents(events)(({ event }) => event === 'view')
  const statuses: number[] = []
  for (let i = 0; i < 21; i++) statuses.push((await ask('/api/session', {}, { token: `${i}` })).status)
  expect(statuses).toEqual([...Array<number>(20).fill(401), 429])
  expect((await ask('/api/pipelines', { authorization: 'Bearer x' })).headers.get('retry-after')).toBe('60')
  // Who has it already is let in.
  expect((await ask('/api/pipelines', { cookie })).status).toBe(200)
  await expect(startServer({ ...options, port }, io)).rejects.toMatchObject({ code: 'LISTEN_FAILED' })
  await server.close()
})

interface Told {
  readonly event: string
  readonly id: string | undefined
  readonly data: string
}

/** Reads server-sent events until one is as wanted, and gives all until then. */
function readEvents(response: Response) {
  expect(response.headers.get('content-type')).toMatch(/^text\/event-stream/)
  const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader()
  const all: Told[] = []
  let text = ''
  return async (wanted: (told: Told) => boolean): Promise<readonly Told[]> => {
    for (;;) {
      if (all.some(wanted)) {
        await reader.cancel()
        return all
      }
      const { value, done } = await reader.read()
      if (done) throw new Error(`the stream ended:\n${JSON.stringify(all)}`)
      text += value
      const parts = text.split('\n\n')
      text = parts.pop() ?? ''
      for (const part of parts) {
        const field = (name: string) =>
          part
            .split('\n')
            .find((line) => line.startsWith(`${name}: `))
            ?.slice(name.length + 2)
        all.push({ event: field('event') ?? '', id: field('id'), data: field('data') ?? '' })
      }
    }
  }
}
