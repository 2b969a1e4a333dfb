import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { runCli } from '../../src/cli/main.js'
import type { ValidateReport } from '../../src/cli/validate.js'
import { schemaErrors } from '../support/json-schema.js'
import { fakeIo } from './fake-io.js'

const good = `name: good
warehouse: duckdb:good.duckdb
steps:
  - id: check
    type: gate
    with: { checks: [{ name: one is one, sql: SELECT 1, expect: 1 }] }
`
const broken = good.replace('name: good', 'name: broken').replace('type: gate', 'type: gat')
const secret = good.replace('name: good', 'name: secret').replace('duckdb:good.duckdb', '${WAREHOUSE_URL}')
const shared = `params:\n  days: { type: int, default: 7 }\n`

let cwd: string

beforeEach(async () => {
  cwd = await mkdtemp(join(tmpdir(), 'pipe-validate-'))
  await mkdir(join(cwd, 'pipelines'))
  for (const [name, text] of Object.entries({ good, broken, secret, shared })) await writeFile(join(cwd, 'pipelines', `${name}.yaml`), text)
})
afterEach(() => rm(cwd, { recursive: true }))

test('a right file is one line and exit code 0', async () => {
  expect(await validate('pipelines/good.yaml')).toEqual([0, 'pipelines/good.yaml: ok (1 step)\n', ''])
})

test('a mistake is shown with its place and what would be right, and the exit code is 2', async () => {
  expect(await validate('pipelines/broken.yaml')).toEqual([
    2,
    'pipelines/broken.yaml:5:11  steps[0].type: unknown step type `gat` (did you mean `gate`?)\n1 error in pipelines/broken.yaml\n',
    '',
  ])
})

test('what a file holds moves no cursor and turns no line', async () => {
  await writeFile(join(cwd, 'pipelines', 'evil.yaml'), 'name: "\\e[31mred\\u202e"\nsteps: []\n')
  const [code, out] = await validate('pipelines/evil.yaml')
  expect([code, out.includes('(is "\\u001b[31mred\\u202e")'), /[\u0000-\u0009\u000b-\u001f\u202e]/.test(out)]).toEqual([2, true, false])
})

test('missing environment is a warning, and an error with --env', async () => {
  const place = 'pipelines/secret.yaml:2:12  '
  const [code, out] = await validate('pipelines/secret.yaml')
  expect([
    code,
    out.startsWith(`${place}warning: warehouse: `),
    out.includes('WAREHOUSE_URL'),
    out.endsWith('pipelines/secret.yaml: ok (1 step, 1 warning)\n'),
  ]).toEqual([0, true, true, true])
  const [strict, text] = await validate('--env', 'pipelines/secret.yaml')
  expect([strict, text.startsWith(`${place}warehouse: `), text.endsWith('1 error in pipelines/secret.yaml\n')]).toEqual([2, true, true])
})

test('a file that others import is valid by itself', async () => {
  expect(await validate('pipelines/shared.yaml')).toEqual([0, 'pipelines/shared.yaml: ok (shared file)\n', ''])
})

test('several files are checked to the end, all of pipelines/ when none is named', async () => {
  const [code, out] = await validate()
  expect(code).toBe(2)
  expect(out.split('\n').filter((line) => !line.includes('WAREHOUSE_URL'))).toEqual([
    'pipelines/broken.yaml:5:11  steps[0].type: unknown step type `gat` (did you mean `gate`?)',
    'pipelines/good.yaml: ok (1 step)',
    'pipelines/secret.yaml: ok (1 step, 1 warning)',
    'pipelines/shared.yaml: ok (shared file)',
    '1 error in 1 of 4 files',
    '',
  ])
})

test('no file at all is a mistake of usage', async () => {
  await rm(join(cwd, 'pipelines'), { recursive: true })
  expect(await validate()).toEqual([
    2,
    '',
    'error: no file is given and there is no pipelines/*.yaml here (USAGE)\n  name the files: pipe validate FILES…, or start with `pipe init`\n',
  ])
})

test('a file that is not there is a problem like others', async () => {
  const [code, out] = await validate('pipelines/absent.yaml')
  expect([code, out.startsWith('pipelines/absent.yaml:1:1  ')]).toEqual([2, true])
})

test('--format json fits its schema and holds what the text shows', async () => {
  const [code, out] = await validate('--format', 'json', 'pipelines/good.yaml', 'pipelines/broken.yaml')
  const report = JSON.parse(out) as ValidateReport
  expect([code, schemaErrors('validate', report)]).toEqual([2, []])
  expect(report).toEqual({
    ok: false,
    files: [
      { file: 'pipelines/good.yaml', ok: true, pipeline: 'good', steps: 1, problems: [] },
      {
        file: 'pipelines/broken.yaml',
        ok: false,
        pipeline: null,
        steps: 0,
        problems: [
          {
            file: 'pipelines/broken.yaml',
            line: 5,
            column: 11,
            path: 'steps[0].type',
            message: 'unknown step type `gat`',
            hint: 'did you mean `gate`?',
            severity: 'error',
          },
        ],
      },
    ],
  })
})

test('--format github writes annotations, in which no text can end its field', async () => {
  await writeFile(join(cwd, 'pipelines/a,b:c.yaml'), broken.replace('id: check', 'id: "50%, or\\nmore"'))
  const [code, out] = await validate('--format', 'github', 'pipelines/a,b:c.yaml')
  expect(code).toBe(2)
  const lines = out.trimEnd().split('\n')
  expect(lines.every((line) => /^::error file=pipelines\/a%2Cb%3Ac\.yaml,line=\d+,col=\d+,title=[^,:]+::.+$/.test(line))).toBe(true)
  expect(lines).toContain(
    '::error file=pipelines/a%2Cb%3Ac.yaml,line=5,col=11,title=steps[0].type::unknown step type `gat` (did you mean `gate`?)',
  )
})

async function validate(...args: readonly string[]): Promise<readonly [code: number, out: string, err: string]> {
  const io = fakeIo({ cwd })
  const code = await runCli(['validate', ...args], io)
  return [code, io.out(), io.err()]
}
