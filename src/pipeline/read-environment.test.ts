import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { formatProblem } from './yaml/format.js'
import { readPipeline, type ReadOptions } from './read.js'

let cwd: string

const plugin = `
const base = { summary: 'Does nothing.', example: 'none', *plan() {}, async *run() {} }
export default [
  { ...base, type: 'ask', requires: ['chain'], config: { type: 'object', properties: { n: { type: 'integer', maximum: 10 }, on: { type: 'boolean' }, note: { type: 'string' } } } },
  { ...base, type: 'fetch', requires: ['source'], config: { type: 'object' } },
]
`

beforeAll(() => {
  cwd = mkdtempSync(join(tmpdir(), 'pipe-env-'))
  write('package.json', '{}')
  write('steps.mjs', plugin)
})

beforeEach(() => {
  for (const file of ['.env', 'in/.env']) rmSync(join(cwd, file), { force: true })
})

afterAll(() => rmSync(cwd, { recursive: true, force: true }))

function write(path: string, text: string): void {
  mkdirSync(dirname(join(cwd, path)), { recursive: true })
  writeFileSync(join(cwd, path), text)
}

async function read(text: string, env: Record<string, string> = {}, options: Partial<ReadOptions> = {}) {
  write('in/p.yaml', text)
  const { pipeline, problems } = await readPipeline('in/p.yaml', { cwd, env, environment: 'require', ...options })
  return { pipeline, problems: problems.map((problem) => formatProblem(problem).replace(/^in\/p\.yaml:/, '')) }
}

const file = (chains: string, rest = '') => `name: p
plugins: [../steps.mjs]
warehouse: duckdb:x
chains:
${chains}
steps: [{ id: a, type: ask, chain: base }]
${rest}`

const urls = (result: Awaited<ReturnType<typeof read>>, chain = 'base') =>
  result.pipeline?.chains.get(chain)?.endpoints.map(({ url }) => url)

