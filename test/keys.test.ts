import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { pipe } from './support/cli.js'
import { temporaryFolder } from './support/folder.js'
import { readDuckdb } from './support/read-duckdb.js'

/** Reads records of places 0 to 99, ten places a batch, in units of 50. `at` lists the places of further records by their id. */
const STEP = `
const places = { of: 'numbers', cut: 50n, word: 'places', each: 1n }
export default {
  type: 'records', summary: 'Records of places.', example: 'see the test', requires: ['into'], units: 1,
  config: { type: 'object', properties: { twice: { type: 'array', tuning: true }, version: { type: 'integer' } } },
  *plan() {
    yield { kind: 'stretches', axis: places, domain: [0n, 99n], due: 'uncovered', order: 'oldest-first' }
  },
  async *run({ config, unit, into }) {
    for (let from = unit.piece.from; from <= unit.piece.to; from += 10n) {
      const rows = []
      for (let place = from; place < from + 10n; place++) rows.push({ id: 'r' + place, place, value: 'v' + config.version })
      for (const [id, place, value] of config.twice)
        if (BigInt(place) >= from && BigInt(place) < from + 10n) rows.push({ id, place: BigInt(place), value })
      yield { rows: { [into.name]: rows }, covers: [[from, from + 9n]] }
    }
  },
}
`

type Twice = readonly (readonly [id: string, place: number, value: string])[]

function project(table = 'key: [id], range: place') {
  const cwd = temporaryFolder()
  writeFileSync(join(cwd, 'package.json'), '{}')
  writeFileSync(join(cwd, 'records.mjs'), STEP)
  const run = async (twice: Twice, version = 1, ...args: string[]) => {
    const yaml = `name: p
plugins: [./records.mjs]
warehouse: duckdb:p.duckdb
tables:
  records: { columns: { id: text, place: bigint, value: text }, ${table} }
steps:
  - { id: records, type: records, into: records, with: { version: ${version}, twice: ${JSON.stringify(twice)} } }
`
    writeFileSync(join(cwd, 'p.yaml'), yaml)
    const { code, out } = await pipe(['run', 'p.yaml', ...args], { cwd, env: {} })
    return { code, out: out.replaceAll(/\s+/g, ' ') }
  }
  const rows = async () => (await readDuckdb(join(cwd, 'p.duckdb'))).records?.rows ?? []
  return { run, rows }
}

describe('two different records of one key', () => {
  it.each<[where: string, twice: Twice, problem: string, kept: number]>([
    [
      'in one batch',
      [['r55', 55, 'w']],
      'records (id="r55"): two different rows have this key: value "v1" and "w" (both of unit 50-99)',
      50,
    ],
    [
      'in two batches of a unit',
      [['r55', 91, 'v1']],
      'records (id="r55"): two different rows have this key: place 55 and 91 (both of unit 50-99)',
      90,
    ],
    ['in two units', [['r20', 80, 'v1']], 'records (id="r20"): two different rows have this key: place 20 and 80 (of unit 0-49', 80],
  ])('%s end the run with exit 1 and the names of both; what was read before them stays', async (_, twice, problem, kept) => {
    for (const table of ['key: [id], range: place', 'key: [id]']) {
      const { run, rows } = project(table)
      const { code, out } = await run(twice)
      expect(code).toBe(1)
      expect(out).toContain(problem)
      expect(out).toContain('KEY_CONFLICT')
      const there = await rows()
      expect(there.length).toBeLessThanOrEqual(kept)
      expect(there.find(({ id }) => id === twice[0]?.[0])).not.toMatchObject({ place: twice[0]?.[1], value: twice[0]?.[2] })
      // Mended at its source, it goes on where it was.
      expect((await run([])).code).toBe(0)
      expect((await rows()).length).toBe(100)
    }
  })

  it('are counted where the table says `on_conflict: last`, and the report counts the rows of the table', async () => {
    const { run, rows } = project('key: [id], range: place, on_conflict: last')
    const { code, out } = await run([
      ['r20', 80, 'later'],
      ['r55', 55, 'later'],
    ])
    expect(code).toBe(0)
    expect(out).toContain('2 replaced in records by a different row of its key')
    expect(out).toContain('100 rows into records')
    const there = await rows()
    expect([there.length, there.filter(({ value }) => value === 'later').map(({ id, place }) => [id, place])]).toEqual([
      100,
      [
        ['r20', '80'],
        ['r55', '55'],
      ],
    ])
  })

  it('are none where they are equal, nor where a changed definition has all of it read again', async () => {
    const { run, rows } = project()
    expect((await run([['r20', 20, 'v1']])).code).toBe(0)
    expect((await run([], 2)).code).toBe(0)
    expect((await run([], 2, '--fresh')).code).toBe(0)
    const there = await rows()
    expect([there.length, new Set(there.map(({ value }) => value))]).toEqual([100, new Set(['v2'])])
  })
})
