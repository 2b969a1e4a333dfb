import { execFile } from 'node:child_process'
import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { afterEach, describe, expect, test } from 'vitest'
import { builtIn } from '../plugins/index.js'
import { loadRegistry, registryOf } from './registry.js'
import type { Clock } from './sdk/index.js'

const folders: string[] = []
afterEach(() => folders.splice(0).forEach((folder) => rmSync(folder, { recursive: true, force: true })))

/** A folder with these files; `project/package.json` makes `project` the project folder. */
function world(files: Readonly<Record<string, string>>): string {
  const root = realpathSync(mkdtempSync(join(tmpdir(), 'registry-')))
  folders.push(root)
  for (const [name, text] of Object.entries({ 'project/package.json': '{"name":"p"}', ...files })) {
    mkdirSync(dirname(join(root, name)), { recursive: true })
    writeFileSync(join(root, name), text)
  }
  return root
}

const entries = (...specs: string[]) =>
  specs.map((spec, i) => ({ spec, path: `plugins[${i}]`, place: { file: 'pipelines/p.yaml', line: 2, column: 3 + i } }))

/** What loading these plugins gives, with the folder left out of messages: types that are not built in, and problems. */
async function load(root: string, specs: readonly string[], clock?: Clock) {
  const { registry, problems } = await loadRegistry({
    plugins: entries(...specs),
    file: 'pipelines/p.yaml',
    cwd: join(root, 'project'),
    clock,
  })
  const known = new Set(builtIn.map(({ type }) => type))
  return {
    types: registry
      .all()
      .map(({ type }) => type)
      .filter((type) => !known.has(type)),
    problems: problems.map(({ path, message }) => `${path} ${message.replaceAll(root, '')}`),
  }
}

const step = (fields: string) =>
  `export default { type: 'mine', summary: 's', example: 'e', config: { type: 'object' }, *plan() {}, async *run() {}, ${fields} }`

describe('a plugin that is not taken', () => {
  test.each<[string, RegExp]>([
    ['https://example.org/step.js', /is a URL, a Node module or an absolute path/],
    ['data:text/javascript,1', /is a URL/],
    ['file:///etc/passwd', /is a URL/],
    ['node:child_process', /is a URL, a Node module/],
    ['C:\\step.js', /is a URL, a Node module or an absolute path/],
    ['/etc/step.js', /is an absolute path/],
    ['\\\\host\\step.js', /is an absolute path/],
    ['~/step.js', /is an absolute path/],
    ['../../outside.mjs', /lies outside the project folder \/project/],
    ['../../not-there.mjs', /lies outside the project folder \/project/],
    ['../link.mjs', /lies outside the project folder/],
    ['../folder-link/outside.mjs', /lies outside the project folder/],
    ['linked', /lies outside the project folder/],
    ['./missing.mjs', /is no file/],
    ['./', /is no file/],
    ['./data.json', /is no JavaScript or TypeScript/],
    ['step.mjs', /neither a relative file nor the name of a package/],
    ['fs', /plugin "fs" is not installed/],
    ['pipe-plugin-none', /is not installed/],
    ['../node_modules', /is no file/],
    ['', /empty/],
    ['./a\0.mjs', /NUL/],
    ['no-entry', /has no file ".\/dist\/index.js"/],
    ['escaping', /has no file "..\/..\/..\/outside.mjs"/],
    ['x/../../y', /neither/],
  ])('%j', async (spec, message) => {
    const root = world({
      'outside.mjs': 'throw new Error("was run")',
      'elsewhere/index.js': 'throw new Error("was run")',
      'elsewhere/package.json': '{"name":"linked"}',
      'project/pipelines/data.json': '{}',
      'project/pipelines/step.mjs': step(''),
      'project/node_modules/no-entry/package.json': '{"exports":{".":{"types":"./x.d.ts","import":"./dist/index.js"}}}',
      'project/node_modules/escaping/package.json': '{"main":"../../../outside.mjs"}',
    })
    symlinkSync(join(root, 'outside.mjs'), join(root, 'project/link.mjs'))
    symlinkSync(root, join(root, 'project/folder-link'))
    symlinkSync(join(root, 'elsewhere'), join(root, 'project/node_modules/linked'))
    const { types, problems } = await load(root, [spec])
    expect(types).toEqual([])
    expect(problems).toEqual([expect.stringMatching(message)])
  })
})

