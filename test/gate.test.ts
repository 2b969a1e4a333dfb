import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import type { PlanReport } from '../src/plan/forecast.js'
import type { StatusReport } from '../src/report/status.js'
import type { RunEvent } from '../src/sdk/index.js'
import type { VerifyReport } from '../src/verify/report.js'
import { pipe } from './support/cli.js'
import { temporaryFolder } from './support/folder.js'
import { schemaErrors } from './support/json-schema.js'

/**
 * `days` writes numbered days, but for one: `outage` leaves it open, `own` sets it aside. `watch` is a gate of somebody else, whose
 * early evaluations take longer than any run of these tests, or throw.
 */
const STEPS = `
import { setTimeout as wait } from 'node:timers/promises'
const failure = (how) => Object.assign(new Error('refused'), { code: 'REFUSED', retryable: false, blame: how })
export default [
  {
    type: 'days', summary: 'Days.', example: 'none', requires: ['into'], needsWhole: false,
    config: { type: 'object', properties: Object.fromEntries(['days', 'fails', 'how', 'ms'].map((name) => [name, { tuning: true }])) },
    *plan({ config: { days } }) {
      const axis = { of: 'numbers', cut: 100n, word: 'days', each: 1n }
      yield { kind: 'stretches', axis, domain: [1n, BigInt(days)], due: 'uncovered', order: 'oldest-first' }
    },
    async *run({ config: { fails = 0, how = 'outage', ms = 0 }, unit: { piece: { from, to } }, into }) {
      const day = BigInt(fails)
      const days = Array.from({ length: Number(to - from) + 1 }, (_, i) => from + BigInt(i)).filter((n) => n !== day)
      await wait(ms)
      yield {
        rows: { [into.name]: days.map((n) => ({ n })) },
        covers: days.map((n) => [n, n]),
        failed: days.length <= to - from ? [{ key: String(day), error: failure(how) }] : [],
      }
    },
  },
  {
    type: 'publish', summary: 'Publishes.', example: 'none', needsWhole: true, config: { type: 'object' },
    *plan() { yield { kind: 'task', due: 'once' } },
    async *run() { yield { covers: undefined } },
  },
  {
    type: 'watch', summary: 'Watches.', example: 'none', closes: true, config: { type: 'object', properties: { throws: {} } },
    *plan() { yield { kind: 'task', due: 'always', everyMs: 40 } },
    async *run({ unit, config }) {
      const { early } = unit.piece
      if (early && config.throws) throw new Error('not yet')
      if (early) await wait(600_000, undefined, { ref: false })
      yield { checks: [{ name: 'w', passed: !early, severity: 'error', value: '1', expect: '1', sql: '' }] }
    },
  },
]`

interface World {
  readonly cwd: string
  readonly run: (...args: string[]) => Promise<{
    code: number
    ends: Record<string, string>
    checks: readonly (readonly [step: string, name: string, passed: boolean, final: boolean])[]
    events: readonly RunEvent[]
    err: string
  }>
  readonly ask: (command: string, ...args: string[]) => Promise<{ code: number; out: string }>
}

function world(steps: string, more = ''): World {
  const cwd = temporaryFolder()
  writeFileSync(join(cwd, 'package.json'), '{}')
  writeFileSync(join(cwd, 'steps.mjs'), STEPS)
  writeFileSync(
    join(cwd, 'p.yaml'),
    `name: p
plugins: [./steps.mjs]
warehouse: duckdb:p.duckdb
params: { fails: { type: int, default: 950 }, how: { type: text, default: outage }, gaps: { type: bool, default: false }, least: { type: int, default: 1 } }
tables: { a: { columns: { n: bigint }, key: [n] }, b: { columns: { n: bigint }, key: [n] }, c: { columns: { n: bigint }, key: [n] } }
defaults: { retry: { attempts: 1 } }
${more}
steps:
${steps}
`,
  )
  const env = { API_TOKEN: 'very-secret-token' }
  return {
    cwd,
    run: async (...args) => {
      const { code, out, err } = await pipe(['run', 'p.yaml', '--output', 'json', ...args], { cwd, env })
      const events = out
        .split('\n')
        .filter((line) => line.startsWith('{'))
        .map((line) => JSON.parse(line) as RunEvent)
      const ends = events.flatMap((event) =>
        event.type === 'step:ended' ? [[event.step, event.outcome + (event.reason === undefined ? '' : `: ${event.reason}`)] as const] : [],
      )
      const checks = events.flatMap((event) =>
        event.type === 'check:evaluated' ? [[event.step, event.result.name, event.result.passed, event.final] as const] : [],
      )
      return { code, ends: Object.fromEntries(ends), checks, events, err }
    },
    ask: async (command, ...args) => {
      const { code, out, err } = await pipe([command, 'p.yaml', ...args], { cwd, env })
      return { code, out: out + err }
    },
  }
}

