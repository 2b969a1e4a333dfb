import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { formatProblem } from './yaml/format.js'
import { readPipeline, type ReadOptions } from './read.js'

let cwd: string

beforeAll(() => {
  cwd = mkdtempSync(join(tmpdir(), 'pipe-read-'))
  writeFileSync(join(cwd, 'package.json'), '{}')
  write('steps.mjs', plugin)
})

afterAll(() => rmSync(cwd, { recursive: true, force: true }))

/** Two step types as a plugin would bring them: `load` fills tables, `check` does nothing but be there. */
const plugin = `
const load = {
  type: 'load', summary: 'Fills a table.', example: 'none', requires: ['chain', 'into'],
  config: {
    type: 'object', additionalProperties: false, required: ['rows'],
    properties: {
      rows: { type: 'integer', minimum: 1, maximum: 1000 },
      order: { anyOf: [{ const: 'up' }, { const: 'down' }], default: 'up' },
      note: { type: 'string' },
      set: { type: 'object', additionalProperties: { type: 'string' } },
      source: { anyOf: [
        { type: 'object', additionalProperties: false, required: ['blocks'], properties: { blocks: { type: 'object', required: ['from', 'to'], properties: { from: { type: 'integer' }, to: { type: 'integer' } } } } },
        { type: 'object', additionalProperties: false, required: ['sql', 'key'], properties: { sql: { type: 'string' }, key: { type: 'array', items: { type: 'string' } } } },
      ] },
    },
  },
  outputs: ({ into, config }) => [{ id: into.name, table: into.name, columns: into.columns.map((c) => c.name), compute: {}, constants: config.set ?? {} }],
  *plan() {}, async *run() {},
}
const look = {
  type: 'look', summary: 'Looks.', example: 'none',
  config: { type: 'object', properties: { at: { type: 'string' }, wait: { type: 'boolean' } } },
  *check({ config }) { if (config.at === 'nowhere') yield { path: ['at'], message: 'is nowhere', hint: 'look elsewhere' } },
  *plan() {}, async *run() {},
}
export default [load, look]
`

function write(path: string, text: string): void {
  mkdirSync(dirname(join(cwd, path)), { recursive: true })
  writeFileSync(join(cwd, path), text)
}

function read(file = 'p.yaml', options: Partial<ReadOptions> = {}) {
  return readPipeline(file, { cwd, env: {}, environment: 'require', ...options })
}

/** The problems of a text, as they are printed, without the name of the file. */
async function problemsOf(text: string, options: Partial<ReadOptions> = {}): Promise<readonly string[]> {
  write('p.yaml', text)
  return (await read('p.yaml', options)).problems.map((problem) => formatProblem(problem).replace(/^p\.yaml:/, ''))
}

const head = `name: p
plugins: [./steps.mjs]
warehouse: duckdb:data/p.duckdb
chains: { ethereum: { rpc: "http://one" }, base: { rpc: "http://two" } }
tables: { blocks: { columns: { chain: text, number: bigint }, key: [chain, number] }, other: { columns: { n: bigint }, key: [n] } }
`
/** What begins in line 6. */
const withHead = (rest: string) => head + rest

