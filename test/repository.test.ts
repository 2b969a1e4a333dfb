import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { dirname, join, posix } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { documentedErrors } from '../src/cli/generate/error-docs.js'
import { generatedFiles, sourceFiles } from '../src/cli/generate.js'
import { program, type Commands } from '../src/cli/program.js'
import { readPipeline } from '../src/pipeline/read.js'
import { COLUMN_TYPES, parseColumnType } from '../src/sdk/index.js'
import { sqlType } from '../src/warehouse/types.js'
import { importProblems, outsideProblems, pluginProblems } from './support/source-facts.js'

const root = join(dirname(fileURLToPath(import.meta.url)), '..')
const sources = sourceFiles(root)

describe('rooms', () => {
  test('a room imports only what lies below it', () => {
    expect(importProblems(sources)).toEqual([])
  })

  test('a built-in step imports what a stranger could: the sdk, packages, and its own folder', () => {
    expect(pluginProblems(sources)).toEqual([])
  })

  test('clock, randomness, network and process are passed in, but for their adapters', () => {
    const adapters = {
      // A name for a file that is renamed at once.
      'src/state/lock.ts': ['randomUUID'],
      'src/warehouse/clickhouse/http.ts': ['randomUUID'],
      'src/warehouse/machine.ts': ['process'],
      // A server is waited for in real time.
      'src/postgres/pause.ts': ['node:timers/promises', 'Math.random'],
      // A turn of the event loop is no time.
      'src/sdk/turn.ts': ['node:timers/promises', 'setImmediate'],
      // The fake chain answers on real sockets, in real time, and is also a program of its own.
      'src/sandbox/clock.ts': ['Date.now', 'performance.now', 'node:timers/promises'],
      'src/sandbox/main.ts': ['process'],
    }
    expect(outsideProblems(sources, adapters)).toEqual([])
  })

  test('the checks see what they look for', () => {
    const bad = [
      {
        file: 'src/rpc/pool.ts',
        text: "import type { Run } from '../run/run.js'\nexport { x } from '../sdk/index'\nconst y = await import('../warehouse/open.js')",
      },
      {
        file: 'plugins/gate/gate.ts',
        text: "import { z } from '../rpc-batch/check.js'\nimport { s } from '../../src/sdk/authors.js'\nimport { w } from '../../src/sdk/index.js'",
      },
      {
        file: 'src/run/unit.ts',
        text: "import { setTimeout } from 'node:timers/promises'\nconst at = [Date.now(), new Date(), Math.random()]\nprocess.exit()\nawait fetch(url)",
      },
      { file: 'src/session/session.ts', text: "import { Exit } from '../cli/io.js'\nimport { run } from '../run/run.js'" },
      { file: 'src/report/words.ts', text: "import { openSession } from '../session/session.js'" },
      { file: 'src/plan/fine.ts', text: 'const process = { fetch: pool.fetch }; new Date(0); step.process' },
    ]
    expect(importProblems(bad).map((problem) => problem.split(', but')[0])).toEqual([
      'src/rpc/pool.ts:1 imports ../run/run.js',
      'src/rpc/pool.ts:2 imports ../sdk/index',
      'src/rpc/pool.ts:3 imports ../warehouse/open.js',
      'src/session/session.ts:1 imports ../cli/io.js',
      'src/report/words.ts:1 imports ../session/session.js',
    ])
    expect(pluginProblems(bad).map((problem) => problem.split(', but')[0])).toEqual([
      'plugins/gate/gate.ts:1 imports ../rpc-batch/check.js',
      'plugins/gate/gate.ts:3 imports ../../src/sdk/index.js',
    ])
    expect(outsideProblems(bad, {}).map((problem) => problem.split(', which')[0])).toEqual([
      'src/run/unit.ts:2 uses Date.now',
      'src/run/unit.ts:2 uses new Date()',
      'src/run/unit.ts:2 uses Math.random',
      'src/run/unit.ts:3 uses process',
      'src/run/unit.ts:4 uses fetch',
      'src/run/unit.ts:1 uses node:timers/promises',
    ])
  })
})

describe('generated files', () => {
  test('are what `npm run generate` would write', async () => {
    const generated = Object.fromEntries(await generatedFiles(root))
    const present = Object.fromEntries(Object.keys(generated).map((path) => [path, read(path)]))
    expect(present).toEqual(generated)
  })
})

describe('error codes', () => {
  const errors = documentedErrors(sources)

  test('belong to one error each, are in capitals, and say what they mean', () => {
    const wrong = errors.filter(
      ({ code }) => !/^[A-Z][A-Z0-9]*(_[A-Z0-9]+)*$/.test(code) || errors.filter((other) => other.code === code).length > 1,
    )
    const silent = errors.filter(({ meaning }) => meaning === '')
    expect([...wrong, ...silent].map(({ code, name, file }) => `${code} of ${name} in ${file}`)).toEqual([])
  })

  test('are known for every class that extends PipeError', () => {
    const classes = sources.flatMap(({ file, text }) =>
      [...text.matchAll(/^export class (\w+) extends PipeError/gm)].map(([, name]) => `${name} in ${file}`),
    )
    const known = new Set(errors.map(({ name, file }) => `${name} in ${file}`))
    expect(classes.filter((name) => !known.has(name))).toEqual([])
  })
})

describe('pipeline files', () => {
  const files = ['pipelines', 'examples'].flatMap((folder) =>
    readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
      .filter((name) => /\.ya?ml$/.test(name))
      .map((name) => `${folder}/${name.replaceAll('\\', '/')}`),
  )

  test.each(files)('%s names its schema in line 1 and is valid', async (file) => {
    const [first = ''] = read(file).split('\n')
    const schema = first.replace('# yaml-language-server: $schema=', '')
    expect(posix.join(posix.dirname(file), schema)).toBe('schemas/pipeline.schema.json')
    const { problems } = await readPipeline(join(root, file), { cwd: root, env: {}, environment: 'warn' })
    expect(problems.filter(({ severity }) => severity === 'error')).toEqual([])
  })
})

