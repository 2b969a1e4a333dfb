import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DuckDBInstance } from '@duckdb/node-api'
import { describe, expect, it } from 'vitest'
import { pipe } from './support/cli.js'
import { temporaryFolder } from './support/folder.js'
import { readDuckdb } from './support/read-duckdb.js'

/** Moves of `most` rows of two wallets, published as flows by wallet and figures of them. */
function pipeline({ parts = '', more = '' } = {}): string {
  return `name: p
warehouse: duckdb:p.duckdb
params: { most: { type: int, default: 3 }, bad: { type: int, default: 0 } }
tables:
  moves: { columns: { k: bigint, wallet: text, amount: bigint }, key: [k] }
  flows: { columns: { wallet: text, amount: bigint, moves: int? }, key: [wallet], indexes: { flows_amount: [amount] } }
  figures: { columns: { name: text, value: bigint }, key: [name] }
  seen: { columns: { wallets: bigint }, key: [wallets] }
steps:
  - id: moves
    type: sql-upsert
    into: moves
    with: { sql: "SELECT k, 'w' || CAST(k % 2 AS text) AS wallet, 10 AS amount FROM (VALUES (1), (2), (3), (4), (5)) AS t(k) WHERE k <= $most" }
  - id: publish
    type: rebuild
    needs: [moves]
    with:
      keep: 2
      snapshot: out/snapshot_$now.json
      parts:
        - { id: flows, into: flows, sql: "SELECT wallet, CAST(sum(amount) AS bigint) AS amount, CAST(count(*) AS int) AS moves FROM moves GROUP BY wallet" }
        - id: sound
          checks:
            - { name: amounts, sql: "SELECT sum(amount) - $bad FROM flows__next", expect: ">= 10" }
            - { name: wallets, sql: "SELECT count(*) FROM flows__next", expect: 9, severity: warn }
${parts}        - { id: figures, into: figures, sql: "SELECT 'wallets' AS name, CAST(count(*) AS bigint) AS value FROM flows__next UNION ALL SELECT 'amount', CAST(sum(amount) AS bigint) FROM flows__next" }
  - id: after
    type: sql-upsert
    needs: [publish]
    into: seen
    with: { sql: SELECT count(*) AS wallets FROM flows }
${more}`
}

async function execute(cwd: string, text: string): Promise<void> {
  const instance = await DuckDBInstance.create(join(cwd, 'p.duckdb'))
  const connection = await instance.connect()
  await connection.run(text)
  connection.closeSync()
  instance.closeSync()
}

function world(text = pipeline()) {
  const cwd = temporaryFolder()
  const file = join(cwd, 'p.yaml')
  writeFileSync(file, text)
  const cli = (...args: string[]) => pipe([args[0] ?? '', 'p.yaml', ...args.slice(1)], { cwd, env: {} })
  return {
    cwd,
    run: (...args: string[]) => cli('run', ...args),
    cli,
    /** Flows, figures and `seen`, with the names of all tables that are no ledger's. */
    async tables() {
      const content = await readDuckdb(join(cwd, 'p.duckdb'))
      const rows = (name: string) => (content[name]?.rows ?? []).map((row) => Object.values(row).join(' '))
      return {
        flows: rows('flows'),
        figures: rows('figures'),
        names: Object.keys(content)
          .filter((name) => !name.startsWith('_pipe_'))
          .map(plain)
          .sort(),
      }
    },
    async units() {
      return (await readDuckdb(join(cwd, 'p.duckdb')))._pipe_units?.rows.filter(({ step }) => step === 'publish') ?? []
    },
    snapshots: () =>
      readdirSync(join(cwd, 'out'))
        .sort()
        .map((name) => JSON.parse(readFileSync(join(cwd, 'out', name), 'utf8')) as Record<string, unknown>),
  }
}

/** Lines that were broken between words, put together. */
const flat = (text: string) => text.replace(/\n +/g, ' ')
const plain = (name: string) => name.replace(/_\d{8}T\d{6}Z$/, '')
const THREE = ['w0 10 1', 'w1 20 2']
const FIVE = ['w0 20 2', 'w1 30 3']
const TABLES = ['figures', 'flows', 'moves', 'seen']