test('a sound file becomes a pipeline with everything filled in', async () => {
  write(
    'p.yaml',
    `name: p
description: Two steps.
plugins: [./steps.mjs]
params:
  from: { type: block, default: 5, description: First }
warehouse: duckdb:data/p.duckdb
chains:
  ethereum: { rpc: "http://one/, https://two" }
defaults: { retry: { attempts: 3 }, timeout: 1h30m }
schedule: { cron: "0 */6 * * *", timezone: Europe/Zurich }
notify: [{ type: webhook, url: "http://hooks/in", on: [failure] }]
tables:
  blocks:
    columns: { number: bigint, at: timestamp, fee: "decimal(38,6)?" }
    key: [number]
    indexes: { by_time: [at] }
    retention: { at: 12h }
steps:
  - id: second
    title: The second
    type: look
    needs: [first]
    on_error: continue
    parallel: 2
  - id: first
    type: load
    chain: ethereum
    into: blocks
    timeout: 5m
    with: { rows: $from }
`,
  )
  const { pipeline, problems } = await read()
  expect(problems).toEqual([])
  expect({
    ...pipeline,
    hash: pipeline?.hash.length,
    steps: pipeline?.steps.map(({ definition, ...step }) => ({ ...step, type: definition.type })),
  }).toEqual({
    name: 'p',
    description: 'Two steps.',
    file: 'p.yaml',
    hash: 64,
    params: new Map([
      [
        'from',
        {
          name: 'from',
          type: 'block',
          list: false,
          default: 5,
          oneOf: undefined,
          min: undefined,
          max: undefined,
          description: 'First',
          place: { file: 'p.yaml', line: 5, column: 33 },
        },
      ],
    ]),
    warehouse: 'duckdb:data/p.duckdb',
    chains: new Map([
      [
        'ethereum',
        {
          name: 'ethereum',
          id: 1,
          blockTimeMs: 12000,
          confirmations: 10,
          multicall: '0xca11bde05977b3631167028862be2a173976ca11',
          about: {},
          sockets: [],
          endpoints: ['http://one/', 'https://two'].map((url) => ({
            url,
            maxWorkers: undefined,
            priority: 1,
            requestsPerSecond: undefined,
            maxBlockRange: undefined,
            headers: {},
          })),
        },
      ],
    ]),
    sources: new Map(),
    maxBytesInFlight: undefined,
    tables: new Map([
      [
        'blocks',
        {
          name: 'blocks',
          columns: [
            { name: 'number', type: { kind: 'bigint' }, nullable: false },
            { name: 'at', type: { kind: 'timestamp' }, nullable: false },
            { name: 'fee', type: { kind: 'decimal', precision: 38, scale: 6 }, nullable: true },
          ],
          key: ['number'],
          range: 'number',
          indexes: { by_time: ['at'] },
          retention: { column: 'at', ms: 43_200_000 },
        },
      ],
    ]),
    migrations: undefined,
    steps: [
      {
        id: 'first',
        title: 'first',
        type: 'load',
        with: { rows: '$from', order: 'up' },
        needs: [],
        chain: 'ethereum',
        source: undefined,
        into: 'blocks',
        outputs: [{ id: 'blocks', table: 'blocks', columns: ['number', 'at', 'fee'], compute: {}, constants: {} }],
        inputs: [],
        retry: { attempts: 3, waitMs: 500, maxWaitMs: 8000 },
        timeoutMs: 300_000,
        parallel: undefined,
        onError: 'fail',
        when: {},
        matrix: {},
        place: { file: 'p.yaml', line: 25, column: 5 },
      },
      {
        id: 'second',
        title: 'The second',
        type: 'look',
        with: {},
        needs: ['first'],
        chain: undefined,
        source: undefined,
        into: undefined,
        outputs: [],
        inputs: [],
        retry: { attempts: 3, waitMs: 500, maxWaitMs: 8000 },
        timeoutMs: 5_400_000,
        parallel: 2,
        onError: 'continue',
        when: {},
        matrix: {},
        place: { file: 'p.yaml', line: 19, column: 5 },
      },
    ],
    schedule: { cron: '0 */6 * * *', timezone: 'Europe/Zurich', missed: 'run' },
    notify: [{ type: 'webhook', url: 'http://hooks/in', headers: {}, on: ['failure'] }],
    secrets: [],
  })
})

test('the hash changes with the text of the file and of what it imports, and with nothing else', async () => {
  write('p.yaml', withHead('imports: [s.yaml]\nsteps: [{ id: a, type: look }]\n'))
  write('s.yaml', 'description: one\n')
  const first = (await read()).pipeline?.hash
  expect((await read('p.yaml', { env: { X: '1' } })).pipeline?.hash).toBe(first)
  write('s.yaml', 'description: two\n')
  expect((await read()).pipeline?.hash).not.toBe(first)
})

