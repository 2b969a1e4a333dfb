import { join } from 'node:path'
import { expect, test } from 'vitest'
import { readDuckdb } from '../../test/support/read-duckdb.js'
import { projectFolder, temporaryFolder } from '../../test/support/folder.js'
import { runPipe } from '../../test/support/spawn-pipe.js'

test('a step type of about 30 lines, loaded from a file beside its pipeline, fills its table from a real node', async () => {
  const folder = temporaryFolder()
  const file = join(folder, 'gas-used.duckdb')
  // From the project's folder: code that a pipeline names must lie inside of it.
  const args = ['run', 'examples/own-step/gas-used.yaml', '--demo', '--state', `sqlite:${join(folder, 'state.db')}`]
  const { code, stdout, stderr } = await runPipe(args, { cwd: projectFolder, env: { WAREHOUSE_URL: `duckdb:${file}` } })
  expect({ code, stderr: code === 0 ? '' : stderr + stdout }).toEqual({ code: 0, stderr: '' })
  const { gas_used } = await readDuckdb(file, { tables: ['gas_used'] })
  expect(gas_used?.rows.map(({ number }) => Number(number))).toEqual(Array.from({ length: 201 }, (_, i) => i))
  // The genesis block holds no transaction; a plain transfer uses 21,000.
  expect(gas_used?.rows[0]).toEqual({ number: '0', gas_used: '0' })
  expect(gas_used?.rows.slice(1).every(({ gas_used: used }) => Number(used) % 21_000 === 0)).toBe(true)
}, 60_000)
