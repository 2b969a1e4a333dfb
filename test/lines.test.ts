import { readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DuckDBInstance } from '@duckdb/node-api'
import { describe, expect, it } from 'vitest'
import { pipe } from './support/cli.js'
import { temporaryFolder } from './support/folder.js'
import { readDuckdb } from './support/read-duckdb.js'
import { spawnPipe } from './support/spawn-pipe.js'

/**
 * A step type that nobody foresaw: the lines of a file, on an axis of their own. It reads 100 lines at a time, writes down
 * which, and can be told to wait before each. `every`: only each so-manieth line gives a row.
 */
const STEP = `
import { appendFile, readFile } from 'node:fs/promises'
import { setTimeout } from 'node:timers/promises'
const lines = { of: 'numbers', cut: 1000n, word: 'lines', each: 1n }
export default {
  type: 'lines', summary: 'One row a line of a file.', example: 'see the test', requires: ['into'], units: 1,
  config: {
    type: 'object',
    properties: { file: { type: 'string' }, every: { type: 'integer' }, pause: { type: 'integer', tuning: true } },
  },
  async *plan({ config }) {
    const count = (await readFile('FOLDER/' + config.file, 'utf8')).split('\\n').length - 1
    yield { kind: 'stretches', axis: lines, domain: [1n, BigInt(count)], due: 'uncovered', order: 'oldest-first' }
  },
  async *run({ config, unit, into, signal }) {
    const all = (await readFile('FOLDER/' + config.file, 'utf8')).split('\\n')
    for (let from = unit.piece.from; from <= unit.piece.to; from += 100n) {
      if (config.pause) await setTimeout(config.pause, undefined, { signal })
      const to = from + 99n < unit.piece.to ? from + 99n : unit.piece.to
      await appendFile('FOLDER/read.log', from + '-' + to + '\\n')
      const rows = []
      for (let n = from; n <= to; n++) if (n % BigInt(config.every) === 0n) rows.push({ n, text: all[Number(n) - 1] })
      yield { rows: { [into.name]: rows }, covers: [[from, to]] }
    }
  },
}
`

function folderOfLines(count: number): string {
  const cwd = temporaryFolder()
  writeFileSync(join(cwd, 'package.json'), '{}')
  writeFileSync(join(cwd, 'lines.mjs'), STEP.replaceAll('FOLDER', cwd))
  writeFileSync(join(cwd, 'read.log'), '')
  writeFileSync(join(cwd, 'book.txt'), text(1, count))
  writeFileSync(
    join(cwd, 'p.yaml'),
    `name: p
plugins: [./lines.mjs]
warehouse: duckdb:p.duckdb
params:
  every: { type: int, default: 1 }
  pause: { type: int, default: 0 }
tables:
  lines: { columns: { n: bigint, text: text }, key: [n], range: n }
steps:
  - { id: lines, type: lines, into: lines, with: { file: book.txt, every: $every, pause: $pause } }
`,
  )
  return cwd
}

const text = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, i) => `line ${from + i}\n`).join('')
const rowsOf = async (cwd: string) => (await readDuckdb(join(cwd, 'p.duckdb'), { tables: ['lines'] })).lines?.rows ?? []
const expected = (count: number, every = 1) =>
  Array.from({ length: count }, (_, i) => i + 1)
    .filter((n) => n % every === 0)
    .map((n) => ({ n: String(n), text: `line ${n}` }))
const read = (cwd: string) =>
  readFileSync(join(cwd, 'read.log'), 'utf8')
    .trim()
    .split('\n')
    .map((line) => line.split('-').map(Number))

