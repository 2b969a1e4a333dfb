import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { createServing } from '../src/serve/serve.js'
import { openState } from '../src/session/open-state.js'
import { atEnd } from './support/cleanup.js'
import { linesWorld } from './support/lines-world.js'
import type { Answer } from './support/real-server.js'
import { serveOptions } from './support/serve-options.js'

test('the map says what a plan would take for done: after another definition, a quarantine, a reset and a redo by hand', async () => {
  const cwd = linesWorld()
  const file = join(cwd, 'p.yaml')
  // Every row of a query: units are stretches of keys, and the table decides what is done.
  writeFileSync(file, readFileSync(file, 'utf8').replace("with: { sql: 'SELECT n,", "with: { mode: rows, sql: 'SELECT n,"))
  const { options, io } = await serveOptions(cwd)
  const store = await openState(options.state, io)
  const { app, runs } = createServing(options, io, store, new AbortController().signal)
  atEnd(async () => {
    await runs.close()
    await store.close()
  })
  const ask = async (path: string, body?: unknown): Promise<Answer> => {
    const headers = { host: 'localhost', 'content-type': 'application/json' }
    const method = body === undefined ? 'GET' : 'POST'
    const response = await app.request(`/api/pipelines/enrichment/${path}`, {
      method,
      headers,
      body: body === undefined ? undefined : JSON.stringify(body),
    })
    return (await response.json()) as Answer
  }
  const run = async (body: unknown) => {
    await ask('start', body)
    await runs.ended('enrichment')
  }
  /** Of step `lines`, with how many the plan would read and how many it takes for done or leaves in quarantine. */
  const map = async (params: Record<string, unknown>) => {
    const { current, params: by, steps } = await ask('coverage?step=lines')
    const [{ stretches, reasons }] = steps
    const [planned] = (await ask('plan', { params })).steps as Answer[]
    return {
      map: (stretches as Answer[]).map(({ from, to, state }) => `${from}-${to} ${state}`),
      reasons: reasons as string[],
      by: by as Answer,
      current: current as boolean,
      plan: [planned?.pieces, planned?.done, planned?.quarantined.length],
    }
  }

  await run({ params: { count: 40 } })
  expect(await map({ count: 40 })).toEqual({ map: ['1-40 done'], reasons: [], by: { count: '40' }, current: true, plan: [0, 40, 0] })
  // `count` is a part of the definition: all that is there is to be read again.
  await run({ params: { count: 50, fail: true }, limit: 20 })
  expect(await map({ count: 50 })).toEqual({
    map: ['1-9 done', '10-19 quarantined', '20-20 done', '21-40 stale', '41-50 missing'],
    reasons: ['changed: count'],
    by: { count: '50', fail: 'true' },
    current: true,
    plan: [30, 10, 1],
  })
  await ask('reset', { step: 'lines', range: '1..5' })
  expect(await map({ count: 50 })).toMatchObject({
    map: ['1-5 stale', '6-9 done', '10-19 quarantined', '20-20 done', '21-40 stale', '41-50 missing'],
    reasons: ['changed: count', 'reset'],
    plan: [35, 5, 1],
  })
  await ask('retry', {})
  await run({ params: { count: 50 } })
  expect(await map({ count: 50 })).toMatchObject({ map: ['1-50 done'], reasons: [], plan: [0, 50, 0] })
  const [sums] = (await ask('coverage?step=sums')).steps as Answer[]
  expect(sums?.stretches).toEqual([{ from: 1, to: 50, state: 'done' }])
  await run({ params: { count: 60 }, select: ['lines'] })
  const [behind] = (await ask('coverage?step=sums')).steps as Answer[]
  expect(behind?.stretches).toEqual([
    { from: 1, to: 50, state: 'done' },
    { from: 51, to: 60, state: 'missing' },
  ])
})
