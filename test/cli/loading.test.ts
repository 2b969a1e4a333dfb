import { execFile } from 'node:child_process'
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, expect, test } from 'vitest'

const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..')
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
  const heavy = loaded.filter((name) => /^(viem|@duckdb\/|knex|libsql|@libsql\/|undici|listr2|tsx|typescript|@foundry-rs\/)/.test(name))
  expect(heavy).toEqual([])
})

test('`pipe graph` and `pipe steps` load no database either', async () => {
  for (const command of [
    ['graph', 'pipelines/miners.yaml'],
    ['steps', 'rpc-batch'],
  ]) {
    const loaded = await packagesLoadedBy(...command)
    expect(loaded.filter((name) => /^(viem|@duckdb\/|knex|libsql|undici|listr2)/.test(name))).toEqual([])
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
  const found = [...(await readFile(list, 'utf8')).matchAll(/node_modules\/((?:@[^/\n]+\/)?[^/\n]+)\/(?!.*node_modules\/)/g)]
  return [...new Set(found.map(([, name = '']) => name))].sort()
}