const days = (id: string, into: string, more = '') =>
  `  - { id: ${id}, type: days, into: ${into}, with: { days: 1048, fails: $fails, how: $how }${more} }`
const gate = (id: string, needs: string, more = '') =>
  `  - { id: ${id}, type: gate, needs: [${needs}], with: { ${more}checks: [{ name: rows, sql: SELECT count(*) FROM a, expect: ">= $least" }] } }`.replace(
    '">= $least"',
    '">= 1"',
  )
const after = (needs: string) => `  - { id: after, type: days, into: b, needs: [${needs}], with: { days: 5 } }`

describe('a gate above which something is missing', () => {
  it('says how much of what, is not evaluated, and keeps closed what needs it; once that is healed it opens', async () => {
    const here = world([days('transfers', 'a'), gate('quality', 'transfers'), after('quality')].join('\n'))
    const why = 'closed: 1 of 1,048 days missing (transfers); not evaluated'
    const { code, ends, checks } = await here.run()
    expect({ code, ends, checks }).toEqual({
      code: 1,
      ends: {
        transfers: 'incomplete: 1 of 1,048 days missing',
        quality: why,
        after: `blocked: needs quality, which is ${why}`,
      },
      checks: [],
    })
    expect((await here.ask('status')).out).toContain(`quality    ${why}`)
    const alone = await here.run('--select', 'quality')
    expect([alone.code, alone.ends]).toEqual([1, { quality: why }])
    const verified = await here.ask('verify', '--step', 'quality')
    expect([verified.code, verified.out]).toEqual([1, expect.stringContaining('closed: 1 of 1,048 days missing (transfers)')])
    const healed = await here.run('--param', 'fails=0')
    expect([healed.code, healed.ends, healed.checks]).toEqual([
      0,
      { transfers: 'complete', quality: 'complete', after: 'complete' },
      [['quality', 'rows', true, true]],
    ])
  })

  it('stays closed whatever it is that is incomplete, and however far above', async () => {
    const steps = [
      days('far', 'a', ', on_error: continue'),
      `  - { id: near, type: days, into: b, needs: [far], with: { days: 5 } }`,
      gate('quality', 'near'),
      gate('second', 'quality', 'allow_gaps: true, '),
      '  - { id: out, type: publish, needs: [near] }',
    ]
    const here = world(steps.join('\n'))
    expect((await here.run()).ends).toEqual({
      far: 'incomplete: 1 of 1,048 days missing',
      near: 'complete',
      quality: 'closed: 1 of 1,048 days missing (far); not evaluated',
      second: 'closed: 1 of 1,048 days missing (far); quality is closed; not evaluated',
      out: 'blocked: needs all of it: 1 of 1,048 days missing (far)',
    })
    expect((await here.run('--select', 'quality,out')).ends).toEqual({
      quality: 'closed: 1 of 1,048 days missing (far); not evaluated',
      out: 'blocked: needs all of it: 1 of 1,048 days missing (far)',
    })
    expect((await here.run('--param', 'how=own')).ends.quality).toBe('closed: 1 in quarantine (far); not evaluated')
    expect((await here.ask('retry')).code).toBe(0)
    const limited = world([days('far', 'a'), gate('quality', 'far')].join('\n'))
    const { code, ends } = await limited.run('--limit', '48')
    expect([code, ends.quality]).toEqual([1, 'closed: --limit left 1,000 days out (far); not evaluated'])
  })

  it('opens with allow_gaps, which plan, run, status, verify and the exit code show', async () => {
    const here = world([days('transfers', 'a'), gate('quality', 'transfers', 'every: 1h, allow_gaps: true, '), after('quality')].join('\n'))
    const gaps = '1 of 1,048 days missing (transfers)'
    const plan = JSON.parse((await here.ask('plan', '--json')).out) as PlanReport
    expect([schemaErrors('plan', plan), plan.steps.map(({ id, allowsGaps }) => [id, allowsGaps])]).toEqual([
      [],
      [
        ['transfers', false],
        ['quality', true],
        ['after', false],
      ],
    ])
    expect((await here.ask('plan')).out).toContain(
      'evaluated in every run, after transfers, while they run every 1h, with gaps, too (allow_gaps)',
    )

    const { code, ends, events } = await here.run()
    expect([code, ends]).toEqual([
      1,
      { transfers: 'incomplete: 1 of 1,048 days missing', quality: `complete: open with gaps (allow_gaps): ${gaps}`, after: 'complete' },
    ])
    expect(events.flatMap((event) => (schemaErrors('run-event', event).length > 0 ? [event] : []))).toEqual([])
    expect(events.find((event) => event.type === 'check:evaluated')).toMatchObject({ final: true, result: { passed: true, gaps } })

    const text = await pipe(['run', 'p.yaml'], { cwd: here.cwd })
    expect(text.out).toMatch(/quality +complete: open with gaps \(allow_gaps\): 1 of 1,048 days missing \(transfers\)/)
    expect(text.out).toContain(
      `What is missing:\n  transfers: 1 day missing\n    key 950 failed: refused (REFUSED)\n  quality: open with gaps`,
    )
    const status = JSON.parse((await here.ask('status', '--json')).out) as StatusReport
    expect([schemaErrors('status', status), status.steps.map((step) => step.gaps), status.checks.map((check) => check.gaps)]).toEqual([
      [],
      [null, gaps, null],
      [gaps],
    ])
    expect((await here.ask('status')).out).toMatch(/quality +1 check passed {2}open with gaps: 1 of 1,048 days missing \(transfers\)/)
    const verify = JSON.parse((await here.ask('verify', '--json')).out) as VerifyReport
    expect(verify.steps.find(({ id }) => id === 'quality')?.notes).toEqual([
      'allow_gaps: it opens although something above it is incomplete, as it is now: there are findings in transfers',
    ])

    // Alone it opens as well, and the exit code still says that something is missing.
    const alone = await here.run('--select', 'quality')
    expect([alone.code, alone.ends]).toEqual([1, { quality: `complete: open with gaps (allow_gaps): ${gaps}` }])
    const healed = await here.run('--param', 'fails=0')
    expect([healed.code, healed.ends.quality]).toEqual([0, 'complete'])
  })
})