describe('a step over the lines of a file', () => {
  it('is counted in lines, reads what was appended and nothing twice, and leaves one ledger row', async () => {
    const cwd = folderOfLines(2_500)
    expect((await pipe(['plan', 'p.yaml'], { cwd })).out).toContain('lines to do: 2,500 now')
    expect((await pipe(['run', 'p.yaml'], { cwd })).code).toBe(0)
    expect(await rowsOf(cwd)).toEqual(expected(2_500))
    writeFileSync(join(cwd, 'book.txt'), text(1, 2_600))
    writeFileSync(join(cwd, 'read.log'), '')
    const again = await pipe(['run', 'p.yaml'], { cwd })
    expect([again.code, read(cwd), (await rowsOf(cwd)).length]).toEqual([0, [[2501, 2600]], 2_600])
    const { _pipe_units: units } = await readDuckdb(join(cwd, 'p.duckdb'), { tables: ['_pipe_units'] })
    expect(units?.rows.map(({ unit, state, first, last, rows }) => [unit, state, first, last, rows])).toEqual([
      ['1-2600', 'done', '1', '2600', '{"lines":2600}'],
    ])
    expect((await pipe(['run', 'p.yaml'], { cwd })).code).toBe(0)
    expect(read(cwd)).toEqual([[2501, 2600]])
  })

  it('goes on inside a unit after kill -9, and reads no line again that was committed', async () => {
    const cwd = folderOfLines(1_500)
    const child = spawnPipe(['run', 'p.yaml', '--param', 'pause=300', '--output', 'json'], { cwd })
    for (let commits = 0; commits < 2; commits = child.stdout.split('"type":"commit:done"').length - 1)
      await new Promise((resolve) => setTimeout(resolve, 20))
    child.kill('SIGKILL')
    await child.exit
    const held = await rowsOf(cwd)
    expect(held.length).toBeGreaterThanOrEqual(200)
    expect(held.length).toBeLessThan(1_000)
    writeFileSync(join(cwd, 'read.log'), '')
    expect((await pipe(['run', 'p.yaml'], { cwd })).code).toBe(0)
    expect(Math.min(...read(cwd).map(([from = 0]) => from))).toBe(held.length + 1)
    expect(await rowsOf(cwd)).toEqual(expected(1_500))
    expect((await pipe(['verify', 'p.yaml'], { cwd })).code).toBe(0)
  })

  it('redoes a changed definition: rows that it no longer gives are gone', async () => {
    const cwd = folderOfLines(1_200)
    expect((await pipe(['run', 'p.yaml'], { cwd })).code).toBe(0)
    expect((await pipe(['plan', 'p.yaml', '--param', 'every=3'], { cwd })).out).toContain('changed: every: 1,200 lines')
    expect((await pipe(['run', 'p.yaml', '--param', 'every=3'], { cwd })).code).toBe(0)
    expect(await rowsOf(cwd)).toEqual(expected(1_200, 3))
    expect((await pipe(['verify', 'p.yaml', '--param', 'every=3'], { cwd })).code).toBe(0)
  })

  it('is verified: a lost line is a finding, and its advice mends it', async () => {
    const cwd = folderOfLines(1_200)
    expect((await pipe(['run', 'p.yaml'], { cwd })).code).toBe(0)
    const instance = await DuckDBInstance.create(join(cwd, 'p.duckdb'))
    const connection = await instance.connect()
    await connection.run('DELETE FROM lines WHERE n = 777')
    connection.closeSync()
    instance.closeSync()
    const found = await pipe(['verify', 'p.yaml', '--json'], { cwd })
    const report = JSON.parse(found.out) as { findings: { check: string; step: string; fix: string[] }[] }
    expect([found.code, report.findings.map(({ check, step }) => [check, step])]).toEqual([1, [['missing', 'lines']]])
    for (const command of report.findings[0]?.fix ?? []) expect((await pipe(command.split(' ').slice(1), { cwd })).code).toBe(0)
    expect(await rowsOf(cwd)).toEqual(expected(1_200))
    expect((await pipe(['verify', 'p.yaml'], { cwd })).code).toBe(0)
  })
})

/** A pipeline of one step, given the members of its definition, over a table of days. */
function folderOf(definition: string, more = ''): string {
  const cwd = temporaryFolder()
  writeFileSync(join(cwd, 'package.json'), '{}')
  writeFileSync(
    join(cwd, 'step.mjs'),
    `import { appendFile } from 'node:fs/promises'
export default { type: 'own', summary: 's', example: 'e', requires: ['into'], ${definition.replaceAll('FOLDER', cwd)} }`,
  )
  writeFileSync(
    join(cwd, 'p.yaml'),
    `name: p
plugins: [./step.mjs]
warehouse: duckdb:p.duckdb
params: { rows: { type: int, default: 5 } }
tables:
  t: { columns: { day: date, n: bigint }, key: [day, n] }
steps:
  - { id: own, type: own, into: t, with: { rows: $rows }${more} }
`,
  )
  return cwd
}

