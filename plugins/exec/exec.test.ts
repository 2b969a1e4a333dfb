import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { systemClock } from '../../src/cli/system-clock.js'
import type { RunEvent } from '../../src/sdk/index.js'
import { StopSignal } from '../../src/session/surroundings.js'
import { type Answer, pipe } from '../../test/support/cli.js'
import { temporaryFolder } from '../../test/support/folder.js'
import { spawnPipe } from '../../test/support/spawn-pipe.js'
import { readDuckdb } from '../../test/support/read-duckdb.js'

/** All of the test's own environment that a program is given. */
const PATH = process.env['PATH'] ?? ''

interface Given {
  readonly env?: Readonly<Record<string, string>>
  readonly top?: string
}

/** A folder with a pipeline of these steps. */
function world(steps: string, { env = {}, top = '' }: Given = {}) {
  const cwd = temporaryFolder()
  const here = { cwd, env: { PATH, ...env } }
  const write = (text: string) => writeFileSync(join(cwd, 'p.yaml'), `name: p\nwarehouse: duckdb:p.duckdb\n${top}\nsteps:\n${text}`)
  write(steps)
  return {
    cwd,
    write,
    pipe: (...args: readonly string[]) => pipe(args, here),
    run: async (args: readonly string[] = [], signal?: AbortSignal): Promise<Answer & { readonly events: readonly RunEvent[] }> => {
      const answer = await pipe(['run', 'p.yaml', '--output', 'json', ...args], { ...here, ...(signal ? { signal } : {}) })
      const lines = answer.out.split('\n').filter((line) => line.startsWith('{'))
      return { ...answer, events: lines.map((line) => JSON.parse(line) as RunEvent) }
    },
    units: async () => {
      const rows = (await readDuckdb(join(cwd, 'p.duckdb')))._pipe_units?.rows ?? []
      return Object.fromEntries(
        rows.map(({ step, state, evidence, error }) => [
          String(step),
          { state, error, evidence: JSON.parse(String(evidence)) as { code: number; said: string[]; result: object }[] | null },
        ]),
      )
    },
  }
}

const ofType = <T extends RunEvent['type']>(events: readonly RunEvent[], type: T) =>
  events.filter((event): event is Extract<RunEvent, { type: T }> => event.type === type)

const outcomes = (events: readonly RunEvent[]) =>
  Object.fromEntries(ofType(events, 'step:ended').map(({ step, outcome }) => [step, outcome]))

const limit = 'params: { limit: { type: int, default: 500 } }'

