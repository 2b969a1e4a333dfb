import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DuckDBInstance } from '@duckdb/node-api'
import { readPipeline } from '../../src/pipeline/read.js'
import { definitionsOf } from '../../src/serve/definitions.js'
import { openWarehouse } from '../../src/warehouse/open.js'
import { linesWorld } from './lines-world.js'

/** What would run if it were taken for markup. */
export const MARKUP = '<img src=x onerror=hacked()>'
export const DAYS = 1_048
export const MILLION = 1_000_000

/**
 * The pipeline of `linesWorld`, and two whose ledger is long: `days` has 1,048 days from 2021-01-01, of which one is missing, one in
 * quarantine, ten of an older definition and every tenth empty; `million` has a million units of ten lines, every thousandth missing,
 * one in 9,973 in quarantine. Whatever a stranger may name is markup: a title, an error, a value from a chain.
 */
export async function pageWorld(): Promise<string> {
  const cwd = linesWorld()
  const text = readFileSync(join(cwd, 'p.yaml'), 'utf8').replace('id: lines,', `id: lines, title: '${MARKUP}',`)
  const check = `{ name: '${MARKUP}', severity: warn, sql: "SELECT '${MARKUP}' FROM lines LIMIT 1", expect: 0 }`
  writeFileSync(join(cwd, 'p.yaml'), text.replace('with: { checks: [', `with: { checks: [${check}, `))
  const step = readFileSync(join(cwd, 'counted.mjs'), 'utf8')
  writeFileSync(join(cwd, 'counted.mjs'), step.replace('is torn', `is torn ${MARKUP} \\u001b[31mred\\u001b[0m\\u202e`))
  for (const name of ['days', 'million'])
    writeFileSync(
      join(cwd, `${name}.yaml`),
      yearly(text.replace('name: enrichment', `name: ${name}`).replace('p.duckdb', `${name}.duckdb`)),
    )
  const day = 86_400_000_000n
  const start = BigInt(Date.UTC(2021, 0, 1)) * 1_000n
  await fill(
    cwd,
    'days',
    `SELECT strftime(DATE '2021-01-01' + CAST(n AS INTEGER), '%Y-%m-%d') AS unit, ${start} + n * ${day} AS f, ${start} + (n + 1) * ${day} - 1 AS l,
       n = 700 AS broken, n % 10 = 3 AS empty, n BETWEEN 800 AND 809 AS older FROM range(${DAYS}) t(n) WHERE n <> 500`,
  )
  await fill(
    cwd,
    'million',
    `SELECT n * 10 || '-' || n * 10 + 9 AS unit, n * 10 AS f, n * 10 + 9 AS l, n % 9973 = 7 AS broken, FALSE AS empty, FALSE AS older
       FROM range(${MILLION}) t(n) WHERE n % 1000 <> 5`,
  )
  return cwd
}

/** With a time of its own that does not come while a test runs. */
const yearly = (text: string) => `schedule: "30 4 29 2 *"\n${text}`

async function fill(cwd: string, pipeline: string, units: string): Promise<void> {
  const path = join(cwd, `data/${pipeline}.duckdb`)
  const warehouse = await openWarehouse(`duckdb:${path}`, { mode: 'write' })
  await warehouse.prepare([])
  await warehouse.close()
  const { pipeline: read } = await readPipeline(`${pipeline}.yaml`, { cwd, env: {}, environment: 'warn' })
  const definitions = read && (await definitionsOf(read, { params: {}, heads: {}, now: undefined }))
  const fingerprint = definitions?.get('lines')?.fingerprint ?? ''
  const instance = await DuckDBInstance.create(path)
  const connection = await instance.connect()
  await connection.run(`INSERT INTO _pipe_units
    (pipeline, step, unit, state, fingerprint, epoch, "first", "last", "rows", attempts, evidence, error, started_at, updated_at)
    SELECT '${pipeline}', 'lines', unit, CASE WHEN broken THEN 'quarantined' ELSE 'done' END,
      CASE WHEN older THEN 'older' ELSE '${fingerprint}' END, 1, f, l,
      CASE WHEN empty THEN '{"lines":0}' ELSE '{"lines":10}' END, 0, CASE WHEN empty THEN json('["bloom"]') END,
      CASE WHEN broken THEN 'the node lacks it' END, TIMESTAMP '2026-01-01', TIMESTAMP '2026-01-01'
    FROM (${units})`)
  connection.closeSync()
  instance.closeSync()
}