describe('packages', () => {
  const lock = JSON.parse(read('package-lock.json')) as { packages: Record<string, LockEntry> }

  test('are pinned to exact versions', () => {
    const manifest = JSON.parse(read('package.json')) as Record<string, Record<string, string> | undefined>
    const groups = ['dependencies', 'devDependencies', 'peerDependencies', 'optionalDependencies']
    const versions = groups.flatMap((group) => Object.entries(manifest[group] ?? {}))
    expect(versions.filter(([, version]) => !/^\d+\.\d+\.\d+(-[\w.]+)?$/.test(version))).toEqual([])
    expect(manifest.optionalDependencies).toBeUndefined()
  })

  test('are locked for Linux, macOS and Windows', () => {
    const missing = Object.entries(lock.packages).flatMap(([folder, entry]) =>
      Object.keys(entry.optionalDependencies ?? {})
        .filter((name) => !lock.packages[`node_modules/${name}`] && !lock.packages[`${folder}/node_modules/${name}`])
        .map((name) => `${name} of ${folder}: npm run lock:fix adds it`),
    )
    expect(missing).toEqual([])
    for (const prefix of ['@duckdb/node-bindings-', '@libsql/', '@foundry-rs/anvil-', '@esbuild/']) {
      const systems = Object.entries(lock.packages)
        .filter(([path]) => path.startsWith(`node_modules/${prefix}`))
        .flatMap(([, entry]) => entry.os ?? [])
      expect(systems, prefix).toEqual(expect.arrayContaining(['darwin', 'linux', 'win32']))
    }
  })
})

interface LockEntry {
  readonly os?: readonly string[]
  readonly optionalDependencies?: Readonly<Record<string, string>>
}

describe('documents', () => {
  const pages = ['README.md', 'ARCHITECTURE.md', 'CONTRIBUTING.md', 'plugins/README.md', ...folder('docs'), ...folder('examples')].filter(
    (name) => name.endsWith('.md'),
  )

  test.each(pages)('every command in %s is known to the command line', async (page) => {
    const lines = [...read(page).matchAll(/```(?:sh|bash|console|shell)\n([\s\S]*?)```/g)].flatMap(([, block = '']) => block.split('\n'))
    const wrong: string[] = []
    for (const line of lines) for (const words of pipeCommands(line)) if (!(await isKnown(words))) wrong.push(line)
    expect(wrong).toEqual([])
  })

  test('the column types of README are those of the warehouses', () => {
    const shown = [...read('README.md').matchAll(/^\| `(\w+)(?:\(p,s\))?` \| `([^`]+)` \| `([^`]+)` \| `([^`]+)` \|$/gm)]
    const rows = COLUMN_TYPES.map((name) => {
      const { type } = parseColumnType(name.replace('p,s', '38,6')) ?? {}
      if (!type) throw new Error(`no type ${name}`)
      const names = (['duckdb', 'postgres', 'clickhouse'] as const).map((kind) => sqlType(type, kind).replace('38,6', 'p,s'))
      return [type.kind, ...names]
    })
    expect(shown.map(([, ...cells]) => cells).sort()).toEqual(rows.sort())
  })

  test.each(pages)('every file that %s links to is there', (page) => {
    const links = [...read(page).matchAll(/\]\((?!https?:|#|mailto:)([^)#\s]+)/g)].map(([, target = '']) => target)
    expect(links.filter((target) => !existsSync(join(root, dirname(page), target)))).toEqual([])
  })
})

/** The words after `pipe` of every call of it in a shell line. */
function pipeCommands(line: string): readonly string[][] {
  const code = line.replace(/^\s*\$ /, '').replace(/(^|\s)#.*$/, '')
  return code
    .split(/&&|\|\||[;|]/)
    .map((command) => command.trim().replace(/^(?:[A-Z_]+=(?:"[^"]*"|'[^']*'|\S*)\s+)*/, ''))
    .filter((command) => /^(npx )?pipe( |$)/.test(command))
    .map((command) =>
      command
        .replace(/\s[0-9]?>+\s*\S+/g, '')
        .replace(/^(npx )?pipe\s*/, '')
        .split(/\s+/)
        .filter(Boolean),
    )
}

async function isKnown(words: readonly string[]): Promise<boolean> {
  const accept = (): Promise<number> => Promise.resolve(0)
  const names = [
    'validate',
    'plan',
    'run',
    'status',
    'retry',
    'reset',
    'rollback',
    'verify',
    'migrate',
    'serve',
    'graph',
    'steps',
    'init',
  ] as const
  const commands: Commands = Object.fromEntries(names.map((name) => [name, accept])) as unknown as Commands
  const silent = (): void => undefined
  const pipe = program(commands, {
    version: '0',
    state: undefined,
    color: false,
    columns: 80,
    stdout: silent,
    stderr: silent,
    exit: silent,
  })
  const outcome = await pipe.parseAsync([...words], { from: 'user' }).catch((error: unknown) => error)
  return !(outcome instanceof Error) || ('exitCode' in outcome && outcome.exitCode === 0)
}

function read(path: string): string {
  return readFileSync(join(root, path), 'utf8')
}

function folder(name: string): readonly string[] {
  if (!existsSync(join(root, name))) return []
  return readdirSync(join(root, name), { recursive: true, encoding: 'utf8' }).map((file) => `${name}/${file.replaceAll('\\', '/')}`)
}
