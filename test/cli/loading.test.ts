import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, test } from 'vitest'

const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..')
const HEAVY =
  /^(viem|abitype|hash-wasm|knex|libsql|pg|pg-.*|undici|chdb|string-width|tsx|typescript)$|^@(duckdb|libsql|clickhouse|foundry-rs|ethereumjs)\//
let folder: string

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'pipe-loading-'))
})
afterAll(() => rm(folder, { recursive: true }))

test('`pipe --help` loads commander and nothing else', async () => {
  expect(await packagesLoadedBy('--help')).toEqual(['commander'])
})

test('`pipe validate` loads what reads YAML, and neither viem nor a database', async () => {
  const loaded = await packagesLoadedBy('validate', 'pipelines/miners.yaml')
  expect(loaded).toContain('yaml')
  expect(loaded.filter((name) => HEAVY.test(name))).toEqual([])
})

test('`pipe graph` and `pipe steps` load no database either', async () => {
  for (const command of [
    ['graph', 'pipelines/miners.yaml'],
    ['steps', 'rpc-batch'],
  ]) {
    const loaded = await packagesLoadedBy(...command)
    expect(loaded.filter((name) => HEAVY.test(name))).toEqual([])
  }
})

/** Names of the packages that one run of the built command loads, sorted. */
async function packagesLoadedBy(...args: readonly string[]): Promise<readonly string[]> {
  const list = join(folder, `${args[0]}.txt`)
  await writeFile(list, '')
  const options = { cwd: root, env: { PATH: process.env.PATH, NOTE_MODULES: list } }
  await new Promise<void>((resolve, reject) => {
    execFile(process.execPath, ['--import', './test/cli/fixtures/note-modules.mjs', 'bin/pipe.js', ...args], options, (error, _out, err) =>
      error ? reject(new Error(err)) : resolve(),
    )
  })
  const loaded = [...new Set((await readFile(list, 'utf8')).split('\n'))]
  const files = await Promise.all(loaded.map(async (file) => (file.includes('/dist/src/') ? bundledIn(file) : [file])))
  const found = files.flat().flatMap((file) => /node_modules\/((?:@[^/]+\/)?[^/]+)\/(?!.*node_modules\/)/.exec(file)?.[1] ?? [])
  return [...new Set(found)].sort()
}

/** The sources of a file of the build, as its source map names them. */
async function bundledIn(url: string): Promise<readonly string[]> {
  const map = await readFile(`${fileURLToPath(url)}.map`, 'utf8')
  return (JSON.parse(map) as { readonly sources: readonly string[] }).sources
}