describe('steps', () => {
  test.each<[string, string, string[]]>([
    [
      'a cycle is a path',
      'steps:\n  - { id: a, type: look, needs: [b] }\n  - { id: b, type: look, needs: [c] }\n  - { id: c, type: look, needs: [a] }\n',
      ['7:34  steps[0].needs[0]: steps need each other in a circle: a -> b -> c -> a (see lines 7, 8, 9)'],
    ],
    [
      'a step that needs itself is a cycle',
      'steps: [{ id: a, type: look, needs: [a] }]\n',
      ['6:38  steps[0].needs[0]: steps need each other in a circle: a -> a (see line 6)'],
    ],
    [
      'a need that is no step',
      'steps: [{ id: first, type: look }, { id: b, type: look, needs: [frist] }]\n',
      ['6:65  steps[1].needs[0]: there is no step `frist` (did you mean `first`?)'],
    ],
    ['an unknown type', 'steps: [{ id: a, type: lod }]\n', ['6:24  steps[0].type: unknown step type `lod` (did you mean `load`?)']],
    [
      'ids that are the same, or differ only by case',
      'steps:\n  - { id: a, type: look }\n  - { id: A, type: look }\n  - { id: a, type: look }\n',
      [
        '8:11  steps[1].id: step id `A` differs from `a` only by case (the other is in line 7)',
        '9:11  steps[2].id: step id `a` is there twice (the other is in line 7)',
      ],
    ],
    [
      'ids that are not allowed',
      `steps: [{ id: __proto__, type: look }, { id: constructor, type: look }, { id: "caf\\u0065\\u0301", type: look }, { id: ${'x'.repeat(64)}, type: look }]\n`,
      [
        '6:15  steps[0].id: step id `__proto__` is not allowed (use letters, digits, `-` and `_`, beginning with a letter, at most 63)',
        '6:46  steps[1].id: step id `constructor` is not allowed (choose another name)',
        '6:79  steps[2].id: step id `cafe\\u{301}` is not allowed (use letters, digits, `-` and `_`, beginning with a letter, at most 63)',
        `6:118  steps[3].id: step id \`${'x'.repeat(59)}…\` is not allowed (use letters, digits, \`-\` and \`_\`, beginning with a letter, at most 63)`,
      ],
    ],
    [
      'an unknown key',
      'steps: [{ id: a, type: look, batchs: 5 , titel: x }]\n',
      [
        '6:30  steps[0].batchs: unknown key `batchs` (known here: id, title, type, needs, chain, source, into, with, retry, timeout, every, parallel, on_error, when, matrix)',
        '6:42  steps[0].titel: unknown key `titel` (did you mean `title`?)',
      ],
    ],
    [
      'what a type needs',
      'steps: [{ id: a, type: load, with: { rows: 1 } }]\n',
      [
        '6:9  steps[0]: a step of type `load` needs `chain` (chain: a name from `chains`)',
        '6:9  steps[0]: a step of type `load` needs `into` (into: the table that it fills)',
      ],
    ],
    [
      'a chain and a table that are not declared',
      'steps: [{ id: a, type: load, chain: etherum, into: blocs, with: { rows: 1 } }]\n',
      [
        '6:37  steps[0].chain: chain `etherum` is not declared (did you mean `ethereum`?)',
        '6:52  steps[0].into: table `blocs` is not declared (did you mean `blocks`?)',
      ],
    ],
    [
      'times without unit, and of nothing',
      'steps: [{ id: a, type: look, timeout: 30, retry: { wait: 0.5, max_wait: 1s, attempts: 0 } }, { id: b, type: look, timeout: 0s }]\n',
      [
        '6:39  steps[0].timeout: must be a duration such as 500ms, 30s, 5m, 2h or 7d (is 30)',
        '6:58  steps[0].retry.wait: must be a duration such as 500ms, 30s, 5m, 2h or 7d (is 0.5)',
        '6:87  steps[0].retry.attempts: must be >= 1 (is 0)',
        '6:124  steps[1].timeout: must be more than 0 (is "0s")',
      ],
    ],
    [
      'two steps into one table',
      'steps:\n  - { id: a, type: load, chain: ethereum, into: other, with: { rows: 1 } }\n  - { id: b, type: load, chain: base, into: other, with: { rows: 1 } }\n',
      [
        '8:45  steps[1].into: steps `a` and `b` both write into table `other`, and no key column tells their rows apart (give the key a column that each sets to another constant, such as $chain.name)',
      ],
    ],
    [
      'a matrix into one table',
      'steps:\n  - { id: a, type: load, matrix: { chain: [ethereum, base] }, into: other, with: { rows: 1 } }\n',
      [
        '7:69  steps[0].into: every `a` of the matrix writes into table `other`, and no key column tells their rows apart (give the key a column that each sets to another constant, such as $chain.name)',
      ],
    ],
    [
      'what a step type finds by itself',
      'steps: [{ id: a, type: look, with: { at: nowhere } }]\n',
      ['6:42  steps[0].with.at: is nowhere (look elsewhere)'],
    ],
    [
      'a $name that nothing defines, in a type without a check of its own',
      'params: { from: { type: int, default: 1 } }\nsteps: [{ id: a, type: load, chain: ethereum, into: other, with: { rows: $form, note: $chain.nam, order: $from } }]\n',
      [
        '7:74  steps[0].with.rows: `$form` is not defined (did you mean `$from`?)',
        '7:87  steps[0].with.note: `$chain.nam` is not defined (did you mean `$chain.name`?)',
      ],
    ],
    [
      'a $name that nothing defines, in a type with a check of its own',
      'params: { from: { type: int, default: 1 } }\nsteps: [{ id: a, type: look, with: { at: $form } }]\n',
      ['7:42  steps[0].with.at: `$form` is not defined (did you mean `$from`?)'],
    ],
    [
      'when on a param that is none, or a value that it never has',
      'params: { api: { type: text, default: a, one_of: [a, b] } }\nsteps: [{ id: x, type: look, when: { apy: a } }, { id: y, type: look, when: { api: c } }]\n',
      ['7:38  steps[0].when.apy: there is no param `apy` (did you mean `api`?)', '7:84  steps[1].when.api: must be one of a, b (is "c")'],
    ],
    ['no steps at all', 'steps: []\n', ['6:8  steps: must have at least 1 entry']],
    ['a list that is no list', 'steps: { id: a }\n', ['6:8  steps: must be a list (is a map)']],
  ])('%s', async (_, text, expected) => {
    expect(await problemsOf(withHead(text))).toEqual(expected)
  })

  test('a key column with another constant in each step tells their rows apart', async () => {
    const text = `steps:
  - { id: a, type: load, chain: ethereum, into: blocks, with: { rows: 1, set: { chain: $chain.name } } }
  - { id: b, type: load, matrix: { chain: [base] }, into: blocks, with: { rows: 1, set: { chain: $chain.name } } }
`
    expect(await problemsOf(withHead(text))).toEqual([])
    expect((await read()).pipeline?.steps.map((step) => step.outputs[0]?.constants)).toEqual([{ chain: 'ethereum' }, { chain: 'base' }])
  })

  test('steps that never run together may fill one table', async () => {
    const text = `params: { api: { type: text, default: a } }
steps:
  - { id: a, type: load, chain: ethereum, into: other, with: { rows: 1 }, when: { api: a } }
  - { id: b, type: load, chain: ethereum, into: other, with: { rows: 1 }, when: { api: b } }
`
    expect(await problemsOf(withHead(text))).toEqual([])
  })
})