describe('a step that runs a program', () => {
  it('is done by an exit code that means so, in every run; its progress and results are told, its last output is kept', async () => {
    const given = world(
      `  - id: enrich
    type: exec
    with:
      command: sh
      args: [-c, 'echo "$$0" >> calls; echo 1/3; sleep 0.5; echo 3/3; echo 2/2; echo "enriched: 2,480 of pool x" >&2; exit 3', --limit=$limit]
      progress: (?<done>\\d+)/(?<total>\\d+)
      result: ['enriched: (?<enriched>[\\d,]+)', 'of pool (?<pool>\\w+)']
      exit: { ok: [0, 3] }
  - { id: json, type: exec, with: { command: node, args: [-e, 'console.log("no JSON {"); console.log(JSON.stringify({ at: { n: 5 }, of: 9, found: { rows: 7 } }))'], progress: { done: at.n, total: of }, result: { rows: found.rows } } }
`,
      { top: limit },
    )
    const { code, events } = await given.run()
    expect([code, outcomes(events)]).toEqual([0, { enrich: 'complete', json: 'complete' }])
    const batches = ofType(events, 'batch:committed').filter(({ pieces, counts }) => pieces > 0 || counts)
    const told = (of: string) => batches.filter(({ step }) => step === of).map(({ pieces, of: all, counts }) => [pieces, all, counts])
    expect(told('enrich')).toEqual([
      [1, 3, undefined],
      // The second part of two is added to the first of three.
      [4, 5, undefined],
      [0, undefined, { enriched: 2480 }],
    ])
    expect(told('json')).toEqual([
      [5, 9, undefined],
      [0, undefined, { rows: 7 }],
      [4, undefined, undefined],
    ])
    const { enrich } = await given.units()
    expect(enrich).toMatchObject({ state: 'done', error: null })
    const result = { enriched: '2,480', pool: 'x' }
    const said = ['1/3', '3/3', '2/2', 'enriched: 2,480 of pool x']
    expect(enrich?.evidence).toEqual([{ code: 3, signal: null, ms: expect.any(Number) as number, result, said }])

    const plan = await given.pipe('plan', 'p.yaml', '--json')
    expect(plan.out).toContain('"runs every time"')
    expect(await given.pipe('verify', 'p.yaml', '--sample', '1')).toMatchObject({ code: 0 })
    // `--limit` takes the place of the param, and what was cut is not done.
    const cut = await given.run(['--select', 'enrich', '--limit', '10'])
    expect([cut.code, outcomes(cut.events)]).toEqual([1, { enrich: 'limited' }])
    expect(readFileSync(join(given.cwd, 'calls'), 'utf8')).toBe('--limit=500\n--limit=10\n')
    expect((await given.run(['--select', 'json', '--limit', '10'])).code).toBe(0)
  })

  it('that fails is told with what it said, keeps no other branch, is tried again in the next run and never quarantined', async () => {
    const { run, units, cwd } = world(
      `  - { id: generate, type: exec, on_error: continue, with: { command: sh, args: [-c, 'echo Error: no schema >&2; exit 1'] } }
  - { id: enrich, type: exec, needs: [generate], with: { command: sh, args: [-c, 'echo ran >> ran'] } }
  - { id: killed, type: exec, with: { command: sh, args: [-c, 'kill -9 $$$$'] } }
  - { id: throws, type: exec, when: { first: true }, with: { command: node, args: [-e, 'function work() { throw new TypeError("no pool") } work()'] } }
  - { id: below, type: exec, needs: [killed], with: { command: sh, args: [-c, 'echo never >> ran'] } }
  - { id: busy, type: exec, retry: { attempts: 3, wait: 1ms }, with: { command: sh, args: [-c, 'echo x >> tries; [ $$(wc -l < tries) -ge 3 ] || exit 75'], exit: { retry: [75] } } }
`,
      { top: 'defaults: { retry: { attempts: 1 } }\nparams: { first: { type: bool, default: true } }' },
    )
    const states = { generate: 'incomplete', enrich: 'complete', killed: 'incomplete', below: 'blocked', busy: 'complete' }
    const others = [{ throws: 'incomplete' }, { throws: 'skipped' }]
    for (const runs of [1, 2]) {
      const { code, events } = await run(runs === 1 ? [] : ['--param', 'first=false'])
      expect([code, outcomes(events)]).toEqual([1, { ...states, ...others[runs - 1] }])
      expect(ofType(events, 'unit:failed').map(({ step, state, error }) => [step, state, error])).toEqual(
        expect.arrayContaining([
          ['generate', 'failed', 'sh ended with exit code 1; it said last: Error: no schema'],
          ['killed', 'failed', 'sh was ended by SIGKILL, and it said nothing'],
          ...(runs === 1 ? [['throws', 'failed', expect.stringMatching(/TypeError: no pool \| +at work .* \| +at /)]] : []),
        ]),
      )
      expect(readFileSync(join(cwd, 'ran'), 'utf8')).toBe('ran\n'.repeat(runs))
      expect(ofType(events, 'unit:retrying').length).toBe(runs === 1 ? 2 : 0)
    }
    const { generate, busy } = await units()
    expect(generate).toMatchObject({ state: 'failed', evidence: [{ code: 1, said: ['Error: no schema'] }] })
    expect(busy?.evidence?.map(({ code }) => code)).toEqual([0])
  })

  it('with `reads` runs when a commit touched one of these tables or its definition changed, and not else', async () => {
    const steps = (rows: string, text: string) => `  - { id: fill, type: sql-upsert, into: t, with: { sql: SELECT ${rows} AS n } }
  - { id: after, type: exec, needs: [fill], with: { command: sh, args: [-c, 'echo ${text} >> calls'], reads: [t] } }
`
    const given = world(steps('1', 'one'), { top: 'tables: { t: { columns: { n: int }, key: [n] } }' })
    const calls = () => readFileSync(join(given.cwd, 'calls'), 'utf8').trim().split('\n')
    expect((await given.run()).code).toBe(0)
    expect(await given.pipe('plan', 'p.yaml', '--detailed-exitcode')).toMatchObject({ code: 0 })
    expect([(await given.run()).code, calls()]).toEqual([0, ['one']])
    given.write(steps('2', 'one'))
    expect([(await given.run()).code, calls()]).toEqual([0, ['one', 'one']])
    given.write(steps('2', 'two'))
    expect([(await given.run()).code, calls()]).toEqual([0, ['one', 'one', 'two']])
  })

  it('shows none of its secrets: not in events, report, ledger or state, whatever the program prints', async () => {
    const secrets = {
      DATABASE_URL: 'postgres://me:hunter2pass@db.example/x',
      SHARED: 'plain-name-but-in-env',
      INHERITED_TOKEN: 'inherited-tok',
    }
    const script = `echo "$$URL $$SHARED $$INHERITED_TOKEN found=$$SHARED"; echo "$$SHARED" >&2; exit $$CODE`
    const step = (id: string, code: number) =>
      `  - { id: ${id}, type: exec, with: { command: sh, args: [-c, '${script}'], env: { URL: "\${DATABASE_URL}", SHARED: "\${SHARED}", CODE: ${code} }, result: ['found=(?<found>.*)'] } }\n`
    const given = world(step('good', 0) + step('bad', 9), { env: secrets })
    const { code, out, err } = await given.run(['--status-file', 'status.json'])
    expect(code).toBe(1)
    const kept = ['p.duckdb', '.pipe/state.db', 'status.json'].map((file) => readFileSync(join(given.cwd, file), 'latin1'))
    const all = [
      out,
      err,
      ...kept,
      (await given.pipe('status', 'p.yaml', '--json')).out,
      (await given.pipe('plan', 'p.yaml', '--json')).out,
    ]
    for (const text of all) for (const secret of ['hunter2pass', 'plain-name-but', 'inherited-tok']) expect(text).not.toContain(secret)
    expect(out).toContain('sh ended with exit code 9; it said last: ')
    const { good } = await given.units()
    expect(good?.evidence?.[0]).toMatchObject({ result: { found: '***' }, said: [expect.stringContaining('*** found=***'), '***'] })
  })

  it('is stopped with all that it started: by its timeout, though it ignores SIGTERM, and by a stop of the run', async () => {
    const script = `trap "" TERM; sleep 1000 & echo $$$$ $$! > pids; echo working on 17; wait; wait`
    const step = (timeout: string) =>
      `  - { id: slow, type: exec, timeout: ${timeout}, with: { command: sh, args: [-c, '${script}'], grace: 100ms } }\n`
    const given = world(step('1s'))
    const left = () => readFileSync(join(given.cwd, 'pids'), 'utf8').trim().split(' ').map(Number).filter(isRunning)
    const late = await given.run()
    expect([late.code, left(), outcomes(late.events)]).toEqual([1, [], { slow: 'incomplete' }])
    expect(ofType(late.events, 'unit:failed').map(({ code }) => code)).toEqual(['STEP_TIMEOUT'])
    expect(ofType(late.events, 'warning').map(({ message }) => message)).toEqual(['sh was stopped; it said last: working on 17'])
    expect((await given.units()).slow).toMatchObject({ state: 'failed', evidence: [{ stopped: 'sh', said: ['working on 17'] }] })

    given.write(step('1h'))
    const stop = new AbortController()
    writeFileSync(join(given.cwd, 'pids'), '')
    const running = given.run([], stop.signal)
    while (readFileSync(join(given.cwd, 'pids'), 'utf8') === '') await systemClock.sleep(20)
    stop.abort(new StopSignal('SIGINT'))
    const stopped = await running
    expect([stopped.code, left(), outcomes(stopped.events)]).toEqual([130, [], { slow: 'stopped' }])
  })

  it('is killed with all that it started when pipe itself is killed with -9, and the next run runs it anew', async () => {
    const script = '[ -f pids ] && exit 0; sleep 1000 & echo $$$$ $$! > pids; wait'
    const given = world(`  - { id: slow, type: exec, with: { command: sh, args: [-c, '${script}'] } }\n`)
    const killed = spawnPipe(['run', 'p.yaml'], { cwd: given.cwd })
    const pids = () =>
      existsSync(join(given.cwd, 'pids')) ? readFileSync(join(given.cwd, 'pids'), 'utf8').trim().split(' ').map(Number) : []
    while (pids().length < 2) await systemClock.sleep(20)
    expect(pids().filter(isRunning).length).toBe(2)
    killed.kill('SIGKILL')
    await killed.exit
    while (pids().some(isRunning)) await systemClock.sleep(20)
    const { code, events } = await given.run()
    expect([code, outcomes(events)]).toEqual([0, { slow: 'complete' }])
  })
})

