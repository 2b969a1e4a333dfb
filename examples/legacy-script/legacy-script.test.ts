import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { pipe } from '../../test/support/cli.js'
import { projectFolder, temporaryFolder } from '../../test/support/folder.js'

test('an older script runs as it is behind a step that may fail: its result is in the report, which names what failed, with exit code 1', async () => {
  const folder = temporaryFolder()
  const out = join(folder, 'positions.json')
  const file = 'examples/legacy-script/legacy-script.yaml'
  const env = {
    PATH: process.env['PATH'] ?? '',
    HOME: folder,
    npm_config_update_notifier: 'false',
    WAREHOUSE_URL: `duckdb:${join(folder, 'legacy.duckdb')}`,
  }
  const world = { cwd: projectFolder, env }
  expect(await pipe(['validate', file], world)).toMatchObject({ code: 0 })
  const options = ['--param', `out=${out}`, '--output', 'plain', '--state', `sqlite:${join(folder, 'state.db')}`]
  const { code, out: report } = await pipe(['run', file, ...options], world)
  // Of every position the script says by its own arithmetic whether it is in range.
  const rows = JSON.parse(readFileSync(out, 'utf8')) as readonly { readonly status: string }[]
  const inRange = rows.filter(({ status }) => status === 'IN_RANGE').length
  expect([code, rows.length]).toEqual([1, 500])
  expect(report).toContain(`enrich    500 of 500 units, 500 enriched, ${inRange} in_range`)
  expect(report).toContain('unit all failed: npx ended with exit code 1; it said last: npm error code ENOTCACHED')
}, 60_000)