describe('with', () => {
  const step = (config: string) => withHead(`steps: [{ id: a, type: load, chain: ethereum, into: other, with: ${config} }]\n`)
  test.each<[string, string, string[]]>([
    ['a bound', '{ rows: 5000 }', ['6:74  steps[0].with.rows: must be <= 1000 (is 5000)']],
    ['a whole number', '{ rows: 1.5 }', ['6:74  steps[0].with.rows: must be a whole number (is 1.5)']],
    ['text in the place of a number', '{ rows: "5" }', ['6:74  steps[0].with.rows: must be a whole number (is "5")']],
    ['a number in the place of text', '{ rows: 5, note: 5 }', ['6:83  steps[0].with.note: must be text (is 5) (quote it: "5")']],
    [
      'a misspelt key that is also missing is said once',
      '{ rosw: 5 }',
      ['6:68  steps[0].with.rosw: unknown key `rosw` (did you mean `rows`?)'],
    ],
    [
      'a constant of a union',
      '{ rows: 5, order: dwn }',
      ['6:84  steps[0].with.order: must be `up` or `down` (is "dwn") (did you mean `down`?)'],
    ],
    [
      'the branch that was meant',
      '{ rows: 5, source: { blocks: { from: 1, too: x } } }',
      ['6:106  steps[0].with.source.blocks.too: unknown key `too` (did you mean `to`?)'],
    ],
    ['the other branch', '{ rows: 5, source: { sql: SELECT 1 } }', ['6:85  steps[0].with.source: `key` is missing']],
    ['no branch at all', '{ rows: 5, source: 7 }', ['6:85  steps[0].with.source: must be a map of keys and values (is 7)']],
    ['with that is missing', '', ['6:9  steps[0]: `with` is missing']],
    ['nothing, when it is a $name', '{ rows: $r, order: $o, source: $s }', []],
  ])('%s', async (_, config, expected) => {
    const params = 'params: { r: { type: int, default: 1 }, o: { type: text, default: up }, s: { type: text, default: x } }\n'
    const text = config === '' ? withHead('steps: [{ id: a, type: load, chain: ethereum, into: other }]\n') : step(config)
    expect(await problemsOf(text + params)).toEqual(expected)
  })
})

describe('params', () => {
  const params = (text: string) => withHead(`steps: [{ id: a, type: look }]\nparams:\n  ${text}\n`)
  test.each<[string, string, string[]]>([
    [
      'a type that is none',
      'a: { type: blok, default: 1 }',
      [
        '8:14  params.a.type: must be one of `block`, `int`, `text`, `bool`, `date`, `timestamp`, `float`, `address` (is "blok") (did you mean `block`?)',
      ],
    ],
    [
      'latest',
      'to: { type: block, default: latest }',
      ['8:31  params.to: latest moves while it is read: write head (or head-10) for the head at the start of the run'],
    ],
    [
      'a range that ends before it begins',
      'from: { type: block, default: 9 }\n  to: { type: block, default: 5 }',
      ['8:33  params.from: from (9) is above to (5) (swap them)'],
    ],
    [
      'a negative block',
      'from: { type: block, default: -1 }',
      [`8:33  params.from: a block number can't be negative (is -1): write head-N to count from the head`],
    ],
    ['a value out of range', 'n: { type: int, default: 0, min: 1 }', ['8:28  params.n: must be at least 1 (is 0)']],
    [
      'a name with a meaning',
      'now: { type: int, default: 0 }',
      [`8:3  params.now: a param can't be called \`now\`, which means something by itself (choose another name)`],
    ],
    ['a default that is missing where a run needs it', 'n: { type: int }', ['8:6  params.n: has no value (give it: --param n=…)']],
  ])('%s', async (_, text, expected) => {
    expect(await problemsOf(params(text))).toEqual(expected)
  })

  test('a default that is missing is no matter to validate', async () => {
    expect(await problemsOf(params('n: { type: int }'), { environment: 'warn' })).toEqual([])
  })

  test('a --param that the pipeline does not have is named', async () => {
    expect(await problemsOf(params('days: { type: int, default: 1 }'), { params: { dyas: '3' } })).toEqual([
      '8:3  --param dyas: the pipeline has no such param (did you mean "days"?)',
    ])
  })
})

