import { execFile } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { expect, it } from 'vitest'
import { chdbMissing } from './support/clickhouse-server.js'
import { ask, postgresDatabase } from './support/postgres.js'

const script = fileURLToPath(new URL('support/session-facts.ts', import.meta.url))
const missing = chdbMissing()

/** 1,700,000,000 seconds after 1970 are 2023-11-14 22:13:20 in UTC, and another day in Kathmandu. */
const FACTS = {
  day: '2023-11-14',
  hour: '22',
  year: '2023',
  week: '2023-11-13',
  clock: '2023-11-14 22:13:20',
  instant: '1700000000',
  month: 'November',
  float: '0.30000000000000004',
  unknown: 'unknown',
  nulls: '1,2,null',
  texts: 'B,a,b,ä',
  stored: [
    [1_700_000_000, '2023-11-14'],
    [1_700_000_001, '2023-11-14'],
  ],
}

it.each([
  { TZ: 'Asia/Kathmandu', LANG: 'fa_IR.UTF-8', PGTZ: 'Asia/Tokyo', PGOPTIONS: '-c extra_float_digits=-5' },
  { TZ: 'America/St_Johns', LANG: 'C', PGDATESTYLE: 'SQL, DMY' },
])('the same SQL gives the same on every warehouse, whatever process and database are set to: %o', async (env) => {
  const postgres = await postgresDatabase()
  const database = new URL(postgres).pathname.slice(1)
  for (const setting of ["timezone = 'Asia/Kathmandu'", "datestyle = 'German'", 'extra_float_digits = -10', 'transform_null_equals = on'])
    await ask(postgres, `ALTER DATABASE ${database} SET ${setting}`)
  const urls = [['duckdb', 'duckdb::memory:'], ['postgres', postgres], ...(missing === undefined ? [['clickhouse', 'chdb::memory:']] : [])]
  const { stdout } = await promisify(execFile)(process.execPath, ['--import', 'tsx', script, JSON.stringify(urls)], {
    env: { ...process.env, LC_ALL: env.LANG, ...env },
  })
  const found = JSON.parse(stdout) as Record<string, unknown>
  expect(found).toEqual(Object.fromEntries(urls.map(([kind]) => [kind, FACTS])))
})
