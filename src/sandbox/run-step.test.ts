import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { defineStep, numberAxis, type RpcPool, type Row, type Table, Type } from '../sdk/index.js'
import { runStep } from './run-step.js'

const folder = mkdtempSync(join(tmpdir(), 'run-step-'))
afterAll(() => rmSync(folder, { recursive: true }))

const numbers: Table = {
  name: 'numbers',
  columns: [
    { name: 'n', type: { kind: 'bigint' }, nullable: false },
    { name: 'text', type: { kind: 'text' }, nullable: false },
  ],
  key: ['n'],
  range: 'n',
  indexes: {},
  retention: undefined,
}

const fileLines = defineStep({
  type: 'file-lines',
  summary: 'One row a line.',
  config: Type.Object({ file: Type.String() }),
  cursor: Type.Object({ next: Type.Integer() }),
  example: '',
  *plan() {
    yield { kind: 'task', due: 'once' }
  },
  async *run({ config, into, cursor, budget }) {
    if (!into) return
    const lines = (await readFile(config.file, 'utf8')).trimEnd().split('\n')
    for (let i = cursor?.next ?? 0; i < lines.length && budget.take(); i++)
      yield {
        rows: { [into.name]: [{ n: BigInt(i), text: lines[i] ?? '' }] },
        cursor: { next: i + 1 },
        progress: { done: 1, of: lines.length },
      }
  },
})

const blocks = defineStep({
  type: 'blocks',
  summary: 'One row a block.',
  config: Type.Object({ to: Type.Integer() }),
  example: '',
  *plan({ config }) {
    yield { kind: 'stretches', axis: numberAxis(2), domain: [0n, BigInt(config.to)], due: 'uncovered', order: 'oldest-first' }
  },
  async *run({ unit, into, rpc, signal }) {
    if (unit.piece.kind !== 'stretch' || !into) return
    const { from, to } = unit.piece
    const calls = Array.from({ length: Number(to - from) + 1 }, (_, i) => ({ method: 'get', params: [i] }))
    const { values } = await rpc.batch(calls, { signal, block: to })
    yield { rows: { [into.name]: values.map((value, i): Row => ({ n: BigInt(i), text: String(value) })) }, covers: [[from, to]] }
  },
})

test('a step that reads a file runs without a pipeline, from its beginning or from a cursor, as far as its requests go', async () => {
  const file = join(folder, 'lines.txt')
  writeFileSync(file, 'a\nb\nc\n')
  const world = { config: { file }, tables: [numbers], into: 'numbers' }
  const all = await runStep(fileLines, world)
  expect([all.wanted, all.batches.length, all.rows.numbers?.map(({ text }) => text)]).toEqual([
    [{ kind: 'task', due: 'once' }],
    3,
    ['a', 'b', 'c'],
  ])
  const rest = await runStep(fileLines, { ...world, cursor: { next: 1 }, requests: 1 })
  expect([rest.rows, rest.batches[0]?.cursor]).toEqual([{ numbers: [{ n: 1n, text: 'b' }] }, { next: 2 }])
})

test('a step that asks a chain gets all that it wants as one piece, and the answers of the endpoint that it is given', async () => {
  const rpc = {
    batch: (calls: readonly { readonly params: readonly unknown[] }[]) =>
      Promise.resolve({ values: calls.map(({ params }) => `block ${String(params[0])}`) }),
  } as unknown as RpcPool
  const { rows, batches } = await runStep(blocks, { config: { to: 2 }, rpc, tables: [numbers], into: 'numbers' })
  expect(rows.numbers).toEqual([
    { n: 0n, text: 'block 0' },
    { n: 1n, text: 'block 1' },
    { n: 2n, text: 'block 2' },
  ])
  expect(batches.map(({ covers }) => covers)).toEqual([[[0n, 2n]]])
})

test('what its world does not hold is named when the step uses it', async () => {
  const run = runStep(blocks, { config: { to: 2 }, tables: [numbers], into: 'numbers' })
  await expect(run).rejects.toThrow('a step of type blocks asks for `rpc`, which it is not given')
})