describe('a plugin that is taken', () => {
  test('is a file beside the pipeline or elsewhere in the project, exporting one step, several or a list', async () => {
    const root = world({
      'project/pipelines/one.mjs': step(''),
      'project/steps/many.mjs': `
        const made = (type) => ({ type, summary: 's', example: 'e', config: { type: 'object' }, *plan() {}, async *run() {} })
        export const first = made('first'), alias = first, second = made('second')
        export const schema = { type: 'object' }, helper = () => 1, number = 3
        export default [first, made('third')]`,
    })
    symlinkSync(join(root, 'project/steps/many.mjs'), join(root, 'project/pipelines/inner-link.mjs'))
    expect(await load(root, ['./one.mjs', './inner-link.mjs', '../steps/many.mjs'])).toEqual({
      types: ['first', 'mine', 'second', 'third'],
      problems: [],
    })
  })

  test('is an installed package, found as Node finds it', async () => {
    const root = world({
      'project/node_modules/pipe-plugin-x/package.json':
        '{"version":"1.2.3","type":"module","exports":{".":{"types":"./t.d.ts","require":"./no.cjs","import":"./yes.js"}}}',
      'project/node_modules/pipe-plugin-x/yes.js': step(`type: 'from-exports'`),
      'project/node_modules/@me/step/package.json': '{"type":"module","main":"lib/main"}',
      'project/node_modules/@me/step/lib/main.js': step(`type: 'from-main'`),
      'project/pipelines/node_modules/near/package.json': '{}',
      'project/pipelines/node_modules/near/index.js': `module.exports = { step: { type: 'common', summary: 's', example: 'e', config: {}, plan() {}, run() {} } }`,
      'project/packages/own/package.json': '{"type":"module"}',
      'project/packages/own/index.js': step(`type: 'workspace'`),
    })
    symlinkSync(join(root, 'project/packages/own'), join(root, 'project/node_modules/own'))
    expect(await load(root, ['pipe-plugin-x', '@me/step', 'near', 'own'])).toEqual({
      types: ['common', 'from-exports', 'from-main', 'workspace'],
      problems: [],
    })
  })
})

