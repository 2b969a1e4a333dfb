import { DuckDBInstance } from '@duckdb/node-api'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { readPipeline } from '../../src/pipeline/read.js'
import { definitionsOf } from '../../src/serve/definitions.js'
import { openWarehouse } from '../../src/warehouse/open.js'

/** Units of ten lines, each of which takes `pause` milliseconds. */
const STEP = `import { setTimeout } from 'node:timers/promises'
export default {
  type: 'counted', summary: 'One row a number.', example: 'see the bench', requires: ['into'], units: 1,
  config: { type: 'object', properties: { count: { type: 'integer', tuning: true }, pause: { type: 'integer', tuning: true } } },
  async *plan({ config }) {
    yield { kind: 'stretches', axis: { of: 'numbers', cut: 10n, word: 'lines', each: 1n }, domain: [0n, BigInt(config.count) - 1n], due: 'uncovered', order: 'oldest-first' }
  },
  async *run({ config, unit, into, signal }) {
    const { from, to } = unit.piece
    await setTimeout(config.pause, undefined, { signal })
    yield { rows: { [into.name]: Array.from({ length: Number(to - from) + 1 }, (_, i) => ({ n: from + BigInt(i) })) }, covers: [[from, to]] }
  },
}
`

const pipeline = (name: string) => `name: ${name}
plugins: [./counted.mjs]
warehouse: duckdb:data/${name}.duckdb
params: { count: { type: int, default: 10000000 }, pause: { type: int, default: 16 } }
tables: { lines: { columns: { n: bigint }, key: [n], range: n } }
steps: [{ id: lines, type: counted, into: lines, with: { count: $count, pause: $pause } }]
`

/** Writes a folder with two pipelines: \`busy\`, whose run does some sixty units a second, and \`million\`, of whose million units each thousandth is missing. */
export async function writePageWorld(cwd: string): Promise<void> {
  await mkdir(join(cwd, 'data'))
  await writeFile(join(cwd, 'package.json'), '{}')
  await writeFile(join(cwd, 'counted.mjs'), STEP)
  for (const name of ['busy', 'million']) await writeFile(join(cwd, `${name}.yaml`), pipeline(name))
  const { pipeline: read } = await readPipeline('million.yaml', { cwd, env: {}, environment: 'warn' })
  const definitions = read && (await definitionsOf(read, { params: {}, heads: {}, now: undefined }))
  const path = join(cwd, 'data/million.duckdb')
  const warehouse = await openWarehouse(`duckdb:${path}`, { mode: 'write' })
  await warehouse.prepare([])
  await warehouse.close()
  const instance = await DuckDBInstance.create(path)
  const connection = await instance.connect()
  await connection.run(`INSERT INTO _pipe_units
    (pipeline, step, unit, state, fingerprint, epoch, "first", "last", "rows", attempts, started_at, updated_at)
    SELECT 'million', 'lines', n * 10 || '-' || n * 10 + 9, 'done', '${definitions?.get('lines')?.fingerprint ?? ''}', 1, n * 10, n * 10 + 9,
      '{"lines":10}', 0, TIMESTAMP '2026-01-01', TIMESTAMP '2026-01-01'
    FROM range(1000000) t(n) WHERE n % 1000 <> 5`)
  connection.closeSync()
  instance.closeSync()
}
