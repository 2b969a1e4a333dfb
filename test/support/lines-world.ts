import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { temporaryFolder } from './folder.js'

/**
 * Units of 10 lines: each reads one number a line from 1 to `count`, and waits `pause` milliseconds. Line 13 can be made to fail. The
 * unit with line `hold` gives its first half, makes the file `held`, and waits until that is gone.
 */
const STEP = `
import { existsSync, writeFileSync } from 'node:fs'
import { setTimeout } from 'node:timers/promises'
export default {
  type: 'counted', summary: 'One row a number.', example: 'see the test', requires: ['into'], units: 1,
  config: {
    type: 'object',
    properties: { count: { type: 'integer' }, pause: { type: 'integer', tuning: true }, fail: { type: 'boolean', tuning: true }, hold: { type: 'integer', tuning: true } },
  },
  async *plan({ config }) {
    const axis = { of: 'numbers', cut: 10n, word: 'lines', each: 1n }
    yield { kind: 'stretches', axis, domain: [1n, BigInt(config.count)], due: 'uncovered', order: 'oldest-first' }
  },
  async *run({ config, unit, into, signal }) {
    const { from, to } = unit.piece
    if (process.env.NOISE) process.stdout.write('{"type":"nothing of ours"}\\n')
    if (config.pause) await setTimeout(config.pause, undefined, { signal })
    if (config.fail && from <= 13n && to >= 13n) throw new Error('line 13 of FOLDER/book.txt <img src=x> is torn\\nrun: done \\x1b[2J\\u202eforged\\u2028')
    const half = from + (to - from) / 2n
    for (const [first, last] of half < to ? [[from, half], [half + 1n, to]] : [[from, to]]) {
      const rows = []
      for (let n = first; n <= last; n++) rows.push({ n })
      yield { rows: { [into.name]: rows }, covers: [[first, last]] }
      if (first !== from || config.hold < from || config.hold > to) continue
      writeFileSync('FOLDER/held', '')
      while (existsSync('FOLDER/held')) await setTimeout(10, undefined, { signal })
    }
  },
}
`

/** A folder with a pipeline named enrichment: numbers into a table, a table computed from it, a gate. `more`: further lines of its file. */
export function linesWorld(more = ''): string {
  const cwd = temporaryFolder()
  writeFileSync(join(cwd, 'package.json'), '{}')
  writeFileSync(join(cwd, 'counted.mjs'), STEP.replaceAll('FOLDER', cwd))
  writeFileSync(
    join(cwd, 'p.yaml'),
    `name: enrichment
plugins: [./counted.mjs]
warehouse: duckdb:data/p.duckdb
params:
  count: { type: int, default: 40, description: How many lines }
  pause: { type: int, default: 0 }
  fail: { type: bool, default: false }
  hold: { type: int, default: 0 }
defaults: { retry: { attempts: 1 } }
tables:
  lines: { columns: { n: bigint }, key: [n], range: n }
  sums: { columns: { n: bigint, double: bigint }, key: [n] }
steps:
  - { id: lines, type: counted, into: lines, with: { count: $count, pause: $pause, fail: $fail, hold: $hold } }
  - { id: sums, type: sql-upsert, needs: [lines], into: sums, with: { sql: 'SELECT n, n * 2 AS double FROM lines' } }
  - id: complete
    type: gate
    needs: [sums]
    with: { checks: [{ name: all doubled, sql: SELECT count(*) FROM lines l LEFT JOIN sums s ON s.n = l.n WHERE s.n IS NULL, expect: 0 }] }
${more}`,
  )
  return cwd
}
