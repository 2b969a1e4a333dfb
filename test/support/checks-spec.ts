import { describe, expect, test } from 'vitest'
import type { CheckResult, ColumnType, Scope, Value } from '../../src/sdk/index.js'
import { type Check, evaluateChecks } from '../../src/sdk/authors.js'
import { sqlType } from '../../src/warehouse/types.js'
import { all, output, step, table, write } from './warehouse.js'
import type { Engine } from './warehouse-spec.js'

const HUGE = 2n ** 128n + 1n
const numbers = table('numbers', { n: 'bigint', big: 'uint256', seen: 'timestamp', note: 'text?' }, ['n'])

/** What checks find on every warehouse. */
export function checksSpec(engine: Engine): void {
  const type = (kind: 'text' | 'float' | 'uint256' | 'timestamp') => sqlType({ kind }, engine.kind)

  describe('a check', () => {
    test('is one number, exact; what is none did not pass, by name; a SELECT that writes is refused', async () => {
      const warehouse = await (await engine.place())()
      try {
        await warehouse.prepare([numbers])
        await warehouse.open(step, ['u'], 1n)
        const rows = Array.from({ length: 25 }, (_, n) => ({
          n,
          big: HUGE - BigInt(n),
          seen: 1_700_000_000_000_001n,
          note: n === 1 ? 'a\nb' : null,
        }))
        await warehouse.commit([write([{ output: output(numbers), rows }])])
        const param = (kind: ColumnType['kind'], value: Value) => ({ type: { kind } as ColumnType, value })
        const scope: Scope = new Map([['least', param('bigint', 24n)]])
        const found = async (checks: readonly (Partial<Check> & { readonly sql: string })[], early = false) =>
          evaluateChecks(
            checks.map((check, i) => ({ name: `c${i}`, expect: 1, ...check })),
            { scope, warehouse, signal: new AbortController().signal },
            early,
          )
        const short = ({ passed, value, problem }: CheckResult) => [passed, value, ...(problem === undefined ? [] : [problem])]
        const nan = `CAST('NaN' AS ${type('float')})`

        expect(
          (
            await found([
              { sql: 'SELECT count(*) FROM numbers -- all', expect: '= 25' },
              { sql: 'SELECT max(big) FROM numbers', expect: `between ${HUGE} and ${HUGE}` },
              { sql: 'SELECT max(big) FROM numbers', expect: `< ${HUGE}` },
              { sql: 'SELECT count(*) FROM numbers WHERE n >= $least', expect: 1 },
              { sql: 'SELECT 100.0 * count(note) / count(*) FROM numbers', expect: '>= 4 %' },
              { sql: 'SELECT max(note) FROM numbers WHERE n = 2' },
              { sql: 'SELECT n FROM numbers WHERE n < 2' },
              { sql: 'SELECT n FROM numbers WHERE n > 99' },
              { sql: 'SELECT min(n), max(n) FROM numbers' },
              { sql: `SELECT CAST('1' AS ${type('text')})` },
              { sql: 'SELECT n > 1 FROM numbers WHERE n = 1' },
              { sql: 'SELECT seen FROM numbers WHERE n = 1' },
            ])
          ).map(short),
        ).toEqual(
          [
            [true, '25'],
            [true, String(HUGE)],
            [false, String(HUGE)],
            [true, '1'],
            [true, expect.stringMatching(/^4(\.0*)?$/) as string],
            [false, null, 'gave NULL'],
            [false, null, 'gave more than one row, one is wanted'],
            [false, null, 'gave no row, one is wanted'],
            [false, null, 'gave 2 columns, one is wanted'],
            [false, null, expect.stringMatching(/^gave "1" of type \w+, which is no number$/) as string],
            [false, null, expect.stringMatching(/^gave "(false|0)" of type \w+, which is no number$|^is/) as string],
            [false, null, expect.stringMatching(/^gave "2023-11-14T22:13:20.000001Z" of type .+, which is no number$/) as string],
          ].map((row, i) => (i === 10 && engine.kind === 'clickhouse' ? [false, '0'] : row)),
        )
        expect(
          (
            await found([
              { sql: `SELECT ${nan}`, expect: '>= 0' },
              { sql: `SELECT CAST('Infinity' AS ${type('float')})`, expect: '>= 0' },
            ])
          ).map(short),
        ).toEqual([
          [false, null, 'gave NaN, which is no number'],
          [false, null, 'gave Infinity, which is no number'],
        ])

        const [kept] = await found([
          { sql: 'SELECT count(*) FROM numbers', expect: 0, sample: 'SELECT n, big, seen, note FROM numbers ORDER BY n DESC -- the last' },
        ])
        expect(kept?.sample).toEqual({
          rows: Array.from({ length: 20 }, (_, i) => ({
            n: String(24 - i),
            big: String(HUGE - BigInt(24 - i)),
            seen: '2023-11-14T22:13:20.000001Z',
            note: null,
          })),
          more: true,
        })
        const [whole, broken] = await found([
          { sql: 'SELECT 0', sample: 'SELECT n, note FROM numbers WHERE n = 1' },
          { sql: 'SELECT 0', sample: 'SELECT nope FROM numbers' },
        ])
        expect(whole?.sample).toEqual({ rows: [{ n: '1', note: 'a\nb' }], more: false })
        expect(broken?.sample).toMatchObject({ rows: [], more: false, problem: expect.stringContaining('nope') as string })

        const phased = { sql: 'SELECT count(*) FROM numbers', while_running: '>= 20', expect: '>= 99' }
        expect((await found([phased], true)).map(({ passed, expect: wanted }) => [passed, wanted])).toEqual([[true, '>= 20']])
        expect((await found([phased])).map(({ passed, expect: wanted }) => [passed, wanted])).toEqual([[false, '>= 99']])

        const writing = [
          'DELETE FROM numbers',
          'DROP TABLE numbers',
          'INSERT INTO numbers SELECT * FROM numbers',
          'SELECT 1; DROP TABLE numbers',
          'SELECT 1) AS checked; DROP TABLE numbers; SELECT * FROM (SELECT 1',
          'WITH gone AS (DELETE FROM numbers RETURNING n) SELECT count(*) FROM gone',
          "SELECT * FROM numbers INTO OUTFILE 'x'",
        ]
        const refused = await found(writing.map((sql) => ({ sql })))
        expect(refused.map(({ passed, value, problem }) => [passed, value, typeof problem])).toEqual(
          writing.map(() => [false, null, 'string']),
        )
        expect(await all(warehouse, 'SELECT count(*) AS n FROM numbers')).toEqual([{ n: 25n }])

        // A commit does not wait for a check that runs, and a check that nobody wants any more ends.
        const stop = new AbortController()
        const running = evaluateChecks([{ name: 'slow', sql: SLOW[engine.kind], expect: 1 }], { scope, warehouse, signal: stop.signal })
        const ended = running.then(
          () => 'evaluated',
          () => 'stopped',
        )
        await warehouse.commit([write([{ output: output(numbers), rows: [{ n: 99, big: 1, seen: 0n, note: null }] }])])
        expect(await Promise.race([ended, Promise.resolve('running')])).toBe('running')
        stop.abort(new Error('enough'))
        expect(await ended).toBe('stopped')

        const [slow] = await found([{ sql: SLOW[engine.kind], timeout: '100ms' }])
        expect(slow).toMatchObject({ passed: false, value: null, problem: 'a query took more than 0.1 s and was stopped' })
      } finally {
        await warehouse.close()
      }
    })
  })
}

/** Queries that take minutes. */
const SLOW = {
  duckdb: 'SELECT sum(a.range * b.range % 7) FROM range(1000000) a, range(1000000) b',
  postgres: 'SELECT 1 FROM pg_sleep(100)',
  clickhouse: 'SELECT sum(sipHash64(number)) FROM numbers(1000000000000)',
} as const