describe('tables', () => {
  const table = (text: string) =>
    `name: p\nplugins: [./steps.mjs]\nwarehouse: duckdb:x\nsteps: [{ id: a, type: look }]\ntables:\n  ${text}\n`
  test.each<[string, string, string[]]>([
    ['without a key', 't: { columns: { a: int } }', ['6:6  tables.t: `key` is missing']],
    ['with an empty key', 't: { columns: { a: int }, key: [] }', ['6:34  tables.t.key: must have at least 1 entry']],
    [
      'a key column that is none',
      't: { columns: { amount: int }, key: [amuont] }',
      ['6:40  tables.t.key[0]: table `t` has no column `amuont` (did you mean `amount`?)'],
    ],
    [
      'a key column that may be null',
      't: { columns: { a: int? }, key: [a] }',
      ['6:36  tables.t.key[0]: key column `a` may be null (a key names a row: take the ? from its type)'],
    ],
    [
      'an index, a range and a retention on columns that are none',
      't: { columns: { a: int }, key: [a], range: b, indexes: { i: [c] }, retention: { d: 1h } }',
      [
        '6:46  tables.t.range: table `t` has no column `b` (it has: a)',
        '6:64  tables.t.indexes.i[0]: table `t` has no column `c` (it has: a)',
        '6:83  tables.t.retention.d: table `t` has no column `d` (it has: a)',
      ],
    ],
    [
      'a range of the wrong type',
      't: { columns: { a: int, h: hash }, key: [a], range: h }',
      ['6:55  tables.t.range: range must be an integer, date or timestamp column (`h` is hash)'],
    ],
    [
      'an unknown type',
      't: { columns: { a: bigit, b: "decimal(39,1)", c: int }, key: [c] }',
      [
        '6:22  tables.t.columns.a: unknown column type "bigit" (did you mean `bigint`?)',
        '6:32  tables.t.columns.b: unknown column type "decimal(39,1)" (a decimal has 1 to 38 digits, and no more of them after the point: decimal(38,6))',
      ],
    ],
    [
      'names that SQL would have to guess',
      `"a'; DROP TABLE x": { columns: { "b c": int, b: int, B: int }, key: [b] }`,
      [
        '6:3  tables["a\'; DROP TABLE x"]: table name `a\'; DROP TABLE x` is not allowed (use letters, digits and `_`, not beginning with a digit, at most 63)',
        '6:36  tables["a\'; DROP TABLE x"].columns["b c"]: column name `b c` is not allowed (use letters, digits and `_`, not beginning with a digit, at most 63)',
        '6:56  tables["a\'; DROP TABLE x"].columns.B: column name `B` differs from `b` only by case (the other is in line 6)',
      ],
    ],
    [
      'names of ours',
      '_pipe_units: { columns: { a: int }, key: [a] }\n  t__next: { columns: { a: int }, key: [a] }',
      [
        '6:3  tables._pipe_units: table names that begin with `_pipe_` belong to the ledger (choose another name)',
        '7:3  tables.t__next: table names that end in `__next` belong to rebuilds (choose another name)',
      ],
    ],
    [
      'the same index twice',
      't: { columns: { a: int }, key: [a], indexes: { i: [a] } }\n  u: { columns: { a: int }, key: [a], indexes: { i: [a] } }',
      ['7:50  tables.u.indexes.i: index name `i` is there twice (the other is in line 6)'],
    ],
    [
      'a mistake behind an alias is said once',
      't: { columns: &c { a: itn }, key: [a] }\n  u: { columns: *c, key: [a] }',
      ['6:25  tables.t.columns.a: unknown column type "itn" (did you mean `int`?)'],
    ],
  ])('%s', async (_, text, expected) => {
    expect(await problemsOf(table(text))).toEqual(expected)
  })
})

