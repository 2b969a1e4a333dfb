import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { runCli } from '../../src/cli/main.js'
import { fakeIo } from './fake-io.js'

const root = fileURLToPath(new URL('../..', import.meta.url))

test('`pipe graph` draws the steps and what they need, without any environment', async () => {
  const io = fakeIo({ cwd: root })
  expect([await runCli(['graph', 'pipelines/miners.yaml'], io), io.err()]).toEqual([0, ''])
  expect(io.out().split('\n')).toEqual([
    'flowchart TD',
    expect.stringContaining('blocks'),
    expect.stringContaining('balances'),
    expect.stringContaining('complete'),
    '  s0 --> s1',
    '  s1 --> s2',
    '',
  ])
  const dot = fakeIo({ cwd: root })
  expect([await runCli(['graph', 'pipelines/miners.yaml', '--format', 'dot'], dot), dot.err()]).toEqual([0, ''])
  expect(dot.out()).toMatch(/^digraph [\s\S]*blocks[\s\S]*-> [\s\S]*\}\n$/)
  const svg = fakeIo({ cwd: root })
  expect([await runCli(['graph', 'pipelines/miners.yaml', '--format', 'svg'], svg), svg.err()]).toEqual([0, ''])
  expect(svg.out()).toMatch(/^<svg [\s\S]*>blocks<[\s\S]*<\/svg>\n$/)
})

test('a command that needs a whole pipeline prints the mistakes of a broken one on stderr, and exits 2', async () => {
  const cwd = await mkdtemp(join(tmpdir(), 'pipe-show-'))
  await writeFile(
    join(cwd, 'p.yaml'),
    'name: p\nwarehouse: duckdb:p.duckdb\nsteps: [{ id: a, type: gate, needs: [b], with: { checks: [] } }]\n',
  )
  await writeFile(join(cwd, 'shared.yaml'), 'chains: { ethereum: { rpc: "http://127.0.0.1:8545" } }\n')
  for (const command of ['graph', 'status']) {
    const io = fakeIo({ cwd })
    expect([await runCli([command, 'p.yaml'], io), io.out()]).toEqual([2, ''])
    expect(io.err()).toContain('p.yaml:3:')
    const other = fakeIo({ cwd })
    expect([await runCli([command, 'shared.yaml'], other), other.out(), other.err()]).toEqual([
      2,
      '',
      'error: shared.yaml has no steps: it is a shared file (USAGE)\n  name the pipeline that imports it\n',
    ])
  }
  await rm(cwd, { recursive: true })
})

test('`pipe steps` lists the built-in types, and explains one with its fields and an example', async () => {
  const io = fakeIo()
  expect([await runCli(['steps'], io), io.err()]).toEqual([0, ''])
  expect(io.out()).toMatch(/^ {2}gate /m)
  expect(io.out()).toMatch(/^ {2}rpc-batch /m)
  const one = fakeIo()
  expect([await runCli(['steps', 'gate'], one), one.err()]).toEqual([0, ''])
  expect(one.out()).toMatch(/^gate\n[\s\S]*\nwith:\n[\s\S]*checks[\s\S]*\nexample:\n[\s\S]*type: gate/)
})

test('an unknown step type is answered with the one that was likely meant', async () => {
  const io = fakeIo()
  expect([await runCli(['steps', 'rpc-bach'], io), io.out(), io.err()]).toEqual([
    2,
    '',
    'error: unknown step type `rpc-bach` (USAGE)\n  did you mean `rpc-batch`?\n',
  ])
})