/** Not a zombie that only waits to be collected. */
function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0)
  } catch {
    return false
  }
  const stat = `/proc/${pid}/stat`
  return !existsSync(stat) || readFileSync(stat, 'utf8').split(') ').at(-1)?.[0] !== 'Z'
}

describe('pipe validate', () => {
  it.each([
    ['command: no-such-program', '5:43  steps[0].with.command: there is no program no-such-program'],
    ['command: node scripts/a.js', '5:43  steps[0].with.command: there is no program node scripts/a.js'],
    ['command: ./plain.sh', '5:43  steps[0].with.command: ./plain.sh is not executable'],
    [
      'command: node, args: [--import, tsx, scripts/enrich.ts, out.js]',
      '5:71  steps[0].with.args[2]: there is no script scripts/enrich.ts in .',
    ],
    ['command: node, cwd: nowhere', '5:54  steps[0].with.cwd: there is no folder nowhere'],
    [
      'command: npx, args: [no-such-package@2, x]',
      '5:55  steps[0].with.args[0]: no-such-package@2 is not installed where npx looks from .',
    ],
    ['command: node, args: ["--limit=$limt"]', '5:56  steps[0].with.args[0]: `$limt` is not defined'],
    ['command: node, args: [$limit]', '5:56  steps[0].with.args[0]: `$limit` is not defined (declare the param'],
    ['command: node, progress: (\\d+)/(\\d+)', '5:59  steps[0].with.progress: has no group `done`'],
    ['command: node, result: ["(?<n>"]', '5:58  steps[0].with.result[0]: Invalid regular expression: /(?<n>/'],
    ['command: node, reads: [t]', '5:57  steps[0].with.reads[0]: table t is not declared'],
    ['command: node, grace: soon', '5:56  steps[0].with.grace: is no time span'],
  ])('names what is wrong with %s', async (config, problem) => {
    const given = world(`  - { id: x, type: exec, with: { ${config} } }\n`)
    writeFileSync(join(given.cwd, 'plain.sh'), 'exit 0\n')
    const { code, out } = await given.pipe('validate', 'p.yaml')
    expect(code).toBe(2)
    expect(out).toContain(`p.yaml:${problem}`)
  })

  it('takes a program by PATH or path, a script beside it, and what npx has or is told to fetch', async () => {
    const given = world(`  - { id: a, type: exec, with: { command: ./a.sh, args: [--out, made.js] } }
  - { id: b, type: exec, with: { command: node, args: [b.mjs, other.js], cwd: . } }
  - { id: c, type: exec, with: { command: npx, args: [--yes, no-such-package] } }
`)
    writeFileSync(join(given.cwd, 'a.sh'), '#!/bin/sh\n', { mode: 0o755 })
    for (const file of ['b.mjs', 'made.js']) writeFileSync(join(given.cwd, file), '')
    expect(await given.pipe('validate', 'p.yaml')).toMatchObject({ code: 0 })
  })
})
