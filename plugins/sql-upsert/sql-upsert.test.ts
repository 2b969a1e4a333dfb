import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { pipe } from '../../test/support/cli.js'
import { temporaryFolder } from '../../test/support/folder.js'
import { inputsOf } from './check.js'
import type { Config } from './config.js'

const TABLES = `tables:
  moves: { columns: { id: bigint, time: timestamp, day: date, amount: decimal(20) }, key: [id], retention: { time: 10d } }
  names: { columns: { id: bigint, word: text }, key: [id] }
  daily: { columns: { chain: text, day: date, count: bigint }, key: [chain, day] }
  counts: { columns: { id: bigint, count: bigint, seen: timestamp }, key: [id] }
`
const GOOD =
  'SELECT word AS chain, CAST(time AS date) AS day, count(*) AS count FROM moves, names WHERE time >= $start AND time < $end GROUP BY 1, 2'

/** The problems of a pipeline with one sql-upsert, as `pipe validate` prints them: `path: message (hint)`. */
async function problems(fields: string, { into = 'daily', before = '', step = '' } = {}): Promise<string[]> {
  const cwd = temporaryFolder()
  const file = join(cwd, 'p.yaml')
  const chains = 'chains: { ethereum: { rpc: "http://127.0.0.1:1" }, base: { rpc: "http://127.0.0.1:1" } }\n'
  writeFileSync(
    file,
    `name: p\nwarehouse: duckdb:p.duckdb\nparams: { least: { type: int, default: 1 } }\n${chains}${TABLES}steps:\n${before}  - id: s\n    type: sql-upsert\n    into: ${into}\n${step}    with:\n${fields}\n`,
  )
  const { out, err } = await pipe(['validate', file], { cwd })
  return (out + err)
    .split('\n')
    .filter((line) => line.startsWith(file) && !line.endsWith('step)') && !line.endsWith('steps)'))
    .map((line) =>
      line
        .replace(/^\S+ {2}/, '')
        .replace('steps[0].', '')
        .replace('steps[1].', ''),
    )
}

const sql = (text: string) => `      sql: ${JSON.stringify(text)}\n`
const interval = (text: string) => `      interval: ${text}\n`
const byDay = interval('{ by: 1d, of: { moves: time } }')