describe('a variable that is missing', () => {
  const text = file('  base: { rpc: "${BASE_RPC:?an endpoint of Base}" }\n  ethereum: { rpc: "${ETH_RPC}", confirmations: "${C}" }')

  test('is an error that names it and says where it is used, when a run needs it; chains that no step uses are left alone', async () => {
    expect((await read(text)).problems).toEqual(['5:16  chains.base.rpc: environment variable BASE_RPC is not set (an endpoint of Base)'])
    expect((await read(text, { BASE_RPC: '' })).problems).toEqual([
      '5:16  chains.base.rpc: environment variable BASE_RPC is empty (an endpoint of Base)',
    ])
  })

  test('is a warning to validate, and the pipeline is there all the same', async () => {
    const result = await read(text, {}, { environment: 'warn' })
    expect(result.problems).toEqual(['5:16  warning: chains.base.rpc: environment variable BASE_RPC is not set (an endpoint of Base)'])
    expect(urls(result)).toEqual([])
  })

  test('without a message gets a hint', async () => {
    expect((await read(file('  base: { rpc: "${BASE_RPC}" }'))).problems).toEqual([
      '5:16  chains.base.rpc: environment variable BASE_RPC is not set (set it, write it into .env, or give a default: ${BASE_RPC:-…})',
    ])
  })

  test('hides what depends on it: nothing else is said about its value', async () => {
    const rest = 'params: { n: { type: int, default: "${N}" }, c: { type: text, list: true, default: "${CHAINS}" } }\n'
    const text = file('  base: { rpc: "http://x" }', rest).replace(
      'steps: [',
      'steps: [{ id: b, type: ask, matrix: { chain: $c }, with: { n: "${M}", on: "${O}" } }, ',
    )
    expect((await read(text, {}, { environment: 'warn' })).problems.map((line) => line.replace(/ \(.*/, ''))).toEqual([
      '6:63  warning: steps[0].with.n: environment variable M is not set',
      '6:75  warning: steps[0].with.on: environment variable O is not set',
      '7:36  warning: params.n.default: environment variable N is not set',
      '7:84  warning: params.c.default: environment variable CHAINS is not set',
    ])
  })
})

describe('where variables come from', () => {
  const text = file('  base: { rpc: "${RPC:-http://default}" }')

  test('the process, then .env beside the pipeline, then .env of the working folder, then the default', async () => {
    expect(urls(await read(text))).toEqual(['http://default'])
    write('.env', 'RPC=http://working-folder\n')
    expect(urls(await read(text))).toEqual(['http://working-folder'])
    write('in/.env', '# comment\nexport RPC="http://beside"\n')
    expect(urls(await read(text))).toEqual(['http://beside'])
    expect(urls(await read(text, { RPC: 'http://process' }))).toEqual(['http://process'])
  })

  test('what a value holds is never read again: it is one text', async () => {
    const result = await read(file('  base: { rpc: "http://x" }').replace('duckdb:x', 'duckdb:${PATH_OF}'), { PATH_OF: '${HOME}/$x' })
    expect(result.pipeline?.warehouse).toBe('duckdb:${HOME}/$x')
  })

  test('a value with a $name can not be put where $ has a meaning', async () => {
    const text = file('  base: { rpc: "http://x" }').replace('chain: base }', 'chain: base, with: { note: "${NOTE}" } }')
    expect((await read(text, { NOTE: 'costs $5' })).problems).toEqual([])
    expect((await read(text, { NOTE: '$from' })).problems).toEqual([
      '6:56  steps[0].with.note: the value of NOTE holds a `$` before a letter, which would be read as a reference (leave it out of steps and params)',
    ])
  })
})

test('a number or a boolean may come from the environment; a wrong one is not shown', async () => {
  const text = file('  base: { rpc: [{ url: "http://x", max_workers: "${W:-3}" }] }').replace(
    'chain: base }',
    'chain: base, parallel: "${P}", with: { n: "${N}", on: "${ON}" } }',
  )
  const result = await read(text, { P: '7', N: '5', ON: 'true' })
  expect(result.problems).toEqual([])
  expect(result.pipeline?.chains.get('base')?.endpoints[0]?.maxWorkers).toBe(3)
  expect(result.pipeline?.steps[0]).toMatchObject({ parallel: 7, with: { n: 5, on: true } })
  expect((await read(text, { P: 'seven', N: '50', ON: 'yes' })).problems).toEqual([
    '6:52  steps[0].parallel: must be a whole number (is the value of P)',
    '6:71  steps[0].with.n: must be <= 10 (is the value of N)',
    '6:83  steps[0].with.on: must be true or false (is the value of ON)',
  ])
})

describe('endpoints', () => {
  test('are a text with commas, a list, or a list of maps; empty ones are left out, doubles too', async () => {
    expect(urls(await read(file('  base: { rpc: "${A}" }'), { A: ' http://a , https://b,,http://a' }))).toEqual(['http://a', 'https://b'])
    expect(
      urls(await read(file('  base: { rpc: ["http://a,http://b", { url: "${NONE:-}" }, { url: "http://c", priority: 2 }] }'))),
    ).toEqual(['http://a', 'http://b', 'http://c'])
  })

  test('that are all empty, or no URLs, are an error that does not show them', async () => {
    expect((await read(file('  base: { rpc: "${A:-}" }'))).problems).toEqual([
      '5:16  chains.base.rpc: chain `base` has no endpoint: every URL is empty (give one in `rpc`)',
    ])
    expect((await read(file('  base: { rpc: ["${A}", "ws://user:pass@b"] }'), { A: 'secret-word' })).problems).toEqual([
      '5:16  chains.base.rpc: chain `base` has WebSockets alone, and calls go by https (add the https URL of the same endpoint)',
      '5:17  chains.base.rpc[0]: the value of A is no URL (write it whole: https://host/path)',
    ])
  })
})

test('a budget is credits a second and what methods cost, in the file and in a list of endpoints; what can not be afforded is named', async () => {
  const key = 'aB3secretkey9xZ'
  write(
    'in/rpcs.json',
    `{"rpcs": [
  {"url": "https://eth.one.example/v2/${key}", "budget": {"credits_per_second": 330, "costs": {"eth_getLogs": 75}, "default": 20}},
  {"url": "https://eth.two.example/v2/${key}", "budget": {"credits_per_second": 50, "costs": {"eth_getLogs": 75}}}
]}`,
  )
  const text = file(`  base:
    rpc:
      - url: "https://base.one.example/v2/${key}"
        budget: { credits_per_second: "\${CREDITS}", costs: { eth_getLogs: 60 }, default: 10 }
      - https://free.example
  ethereum: { rpc: { file: rpcs.json } }`).replace('}]\n', '}, { id: b, type: ask, chain: ethereum }]\n')
  const { pipeline, problems } = await read(text, { CREDITS: '330' })
  expect(problems).toEqual([
    'in/rpcs.json:3:67  warning: chains.ethereum.rpc[1].budget: a call of a method that `costs` does not name counts as 1 credit (say what it costs: default: 75)',
    'in/rpcs.json:3:119  chains.ethereum.rpc[1].budget.costs.eth_getLogs: eth_getLogs costs 75 credits, and a second has 50 (no call could be sent: raise credits_per_second, or lower what the call costs)',
  ])
  expect(pipeline).toBe(undefined)
  write('in/rpcs.json', `["https://eth.two.example/v2/${key}"]`)
  const good = await read(text, { CREDITS: '330' })
  expect(good.problems).toEqual([])
  expect(good.pipeline?.chains.get('base')?.endpoints.map(({ budget }) => budget)).toEqual([
    { creditsPerSecond: 330, costs: { eth_getLogs: 60 }, default: 10 },
    undefined,
  ])
  // One key has one budget, over all chains.
  write('in/rpcs.json', `[{"url": "https://eth.one.example/v2/${key}", "budget": {"credits_per_second": 330, "default": 20}}]`)
  expect((await read(text, { CREDITS: '330' })).problems).toEqual([])
  expect((await read(text, { CREDITS: '300' })).problems).toEqual([
    'in/rpcs.json:1:89  chains.ethereum.rpc[0].budget.credits_per_second: is 330, and 300 at another endpoint with the same key (endpoints with one key share one budget: give the same credits_per_second at each)',
  ])
})

test('WebSockets among the endpoints tell of new heads, and no call goes there', async () => {
  const { pipeline, problems } = await read(file('  base: { rpc: "https://a,wss://a/ws-key-0123456789" }'))
  const { endpoints = [], sockets } = pipeline?.chains.get('base') ?? {}
  expect([problems, endpoints.map(({ url }) => url), sockets]).toEqual([
    [],
    ['https://a'],
    [{ url: 'wss://a/ws-key-0123456789', headers: {} }],
  ])
  expect(pipeline?.secrets).toContain('ws-key-0123456789')
})

test('secrets are the parts of URLs and headers that open something, and the variables in them', async () => {
  const text = `name: p
plugins: [../steps.mjs]
warehouse: postgres://postgres:p%40ss@db/x
chains:
  base:
    rpc:
      - { url: "https://\${SUB}.example/v2/\${KEY}", headers: { Authorization: "Bearer abcdefghijkl", X: "" } }
      - { url: "http://localhost:8545/ext/C/rpc" }
      - { url: "https://rpc.example/?apikey=query-key&x=1" }
  ethereum: { rpc: "https://other.example/0123456789abcdef0123456789abcdef" }
sources:
  api: { url: "https://api.example/v1", headers: { X-API-Key: "\${API}" } }
steps: [{ id: a, type: ask, chain: base }, { id: b, type: fetch, source: api }]
`
  const { pipeline, problems } = await read(text, { SUB: 'sub', KEY: 'k1-9', API: 'api-key' })
  expect(problems).toEqual([])
  expect(new Set(pipeline?.secrets)).toEqual(
    new Set([
      'postgres://postgres:p%40ss@db/x',
      'postgres:p%40ss',
      'postgres:p@ss',
      'p%40ss',
      'p@ss',
      'k1-9',
      'Bearer abcdefghijkl',
      'abcdefghijkl',
      'https://rpc.example/?apikey=query-key&x=1',
      'query-key',
      'api-key',
    ]),
  )
  expect(pipeline?.chains.get('base')?.endpoints[0]?.headers).toEqual({ Authorization: 'Bearer abcdefghijkl' })
})

describe('what a problem shows', () => {
  const text = (variable: string) => {
    const value = `"\${${variable}}"`
    return `name: "\${${variable}}!"
warehouse: ${value}
migrations: ${value}
imports: [${value}]
plugins: [../steps.mjs, ${value}]
params: { a: { type: int, default: ${value} }, b: { type: ${value}, default: 1 } }
chains: { base: { rpc: ${value}, block_time: ${value}, multicall: ${value} } }
sources: { api: { url: ${value}, timeout: ${value} } }
tables: { t: { columns: { a: ${value} }, key: [${value}], range: ${value} } }
steps:
  - { id: "\${${variable}}!", type: ${value}, needs: [${value}], chain: ${value}, into: ${value}, timeout: ${value}, on_error: ${value}, when: { a: ${value} }, matrix: { x: ["\${${variable}}!"] } }
  - { id: b, type: ask, chain: base, with: { n: ${value} } }
  - { id: c, type: fetch, source: api }
`
  }

  test.each(['tiger-secret', `tiger-${'0123456789'.repeat(20)}`, 'https://user:tiger@host/tiger?tiger=1', 'tiger " \\ tiger'])(
    'is never the value of a variable whose name sounds secret: %s',
    async (value) => {
      for (const variable of ['API_KEY', 'PASSWORD', 'DATABASE_URL']) {
        const { problems } = await read(text(variable), { [variable]: value })
        expect(problems.length).toBeGreaterThan(15)
        expect(problems.filter((line) => line.includes('tiger'))).toEqual([])
      }
    },
  )

  test('is the value of another variable where it stands for a name', async () => {
    const text = file('  base: { rpc: "http://x" }').replace('chain: base', 'chain: "${CHAIN}"')
    expect((await read(text, { CHAIN: 'bsae' })).problems).toEqual([
      '6:36  steps[0].chain: chain `bsae` is not declared (did you mean `base`?)',
    ])
  })
})

describe('.env', () => {
  test('with a mark and line ends of Windows gives its first variable, too', async () => {
    write('.env', '\uFEFFETH=http://x\r\nB=2\r\n')
    expect(urls(await read(file('  base: { rpc: "${ETH}" }')))).toEqual(['http://x'])
  })

  test('that is not UTF-8 is an error of the file', async () => {
    writeFileSync(join(cwd, '.env'), Buffer.from('\uFEFFETH=http://x', 'utf16le'))
    expect((await read(file('  base: { rpc: "http://x" }'))).problems).toEqual(['.env:1:1  is not UTF-8 text (save it as UTF-8)'])
  })

  test('with a value that would be cut is an error at its line where it is used, unless the process has set it', async () => {
    write('.env', 'A=1\nETH=http://user:s3cr#et@host\nCOLOR=#fff\n')
    const text = file('  base: { rpc: "${ETH}" }')
    expect((await read(text)).problems).toContain('.env:2:1  ETH has a # without quotes, which begins a comment (write ETH="…")')
    expect((await read(text)).problems.join('\n')).not.toContain('s3cr')
    expect((await read(text, { ETH: 'http://y' })).problems).toEqual([])
    expect((await read(file('  base: { rpc: "http://x" }'))).problems).toEqual([])
  })
})

describe('a header', () => {
  const text = file('  base: { rpc: [{ url: "http://x", headers: { x-api-key: "${KEY}" } }] }')
  test.each([
    ['s3cret\n', 'holds a line break, which no header can carry (take it out, also at the end)'],
    ['s3\r\nHost: evil', 'holds a line break, which no header can carry (take it out, also at the end)'],
    [' s3cret', 'has a space at its begin or end (take it out)'],
    ['s3cret…', 'holds a sign that no header can carry (compare it with what the provider shows: a copied `…` or quote is a common one)'],
  ])('that HTTP can not carry is a mistake in the environment: %j', async (KEY, message) => {
    expect((await read(text, { KEY })).problems).toEqual([`5:58  chains.base.rpc[0].headers.x-api-key: the value of KEY ${message}`])
  })
})

describe('a warehouse', () => {
  const text = file('  base: { rpc: "http://x" }').replace('warehouse: duckdb:x', 'warehouse: "${WAREHOUSE_URL}"')
  test.each([
    ['duckdb:~/x', 'the value of WAREHOUSE_URL `~` is not expanded in a path'],
    ['duckdb://x', 'the value of WAREHOUSE_URL `duckdb://` is no form of a path'],
    ['md:mydb', 'the value of WAREHOUSE_URL MotherDuck is not supported'],
    ['postgres://user:p@s3cr/x@127.0.0.1:5432/db', 'the value of WAREHOUSE_URL is a URL with an @ behind its host'],
    ['postgres:db', 'the value of WAREHOUSE_URL begins with `postgres:` without `//`'],
  ])('that means something else than it looks like is refused: %s', async (WAREHOUSE_URL, message) => {
    const { problems } = await read(text, { WAREHOUSE_URL })
    expect(problems.map((line) => line.replace(/ \(.*/, ''))).toEqual([`3:12  warehouse: ${message}`])
    expect(problems.join('')).not.toContain('s3cr')
  })
})
