import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DuckDBInstance } from '@duckdb/node-api'
import { describe, expect, it } from 'vitest'
import { type ApiServer, type FakeApi, fakeApi } from '../src/sandbox/index.js'
import type { VerifyReport } from '../src/verify/report.js'
import { apiYaml } from './support/api-run.js'
import { atEnd } from './support/cleanup.js'
import { pipe } from './support/cli.js'
import { temporaryFolder } from './support/folder.js'
import { schemaErrors } from './support/json-schema.js'
import { readDuckdb } from './support/read-duckdb.js'

const COVER = 'from: 2023-11-14, to: 2023-11-17T06:00:00Z'

/** A list of four days that one pipeline reads into DuckDB. */
class World {
  readonly cwd = temporaryFolder()
  readonly api: FakeApi
  readonly #server: ApiServer

  private constructor(api: FakeApi, server: ApiServer, yaml: string) {
    this.api = api
    this.#server = server
    this.write(yaml)
  }

  /** `expected`: rows that a gate wants in the table. */
  static async of(way: string, cover: string | null = COVER, expected?: number): Promise<World> {
    const api = fakeApi({ seed: 23 })
    // A row every half an hour: 48 a day.
    for (let i = 0; i < 160; i++) api.add(1, { at: 1_699_920_000 + i * 1_800 })
    const server = await api.serve()
    atEnd(() => server.close())
    const gate = `  - id: whole
    type: gate
    needs: [t]
    with: { checks: [{ name: all rows are there, sql: SELECT count(*) FROM t, expect: ${expected} }] }
`
    const world = new World(api, server, `${apiYaml({ way, limit: 50, cover: cover ?? undefined })}${expected === undefined ? '' : gate}`)
    expect((await world.call('run')).code).toBe(0)
    return world
  }

  write(yaml: string): void {
    writeFileSync(join(this.cwd, 'p.yaml'), yaml)
  }