const DAYS = `
  config: { type: 'object', properties: { rows: { type: 'integer' } } },
  cursor: { type: 'object', properties: { n: { type: 'integer' } }, required: ['n'] },
  *plan() {
    yield {
      kind: 'stretches', axis: { of: 'time', cut: 86400000000n, word: 'days', each: 86400000000n }, due: 'uncovered',
      domain: [1709251200000000n, 1709510399999999n], order: 'oldest-first', whenOver: true,
    }
  },`
const DAY_OF = `const day = new Date(Number(unit.piece.from / 1000n)).toISOString().slice(0, 10)`

describe('a step over days', () => {
  it.each([
    ['that says nothing of what it covers', `yield { rows: { t: [{ day, n: BigInt(n) }] }, cursor: { n: n + 1 } }`],
    [
      'that says what it covers, in microseconds',
      `yield { rows: { t: [{ day, n: BigInt(n) }] }, covers: n + 1 < config.rows ? [] : [[unit.piece.from, unit.piece.to]] }`,
    ],
  ])('%s is redone when its definition changes: a day holds the rows of one definition only', async (_, batch) => {
    const cwd = folderOf(
      `${DAYS} async *run({ config, unit, cursor }) { ${DAY_OF}; for (let n = cursor?.n ?? 0; n < config.rows; n++) ${batch} },`,
    )
    const days = ['2024-03-01', '2024-03-02', '2024-03-03']
    const of = (rows: number) => days.flatMap((day) => Array.from({ length: rows }, (_, n) => ({ day, n: String(n) })))
    const held = async () => (await readDuckdb(join(cwd, 'p.duckdb'), { tables: ['t'] })).t?.rows
    expect([(await pipe(['run', 'p.yaml'], { cwd })).code, await held()]).toEqual([0, of(5)])
    expect([(await pipe(['run', 'p.yaml', '--param', 'rows=2'], { cwd })).code, await held()]).toEqual([0, of(2)])
    expect((await pipe(['verify', 'p.yaml', '--param', 'rows=2'], { cwd })).code).toBe(0)
    expect([(await pipe(['run', 'p.yaml', '--param', 'rows=5'], { cwd })).code, await held()]).toEqual([0, of(5)])
  })

  it('that is redone and killed half-way goes on: no row of before stays, none of after is lost', async () => {
    const cwd = folderOf(
      `${DAYS} units: 1, async *run({ config, unit, cursor, budget }) {
        ${DAY_OF}
        await appendFile('FOLDER/began.log', day + ' ' + (cursor?.n ?? 0) + '\\n')
        for (let n = cursor?.n ?? 0; n < config.rows; n++) {
          if (config.rows === 4 && n === 2) await new Promise((resolve) => setTimeout(resolve, 5000))
          yield { rows: { t: [{ day, n: BigInt(100 + n) }] }, cursor: { n: n + 1 } }
        }
      },`,
    )
    expect((await pipe(['run', 'p.yaml'], { cwd })).code).toBe(0)
    writeFileSync(join(cwd, 'began.log'), '')
    const child = spawnPipe(['run', 'p.yaml', '--param', 'rows=4', '--output', 'json'], { cwd })
    await child.saw('"type":"commit:done"')
    await new Promise((resolve) => setTimeout(resolve, 800))
    child.kill('SIGKILL')
    await child.exit
    const more = await pipe(['run', 'p.yaml', '--param', 'rows=3'], { cwd })
    expect(more.code).toBe(0)
    const { t } = await readDuckdb(join(cwd, 'p.duckdb'), { tables: ['t'] })
    expect(t?.rows).toEqual(['2024-03-01', '2024-03-02', '2024-03-03'].flatMap((day) => ['100', '101', '102'].map((n) => ({ day, n }))))
  })
})

