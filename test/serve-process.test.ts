import { existsSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { linesWorld } from './support/lines-world.js'
import type { Answer } from './support/real-server.js'
import { type PipeProcess, spawnPipe } from './support/spawn-pipe.js'

test('a server that is killed leaves its run alone: the next one shows it, stops it and resumes it; a killed run leaves no pause behind', async () => {
  const cwd = linesWorld()
  const held = join(cwd, 'held')
  const first = await serve(cwd)
  const { run } = await first.ask('/api/pipelines/enrichment/start', { params: { count: 200, hold: 55 } })
  await first.until('/api/runs', ({ runs }) => runs[0].state === 'running' && existsSync(held))
  first.process.kill('SIGKILL')
  await first.process.exit

  const second = await serve(cwd)
  // The run tells the state store once a second how it stands.
  const { runs } = await second.until('/api/runs', (answer) => answer.runs[0].state !== 'starting')
  expect(runs.map(({ id, state }: Answer) => [id, state])).toEqual([[run, 'running']])
  expect((await second.ask('/api/pipelines/enrichment/start', {})).error).toMatchObject({ code: 'RUNS_ALREADY', run })
  expect(await second.ask('/api/pipelines/enrichment/stop', {})).toEqual({ run })
  await second.until(`/api/runs/${run}`, ({ state }) => state === 'stopping')
  rmSync(held)
  const stopped = await second.until(`/api/runs/${run}`, ({ state }) => state === 'stopped')
  expect([stopped.exitCode, stopped.rows]).toEqual([140, { lines: 59 }])
  const { run: next } = await second.ask('/api/pipelines/enrichment/start', { params: { count: 200, hold: 105 } })
  const { pid } = await second.until(`/api/runs/${next}`, ({ state }) => state === 'running' && existsSync(held))
  const coverage = '/api/pipelines/enrichment/coverage?step=lines'
  await second.until(coverage, ({ steps }) => steps[0].stretches.some(({ state, to }: Answer) => state === 'done' && to === 99))
  await second.ask('/api/pipelines/enrichment/pause', {})
  await second.until('/api/pipelines/enrichment/logs', ({ facts }) => facts.at(-1)?.type === 'run:pausing')
  process.kill(pid as number, 'SIGKILL')
  rmSync(held)
  await second.until('/api/pipelines/enrichment', ({ state }) => state === 'interrupted')
  const { run: last } = await second.ask('/api/pipelines/enrichment/start', { params: { count: 200 } })
  const done = await second.until(`/api/runs/${last}`, ({ state }) => state === 'done')
  // What is committed of the unit that was held is not read again; whether its half was, only the killed run knew.
  expect([101, 96]).toContain(done.rows.lines)
  expect((await second.ask(coverage)).steps[0].stretches).toEqual([{ from: 1, to: 200, state: 'done' }])
  second.process.kill('SIGTERM')
  expect((await second.process.exit).stderr).toBe('')
})

async function serve(cwd: string): Promise<{
  readonly process: PipeProcess
  ask(path: string, body?: unknown): Promise<Answer>
  until(path: string, is: (answer: Answer) => boolean): Promise<Answer>
}> {
  // What a plugin writes beside the events of its run is none of them.
  const process = spawnPipe(['serve', 'p.yaml', '--port', '0'], { cwd, env: { NOISE: '1' } })
  await process.saw(/http:\S+/)
  const [url = ''] = /http:\S+/.exec(process.stdout) ?? []
  const ask = async (path: string, body?: unknown) => {
    const headers: Record<string, string> = body === undefined ? {} : { 'content-type': 'application/json' }
    const init = { method: body === undefined ? 'GET' : 'POST', headers, body: body === undefined ? null : JSON.stringify(body) }
    return (await (await fetch(url + path, init)).json()) as Answer
  }
  const until = async (path: string, is: (answer: Answer) => boolean) => {
    for (;;) {
      const answer = await ask(path)
      if (is(answer)) return answer
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
  }
  return { process, ask, until }
}