describe('a matrix', () => {
  const ids = async (options: Partial<ReadOptions> = {}) =>
    (await read('p.yaml', options)).pipeline?.steps.map(({ id, needs, chain, title }) => ({ id, needs, chain, title }))

  test('makes one step a value, and pairs what needs the same values', async () => {
    write(
      'p.yaml',
      withHead(`steps:
  - { id: a, type: look, matrix: { chain: [ethereum, base] } }
  - { id: b, type: look, title: B, needs: [a], matrix: { chain: [base, ethereum] } }
  - { id: c, type: look, needs: [a, b] }
`),
    )
    expect(await ids()).toEqual([
      { id: 'a[ethereum]', title: 'a[ethereum]', needs: [], chain: 'ethereum' },
      { id: 'a[base]', title: 'a[base]', needs: [], chain: 'base' },
      { id: 'b[base]', title: 'B [base]', needs: ['a[base]'], chain: 'base' },
      { id: 'b[ethereum]', title: 'B [ethereum]', needs: ['a[ethereum]'], chain: 'ethereum' },
      { id: 'c', title: 'c', needs: ['a[ethereum]', 'a[base]', 'b[base]', 'b[ethereum]'], chain: undefined },
    ])
  })

  test('takes its values from a list param, of the file or of the command line', async () => {
    write(
      'p.yaml',
      withHead(
        'params: { chain: { type: text, list: true, default: "ethereum" } }\nsteps: [{ id: a, type: look, matrix: { chain: $chain } }]\n',
      ),
    )
    expect((await ids())?.map(({ id }) => id)).toEqual(['a[ethereum]'])
    expect((await ids({ params: { chain: 'base, ethereum' } }))?.map(({ id }) => id)).toEqual(['a[base]', 'a[ethereum]'])
  })

  test('of several axes has every combination', async () => {
    write('p.yaml', withHead('steps: [{ id: a, type: look, matrix: { chain: [ethereum, base], token: [x, 1] } }]\n'))
    expect((await ids())?.map(({ id }) => id)).toEqual(['a[ethereum,x]', 'a[ethereum,1]', 'a[base,x]', 'a[base,1]'])
  })

  test.each<[string, string, string[]]>([
    [
      'a chain that is not declared',
      '{ chain: [ethereum, bsae] }',
      ['6:58  steps[0].matrix.chain[1]: chain `bsae` is not declared (did you mean `base`?)'],
    ],
    [
      'a param that is none',
      '{ chain: $chian }',
      ['6:47  steps[0].matrix.chain: `$chian` is not defined (a matrix takes a list, or the $name of a list param)'],
    ],
    [
      'a value that can be no part of an id',
      '{ x: [a, "b,c"] }',
      [
        '6:43  steps[0].matrix.x: matrix value "b,c" is not allowed (use letters, digits, `.`, `-` and `_`, at most 64: it becomes part of the step id)',
      ],
    ],
    ['a value twice', '{ x: [a, a] }', ['6:43  steps[0].matrix.x: matrix value `a` is there twice']],
    ['no list', '{ x: 5 }', ['6:43  steps[0].matrix.x: must be a list, or the $name of a list param (is 5)']],
  ])('%s', async (_, matrix, expected) => {
    expect(await problemsOf(withHead(`steps: [{ id: a, type: look, matrix: ${matrix} }]\n`))).toEqual(expected)
  })

  test('of more than 10,000 steps is refused', async () => {
    const list = `[${Array.from({ length: 101 }, (_, i) => `v${i}`).join(', ')}]`
    expect(await problemsOf(withHead(`steps: [{ id: a, type: look, matrix: { x: ${list}, y: ${list} } }]\n`))).toEqual([
      '6:38  steps[0].matrix: the matrices come to more than 10000 steps (shorten a list)',
    ])
  })
})