describe('a plugin with a mistake', () => {
  test.each<[string, string, RegExp[]]>([
    ['throws', 'throw new Error("boom\\nmore")', [/can't be loaded: boom$/]],
    ['throws nothing that is an error', 'throw null', [/can't be loaded: null$/]],
    ['throws later', 'await Promise.reject(new Error("late"))', [/can't be loaded: late$/]],
    ['is no JavaScript', 'export default {', [/can't be loaded: /]],
    ['imports what is not installed', 'import "not-installed-at-all"', [/can't be loaded: .*not-installed-at-all/]],
    ['exports nothing', 'export const helper = 1', [/exports no step definition/]],
    ['exports something else', 'export default 3', [/export default: is no step definition \(it is number\)/]],
    ['can not be read', 'export default new Proxy({}, { get() { throw new Error("no") } })', [/can't be read: no/]],
    ['has a type that is no word of YAML', step(`type: 'My_Step'`), [/type must be like my-step.*"My_Step"/]],
    ['has no type', step(`type: undefined`), [/type must be like my-step.*missing/]],
    ['has a version of text', step(`version: '1'`), [/version must be a whole number from 1/]],
    ['has no summary and no example', step(`summary: '', example: 3`), [/summary must be/, /example must be/]],
    ['has no run', step(`run: undefined`), [/run must be a function \(is missing\)/]],
    ['has a check of text', step(`check: 'x'`), [/check must be a function \(is "x"\)/]],
    ['requires what there is not', step(`requires: ['chains']`), [/requires must be a list of chain, source, into/]],
    ['has a schema of the wrong shape', step(`config: { type: 'objekt' }`), [/config is no JSON Schema: config\/type/]],
    [
      'has a schema with a dangling reference',
      step(`config: { $ref: '#/$defs/gone' }`),
      [/config is no usable JSON Schema: can't resolve reference/],
    ],
    ['has no schema', step(`config: undefined`), [/config must be a JSON Schema \(is missing\)/]],
    ['has a cursor that is no schema', step(`cursor: { type: 3 }`), [/cursor is no JSON Schema/]],
  ])('%s', async (_, text, messages) => {
    const { types, problems } = await load(world({ 'project/pipelines/step.mjs': text }), ['./step.mjs'])
    expect(types).toEqual([])
    expect(problems).toEqual(messages.map((message) => expect.stringMatching(message)))
  })

  test('that never settles is given up after half a minute', async () => {
    const waits: number[] = []
    const clock: Clock = { now: () => 0, monotonic: () => 0, sleep: (ms) => Promise.resolve(void waits.push(ms)) }
    const root = world({ 'project/pipelines/step.mjs': 'await new Promise((done) => setTimeout(done, 300))\n' + step('') })
    expect(await load(root, ['./step.mjs'], clock)).toEqual({
      types: [],
      problems: ['plugins[0] plugin ./step.mjs did not finish loading within 30 s'],
    })
    expect(waits).toEqual([30_000])
  })

  test('is reported at its entry, and the others are loaded', async () => {
    const root = world({ 'project/pipelines/good.mjs': step(''), 'project/pipelines/bad.mjs': 'throw new Error("boom")' })
    const { registry, problems } = await loadRegistry({
      plugins: entries('./bad.mjs', './good.mjs', './none.mjs'),
      file: 'pipelines/p.yaml',
      cwd: join(root, 'project'),
    })
    expect(registry.get('mine')?.summary).toBe('s')
    expect(problems.map(({ file, line, column, path, severity }) => [file, line, column, path, severity])).toEqual([
      ['pipelines/p.yaml', 2, 3, 'plugins[0]', 'error'],
      ['pipelines/p.yaml', 2, 5, 'plugins[2]', 'error'],
    ])
  })
})

test('two plugins with one type are a problem that names both and their versions', async () => {
  const root = world({
    'project/pipelines/a.mjs': step('version: 2'),
    'project/node_modules/pipe-plugin-x/package.json': '{"version":"1.2.3","type":"module"}',
    'project/node_modules/pipe-plugin-x/index.js': step(''),
  })
  expect(await load(root, ['./a.mjs', 'pipe-plugin-x', './a.mjs'])).toEqual({
    types: ['mine'],
    problems: ['plugins[1] step type "mine" comes from two places: ./a.mjs (version 2) and pipe-plugin-x@1.2.3 (version 1)'],
  })
})

test('a registry knows its types and what was meant by others', () => {
  const made = (type: string) => ({ type, summary: 's', example: 'e', config: {}, *plan() {}, async *run() {} }) as never
  const registry = registryOf([made('rpc-batch'), made('gate')])
  expect(registry.all().map(({ type }) => type)).toEqual(['gate', 'rpc-batch'])
  expect([registry.get('gate')?.type, registry.get('__proto__'), registry.suggest('rpc_bach'), registry.suggest('nothing')]).toEqual([
    'gate',
    undefined,
    'rpc-batch',
    undefined,
  ])
})

describe('in a process of its own', () => {
  const registryFile = fileURLToPath(new URL('registry.ts', import.meta.url))
  const sdkFile = fileURLToPath(new URL('sdk/authors.ts', import.meta.url))
  const tsx = fileURLToPath(import.meta.resolve('tsx'))

  async function loadApart(root: string, specs: readonly string[]): Promise<unknown> {
    const runner = join(root, 'runner.mts')
    writeFileSync(
      runner,
      `import { loadRegistry } from ${JSON.stringify(registryFile)}
       import { UnitTakenError } from ${JSON.stringify(sdkFile)}
       const { registry, problems } = await loadRegistry(${JSON.stringify({ plugins: entries(...specs), file: 'pipelines/p.yaml', cwd: join(root, 'project') })})
       const mine = registry.get('mine') as { config: object; same?: unknown } | undefined
       console.log(JSON.stringify({ config: mine?.config, same: mine?.same === UnitTakenError, problems: problems.map(({ message }) => message) }))`,
    )
    const { stdout } = await promisify(execFile)(process.execPath, ['--import', tsx, runner], { cwd: root })
    return JSON.parse(stdout)
  }

  const typescript = `
    import { defineStep, Type, UnitTakenError } from 'pipe/sdk'
    import { limit } from './limit.js'
    enum Kind { One = 1 }
    export default { ...defineStep({
      type: 'mine', summary: 's', example: 'e',
      config: Type.Object({ n: Type.Integer({ maximum: limit as number, minimum: Kind.One }) }),
      *plan() { yield { kind: 'task', due: 'once' } }, async *run() {},
    }), same: UnitTakenError }`

  test('a TypeScript plugin is loaded, and its pipe/sdk is ours, though another copy is installed beside it', async () => {
    const root = world({
      'project/pipelines/mine.ts': typescript,
      'project/pipelines/limit.ts': 'export const limit: number = 7',
      'project/node_modules/pipe/package.json': '{"name":"pipe","type":"module","exports":{"./sdk":"./other.js"}}',
      'project/node_modules/pipe/other.js': 'throw new Error("the other copy was loaded")',
    })
    expect(await loadApart(root, ['./mine.ts'])).toEqual({
      config: { type: 'object', required: ['n'], properties: { n: { type: 'integer', maximum: 7, minimum: 1 } } },
      same: true,
      problems: [],
    })
  })

  test('a JavaScript plugin finds pipe/sdk where none is installed', async () => {
    const root = world({
      'project/pipelines/mine.mjs': `import { UnitTakenError } from 'pipe/sdk'\n${step('same: UnitTakenError')}`,
    })
    expect(await loadApart(root, ['./mine.mjs'])).toEqual({ config: { type: 'object' }, same: true, problems: [] })
  })

  test('a mistake in TypeScript is a problem with its message', async () => {
    const root = world({ 'project/pipelines/mine.ts': 'const x: = 3' })
    expect(await loadApart(root, ['./mine.ts'])).toMatchObject({ problems: [expect.stringMatching(/mine.ts can't be loaded: .*/)] })
  })
})