/** The hours of each day, one row an hour, by their day alone. Fails at noon of the first day while the file `fail` is there. */
const hoursOf = (order: string) => `${DAYS.replace('oldest-first', order)} units: 1,
  async *run({ unit }) {
    const hour = 3600000000n
    const { existsSync } = await import('node:fs')
    for (let at = unit.piece.from; at <= unit.piece.to; at += hour) {
      if (at === 1709251200000000n + 12n * hour && existsSync('FOLDER/fail')) throw new Error('in the middle')
      const day = new Date(Number(at / 1000n)).toISOString().slice(0, 10)
      const end = at + hour - 1n < unit.piece.to ? at + hour - 1n : unit.piece.to
      yield { rows: { t: [{ day, n: (at / hour) % 24n }] }, covers: [[at, end]] }
    }
    // So that each unit has a commit of its own.
    await new Promise((resolve) => setTimeout(resolve, 700))
  },`
const hours = async (cwd: string) => (await readDuckdb(join(cwd, 'p.duckdb'), { tables: ['t'] })).t?.rows.length

describe('a step that reads a day by hours, whose rows say only their day', () => {
  it('reads a half-read day again as a whole when its definition changes, also where the later half is read first', async () => {
    const cwd = folderOf(hoursOf('newest-first'))
    writeFileSync(join(cwd, 'fail'), '')
    expect([(await pipe(['run', 'p.yaml'], { cwd })).code, await hours(cwd)]).toEqual([1, 60])
    rmSync(join(cwd, 'fail'))
    expect([(await pipe(['run', 'p.yaml', '--param', 'rows=2'], { cwd })).code, await hours(cwd)]).toEqual([0, 72])
    expect((await pipe(['verify', 'p.yaml', '--param', 'rows=2'], { cwd })).code).toBe(0)
  })

  it('refuses to do a part of a day again, which would delete the rest of it, and says what does', async () => {
    const cwd = folderOf(hoursOf('oldest-first'))
    expect((await pipe(['run', 'p.yaml'], { cwd })).code).toBe(0)
    const reset = (range: string) => pipe(['reset', 'p.yaml', '--step', 'own', '--range', range], { cwd })
    expect((await reset('2024-03-02T05:00:00Z..2024-03-02T05:59:59.999999Z')).code).toBe(0)
    const refused = await pipe(['run', 'p.yaml'], { cwd })
    expect([refused.code, refused.out.includes('code=REDO_DAY'), await hours(cwd)]).toEqual([1, true, 72])
    expect(refused.out).toContain('--range 2024-03-02..2024-03-02')
    expect((await reset('2024-03-02..2024-03-02')).code).toBe(0)
    expect([(await pipe(['run', 'p.yaml'], { cwd })).code, await hours(cwd)]).toEqual([0, 72])
  })

  it('is verified: a lost row is a finding, and its advice mends it although its units have become one', async () => {
    const cwd = folderOf(hoursOf('oldest-first'))
    expect((await pipe(['run', 'p.yaml'], { cwd })).code).toBe(0)
    const instance = await DuckDBInstance.create(join(cwd, 'p.duckdb'))
    const connection = await instance.connect()
    await connection.run("DELETE FROM t WHERE day = DATE '2024-03-02' AND n = 7")
    connection.closeSync()
    instance.closeSync()
    const found = await pipe(['verify', 'p.yaml', '--json'], { cwd })
    const report = JSON.parse(found.out) as { findings: { check: string; fix: string[] }[] }
    expect([found.code, report.findings.map(({ check }) => check)]).toEqual([1, ['missing']])
    for (const command of report.findings[0]?.fix ?? []) expect((await pipe(command.split(' ').slice(1), { cwd })).code).toBe(0)
    expect([await hours(cwd), (await pipe(['verify', 'p.yaml'], { cwd })).code]).toEqual([72, 0])
  })
})