describe('files', () => {
  test.each<[string, string | undefined, string]>([
    ['a file that is not there', undefined, '1:1  there is no such file'],
    ['an empty file', '', '1:1  the file is empty'],
    ['a file of comments', '# nothing\n', '1:1  the file is empty'],
    [
      'a file larger than 1 MB',
      `name: p # ${'x'.repeat(1_048_576)}`,
      '1:1  is larger than 1 MB (1048586 bytes) (put what repeats into a matrix, and shared parts into imports)',
    ],
    ['a file that is no map', '- a\n', '1:1  must be a map of keys and values (is a list)'],
    ['a word', 'name\n', '1:1  must be a map of keys and values (is "name")'],
  ])('%s', async (_, text, expected) => {
    if (text === undefined) expect((await read('missing.yaml')).problems.map(formatProblem)).toEqual([`missing.yaml:${expected}`])
    else expect(await problemsOf(text)).toEqual([expected])
  })

  test('bytes that are no UTF-8, and folders', async () => {
    writeFileSync(join(cwd, 'p.yaml'), Buffer.from([0x6e, 0x3a, 0x20, 0xff, 0xfe]))
    mkdirSync(join(cwd, 'd.yaml'))
    expect((await read('p.yaml')).problems.map(formatProblem)).toEqual(['p.yaml:1:1  is not UTF-8 text (save it as UTF-8)'])
    expect((await read('d.yaml')).problems.map(formatProblem)).toEqual(['d.yaml:1:1  is no file (name a .yaml file)'])
  })

  test('imports share chains, sources, tables and defaults; their paths go by the file that names them', async () => {
    write(
      'pipelines/p.yaml',
      'name: p\nplugins: [../steps.mjs]\nimports: [shared/all.yaml]\nwarehouse: duckdb:x\nsteps: [{ id: a, type: load, chain: base, into: t, with: { rows: 1 } }]\n',
    )
    write(
      'pipelines/shared/all.yaml',
      'imports: [chains.yaml, ../shared/chains.yaml]\ntables: { t: { columns: { a: int }, key: [a] } }\ndefaults: { timeout: 1h, parallel: 3 }\n',
    )
    write('pipelines/shared/chains.yaml', 'chains: { base: { rpc: "http://x" } }\n')
    const { pipeline, problems } = await read('pipelines/p.yaml')
    expect(problems).toEqual([])
    expect(pipeline?.steps[0]).toMatchObject({ chain: 'base', timeoutMs: 3_600_000, parallel: 3 })
  })

  test('`every` is of a step that asks a source', async () => {
    expect(await problemsOf(withHead('steps: [{ id: a, type: look, every: 5m }]\n'))).toEqual([
      '6:37  steps[0].every: says how often a source is asked, and this step asks none (leave it out)',
    ])
  })

  test('a shared file alone is sound, and no pipeline', async () => {
    write('s.yaml', 'chains: { base: { rpc: "${NOT_SET}" } }\n')
    expect(await read('s.yaml')).toEqual({ pipeline: undefined, problems: [] })
  })

  test('a pipeline says of an imported chain what is otherwise for it, and what it leaves out is as imported', async () => {
    const imported =
      'chains:\n  base: { id: 8453, block_time: 2s, confirmations: 10, about: { coin: eth }, rpc: "${NOT_SET:?set it}" }\n  ethereum: { confirmations: 7, rpc: "http://one" }\n'
    write('s.yaml', imported)
    const own = (base: string) =>
      `name: p\nplugins: [./steps.mjs]\nimports: [s.yaml]\nwarehouse: duckdb:x\ntables: { t: { columns: { a: int }, key: [a] }, u: { columns: { a: int }, key: [a] } }\nchains: { base: ${base} }\nsteps: [{ id: a, type: load, chain: base, into: t, with: { rows: 1 } }, { id: b, type: load, chain: ethereum, into: u, with: { rows: 1 } }]\n`
    write('p.yaml', own('{ confirmations: 0, block_time: 500ms, about: { coin: weth }, rpc: ["http://two", "http://three"] }'))
    const { pipeline, problems } = await read('p.yaml')
    expect(problems).toEqual([])
    const { id, confirmations, blockTimeMs, about, endpoints } = pipeline?.chains.get('base') ?? {}
    expect([id, confirmations, blockTimeMs, about, endpoints?.map(({ url }) => url)]).toEqual([
      8453,
      0,
      500,
      { coin: 'weth' },
      ['http://two', 'http://three'],
    ])
    // What it leaves out, and a chain that it does not name, are as imported.
    expect(pipeline?.chains.get('ethereum')).toMatchObject({ id: 1, confirmations: 7 })
    write('p.yaml', own('{ confirmations: 64 }'))
    expect((await read('p.yaml', { env: { NOT_SET: 'http://four' } })).pipeline?.chains.get('base')).toMatchObject({
      id: 8453,
      confirmations: 64,
      blockTimeMs: 2_000,
      about: { coin: 'eth' },
      endpoints: [{ url: 'http://four' }],
    })
    expect((await read('p.yaml')).problems.map(formatProblem)).toEqual([expect.stringMatching(/^s\.yaml:2:.*NOT_SET/)])
    // Of two that are imported nobody could tell which one holds.
    write('two.yaml', 'chains: { base: { confirmations: 3, rpc: "http://five" } }\n')
    write('p.yaml', own('{ confirmations: 64, rpc: "http://six" }').replace('[s.yaml]', '[s.yaml, two.yaml]'))
    expect((await read('p.yaml', { env: { NOT_SET: 'http://four' } })).problems.map(formatProblem)).toEqual([
      'p.yaml:6:11  chains.base: `base` is also in s.yaml:2 (keep one of them)',
      'two.yaml:1:11  chains.base: `base` is also in s.yaml:2 (keep one of them)',
    ])
  })

  test('what is wrong in an imported file is said with its name; the same name in two files is an error', async () => {
    write('s.yaml', 'chains: { base: { rcp: "http://x" } }\nsteps: []\ntables: { other: { columns: { n: bigint }, key: [n] } }\n')
    expect(await problemsOf(withHead('imports: [s.yaml]\nsteps: [{ id: a, type: look }]\n'))).toEqual([
      '5:87  tables.other: `other` is also in s.yaml:3 (keep one of them)',
      's.yaml:1:19  chains.base.rcp: unknown key `rcp` (did you mean `rpc`?)',
      "s.yaml:2:1  steps: an imported file can't have `steps` (it may have chains, sources, tables and defaults)",
    ])
  })

  test('imports in a circle are shown as a path', async () => {
    write('a.yaml', 'imports: [b.yaml]\n')
    write('b.yaml', 'imports: [a.yaml]\n')
    expect(await problemsOf(withHead('imports: [a.yaml]\nsteps: [{ id: a, type: look }]\n'))).toEqual([
      'b.yaml:1:11  imports[0]: imports go in a circle: a.yaml -> b.yaml -> a.yaml',
    ])
  })

  test('imports, migrations and plugins outside the project are refused, also by a link', async () => {
    const outside = mkdtempSync(join(tmpdir(), 'pipe-outside-'))
    writeFileSync(join(outside, 'x.yaml'), 'chains: {}\n')
    symlinkSync(join(outside, 'x.yaml'), join(cwd, 'link.yaml'))
    const text = withHead(
      `imports: [../../x.yaml, /etc/passwd, "http://x/y.yaml", link.yaml, none.yaml]\nmigrations: ../..\nsteps: [{ id: a, type: look }]\n`,
    ).replace('./steps.mjs', './steps.mjs, ../x.mjs')
    const found = await problemsOf(text)
    rmSync(outside, { recursive: true })
    expect(found.map((line) => line.replace(/project folder \/\S+/, 'project folder'))).toEqual([
      '2:24  plugins[1]: plugin "../x.mjs" lies outside the project folder (move it inside, or run pipe from the folder that holds both)',
      '6:11  imports[0]: "../../x.yaml" lies outside the project folder (move it inside, or run pipe from the folder that holds both)',
      '6:25  imports[1]: "/etc/passwd" is no relative path (write the path of a file of this project, from the folder of this file)',
      '6:38  imports[2]: "http://x/y.yaml" is no relative path (write the path of a file of this project, from the folder of this file)',
      '6:57  imports[3]: "link.yaml" lies outside the project folder (move it inside, or run pipe from the folder that holds both)',
      '6:68  imports[4]: there is no file "none.yaml" (it is looked for in .)',
      '7:13  migrations: "../.." lies outside the project folder (move it inside, or run pipe from the folder that holds both)',
    ])
  })
})

