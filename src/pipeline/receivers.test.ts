import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { temporaryFolder } from '../../test/support/folder.js'
import { readPipeline } from './read.js'
import { DEFAULT_KINDS } from './receivers.js'
import { formatProblem } from './yaml/format.js'

const cwd = temporaryFolder()

/** What is read of a file whose 7th line and those behind it are these, and the problems as they are printed. */
async function read(rest: string, env: Record<string, string> = {}, environment: 'require' | 'warn' = 'require') {
  const head = `name: p
warehouse: duckdb:p.duckdb
tables: { t: { columns: { n: bigint }, key: [n] } }
steps:
  - { id: a, type: sql-upsert, into: t, with: { sql: SELECT 1 AS n } }
# What is tried:
`
  writeFileSync(join(cwd, 'p.yaml'), head + rest)
  const { pipeline, problems } = await readPipeline('p.yaml', { cwd, env, environment })
  return { pipeline, problems: problems.map(formatProblem) }
}

describe('notify', () => {
  test('says who is told of what, and all of its URLs, headers and passwords are secrets', async () => {
    const { pipeline, problems } = await read(
      `notify:
  - { type: slack, url: "\${SLACK}" }
  - { type: webhook, url: "https://hooks.example/in", headers: { Authorization: "Bearer \${TOKEN}" }, on: [completion, failure] }
  - { type: smtp, url: "smtps://me:\${PASSWORD}@mail.example:465", from: Pipe <pipe@example.com>, to: ops@example.com }
  - { type: webhook, url: "\${NOWHERE:-}" }
`,
      { SLACK: 'https://hooks.slack.com/services/T0/B0/a1b2c3d4e5f6', TOKEN: 'abcdefgh', PASSWORD: 'p%40ss1' },
    )
    expect(problems).toEqual([])
    expect(pipeline?.notify).toEqual([
      { type: 'slack', url: 'https://hooks.slack.com/services/T0/B0/a1b2c3d4e5f6', headers: {}, on: DEFAULT_KINDS },
      { type: 'webhook', url: 'https://hooks.example/in', headers: { Authorization: 'Bearer abcdefgh' }, on: ['failure', 'completion'] },
      {
        type: 'smtp',
        url: 'smtps://me:p%40ss1@mail.example:465',
        from: 'Pipe <pipe@example.com>',
        to: ['ops@example.com'],
        on: DEFAULT_KINDS,
      },
    ])
    expect(pipeline?.secrets).toEqual(
      expect.arrayContaining([
        'https://hooks.slack.com/services/T0/B0/a1b2c3d4e5f6',
        'a1b2c3d4e5f6',
        'Bearer abcdefgh',
        'abcdefgh',
        'p@ss1',
      ]),
    )
  })

  test.each<[string, string, string[]]>([
    [
      'an unknown type or kind',
      'notify: [{ type: pager, url: "https://a" }, { type: slack, url: "https://a", on: [failure, sucess] }]\n',
      [
        'p.yaml:7:18  notify[0].type: must be one of `webhook`, `slack`, `smtp` (is "pager")',
        'p.yaml:7:92  notify[1].on[1]: must be one of `failure`, `gate_closed`, `stall`, `recovery`, `completion` (is "sucess")',
      ],
    ],
    [
      'a mail without sender and receiver, and what is for mails alone',
      'notify:\n  - { type: smtp, url: "smtp://a" }\n  - { type: webhook, url: "https://a", to: x@y.z }\n  - { type: smtp, url: "smtp://a", from: me, to: [a@b.c], headers: { X: y } }\n',
      [
        'p.yaml:8:5  notify[0]: a mail needs `from` (give it: from: ops@example.com)',
        'p.yaml:8:5  notify[0]: a mail needs `to` (give it: to: ops@example.com)',
        'p.yaml:9:44  notify[1].to: `to` is for smtp alone (take it out)',
        'p.yaml:10:42  notify[2].from: is no mail address (write ops@example.com or Operations <ops@example.com>)',
        'p.yaml:10:68  notify[2].headers: `headers` is for webhook and slack alone (take it out)',
      ],
    ],
    [
      'an address that can be told nothing, without showing it',
      'notify:\n  - { type: slack, url: "ftp://secret@a" }\n  - { type: smtp, url: "smtp://me:secret@a/x?y=1", from: a@b.c, to: a@b.c }\n',
      [
        'p.yaml:8:25  notify[0].url: must be a URL that begins with https:// or http:// (such as https://host)',
        'p.yaml:9:24  notify[1].url: has more than a host and a port (write smtp://user:password@host:587)',
      ],
    ],
  ])('%s', async (_, text, expected) => {
    expect((await read(text)).problems).toEqual(expected)
  })

  test('a secret that the file itself holds is a warning, a variable that is not set is one for validate alone', async () => {
    const written = await read('notify: [{ type: slack, url: "https://hooks.slack.com/services/T0/B0/a1b2c3d4e5f6" }]\n')
    expect(written.problems).toEqual([
      'p.yaml:7:30  warning: notify[0].url: holds a secret, and the file shows it to whoever reads it (put it into the environment: url: ${NOTIFY_URL})',
    ])
    expect(written.pipeline?.notify.length).toBe(1)
    const unset = await read('notify: [{ type: slack, url: "${SLACK}" }]\n', {}, 'warn')
    expect([unset.pipeline?.notify, unset.problems.length]).toEqual([[], 1])
  })
})

describe('schedule', () => {
  test('is a cron expression by UTC, or a map that says whose clock it goes by and what becomes of missed times', async () => {
    expect((await read('schedule: "0 */6 * * *"\n')).pipeline?.schedule).toEqual({ cron: '0 */6 * * *', timezone: 'UTC', missed: 'run' })
    const map = await read('schedule: { cron: "@daily", timezone: Europe/Zurich, missed: skip }\n')
    expect([map.pipeline?.schedule, map.problems]).toEqual([{ cron: '@daily', timezone: 'Europe/Zurich', missed: 'skip' }, []])
    expect((await read('')).pipeline?.schedule).toBeUndefined()
  })

  test.each([
    ['schedule: "0 */6 * *"\n', 'p.yaml:7:11  schedule: has 4 fields and not 5'],
    ['schedule:\n  cron: "0 0 30 2 *"\n', 'p.yaml:8:9  schedule.cron: never comes: no such day is in any year'],
    ['schedule: { cron: "0 0 * * *", timezone: Zurich }\n', 'p.yaml:7:42  schedule.timezone: `Zurich` is no time zone that is known'],
    ['schedule: 6\n', 'p.yaml:7:11  schedule: must be a cron expression in quotes'],
    ['schedule: { cron: "0 0 * * *", missed: maybe }\n', 'p.yaml:7:40  schedule.missed: must be one of `run`, `skip`'],
    ['schedule: { corn: "0 0 * * *" }\n', 'p.yaml:7:13  schedule.corn: unknown key `corn` (did you mean `cron`?)'],
  ])('%j is refused with its place', async (text, problem) => {
    expect((await read(text)).problems).toContainEqual(expect.stringContaining(problem))
  })
})