describe('validate', () => {
  it('has nothing against a right one', async () => {
    expect(await problems(byDay + sql(GOOD))).toEqual([])
    expect(
      await problems(sql('WITH a AS (SELECT * FROM moves) SELECT id, count(*) AS count, $now AS seen FROM a GROUP BY 1'), {
        into: 'counts',
      }),
    ).toEqual([])
    expect(await problems(byDay + `      sql: { default: ${JSON.stringify(GOOD)}, clickhouse: ${JSON.stringify(GOOD)} }\n`)).toEqual([])
  })

  it.each([
    [
      'a name that nothing defines',
      byDay + sql(GOOD.replace('count(*)', '$leats')),
      'with.sql: `$leats` is not defined (did you mean `$least`?)',
    ],
    [
      'an interval of which the SQL takes no notice',
      byDay + sql('SELECT 1 FROM moves'),
      'with.sql: names neither $start nor $end, so every interval would give the same rows (WHERE time >= $start AND time < $end; or leave out `interval`)',
    ],
    [
      'a border without an interval',
      sql('SELECT 1 FROM moves WHERE time > $start'),
      'with.sql: `$start` is not defined (it is the border of an interval: interval: { by: 1d, of: { TABLE: COLUMN } })',
    ],
    [
      'what is no SELECT',
      byDay + sql('DELETE FROM daily WHERE day = $start'),
      'with.sql: begins with DELETE (only a SELECT may run here; the step itself writes what it gives)',
    ],
    ['two statements', byDay + sql(`${GOOD}; DROP TABLE daily`), 'with.sql: holds a ; (one SELECT, without a ; after it)'],
    ['a text that never ends', byDay + sql(`${GOOD} HAVING 'x`), "with.sql: ' at character 144 is never closed (close it with ')"],
    [
      'an unknown table',
      interval('{ by: 1d, of: { move: time } }') + sql(GOOD),
      'with.interval.of.move: no table move (did you mean "moves"?)',
    ],
    [
      'an unknown column',
      interval('{ by: 1d, of: { moves: tme } }') + sql(GOOD),
      'with.interval.of.moves: table moves has no column tme (did you mean "time"?)',
    ],
    [
      'a column that is no time',
      interval('{ by: 1d, of: { moves: amount } }') + sql(GOOD),
      'with.interval.of.moves: amount of moves is decimal, not timestamp or date (its times are time, day)',
    ],
    [
      'the table that it fills',
      interval('{ by: 1d, of: { daily: day } }') + sql(GOOD),
      'with.interval.of.daily: daily is the table that the step fills (name the tables that it is computed from)',
    ],
    [
      'a length that is none',
      interval('{ by: day, of: { moves: time } }') + sql(GOOD),
      'with.interval.by: "day" is no time span (for example 1h, 1d or 7d)',
    ],
    [
      'a length of nothing',
      interval('{ by: 0s, of: { moves: time } }') + sql(GOOD),
      'with.interval.by: "0s" is no time span (for example 1h, 1d or 7d)',
    ],
    [
      'a look back that is none',
      interval('{ by: 1d, of: { moves: time }, lookback: -1d }') + sql(GOOD),
      'with.interval.lookback: "-1d" is no time span (for example 1h, 1d or 7d)',
    ],
    ['a timeout that is none', byDay + sql(GOOD) + '      timeout: soon\n', 'with.timeout: is no time span (for example 30s, 10m or 1h)'],
    [
      'hours of a day',
      interval('{ by: 12h, of: { moves: day } }') + '      mode: upsert\n' + sql(GOOD),
      'with.interval.of.moves: day of moves is a date, which has no hours (let `by` be whole days: 1d)',
    ],
    [
      'more than its input keeps',
      interval('{ by: 1d, of: { moves: time }, lookback: 10d }') + sql(GOOD),
      'with.interval.of.moves: moves keeps its rows for less time than one interval reads, so none could ever be computed (make `by` and `lookback` shorter, or `retention` longer)',
    ],
    [
      'hours in a table of days',
      interval('{ by: 1h, of: { moves: time } }') + sql(GOOD),
      'with.interval: the rows of daily are told apart by day, a date, which has no hours (give it a timestamp column, let `by` be whole days, or use mode: upsert)',
    ],
    [
      'an interval of rows',
      byDay + sql(GOOD) + '      mode: rows\n',
      'with.interval: has no use with `mode: rows` (leave one of them out)',
    ],
    [
      'a constant of no column',
      byDay + sql(GOOD) + '      constants: { chian: x }\n',
      'with.constants.chian: table daily has no column chian (did you mean "chain"?)',
    ],
    [
      'a constant that is no text',
      byDay + sql(GOOD) + '      constants: { count: "1" }\n',
      'with.constants.count: is bigint, and a constant is a text (use a text column)',
    ],
    [
      'a constant that nothing defines',
      byDay + sql(GOOD) + '      constants: { chain: $chain.name }\n',
      'with.constants.chain: `$chain.name` is not defined (known here: $least, $now)',
    ],
    [
      'a param as a constant',
      byDay + sql(GOOD) + '      constants: { chain: $least }\n',
      'with: column `chain` is a constant, and `$least` is none (a constant is a text, an axis of the matrix or a fact of the chain: $chain.name)',
    ],
  ])('refuses %s', async (_, fields, problem) => expect(await problems(fields)).toEqual([problem]))

  it('says which range a table needs whose rows can’t be told apart by time', async () => {
    const text = sql('SELECT id, count(*) AS count, max(time) AS seen FROM moves WHERE time >= $start AND time < $end GROUP BY 1')
    expect(await problems(byDay + text, { into: 'counts' })).toEqual([
      "with.interval: the rows of counts can't be told apart by time: its range is id, which is bigint (write range: seen in table counts)",
    ])
    expect(await problems(`${byDay}      mode: upsert\n${text}`, { into: 'counts' })).toEqual([])
  })

  it('wants it to come after the step that fills its input', async () => {
    const before = `  - id: first\n    type: sql-upsert\n    into: names\n    with: { sql: "SELECT 1 AS id, 'a' AS word" }\n`
    expect(await problems(byDay + sql(GOOD), { before })).toEqual([
      'needs: step `s` reads table `names`, which `first` fills, and does not come after it (needs: [first])',
    ])
    expect(await problems(byDay + sql(GOOD), { before, step: '    needs: [first]\n' })).toEqual([])
  })

  it('wants a constant in the key of a table that the steps of a matrix share, also while it has one value', async () => {
    const step = '    matrix: { chain: [ethereum] }\n'
    const refused =
      'into: every `s` of the matrix writes into table `daily`, and no key column tells their rows apart (give the key a column that each sets to another constant, such as $chain.name)'
    expect(await problems(byDay + sql(GOOD), { step })).toEqual([refused])
    expect(await problems(byDay + sql(GOOD) + '      constants: { chain: $chain.name }\n', { step })).toEqual([])
    const two = step.replace('[ethereum]', '[ethereum, base]')
    expect(await problems(byDay + sql(GOOD), { step: two })).toEqual([refused])
    expect(await problems(byDay + sql(GOOD) + '      constants: { chain: $chain }\n', { step: two })).toEqual([])
  })
})

describe('inputs', () => {
  const table = (name: string) => ({ name, columns: [], key: [], range: undefined, indexes: {}, retention: undefined })
  const tables = new Map(['moves', 'names', 'daily'].map((name) => [name, table(name)]))
  const inputs = (config: Partial<Config>) => inputsOf({ config: { sql: 'SELECT 1', ...config }, into: tables.get('daily'), tables })

  it('of a whole are the declared tables that any of its texts names, but for its own', () => {
    expect(inputs({ sql: { default: 'SELECT * FROM moves', postgres: 'SELECT * FROM names JOIN daily USING (id)' } })).toEqual([
      { table: 'moves', interval: 'whole', constants: {} },
      { table: 'names', interval: 'whole', constants: {} },
    ])
  })

  it('of intervals are those with a time, and those without one wake up every interval', () => {
    expect(inputs({ sql: 'SELECT * FROM moves, names, other', interval: { by: '1h', of: { moves: 'time' }, lookback: '2d' } })).toEqual([
      { table: 'moves', interval: { column: 'time', everyUs: 3_600_000_000n, lookbackUs: 172_800_000_000n }, constants: {} },
      { table: 'names', interval: 'every', constants: {} },
    ])
  })
})