describe('stretches that are joined while another one is missing', () => {
  it('say nothing that a unit of the same name said under another definition', async () => {
    const cwd = folderOf(
      `config: { type: 'object', properties: { rows: { type: 'integer' } } },
      *plan({ config }) {
        const cut = config.rows === 1 ? 20n : 10n
        yield { kind: 'stretches', axis: { of: 'numbers', cut, word: 'blocks', each: 1n }, domain: [0n, 29n], due: 'uncovered', order: 'oldest-first' }
      },
      async *run({ config, unit }) {
        const { from, to } = unit.piece
        if (from === 20n) throw new Error('not yet')
        yield { covers: [[from, to]], rows: {}, ...(config.rows === 1 ? { evidence: 'old', parentHash: '0xold', lastHash: '0xold' } : {}) }
      },`,
    )
    const file = join(cwd, 'p.yaml')
    writeFileSync(file, readFileSync(file, 'utf8').replace('key: [day, n]', 'key: [day, n], range: n'))
    const done = async () => {
      const { _pipe_units: units } = await readDuckdb(join(cwd, 'p.duckdb'), { tables: ['_pipe_units'] })
      return units?.rows.filter(({ state }) => state === 'done').map((row) => [row.unit, row.evidence, row.parent_hash, row.last_hash])
    }
    expect([(await pipe(['run', 'p.yaml', '--param', 'rows=1'], { cwd })).code, await done()]).toEqual([
      1,
      [['0-19', '["old"]', '0xold', '0xold']],
    ])
    expect([(await pipe(['run', 'p.yaml', '--param', 'rows=2'], { cwd })).code, await done()]).toEqual([1, [['0-19', null, null, null]]])
  })
})

describe('a unit of which a block at its end fails', () => {
  it.each([
    ['first', 10],
    ['last', 19],
  ])('keeps for the rest no hash of its %s block: what is read later goes on from it', async (_, bad) => {
    const cwd = folderOf(
      `config: { type: 'object' },
      *plan() {
        yield { kind: 'stretches', axis: { of: 'numbers', cut: 10n, word: 'blocks', each: 1n }, domain: [0n, 29n], due: 'uncovered', order: 'oldest-first' }
      },
      async *run({ unit }) {
        const { from, to } = unit.piece
        const { existsSync } = await import('node:fs')
        const bad = existsSync('FOLDER/fail') && from <= ${bad}n && ${bad}n <= to ? ${bad}n : undefined
        const { PipeError } = await import('${join(import.meta.dirname, '../src/sdk/errors.ts')}')
        class Bad extends PipeError { code = 'BAD' }
        yield {
          parentHash: 'h' + (from - 1n), lastHash: 'h' + to,
          covers: bad === undefined ? [[from, to]] : bad === from ? [[from + 1n, to]] : [[from, to - 1n]],
          failed: bad === undefined ? [] : [{ key: String(bad), error: new Bad('no') }],
        }
      },`,
    )
    writeFileSync(join(cwd, 'fail'), '')
    expect((await pipe(['run', 'p.yaml'], { cwd })).code).toBe(1)
    rmSync(join(cwd, 'fail'))
    expect((await pipe(['retry', 'p.yaml'], { cwd })).code).toBe(0)
    expect((await pipe(['run', 'p.yaml'], { cwd })).code).toBe(0)
    const verify = await pipe(['verify', 'p.yaml'], { cwd })
    expect([verify.code, verify.out.includes('seam')]).toEqual([0, false])
    const { _pipe_units: units } = await readDuckdb(join(cwd, 'p.duckdb'), { tables: ['_pipe_units'] })
    expect(units?.rows.map((row) => [row.unit, row.parent_hash, row.last_hash])).toEqual([['0-29', 'h-1', 'h29']])
  })
})

/** So many rows, one a commit, from a task that is done once. It begins with a batch that brings none. */
const TASK = `
  config: { type: 'object', properties: { rows: { type: 'integer' } } },
  cursor: { type: 'object', properties: { n: { type: 'integer' } }, required: ['n'] },
  *plan() { yield { kind: 'task', due: 'once' } },
  async *run({ config, cursor, into }) {
    const { existsSync } = await import('node:fs')
    if (!cursor) yield { cursor: { n: 0 } }
    for (let n = cursor?.n ?? 0; n < config.rows; n++) {
      if (existsSync('FOLDER/fail-' + n)) throw new Error('in the middle')
      yield { rows: { [into.name]: [{ day: '2024-03-01', n: BigInt(n) }] }, cursor: { n: n + 1 } }
      if (n === 2 && existsSync('FOLDER/slow')) await new Promise((resolve) => setTimeout(resolve, 5000))
    }
  },`
