import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { readPipeline } from '../src/pipeline/read.js'
import { openNotices } from '../src/session/notices.js'
import { fakeIo } from './cli/fake-io.js'
import { pipe } from './support/cli.js'
import { temporaryFolder } from './support/folder.js'
import { hook } from './support/hook.js'

/** Two steps without a source: `counts` fails while its SQL does, and `check` is a gate over what a param says. */
const pipelineFile = (tables = 't: { columns: { n: bigint }, key: [n] }') => `name: p
warehouse: duckdb:p.duckdb
params: { sql: { type: text, default: "1" }, rows: { type: int, default: 1 } }
schedule: { cron: "0 */6 * * *", timezone: Europe/Zurich }
notify:
  - { type: slack, url: "\${SLACK_URL:-}" }
  - { type: webhook, url: "\${HOOK_URL}/in/\${HOOK_KEY}", headers: { Authorization: "Bearer \${HOOK_TOKEN}" }, on: [failure, gate_closed, stall, recovery, completion] }
tables: { ${tables} }
defaults: { retry: { attempts: 1 } }
steps:
  - { id: counts, type: sql-upsert, into: t, with: { sql: "SELECT CAST($sql AS bigint) AS n" } }
  - { id: check, type: gate, needs: [counts], with: { checks: [{ name: rows, sql: "SELECT count(*) FROM t", expect: $rows }] } }
`

test('people are told once of what fails, over all runs, and when it is over; no notice changes how a run ends, or shows a secret', async () => {
  const cwd = temporaryFolder()
  const to = await hook()
  const env = { HOOK_URL: to.url, HOOK_KEY: 'key-0123456789abcdef', HOOK_TOKEN: 'token-0123456789' }
  const write = (text: string) => writeFileSync(join(cwd, 'p.yaml'), text)
  /** A run, the warnings that it gave, and of what it told. */
  const run = async (...args: string[]) => {
    const before = to.posts.length
    const { code, out, err } = await pipe(['run', 'p.yaml', '--output', 'json', ...args], { cwd, env })
    expect(out + err).not.toMatch(/key-0123|token-0123/)
    const events = out.split('\n').flatMap((line) => (line === '' ? [] : [JSON.parse(line) as { type: string; message?: string }]))
    const notices = to.posts.slice(before).map(({ body }) => JSON.parse(body) as { kind: string; steps: string[]; lines: string[] })
    return { code, err, warnings: events.flatMap(({ type, message }) => (type === 'warning' ? [message] : [])), notices }
  }
  const told = ({ code, notices }: Awaited<ReturnType<typeof run>>) => [
    code,
    ...notices.map(({ kind, steps }) => `${kind} ${steps.join(',')}`),
  ]

  write(pipelineFile())
  const failed = await run('--param', 'sql=a')
  expect(told(failed)).toEqual([1, 'failure counts', 'gate_closed check'])
  expect(failed.notices[0]?.lines[0]).toContain('counts')
  expect([to.posts[0]?.path, to.posts[0]?.headers.authorization]).toEqual(['/in/key-0123456789abcdef', 'Bearer token-0123456789'])
  expect(told(await run('--param', 'sql=a'))).toEqual([1])
  expect(told(await run('--param', 'sql=1', '--param', 'rows=2'))).toEqual([1, 'recovery counts'])

  to.statuses.push(403)
  const refused = await run()
  expect(told(refused)).toEqual([0, 'recovery check', 'completion '])
  const host = to.url.replace('http://', '')
  expect(refused.warnings).toEqual([
    `nobody was told of a recovery by webhook, in 1 attempt: ${host} answered 403: *** *** (look at \`url\` of this receiver in \`notify\`, and whether it can be reached from here); the run is not affected`,
  ])

  // Each receiver is told for itself: what one could not be told is told to it by the next run, and to nobody else.
  const other = await hook()
  other.statuses.push(404, 404)
  write(pipelineFile().replace('tables:', `  - { type: webhook, url: "${other.url}" }\ntables:`))
  expect(told(await run('--param', 'sql=a'))).toEqual([1, 'failure counts', 'gate_closed check'])
  expect(told(await run('--param', 'sql=a'))).toEqual([1])
  expect(told(await run())).toEqual([0, 'recovery counts,check', 'completion '])
  const kinds = other.posts.map(({ body }) => (JSON.parse(body) as { kind: string }).kind)
  expect(kinds).toEqual(['failure', 'gate_closed', 'failure', 'gate_closed', 'recovery'])

  // A run that can't begin has no events, and is told all the same.
  write(pipelineFile('t: { columns: { n: bigint, m: text }, key: [n] }'))
  const drifted = await run()
  expect(told(drifted)).toEqual([2, 'failure '])
  expect(drifted.notices[0]?.lines[0]).toMatch(/^the run could not begin: .*\bt\b/)
  write(pipelineFile())
  expect(told(await run())).toEqual([0, 'recovery ', 'completion '])

  const { pipeline } = await readPipeline('p.yaml', { cwd, env, environment: 'require' })
  if (!pipeline) throw new Error('no pipeline')
  const demo = { pipeline, surroundings: fakeIo({ cwd, env }), world: { now: 0, source: 'http://demo' }, run: 'r', state: undefined }
  expect(await openNotices({ ...demo, warn: () => undefined })).toBeUndefined()
})