test('mistakes of all kinds are found at once, sorted by place', async () => {
  const text = `name: p
plugins: [./steps.mjs]
warehouse: mysql://u:secret@h/d
chains: { ethereum: { rpc: \${RPC} } }
tables: { t: { columns: { a: 0x1f, b: decimal(38,18) }, key: [a] } }
params: { from: { type: block, default: newest } }
steps:
  - { id: a, type: lok, needs: [b] }
  - { id: b, type: look, timout: 5m }
`
  expect(await problemsOf(text)).toEqual([
    '3:12  warehouse: `mysql` is no warehouse that is known (write duckdb:PATH, postgres://…, clickhouse://… or chdb:PATH)',
    '4:28  `${RPC}` inside { } or [ ] must be quoted (write "${RPC}", with the quotes)',
    '5:30  tables.t.columns.a: unquoted `0x1f` is a number to YAML (quote it: "0x1f")',
    '5:39  tables.t.columns.b: a comma ends the value `decimal(38` inside { } or [ ] (quote it: "decimal(38,18)")',
    '6:41  params.from: "newest" refers to newest, which nothing defines',
    '8:20  steps[0].type: unknown step type `lok` (did you mean `look`?)',
    '9:26  steps[1].timout: unknown key `timout` (did you mean `timeout`?)',
  ])
})

test('no text makes readPipeline throw', async () => {
  const value = fc.constantFrom(
    'a',
    '5',
    '-1',
    '$x',
    '"${X}"',
    '${X}',
    '[]',
    '{}',
    '[a, 5]',
    '{ a: 5 }',
    '{ a: { b: [c] } }',
    '0x1',
    '*a',
    '&a b',
    'null',
    'true',
    '!t',
    '2h',
    'look',
    'load',
    '[{ id: a, type: look }]',
    '{ t: { columns: { a: int }, key: [a] } }',
    '',
  )
  const key = fc.constantFrom(
    'name',
    'imports',
    'plugins',
    'params',
    'warehouse',
    'migrations',
    'chains',
    'sources',
    'tables',
    'defaults',
    'steps',
    'x',
    '__proto__',
    '"${X}"',
    '5',
  )
  const stepKey = fc.constantFrom(
    'id',
    'title',
    'type',
    'needs',
    'chain',
    'source',
    'into',
    'with',
    'retry',
    'timeout',
    'parallel',
    'on_error',
    'when',
    'matrix',
  )
  const step = fc
    .array(fc.tuple(stepKey, value), { maxLength: 5 })
    .map((pairs) => pairs.map(([name, text], i) => `${i === 0 ? '  - ' : '    '}${name}: ${text}\n`).join(''))
  const text = fc
    .tuple(fc.array(fc.tuple(key, value), { maxLength: 6 }), fc.array(step, { maxLength: 3 }))
    .map(([pairs, steps]) => `${pairs.map(([name, content]) => `${name}: ${content}\n`).join('')}steps:\n${steps.join('')}`)
  await fc.assert(
    fc.asyncProperty(fc.oneof(text, fc.string({ maxLength: 30 })), async (content) => {
      write('p.yaml', content)
      const { pipeline, problems } = await read('p.yaml', { environment: 'warn' })
      expect(pipeline !== undefined || problems.length > 0 || !/^steps:/m.test(content)).toBe(true)
    }),
    { numRuns: 200 },
  )
}, 60_000)
