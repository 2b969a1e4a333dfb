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
  more: string | Readonly<Record<string, string>> = '',
  tables = '',
): Promise<Answer & { events: readonly RunEvent[]; cwd: string }> {
  const cwd = temporaryFolder()
  const wanted = `{ kind: 'stretches', axis: { of: 'numbers', cut: 5n, word: 'blocks', each: 1n }, domain: [0n, 4n], due: 'uncovered', order: 'oldest-first' }`
  const definitions = Object.entries(types).map(
    ([type, text]) => `{
      type: '${type}', summary: 'Goes mad.', example: 'none', config: { type: 'object' },
      ${/\bplan\(\)/.test(text) ? text : `*plan() { yield ${wanted} }, ${text}`}
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
${tables}
defaults: { retry: { attempts: 2, wait: 1ms } }
steps:
${Object.keys(types)
  .map((type) => `  - { id: ${type}, type: ${type}, with: {}${typeof more === 'string' ? more : (more[type] ?? '')} }`)
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
      'no-json': `async *run() { yield { cursor: () => 1 } }`,
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
      'no-json': 'BATCH_SHAPE: step no-json: `cursor` of a batch must be JSON',
      unknown: 'UNKNOWN_OUTPUT: step unknown gave rows for nope; its outputs are none',
    })
    const { _pipe_units: units } = await readDuckdb(join(cwd, 'p.duckdb'))
    expect(new Set(units?.rows.map(({ state }) => state))).toEqual(new Set(['failed']))
  })

  it('is believed as it was when it yielded: what it changes of its rows, lists and cursor later does not get in', async () => {
    const tables = (...names: string[]) =>
      `tables: { ${names.map((name) => `${name}: { columns: { n: bigint, note: text, more: json }, key: [n] }`).join(', ')} }`
    const rows = `const rows = [0n, 1n, 2n, 3n, 4n].map((n) => ({ n, note: 'yielded', more: { list: [1] } }))`
    const { code, events, cwd } = await runSteps(
      {
        later: `async *run() {
          ${rows}
          const covers = [[0n, 3n]]
          const cursor = { at: 3 }
          yield { rows: { a: rows }, covers, cursor }
          rows.push({ n: 99n, note: 'late', more: null })
          rows[0].note = 'changed'
          rows[1].more.list.push(2)
          covers[0][1] = 4n
          cursor.at = 4
          throw new Error('in the middle')
        }`,
        reused: `async *run() {
          const row = { n: 0n, note: 'yielded', more: { list: [1] } }
          for (let n = 0n; n < 5n; n++) { row.n = n; yield { rows: { b: [row] }, covers: [[n, n]] } }
        }`,
      },
      { later: ', into: a', reused: ', into: b' },
      tables('a', 'b'),
    )
    expect([code, errors(events)]).toEqual([1, { later: 'UNEXPECTED: in the middle' }])
    const { a, b, _pipe_units: units } = await readDuckdb(join(cwd, 'p.duckdb'))
    const five = ['0', '1', '2', '3', '4'].map((n) => ({ n, note: 'yielded', more: '{"list":[1]}' }))
    expect([a?.rows, b?.rows]).toEqual([five, five])
    expect(units?.rows.filter(({ step }) => step === 'later')).toMatchObject([
      { coverage: expect.stringContaining('["0","3"]') as string, cursor: '{"at":3}' },
    ])
  })

  it('that gives rows of another place than its unit fails by name, and stores none of that batch', async () => {
    const time = `*plan() { yield { kind: 'stretches', axis: { of: 'time', word: 'days', each: 86400000000n, names: 'ends' }, domain: [0n, 86399999999n], due: 'uncovered', order: 'oldest-first' } }`
    const day = `yield { rows, covers: [[0n, 86399999999n]] }`
    const { code, events, cwd } = await runSteps(
      {
        above: `async *run() { yield { rows: { above: [{ n: 4n }, { n: 5n }] }, covers: [[0n, 4n]] } }`,
        below: `async *run() { yield { rows: { below: [{ n: '-1' }] }, covers: [[0n, 4n]] } }`,
        instant: `${time}, async *run() { const rows = { instant: [{ at: 86400000000n }] }; ${day} }`,
        day: `${time}, async *run() { const rows = { day: [{ on: '1970-01-01' }, { on: '1970-01-02' }] }; ${day} }`,
        // Where the place is held by another column, or by none, the rows are the step's own affair.
        elsewhere: `async *run() { yield { rows: { elsewhere: [{ id: 99n, n: 3n }] }, covers: [[0n, 4n]] } }`,
        named: `async *run() { yield { rows: { named: [{ name: 'x' }] }, covers: [[0n, 4n]] } }`,
      },
      Object.fromEntries(['above', 'below', 'instant', 'day', 'elsewhere', 'named'].map((name) => [name, `, into: ${name}`])),
      `tables:
  above: { columns: { n: bigint }, key: [n] }
  below: { columns: { n: bigint }, key: [n] }
  instant: { columns: { at: timestamp }, key: [at] }
  day: { columns: { on: date }, key: [on] }
  elsewhere: { columns: { id: bigint, n: bigint }, key: [id], range: n }
  named: { columns: { name: text }, key: [name] }`,
    )
    expect([code, errors(events)]).toEqual([
      1,
      {
        above: 'ROWS_OUTSIDE: step above gave table above a row with n 5 in unit 0-4, which does not hold it',
        below: 'ROWS_OUTSIDE: step below gave table below a row with n -1 in unit 0-4, which does not hold it',
        instant: expect.stringMatching(
          /^ROWS_OUTSIDE: step instant gave table instant a row with at 1970-01-02T00:00:00Z in unit /,
        ) as string,
        day: expect.stringMatching(/^ROWS_OUTSIDE: step day gave table day a row with on 1970-01-02 in unit /) as string,
      },
    ])
    const { above, below, instant, day: days, elsewhere, named } = await readDuckdb(join(cwd, 'p.duckdb'))
    expect([above?.rows, below?.rows, instant?.rows, days?.rows]).toEqual([[], [], [], []])
    expect([elsewhere?.rows, named?.rows]).toEqual([[{ id: '99', n: '3' }], [{ name: 'x' }]])
  })

  it('whose plan gives more than one thing, or never ends, is refused before anything is fetched', async () => {
    const wanted = `{ kind: 'stretches', axis: { of: 'numbers', cut: 5n, word: 'blocks', each: 1n }, domain: [0n, 4n], due: 'uncovered', order: 'oldest-first' }`
    const { code, err } = await runSteps({
      endless: `*plan() { for (;;) yield ${wanted} }`,
      waiting: `async *plan() { for (;;) { await 1; yield ${wanted} } }`,
      none: `*plan() {}`,
    })
    expect(code).toBe(2)
    for (const [step, found] of [
      ['endless', 'several things at once'],
      ['waiting', 'several things at once'],
      ['none', 'nothing'],
    ])
      expect(err).toContain(`step ${step} wants ${found}`)
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

  it('that throws after its batches covered all of a unit has not done it: the next run replaces what it wrote', async () => {
    const wanted = `{ kind: 'rows', sql: { parts: ['SELECT n FROM (VALUES (2), (3)) v(n)'], params: [] }, key: ['n'], output: 'records', copied: { n: 'n' }, constants: {}, chunk: 2, order: 'oldest-first' }`
    // Broken, each gives another row than it does once it is mended, and throws when all of it is committed.
    const body = (batch: string) => `async *run({ unit }) {
        const mended = (await import('node:fs')).existsSync(new URL('mended', import.meta.url))
        const [two, covers] = [mended ? 2n : 3n, [[unit.piece.from, unit.piece.to]]]
        yield { ${batch} }
        if (!mended) throw new Error('after all')
      }`
    const table = (id: string) => `  ${id}: { columns: { n: bigint }, key: [n] }`
    const { code, events, cwd } = await runSteps(
      {
        placed: body('rows: { placed: [{ n: 1n }, { n: two }] }, covers'),
        keyed: body('rows: { keyed: [{ word: "1" }, { word: String(two) }] }, covers'),
        nothing: body('covers'),
        records: `*plan() { yield ${wanted} }, ${body('rows: { records: [{ n: 2n }, { n: 3n }] }')}`,
      },
      Object.fromEntries(['placed', 'keyed', 'records'].map((id) => [id, `, into: ${id}`])),
      ['tables:', table('placed'), '  keyed: { columns: { word: text }, key: [word] }', table('records')].join('\n'),
    )
    const units = async () =>
      (await readDuckdb(join(cwd, 'p.duckdb')))._pipe_units?.rows.map(({ step, state, rows }) => [step, state, rows]).sort()
    expect(code).toBe(1)
    expect(Object.keys(errors(events)).sort()).toEqual(['keyed', 'nothing', 'placed', 'records'])
    expect(ends(events)).toEqual({
      placed: 'incomplete: 5 of 5 blocks missing',
      keyed: 'incomplete: 5 of 5 blocks missing',
      nothing: 'incomplete: 5 of 5 blocks missing',
      records: 'incomplete: a unit failed after all rows were there',
    })
    expect((await units())?.map(([, state]) => state)).toEqual(['failed', 'failed', 'failed', 'failed'])
    expect((await pipe(['verify', 'p.yaml'], { cwd })).code).toBe(1)
    writeFileSync(join(cwd, 'mended'), '')
    expect((await pipe(['run', 'p.yaml'], { cwd })).code).toBe(0)
    expect((await pipe(['verify', 'p.yaml'], { cwd })).code).toBe(0)
    const { placed, keyed } = await readDuckdb(join(cwd, 'p.duckdb'))
    expect([placed, keyed].map((of) => of?.rows.map((row) => row.n ?? row.word))).toEqual([
      ['1', '2'],
      // Nothing says where its rows lie, so what is not given again stays.
      ['1', '2', '3'],
    ])
    expect(await units()).toEqual([
      ['keyed', 'done', '{"keyed":4}'],
      ['nothing', 'done', '{}'],
      ['placed', 'done', '{"placed":2}'],
    ])
  })

  it('whose requests are used up leaves its units, and each is told of while the step goes on', async () => {
    const { code, events } = await runSteps({
      asking: `units: 1, *plan() { yield { kind: 'stretches', axis: { of: 'numbers', cut: 5n, word: 'blocks', each: 1n }, domain: [0n, 9n], due: 'uncovered', order: 'oldest-first', limitBy: 'requests', maxRequests: 1 } },
        async *run({ unit, budget }) { for (const n of [unit.piece.from, unit.piece.from + 1n]) { if (!budget.take()) return; yield { covers: [[n, n]] } } }`,
    })
    const told = events.flatMap((event) =>
      event.type === 'unit:started' || event.type === 'unit:left' || event.type === 'step:ended' ? [event.type] : [],
    )
    expect([code, told, events.find(({ type }) => type === 'unit:left')]).toMatchObject([
      1,
      ['unit:started', 'unit:left', 'step:ended'],
      { step: 'asking', unit: '0-4', reason: 'stopped' },
    ])
  })

  it('that never comes back is left at its timeout', async () => {
    const { code, events } = await runSteps({ never: `async *run() { await new Promise(() => undefined) }` }, ', timeout: 500ms')
    expect(code).toBe(1)
    expect(errors(events)).toEqual({ never: 'STEP_TIMEOUT: step never was not done within its timeout of 0.5 s' })
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

const check = (passed: boolean, severity = 'error') =>
  `{ name: 'sum', passed: ${String(passed)}, severity: '${severity}', value: '3', expect: '5', sql: 'SELECT 3' }`
const gate = (body: string) => `closes: true, *plan() { yield { kind: 'task', due: 'always' } }, ${body}`

const ends = (events: readonly RunEvent[]) =>
  Object.fromEntries(
    events.flatMap((event) =>
      event.type === 'step:ended' ? [[event.step, event.outcome + (event.reason === undefined ? '' : `: ${event.reason}`)]] : [],
    ),
  )

describe('a gate of somebody else', () => {
  it('opens when its checks pass, stays closed when one does not, and has nothing in the ledger', async () => {
    const { code, events, cwd } = await runSteps({
      open: gate(`async *run() { yield { checks: [${check(true)}] }; yield { checks: [${check(false, 'warn')}] } }`),
      shut: gate(`async *run() { yield { checks: [${check(false)}] } }`),
      silent: gate(`async *run() {}`),
      asks: gate(`async *run({ rpc }) { await rpc.batch([], {}) }`),
      stores: gate(`async *run() { yield { rows: {}, checks: [${check(true)}] } }`),
      untold: gate(`async *run() { yield { checks: [{ name: 'sum', passed: false }] } }`),
    })
    expect(code).toBe(1)
    expect(ends(events)).toEqual({
      open: 'complete',
      shut: 'closed: sum: is 3, expected 5',
      silent: 'closed: it gave no checks',
      asks: 'closed: its checks could not be evaluated: step asks asks an RPC endpoint and has no chain',
      stores: 'closed: its checks could not be evaluated: step stores: run yielded `rows`, and a step that closes yields `checks` only',
      untold:
        'closed: its checks could not be evaluated: step untold: `checks` of a batch must be a list of { name, passed, severity, value, expect, sql }',
    })
    expect(errors(events)).toEqual({
      asks: 'STEP_WITHOUT_CHAIN: step asks asks an RPC endpoint and has no chain',
      stores: 'BATCH_SHAPE: step stores: run yielded `rows`, and a step that closes yields `checks` only',
      untold: 'BATCH_SHAPE: step untold: `checks` of a batch must be a list of { name, passed, severity, value, expect, sql }',
    })
    const { _pipe_units: units } = await readDuckdb(join(cwd, 'p.duckdb'))
    expect(units?.rows).toEqual([])
  })

  it('keeps those closed that need it', async () => {
    const shut = gate(`async *run() { yield { checks: [${check(false)}] } }`)
    const { events } = await runSteps({ shut, after: `async *run() {}` }, { after: ', needs: [shut]' })
    expect(ends(events)).toEqual({
      shut: 'closed: sum: is 3, expected 5',
      after: 'blocked: needs shut, which is closed: sum: is 3, expected 5',
    })
  })

  it('that wants it is evaluated while its needs run, and that closes nothing', async () => {
    const { events } = await runSteps(
      {
        slow: `async *run({ unit }) { await new Promise((resolve) => setTimeout(resolve, 400)); yield { covers: [[0n, 4n]] } }`,
        watch: `closes: true, *plan() { yield { kind: 'task', due: 'always', everyMs: 50 } },
          async *run({ unit }) { yield { checks: [{ ...${check(true)}, passed: !unit.piece.early }] } }`,
      },
      { watch: ', needs: [slow]' },
    )
    expect(ends(events)).toEqual({ slow: 'complete', watch: 'complete' })
    const checks = events.flatMap((event) => (event.type === 'check:evaluated' ? [[event.final, event.result.passed]] : []))
    expect(checks.length).toBeGreaterThan(1)
    expect([checks[0], checks.at(-1)]).toEqual([
      [false, false],
      [true, true],
    ])
  })
})

describe('a step that wants what nothing can be', () => {
  it.each([
    [
      'a kind of before',
      `*plan() { yield { kind: 'range', from: 0n, to: 4n } }`,
      'kind "range", which is none of "stretches", "rows", "task"',
    ],
    ['no axis', `*plan() { yield { kind: 'stretches', domain: [0n, 4n] } }`, 'stretches of no axis'],
    [
      'numbers for bigints',
      `*plan() { yield { kind: 'stretches', axis: { of: 'numbers', cut: 5, each: 1n }, domain: [0n, 4n] } }`,
      'an axis whose `cut` is no bigint',
    ],
    ['no checks', `closes: true, async *run() {}`, 'stretches, and a step that closes wants a task'],
  ])('is refused before anything runs: %s', async (_, body, problem) => {
    const { code, err } = await runSteps({ odd: body, fine: `async *run() {}` })
    expect([code, err.includes(`step odd: plan gave ${problem}`)]).toEqual([2, true])
  })
})

describe('checks of a unit that stores', () => {
  it('decide about their batch: what one keeps out is not stored, and the step stays closed until it passes', async () => {
    const { events, cwd } = await runSteps({
      fine: `async *run() { yield { covers: [[0n, 4n]], checks: [${check(true)}, ${check(false, 'warn')}] } }`,
      wrong: `async *run({ unit }) { if (unit.piece.from === 0n) yield { covers: [[0n, 1n]], checks: [${check(true)}] }; yield { covers: [[2n, 4n]], checks: [${check(false)}] } }`,
    })
    expect(ends(events)).toEqual({ fine: 'complete', wrong: 'closed: unit 0-4: sum: is 3, expected 5' })
    expect(errors(events)).toEqual({ wrong: 'CHECK_FAILED: the check "sum" did not pass' })
    const again = await pipe(['run', 'p.yaml', '--output', 'json'], { cwd })
    const later = again.out.split('\n').flatMap((line) => (line.startsWith('{') ? [JSON.parse(line) as RunEvent] : []))
    expect(ends(later)).toEqual({ fine: 'complete', wrong: 'closed: unit 2-4: sum: is 3, expected 5' })
  })

  it('and `swap` of a step that builds no table anew is refused by name', async () => {
    const { events } = await runSteps({
      swaps: `async *run() { yield { swap: { keep: 2 } } }`,
      shape: `async *run() { yield { swap: [{ table: 't' }] } }`,
    })
    expect(errors(events)).toEqual({
      swaps: 'NOTHING_TO_SWAP: step swaps asks to exchange tables (`swap`), and no output of it has a shadow',
      shape: 'BATCH_SHAPE: step shape: `swap` of a batch must be { keep }, a whole number from 0',
    })
  })
})

describe('a unit that takes long', () => {
  it('shows how far it is, of what only its step knows', async () => {
    const { events } = await runSteps({
      file: `*plan() { yield { kind: 'task', due: 'once' } },
        async *run() { for (let i = 0; i < 3; i++) yield { progress: { done: 10, of: 40 } } }`,
    })
    const told = events.flatMap((event) => (event.type === 'batch:committed' ? [[event.pieces, event.of]] : []))
    expect(told).toEqual([
      [10, 40],
      [10, 40],
      [10, 40],
      // What no batch spoke of comes with the end.
      [10, undefined],
    ])
  })
})