describe('--select', () => {
  it('jumps no gate, however far above it is', async () => {
    const shut = `  - { id: quality, type: gate, needs: [transfers], with: { checks: [{ name: rows, sql: SELECT count(*) FROM a, expect: $least }] } }`
    const here = world(
      [
        days('transfers', 'a'),
        shut,
        `  - { id: middle, type: days, into: b, needs: [quality], with: { days: 5 } }`,
        `  - { id: last, type: days, into: c, needs: [middle], with: { days: 9 } }`,
      ].join('\n'),
    )
    await here.run('--param', 'fails=0', '--select', 'transfers')
    expect((await here.ask('plan', '--select', 'last')).out).toContain('quality  (gate, after transfers)')
    const closed = await here.run('--param', 'fails=0', '--select', 'last')
    expect([closed.code, closed.ends]).toEqual([
      1,
      { quality: 'closed: rows: is 1048, expected 1', last: 'blocked: needs quality, which is closed: rows: is 1048, expected 1' },
    ])
    const open = await here.run('--param', 'fails=0', '--param', 'least=1048', '--select', 'last')
    expect([open.code, open.ends]).toEqual([0, { quality: 'complete', last: 'complete' }])
  })
})

describe('a gate that is evaluated while its needs run', () => {
  it('holds nothing up, and an evaluation that is still at it when they end is not taken for the last one', async () => {
    const transfers = '  - { id: transfers, type: days, into: a, parallel: 1, with: { days: 300, ms: 60 } }'
    const here = world(
      [
        transfers,
        '  - { id: watch, type: watch, needs: [transfers], with: {} }',
        '  - { id: early, type: watch, needs: [transfers], with: { throws: true } }',
        `  - { id: quality, type: gate, needs: [transfers], with: { every: 20ms, checks: [{ name: rows, sql: SELECT count(*) FROM a, expect: 300, while_running: ">= 0" }] } }`,
      ].join('\n'),
    )
    const { code, ends, checks, events } = await here.run()
    expect([code, ends]).toEqual([0, { transfers: 'complete', watch: 'complete', early: 'complete', quality: 'complete' }])
    const of = (id: string) => checks.filter(([step]) => step === id).map(([, , passed, final]) => [passed, final])
    expect([of('watch'), of('early')]).toEqual([[[true, true]], [[true, true]]])
    const quality = of('quality')
    expect(quality.length).toBeGreaterThan(1)
    expect(quality).toEqual([...quality.slice(1).map(() => [true, false]), [true, true]])
    const warned = events.flatMap((event) => (event.type === 'warning' ? [`${event.step}: ${event.message}`] : []))
    expect(new Set(warned)).toEqual(new Set(['early: not evaluated while its needs run: not yet']))
    expect(events.filter(({ type }) => type === 'unit:failed')).toEqual([])

    // The history has all of them, with what they were.
    await here.run()
    const status = JSON.parse((await here.ask('status', '--json')).out) as StatusReport
    expect(schemaErrors('status', status)).toEqual([])
    const kept = status.checks.find(({ step }) => step === 'quality')
    expect(kept).toMatchObject({ value: '300', expect: '300', final: true, passed: true })
    const [latest, before, ...earlier] = kept?.history ?? []
    expect([latest, before].map((past) => [past?.run === status.run?.id, past?.value, past?.final])).toEqual([
      [true, '300', true],
      [false, '300', true],
    ])
    expect(earlier.length).toBeGreaterThan(0)
    expect(new Set(earlier.map(({ expect: wanted, final }) => `${wanted} ${final}`))).toEqual(new Set(['>= 0 false']))
  })
})

