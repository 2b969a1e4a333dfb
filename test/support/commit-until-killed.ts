/** Commits in a loop until it is killed: run as a process of its own by tests. `argv`: file, rows a commit. */
import { openDuckdb } from '../../src/warehouse/duckdb/index.js'
import { output, step, table, write } from './warehouse.js'

const [, , path = '', size = '200'] = process.argv
const t = table('t', { k: 'bigint', v: 'uint256' }, ['k'])
const rows = Number(size)
const warehouse = await openDuckdb({ path, mode: 'write', threads: 1 })
await warehouse.prepare([t])
const unit = (await warehouse.open(step, ['u'], 1n)).get('u')
let at = unit?.rows.t ?? 0
process.stdout.write(`open ${at}\n`)
for (;;) {
  const batch = Array.from({ length: rows }, (_, i) => ({ k: BigInt(at + i), v: BigInt(at + i) * 10n ** 60n }))
  at += rows
  await warehouse.commit([
    write([{ output: output(t), rows: batch }], { epoch: unit?.epoch ?? 0n, ledger: { rows: { t: at }, cursor: { at } } }),
  ])
  process.stdout.write(`committed ${at}\n`)
}
