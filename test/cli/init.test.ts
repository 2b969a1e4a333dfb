import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { runCli } from '../../src/cli/main.js'
import { fakeIo } from './fake-io.js'

let cwd: string

beforeEach(async () => {
  cwd = await mkdtemp(join(tmpdir(), 'pipe-init-'))
})
afterEach(() => rm(cwd, { recursive: true }))

test('`pipe init` writes a pipeline that is valid, and says what to do next', async () => {
  const io = fakeIo({ cwd })
  expect([await runCli(['init', 'chain'], io), io.err()]).toEqual([0, ''])
  expect(io.out().split('\n').slice(0, 7)).toEqual([
    'wrote   pipelines/blocks.yaml',
    'wrote   .env.example',
    'wrote   .gitignore (.env, .pipe/, data/)',
    '',
    'Next:',
    '  cd chain',
    '  pipe run pipelines/blocks.yaml --demo   # on a local chain, nothing to set up',
  ])
  const check = fakeIo({ cwd: join(cwd, 'chain'), env: { ETH_RPC_URL: 'http://127.0.0.1:8545' } })
  expect([await runCli(['validate', '--env'], check), check.out(), check.err()]).toEqual([0, 'pipelines/blocks.yaml: ok (2 steps)\n', ''])
})

test('`pipe init` overwrites nothing, and adds to .gitignore only what is missing', async () => {
  await mkdir(join(cwd, 'pipelines'))
  await writeFile(join(cwd, 'pipelines/blocks.yaml'), 'mine')
  await writeFile(join(cwd, '.gitignore'), 'node_modules\ndata')
  const io = fakeIo({ cwd })
  expect(await runCli(['init'], io)).toBe(0)
  expect(io.out().split('\n').slice(0, 3)).toEqual([
    'kept    pipelines/blocks.yaml (it was there)',
    'wrote   .env.example',
    'wrote   .gitignore (.env, .pipe/)',
  ])
  expect(await readFile(join(cwd, 'pipelines/blocks.yaml'), 'utf8')).toBe('mine')
  expect(await readFile(join(cwd, '.gitignore'), 'utf8')).toBe('node_modules\ndata\n.env\n.pipe/\n')
  const before = await readdir(cwd, { recursive: true })
  const again = fakeIo({ cwd })
  expect(await runCli(['init'], again)).toBe(0)
  expect(again.out()).toContain('kept    .gitignore\n')
  expect([await readdir(cwd, { recursive: true }), await readFile(join(cwd, '.gitignore'), 'utf8')]).toEqual([
    before,
    'node_modules\ndata\n.env\n.pipe/\n',
  ])
})

test('`pipe init` names the path that it can not write to', async () => {
  await writeFile(join(cwd, 'pipelines'), 'a file, not a folder')
  const io = fakeIo({ cwd })
  expect([await runCli(['init'], io), io.out(), io.err()]).toEqual([
    2,
    '',
    `error: ${join(cwd, 'pipelines/blocks.yaml')}: a part of the path is a file, not a folder (STATE_FILE)\n  give the path of a file that pipe may write\n`,
  ])
})