describe('what checks find', () => {
  it('is kept with the rows at fault, without secrets, NUL and all, and shown', async () => {
    const checks = `
          - { name: no even day, sql: SELECT count(*) FROM a WHERE n % 2 = 0, expect: 0, sample: "SELECT n, '\${API_TOKEN}' AS word, 'x' || chr(0) AS nul FROM a WHERE n % 2 = 0 ORDER BY n" }
          - { name: only said, sql: SELECT NULL, expect: 0, severity: warn }
          - { name: does not bind, sql: SELECT sqrt(-1 - count(*)) FROM a, expect: 0 }`
    const here = world(
      `${days('transfers', 'a', ', source: api')}\n  - id: quality\n    type: gate\n    needs: [transfers]\n    with:\n        checks:${checks}`,
      'sources: { api: { url: "https://api.example/", headers: { X-API-Key: "${API_TOKEN}" } } }',
    )
    const { code, ends } = await here.run('--param', 'fails=0')
    expect([code, ends.quality]).toEqual([
      1,
      expect.stringMatching(/^closed: no even day: is 524, expected 0; does not bind: .*square root/) as string,
    ])
    const { out } = await here.ask('status', '--json')
    const status = JSON.parse(out) as StatusReport
    expect(
      status.checks.map(({ name, passed, severity, value, problem }) => [name, passed, severity, value, problem?.slice(0, 9)]),
    ).toEqual([
      ['no even day', false, 'error', '524', undefined],
      ['only said', false, 'warn', null, 'gave NULL'],
      ['does not bind', false, 'error', null, expect.any(String)],
    ])
    const [first] = status.checks
    expect(first?.sample?.more).toBe(true)
    expect(first?.sample?.rows.map(({ n, nul }) => [n, nul])).toEqual(Array.from({ length: 20 }, (_, i) => [String(2 + 2 * i), 'x\0']))
    const text = await pipe(['run', 'p.yaml', '--param', 'fails=0'], { cwd: here.cwd, env: { API_TOKEN: 'very-secret-token' } })
    expect(text.out).toContain('quality: no even day: 524, expected 0\n    n=2  word=')
    expect(text.out).toContain('nul=x\\x00\n')
    expect(text.out).toContain('17 more kept, and there are others (pipe status p.yaml --json)')
    for (const shown of [out, text.out, readFileSync(join(here.cwd, '.pipe/state.db'), 'latin1')])
      expect(shown).not.toContain('very-secret')
  })

  it('before the timeout of the step is told, and the gate closes by it', async () => {
    const slow = 'SELECT sum(x.range * y.range % 7) FROM range(1000000) x, range(1000000) y'
    const here = world(
      `  - { id: quality, type: gate, timeout: 1s, with: { checks: [{ name: one, sql: SELECT 1, expect: 1 }, { name: slow, sql: "${slow}", expect: 1 }] } }`,
    )
    const { code, ends, checks } = await here.run()
    expect([code, ends.quality, checks]).toEqual([
      1,
      'closed: its checks could not be evaluated: step quality was not done within its timeout of 1 s',
      [['quality', 'one', true, true]],
    ])
  })
})

