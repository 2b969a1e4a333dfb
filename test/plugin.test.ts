import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import type { RunEvent } from '../src/sdk/index.js'
import { type Answer, pipe } from './support/cli.js'
import { temporaryFolder } from './support/folder.js'
import { readDuckdb } from './support/read-duckdb.js'

/** A pipeline of one step a type. Each wants the numbers 0 to 4, and is given the body of its `run` (or all of its members). */
async function runSteps(
  types: Readonly<Record<string, string>>,
  more = '',
): Promise<Answer & { events: readonly RunEvent[]; cwd: string }> {
  const cwd = temporaryFolder()
  const wanted = `{ kind: 'stretches', axis: { of: 'numbers', cut: 5n, word: 'blocks', each: 1n }, domain: [0n, 4n], due: 'uncovered', order: 'oldest-first' }`
  const definitions = Object.entries(types).map(
    ([type, text]) => `{
      type: '${type}', summary: 'Goes mad.', example: 'none', config: { type: 'object' },
      ${text.includes('plan()') ? text : `*plan() { yield ${wanted} }, ${text}`}
      ${text.includes('run(') ? '' : ', async *run() {}'}
    }`,
  )
  writeFileSync(join(cwd, 'package.json'), '{}')
  writeFileSync(join(cwd, 'steps.mjs'), `export default [${definitions.join(',\n')}]`)
  writeFileSync(
    join(cwd, 'p.yaml'),
    `name: p
plugins: [./steps.mjs]
warehouse: duckdb:p.duckdb
defaults: { retry: { attempts: 2, wait: 1ms } }
steps:
${Object.keys(types)
  .map((type) => `  - { id: ${type}, type: ${type}, with: {}${more} }`)
  .join('\n')}
`,
  )
  const answer = await pipe(['run', 'p.yaml', '--output', 'json'], { cwd })
  const events = answer.out
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line) as RunEvent)
  return { ...answer, events, cwd }
}

const errors = (events: readonly RunEvent[]) =>
  Object.fromEntries(events.flatMap((event) => (event.type === 'unit:failed' ? [[event.step, `${event.code}: ${event.error}`]] : [])))

describe('a step type of somebody else', () => {
  it('that yields what is no batch fails its unit and says what is wrong; a misspelt field is not "nothing to store"', async () => {
    const { code, events, cwd } = await runSteps({
      misspelt: `async *run() { yield { row: { t: [] } } }`,
      text: `async *run() { yield 'rows' }`,
      nothing: `async *run() { yield null }`,
      list: `async *run() { yield [{}] }`,
      number: `run() { return 5 }`,
      promise: `async run() { return [] }`,
      'no-list': `async *run() { yield { rows: { t: { a: 1 } } } }`,
      'no-rows': `async *run() { yield { rows: { t: [1, 2] } } }`,
      numbers: `async *run() { yield { covers: [[0, 4]] } }`,
      failures: `async *run() { yield { failed: [{ key: '1', error: 'no' }] } }`,
      unknown: `async *run() { yield { rows: { nope: [{ a: 1 }] } } }`,
    })
    expect(code).toBe(1)
    expect(errors(events)).toEqual({
      misspelt: 'BATCH_SHAPE: step misspelt: run yielded a batch with `row`, which no batch has',
      text: 'BATCH_SHAPE: step text: run yielded a string and no batch',
      nothing: 'BATCH_SHAPE: step nothing: run yielded nothing and no batch',
      list: 'BATCH_SHAPE: step list: run yielded a list and no batch',
      number: 'BATCH_SHAPE: step number: run gave a number and no batches',
      promise: 'BATCH_SHAPE: step promise: run gave a promise and no batches',
      'no-list': 'BATCH_SHAPE: step no-list: `rows` of a batch must be lists of rows by output',
      'no-rows': 'BATCH_SHAPE: step no-rows: `rows` of a batch must be lists of rows by output',
      numbers: 'BATCH_SHAPE: step numbers: `covers` of a batch must be a list of [from, to], both bigint',
      failures: 'BATCH_SHAPE: step failures: `failed` of a batch must be a list of { key, error }, each error a PipeError',
      unknown: 'UNKNOWN_OUTPUT: step unknown gave rows for nope; its outputs are none',
    })
    const { _pipe_units: units } = await readDuckdb(join(cwd, 'p.duckdb'))
    expect(new Set(units?.rows.map(({ state }) => state))).toEqual(new Set(['failed']))
  })

  it('that throws, whatever and whenever, fails its own unit, and the others are done', async () => {
    const { code, events } = await runSteps({
      good: `async *run({ unit }) { yield { covers: [[unit.piece.from, unit.piece.to]] } }`,
      sync: `run() { throw new Error('at once') }`,
      later: `async *run() { await 1; throw new Error('later') }`,
      text: `async *run() { throw 'only text' }`,
      half: `async *run({ unit }) { yield { covers: [[unit.piece.from, unit.piece.from]] } }`,
      outside: `async *run() { yield { covers: [[0n, 5n]] } }`,
    })
    expect(code).toBe(1)
    expect(errors(events)).toEqual({
      sync: 'UNEXPECTED: at once',
      later: 'UNEXPECTED: later',
      text: 'UNEXPECTED: only text',
      half: 'UNIT_INCOMPLETE: unit 0-4 ended without 1-4',
      outside: 'COVERS_OUTSIDE: step outside speaks of 0-5 in unit 0-4',
    })
    expect(events.flatMap((event) => (event.type === 'unit:done' ? [event.step] : []))).toEqual(['good'])
  })

  it('that never comes back is left at its timeout', async () => {
    const { code, events } = await runSteps({ never: `async *run() { await new Promise(() => undefined) }` }, ', timeout: 50ms')
    expect(code).toBe(1)
    expect(errors(events)).toEqual({ never: 'STEP_TIMEOUT: step never was not done within its timeout of 0.05 s' })
  })

  it('whose plan throws is named before anything is fetched, and the blame is not put on pipe', async () => {
    const { code, err } = await runSteps({ bad: `plan() { throw new Error('plan boom') }`, worse: `*plan() { null.x }` })
    expect([code, err.split('\n')]).toEqual([
      2,
      [
        'error: step bad: plan of bad: plan boom (this is a mistake in the step type; PIPE_DEBUG=1 shows where)',
        "  step worse: plan of worse: Cannot read properties of null (reading 'x') (this is a mistake in the step type; PIPE_DEBUG=1 shows where) (PREFLIGHT)",
        '  nothing was fetched; mend the file and run again',
        '',
      ],
    ])
  })
})