  call(verb: string, ...args: string[]) {
    return pipe([verb, 'p.yaml', ...args], { cwd: this.cwd, env: { URL: this.#server.url } })
  }

  /** Changes the database behind our back. */
  async doctor(...statements: string[]): Promise<void> {
    const instance = await DuckDBInstance.create(join(this.cwd, 'p.duckdb'))
    const connection = await instance.connect()
    for (const statement of statements) await connection.run(statement)
    connection.closeSync()
    instance.closeSync()
  }

  async rows() {
    return (await readDuckdb(join(this.cwd, 'p.duckdb'))).t?.rows ?? []
  }

  async verify(...args: string[]): Promise<VerifyReport> {
    const { code, out, err } = await this.call('verify', '--json', ...args)
    expect(err).toBe('')
    const report = JSON.parse(out) as VerifyReport
    expect([code, schemaErrors('verify', report)]).toEqual([report.ok ? 0 : 1, []])
    return report
  }

  /** Finds something, and nothing any more once each command that it gives was carried out as it stands, in their order. */
  async mended(...sample: string[]): Promise<VerifyReport> {
    const report = await this.verify(...sample)
    expect(report.ok).toBe(false)
    const commands = [...new Set(report.findings.flatMap(({ fix }) => fix))]
    const runs = commands.filter((command) => command.startsWith('pipe run'))
    for (const command of [...commands.filter((each) => !runs.includes(each)), ...runs]) {
      if (!command.startsWith('pipe ')) await this.doctor(command)
      else {
        const [verb = '', , ...args] = command.split(' ').slice(1)
        const { code, out, err } = await this.call(verb, ...args)
        expect({ command, code, text: code === 0 ? '' : out + err }).toEqual({ command, code: 0, text: '' })
      }
    }
    expect((await this.verify(...sample)).findings).toEqual([])
    return report
  }
}

const problems = ({ findings }: VerifyReport) => findings.map(({ check, unit, problem }) => [check, unit, problem])

describe('verify of a table that a list fills', () => {
  it.each(['next', 'window'])('by %s: names the days that lost rows, and its advice brings them back', async (way) => {
    const world = await World.of(way, COVER, 157)
    expect((await world.verify()).findings).toEqual([])
    const before = await world.rows()
    expect(before.length).toBe(157)
    await world.doctor(
      `DELETE FROM t WHERE id IN (SELECT id FROM t WHERE time >= '2023-11-15' AND time < '2023-11-16' ORDER BY id LIMIT 3)`,
      `DELETE FROM t WHERE time >= '2023-11-17T05:00:00'`,
    )
    const lost = [
      ['missing', '2023-11-15..2023-11-15', 't lacks 3 of the 48 rows of 2023-11-15 that were written'],
      ['missing', '2023-11-17..2023-11-17', 't lacks 3 of the 13 rows of 2023-11-17 that were written'],
    ]
    expect(problems(await world.verify())).toEqual(lost)
    // Another run has nothing to do and does not make it good: the gate stays closed until the advice is followed.
    expect((await world.call('run')).code).toBe(1)
    expect(problems(await world.mended())).toEqual(lost)
    expect(await world.rows()).toEqual(before)
  })

  it('names rows that are too many, whether units were there or not, and what was changed, and mends each', async () => {
    const world = await World.of('next')
    const before = await world.rows()
    const row = (id: string, time: string) => `INSERT INTO t VALUES ('0x${id}', '${time}', 'nobody', 1)`
    await world.doctor(row('aa', '2023-11-15T01:00:01'), row('bb', '2023-11-20'), row('cc', '2023-11-17T06:00:01'))
    const extra = await world.mended()
    expect(extra.findings.map(({ check, problem, fix }) => [check, problem, fix])).toEqual([
      [
        'surplus',
        't has 49 rows of 2023-11-15, and 48 were written: 1 too many',
        ['pipe reset p.yaml --step t --range 2023-11-15..2023-11-15', 'pipe run p.yaml'],
      ],
      [
        'surplus',
        't has 15 rows of 2023-11-17..2023-11-20, and 13 were written: 2 too many',
        [`DELETE FROM "t" WHERE "time" >= '2023-11-17 06:00:00.000001' AND "time" <= '2023-11-20 23:59:59.999999'`],
      ],
    ])
    expect(await world.rows()).toEqual(before)
    await world.doctor(`UPDATE t SET fee = fee + 1, sender = 'nobody' WHERE time < '2023-11-14T10:00:00'`)
    expect((await world.verify()).findings).toEqual([])
    const changed = await world.mended('--sample', '9')
    expect(new Set(changed.findings.map(({ check, key }) => `${check} ${key}`)).size).toBe(20)
    expect(await world.rows()).toEqual(before)
  })

  it('keeps count through growth, resets of a part, a changed definition and --fresh, also where all rows were lost', async () => {
    const world = await World.of('next', 'from: 2023-11-14')
    const clean = async () => expect(problems(await world.verify())).toEqual([])
    world.api.add(20)
    expect((await world.call('run')).code).toBe(0)
    await clean()
    expect((await world.call('reset', '--step', 't', '--range', '2023-11-15T07:00:00Z..2023-11-15T09:00:00.5Z')).code).toBe(0)
    expect((await world.verify()).findings.map(({ check }) => check)).toEqual(['gap'])
    expect((await world.call('run')).code).toBe(0)
    await clean()
    // What is lost elsewhere in the day is still told.
    await world.doctor(`DELETE FROM t WHERE time = '2023-11-15T12:00:00'`)
    expect((await world.call('reset', '--step', 't', '--range', '2023-11-15T07:00:00Z..2023-11-15T09:00:00Z')).code).toBe(0)
    expect((await world.call('run')).code).toBe(0)
    expect(problems(await world.mended())).toEqual([
      ['missing', '2023-11-15..2023-11-15', 't lacks 1 of the 48 rows of 2023-11-15 that were written'],
    ])
    await world.doctor('DELETE FROM t')
    expect((await world.verify()).findings.map(({ check, unit }) => [check, unit?.slice(0, 10)])).toEqual([['missing', '2023-11-14']])
    expect((await world.call('run', '--fresh')).code).toBe(0)
    await clean()
    expect((await world.rows()).length).toBe(world.api.size)
    await world.doctor(`DELETE FROM t WHERE time < '2023-11-15'`)
    world.write(apiYaml({ way: 'next', limit: 50, cover: 'from: 2023-11-14' }).replace('fee: fee', 'fee: height'))
    expect((await world.call('run')).code).toBe(0)
    await clean()
  })

  it('counts a whole list, too, and one that an older version wrote from its reset on', async () => {
    const world = await World.of('next', null)
    const before = await world.rows()
    await world.doctor(`DELETE FROM t WHERE id IN (SELECT id FROM t ORDER BY id LIMIT 2)`)
    const lost = await world.mended()
    expect(problems(lost)).toEqual([['missing', null, 't lacks 2 of the 160 rows that were written']])
    await world.doctor('DELETE FROM _pipe_counts')
    expect((await world.call('run')).code).toBe(0)
    expect((await world.verify()).findings).toMatchObject([
      {
        check: 'uncounted',
        problem: 'rows of t are not counted: they were written by an older version, and nothing says how many there must be',
        fix: ['pipe reset p.yaml --step t', 'pipe run p.yaml'],
      },
    ])
    await world.mended()
    expect(await world.rows()).toEqual(before)
  })
})