describe('the definition of a gate', () => {
  const one = (check: string, more = '') => world(`  - { id: g, type: gate, with: { checks: [${check}]${more} } }`)
  const validated = async (check: string, more = '') =>
    (await one(check, more).ask('validate')).out
      .split('\n')
      .filter((line) => line.includes('p.yaml:'))
      .map((line) => line.replace(/^\S+ +steps\[0\]\.with\./, ''))

  it('is looked at before anything runs', async () => {
    expect(
      await validated(
        [
          '{ name: a, sql: DELETE FROM a, expect: 0 }',
          '{ name: a, sql: SELECT 1; SELECT 2, expect: "between 5 and 1" }',
          '{ name: b, sql: SELECT n FROM a__next, expect: ">= x", sample: "SELECT * FROM b__next" }',
          '{ name: c, sql: "SELECT \'", expect: about 5, timeout: 0s, while_running: ">= $least" }',
          '{ name: d, sql: SELECT 1, expect: "between 99.5 % and 100%", while_running: $least }',
        ].join(', '),
        ', every: 0s',
      ),
    ).toMatchInlineSnapshot(`
      [
        "checks[0].sql: begins with DELETE (only a SELECT may run here; the step itself writes what it gives)",
        "checks[1].name: two checks are named "a" (each result is known by its name)",
        "checks[1].sql: holds a ; (one SELECT, without a ; after it)",
        "checks[1].expect: "between 5 and 1" is no expectation (a number, or one of "= 0", ">= 80", "< 5", "between 1 and 5"; a $name stands alone: the sign belongs into its value)",
        "checks[2].sql: reads a__next, which is there only while a rebuild makes it (a part of the rebuild may hold checks)",
        "checks[2].expect: ">= x" is no expectation (a number, or one of "= 0", ">= 80", "< 5", "between 1 and 5"; a $name stands alone: the sign belongs into its value)",
        "checks[2].sample: reads b__next, which is there only while a rebuild makes it (a part of the rebuild may hold checks)",
        "checks[3].sql: ' at character 8 is never closed (close it with ')",
        "checks[3].expect: "about 5" is no expectation (a number, or one of "= 0", ">= 80", "< 5", "between 1 and 5"; a $name stands alone: the sign belongs into its value)",
        "checks[3].timeout: is no duration (for example 30s or 10m)",
        "checks[3].while_running: ">= $least" is no expectation (a number, or one of "= 0", ">= 80", "< 5", "between 1 and 5"; a $name stands alone: the sign belongs into its value)",
        "every: is no duration (for example 30m)",
      ]
    `)
  })

  it('takes params, and refuses values that are none before anything is fetched', async () => {
    const here = world(
      `${days('transfers', 'a')}\n  - { id: g, type: gate, needs: [transfers], with: { allow_gaps: $gaps, checks: [{ name: rows, sql: SELECT count(*) FROM a WHERE n > $least, expect: $how }] } }`,
    )
    const good = await here.run('--param', 'gaps=true', '--param', 'least=3', '--param', 'how=between 1 and 2000')
    expect(good.ends.g).toMatch(/^complete: open with gaps/)
    const bad = await here.run('--param', 'fails=0', '--param', 'how=lots')
    expect([bad.code, bad.ends, bad.err]).toEqual([2, {}, expect.stringContaining('step g: check "rows": "lots" is no expectation')])
  })
})