const taskRows = async (cwd: string) => (await readDuckdb(join(cwd, 'p.duckdb'), { tables: ['t'] })).t?.rows.map(({ n }) => Number(n))
const edit = (cwd: string, change: (yaml: string) => string) =>
  writeFileSync(join(cwd, 'p.yaml'), change(readFileSync(join(cwd, 'p.yaml'), 'utf8')))
const upTo = (count: number) => Array.from({ length: count }, (_, n) => n)
/** Runs the task for so many rows. Resolves to the exit code and the rows that the table has then. */
async function runTask(cwd: string, rows: number): Promise<[number | null, number[] | undefined]> {
  return [(await pipe(['run', 'p.yaml', '--param', `rows=${rows}`], { cwd })).code, await taskRows(cwd)]
}

describe('a task that is done once', () => {
  it('is redone when its definition changes: the table holds the rows of one definition only, also when there are none', async () => {
    const cwd = folderOf(TASK)
    expect(await runTask(cwd, 5)).toEqual([0, upTo(5)])
    expect(await runTask(cwd, 3)).toEqual([0, upTo(3)])
    expect((await pipe(['verify', 'p.yaml', '--param', 'rows=3'], { cwd })).code).toBe(0)
    expect(await runTask(cwd, 3)).toEqual([0, upTo(3)])
    expect(await runTask(cwd, 0)).toEqual([0, []])
    expect(await runTask(cwd, 2)).toEqual([0, upTo(2)])
  })

  it('deletes what a reading left that came to no end, and keeps older rows until there is a new one', async () => {
    const cwd = folderOf(TASK)
    writeFileSync(join(cwd, 'fail-4'), '')
    expect(await runTask(cwd, 5)).toEqual([1, upTo(4)])
    writeFileSync(join(cwd, 'fail-0'), '')
    expect(await runTask(cwd, 2)).toEqual([1, upTo(4)])
    rmSync(join(cwd, 'fail-0'))
    expect(await runTask(cwd, 2)).toEqual([0, upTo(2)])
  })

  it('that is redone and killed half-way goes on: no row of before stays, none of after is lost', async () => {
    const cwd = folderOf(TASK)
    expect(await runTask(cwd, 5)).toEqual([0, upTo(5)])
    writeFileSync(join(cwd, 'slow'), '')
    const child = spawnPipe(['run', 'p.yaml', '--param', 'rows=4', '--output', 'json'], { cwd })
    await child.saw('"type":"commit:done"')
    await new Promise((resolve) => setTimeout(resolve, 800))
    child.kill('SIGKILL')
    await child.exit
    rmSync(join(cwd, 'slow'))
    expect(await taskRows(cwd)).toEqual(upTo(3))
    expect(await runTask(cwd, 4)).toEqual([0, upTo(4)])
  })

  it('deletes only what has its constants', async () => {
    const cwd = folderOf(
      `${TASK.replace("day: '2024-03-01', ", '')}
      outputs({ into, config }) {
        return [{ id: into.name, table: into.name, columns: ['n'], compute: {}, constants: { day: config.day } }]
      },`.replace("rows: { type: 'integer' }", "rows: { type: 'integer' }, day: { type: 'string' }"),
    )
    edit(cwd, (yaml) =>
      yaml
        .replace('day: date', 'day: text')
        .replace('with: { rows: $rows }', 'with: { rows: $rows, day: a }')
        .concat('  - { id: other, type: own, into: t, with: { rows: 4, day: b } }\n'),
    )
    expect(await runTask(cwd, 3)).toEqual([0, [...upTo(3), ...upTo(4)]])
    expect(await runTask(cwd, 1)).toEqual([0, [...upTo(1), ...upTo(4)]])
  })

  it('is not redone where nothing tells its rows from those of another step: it says so and deletes none', async () => {
    const cwd = folderOf(TASK, ', when: { mode: a }')
    edit(cwd, (yaml) =>
      yaml
        .replace('params: {', 'params: { mode: { type: text, default: a },')
        .concat('  - { id: other, type: own, into: t, with: { rows: 4 }, when: { mode: b } }\n'),
    )
    expect(await runTask(cwd, 3)).toEqual([0, upTo(3)])
    expect(await runTask(cwd, 2)).toEqual([0, upTo(2)])
    expect((await pipe(['run', 'p.yaml', '--param', 'rows=2', '--param', 'mode=b'], { cwd })).code).toBe(0)
    const refused = await pipe(['run', 'p.yaml', '--param', 'rows=1'], { cwd })
    expect([refused.code, await taskRows(cwd)]).toEqual([1, upTo(4)])
    expect(refused.out).toContain('table t also has rows of other, and no key column tells them apart')
  })

  it('is not redone over the rows of another value of its matrix, when no constant tells them apart', async () => {
    const cwd = folderOf(TASK, ', matrix: { of: $of }')
    edit(cwd, (yaml) => yaml.replace('params: {', 'params: { of: { type: text, list: true, default: [a] },'))
    expect((await pipe(['run', 'p.yaml', '--param', 'of=b'], { cwd })).code).toBe(0)
    expect(await runTask(cwd, 3)).toEqual([0, upTo(5)])
    const refused = await pipe(['run', 'p.yaml', '--param', 'rows=1'], { cwd })
    expect([refused.code, await taskRows(cwd), refused.out.includes('has rows of own[b]')]).toEqual([1, upTo(5), true])
  })

  it('leaves the rows of a query to the query, and deletes those of its other tables', async () => {
    const cwd = folderOf(`
      config: { type: 'object', properties: { rows: { type: 'integer' } } },
      outputs: () => ['t', 'u'].map((id) => ({ id, table: id, columns: ['day', 'n'], compute: {}, constants: {} })),
      *plan() { yield { kind: 'task', due: 'once' } },
      async *run({ config }) {
        const text = "SELECT DATE '2024-03-01' AS day, CAST(n AS bigint) AS n FROM range(" + config.rows + ') AS r(n)'
        yield { selects: [{ output: 't', sql: { parts: [text], params: [] }, replace: config.rows > 2 }] }
        yield { rows: { u: [{ day: '2024-03-01', n: BigInt(config.rows) }] } }
      },`)
    edit(cwd, (yaml) => yaml.replace('steps:', '  u: { columns: { day: date, n: bigint }, key: [day, n] }\nsteps:'))
    const other = async () => (await readDuckdb(join(cwd, 'p.duckdb'), { tables: ['u'] })).u?.rows.map(({ n }) => Number(n))
    expect([await runTask(cwd, 5), await other()]).toEqual([[0, upTo(5)], [5]])
    expect([await runTask(cwd, 3), await other()]).toEqual([[0, upTo(3)], [3]])
    expect([await runTask(cwd, 2), await other()]).toEqual([[0, upTo(3)], [2]])
  })
})

describe('the cursor of a step', () => {
  it.each([
    ['covered: [5]', '{ next: 5, covered: [5] }'],
    ['covered: []', '{ next: 5, covered: [] }'],
  ])('is its own, also with a field that the core once used: %s', async (_, cursor) => {
    const cwd = folderOf(`
      config: { type: 'object' }, cursor: { type: 'object' },
      *plan() { yield { kind: 'task', due: 'once' } },
      async *run({ cursor }) {
        await appendFile('FOLDER/began.log', JSON.stringify(cursor ?? null) + '\\n')
        yield { cursor: ${cursor} }
        if (!cursor) throw new Error('in the middle')
      },`)
    expect((await pipe(['run', 'p.yaml'], { cwd })).code).toBe(1)
    expect((await pipe(['run', 'p.yaml'], { cwd })).code).toBe(0)
    const [first, last] = [readFileSync(join(cwd, 'began.log'), 'utf8').trim().split('\n')].map((all) => [all[0], all.at(-1)])[0] ?? []
    expect([first, JSON.parse(last ?? '')]).toEqual(['null', JSON.parse(JSON.stringify(eval(`(${cursor})`)))])
  })
})