describe('rebuild', () => {
  it('has verify find rows that a published table lost, and what it advises builds them again; after a rollback it says that none were counted', async () => {
    const { cwd, cli, tables } = world()
    expect((await cli('run')).code).toBe(0)
    expect((await cli('verify')).code).toBe(0)
    await execute(cwd, 'DELETE FROM flows')
    const found = await cli('verify')
    expect([found.code, found.out]).toEqual([1, expect.stringContaining('flows has 0 rows, and what was published has 2') as unknown])
    expect(found.out).toContain('pipe reset p.yaml --step publish')
    expect((await cli('reset', '--step', 'publish')).code).toBe(0)
    expect((await cli('run')).code).toBe(0)
    expect([(await cli('verify')).code, (await tables()).flows]).toEqual([0, THREE])
    await execute(cwd, "INSERT INTO figures VALUES ('more', 1)")
    expect((await cli('verify')).out).toContain('figures has 3 rows, and what was published has 2')
    expect((await cli('rollback', '--step', 'publish')).code).toBe(0)
    const after = await cli('verify', '--step', 'publish')
    expect([after.code, after.out]).toEqual([0, expect.stringContaining('flows: its rows are not counted') as unknown])
  })

  it('publishes all tables at once, says what, builds again when inputs changed, and keeps what was there; rollback brings it back', async () => {
    const { run, cli, tables, units, snapshots } = world()
    const planned = await cli('plan')
    expect([planned.code, planned.err]).toEqual([0, ''])
    expect(planned.out).toContain('builds flows__next, figures__next')
    expect(planned.out).toContain('then swaps all at once: flows, figures (version 1)')
    const first = await run()
    expect([first.code, first.err]).toEqual([0, ''])
    expect(await tables()).toEqual({ flows: THREE, figures: ['amount 30', 'wallets 2'], names: TABLES })
    const [unit] = await units()
    expect(unit).toMatchObject({ state: 'done', rows: '{"flows":2,"figures":2}' })
    expect(snapshots()).toMatchObject([
      {
        pipeline: 'p',
        step: 'publish',
        version: 1,
        inputs_commit: unit?.unit,
        tables: {
          flows: { part: 'flows', rows: 2, content: [{ wallet: 'w0', amount: 10, moves: 1 }, { wallet: 'w1' }], kept: [] },
          figures: { rows: 2 },
        },
        coverage: [{ step: 'moves', units: 1, done: 1 }],
        checks: [
          { part: 'sound', name: 'amounts', passed: true, value: '30', expect: '>= 10' },
          { part: 'sound', name: 'wallets', passed: false, severity: 'warn', value: '2' },
        ],
      },
    ])
    // Nothing changed: nothing is done.
    expect([(await run()).code, snapshots().length, (await cli('plan', '--detailed-exitcode')).code]).toEqual([0, 1, 0])
    const second = await run('--param', 'most=5')
    expect(second.code).toBe(0)
    expect(await tables()).toEqual({
      flows: FIVE,
      figures: ['amount 50', 'wallets 2'],
      names: ['figures', 'figures__v1', 'flows', 'flows__v1', 'moves', 'seen'],
    })
    const after = await units()
    expect([after.length, after[0]?.unit === unit?.unit]).toEqual([1, false])
    expect((await cli('verify', '--param', 'most=5')).code).toBe(0)

    const back = await cli('rollback', '--step', 'publish', '--json')
    expect(JSON.parse(back.out)).toMatchObject({
      pipeline: 'p',
      step: 'publish',
      from: 2,
      to: 1,
      tables: [{ table: 'flows' }, { table: 'figures' }],
    })
    expect(await tables()).toEqual({
      flows: THREE,
      figures: ['amount 30', 'wallets 2'],
      names: ['figures', 'figures__v2', 'flows', 'flows__v2', 'moves', 'seen'],
    })
    expect((await cli('status')).out).toContain('rolled back to version 1 by hand')
    const held = await run('--param', 'most=5')
    expect([held.code, (await tables()).flows]).toEqual([0, THREE])
    expect(held.out).toContain('rolled back to version 1 by hand')
    expect((await run('--param', 'most=4')).code).toBe(0)
    expect((await tables()).flows).toEqual(THREE)
    expect(await cli('rollback', '--step', 'publish')).toMatchObject({
      code: 2,
      err: expect.stringContaining('flows, figures have no version before 1') as string,
    })
    expect((await cli('reset', '--step', 'publish')).code).toBe(0)
    expect((await run('--param', 'most=5')).code).toBe(0)
    expect(await tables()).toMatchObject({ flows: FIVE, names: ['figures', 'figures__v1', 'flows', 'flows__v1', 'moves', 'seen'] })
  }, 120_000)

  it('leaves the tables as they are when a check among its parts does not pass, and does not build from what is incomplete', async () => {
    const { run, tables, snapshots } = world()
    await run()
    const closed = await run('--param', 'most=5', '--param', 'bad=100')
    expect(closed.code).toBe(1)
    // Where it happens, and once more in what is left of it.
    expect(closed.out.match(/.*-50.*/g)).toEqual([
      'check pipeline=p step=publish name=amounts passed=false severity=error value=-50 expect=">= 10" final=true',
      '  publish: amounts: -50, expected >= 10',
    ])
    expect(closed.out).toContain(
      'step pipeline=p step=after state=blocked done=0 missing=0 quarantined=0 reason="needs publish, which is closed"',
    )
    expect(flat(closed.out)).toContain('unit 4 failed: part sound (parts[1]): the check "amounts" did not pass (CHECK_FAILED)')
    expect([(await tables()).flows, snapshots().length]).toEqual([THREE, 1])
    const limited = await run('--param', 'most=4', '--limit', '1')
    expect([limited.code, (await tables()).flows]).toEqual([1, THREE])
    expect((await run('--param', 'most=5')).code).toBe(0)
    // What the build that failed left is gone.
    expect(await tables()).toMatchObject({ flows: FIVE, names: ['figures', 'figures__v1', 'flows', 'flows__v1', 'moves', 'seen'] })
  }, 120_000)

  it('says of a part that fails which it is, why, once where it happens and once at the end, what to do, and what becomes of its shadows', async () => {
    const broken = (sql: string) =>
      world(pipeline().replace(/\{ id: figures, into: figures, sql: .* \}/, `{ id: figures, into: figures, sql: "${sql}" }`))
    const left =
      'nothing was swapped: flows, figures are as they were; the next run drops flows__next, figures__next and builds all of them anew'
    const part = 'part figures (parts[2], table figures): '

    const cast = await broken('SELECT w AS name, CAST(w AS bigint) AS value FROM (SELECT wallet AS w FROM flows__next) AS f').run()
    expect([cast.code, cast.out.match(/Could not convert/g)?.length, cast.out.split(part).length - 1]).toEqual([1, 2, 2])
    expect(flat(cast.out)).toContain(`unit 1 failed: ${part}the database refused the SQL: Conversion Error`)
    expect(flat(cast.out)).toContain(`; ${left}\n`.trim())
    expect(cast.out).not.toMatch(/rows into flows|rows written.*flows/)

    const twice = await broken("SELECT 'a' AS name, k AS value FROM moves").run()
    expect(flat(twice.out)).toContain(
      `unit 1 failed: ${part}figures__next (name="a"): is given more than once by the query (in 3 rows) (VALUE_REFUSED) have the query give one row a key: GROUP BY name, with sum(), max() or the like for the other columns; where all of these rows are meant, add to \`key\` of the table the columns that tell them apart; ${left}`,
    )

    // Before anything is fetched: the line of the log, and the last word of the command.
    const unbound = await broken("SELECT 'a' AS name, nosuch AS value FROM flows__next").run()
    expect([unbound.code, (unbound.out + unbound.err).match(/column \\?"nosuch\\?" not found/g)?.length]).toEqual([2, 2])
    expect(unbound.err).toContain(`error: step publish: ${part}the database refused the SQL: Binder Error`)
  }, 60_000)

  it('writes its snapshot in the next run when it could not be written, and swaps nothing once more for it', async () => {
    const { cwd, run, tables, units, snapshots } = world()
    writeFileSync(join(cwd, 'out'), 'a file where a folder is wanted')
    const first = await run()
    expect([first.code, (await tables()).flows]).toEqual([1, THREE])
    const [unit] = await units()
    rmSync(join(cwd, 'out'))
    mkdirSync(join(cwd, 'out'))
    expect((await run()).code).toBe(0)
    expect(snapshots()).toMatchObject([{ version: 1, inputs_commit: unit?.unit, tables: { flows: { rows: 2 } } }])
    expect((await tables()).names).toEqual(TABLES)
  }, 120_000)

  it('says what is wrong in the file', async () => {
    const { cli } = world(
      pipeline({
        parts: `        - { id: sound, into: flow, sql: "SELECT 1" }
        - { id: early, into: seen, sql: "DELETE FROM figures__next" }
        - { id: twice, into: flows, sql: "SELECT * FROM figures__next" }
        - { id: checks, checks: [{ name: a, sql: "SELECT count(*) FROM moves__next", expect: nothing }] }
`,
      }),
    )
    const { code, out, err } = await cli('validate')
    expect(code).toBe(2)
    const lines = (out + err)
      .split('\n')
      .filter((line) => line.includes('steps[1]'))
      .map((line) => line.replace(/^.*steps\[1\]\.with\./, ''))
    expect(lines).toEqual([
      'parts[2].id: two parts are named sound (each is known by its name)',
      'parts[2].into: table flow is not declared (did you mean "flows"?)',
      'parts[3].sql: begins with DELETE (only a SELECT may run here; the step itself writes what it gives)',
      'parts[3].sql: reads figures__next, which no part before it builds (put the part that builds figures before it)',
      'parts[4].into: a part before it builds flows already (one part a table)',
      'parts[4].sql: reads figures__next, which no part before it builds (put the part that builds figures before it)',
      expect.stringContaining('parts[5].checks[0].sql: reads moves__next, which is there only while a rebuild makes it'),
      expect.stringContaining('parts[5].checks[0].expect: "nothing" is no expectation'),
    ])
  })

  it('refuses a table that another step fills, too, and a name that a version would get', async () => {
    const text = pipeline({
      more: `  - { id: other, type: sql-upsert, needs: [publish], into: figures, with: { sql: "SELECT 'x' AS name, 1 AS value" } }
`,
    }).replace('  seen:', '  flows__v1_20240301T120000Z: { columns: { a: int }, key: [a] }\n  seen:')
    const { out, err } = await world(text).cli('validate')
    expect(out + err).toContain('steps `publish` and `other` both fill table `figures`, and what is renewed as a whole is one step')
    expect(out + err).toContain('table `flows__v1_20240301T120000Z` has a name that versions of `flows` get')
  })
})
