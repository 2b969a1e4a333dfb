import { DuckDBInstance, type DuckDBConnection } from '@duckdb/node-api'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import {
  bindSql,
  type Json,
  lookUp,
  type Param,
  paramText,
  referencesIn,
  type Scope,
  SqlTextError,
  sqlProblem,
  sqlReferences,
  substitute,
  substituteText,
  textReferences,
  UnknownReferenceError,
} from './index.js'

const bigint = (value: bigint): Param => ({ type: { kind: 'bigint' }, value })
const text = (value: string): Param => ({ type: { kind: 'text' }, value })
const json = (value: Json): Param => ({ type: { kind: 'json' }, value })
const scopeOf = (entries: Record<string, Param>): Scope => new Map(Object.entries(entries))

describe('references in values', () => {
  test('a value is a reference only when $name is all of it', () => {
    const value = {
      from: '$from',
      list: ['$chain.about.coingecko', 'x$from', '$from ', '$1', '$', '$a.', '$$a', 'a $b c'],
      $from: 'a key is none',
      deep: { inner: [{ x: '$a_1' }] },
    }
    expect(referencesIn(value)).toEqual([
      { name: 'from', path: ['from'] },
      { name: 'chain.about.coingecko', path: ['list', 0] },
      { name: 'a_1', path: ['deep', 'inner', 0, 'x'] },
    ])
  })

  test('a substituted value keeps its type, and a bigint that no number holds becomes text', () => {
    const scope = scopeOf({
      from: bigint(18_000_000n),
      big: bigint(2n ** 53n),
      small: bigint(-(2n ** 53n) + 1n),
      chain: json(['ethereum', 'base']),
      'chain.name': text('base'),
      on: { type: { kind: 'bool' }, value: false },
      position: json({ token0: '0xaa', ids: [7, 8], fee: null }),
    })
    const before: Json = {
      a: '$from',
      b: ['$big', '$small', '$chain', '$chain.name', '$on'],
      c: { d: '$position.token0', e: '$position.ids.1', f: '$position.fee' },
      rest: ['$unit_field', 'from', 3, null, 'at $from'],
    }
    expect(substitute(before, scope)).toEqual({
      a: 18_000_000,
      b: ['9007199254740992', -9007199254740991, ['ethereum', 'base'], 'base', false],
      c: { d: '0xaa', e: 8, f: null },
      rest: ['$unit_field', 'from', 3, null, 'at $from'],
    })
  })

  test('a path that its value does not have is an error with the field that was meant', () => {
    const scope = scopeOf({ position: json({ token0: '0xaa' }) })
    const error = caught(() => substitute(['$position.tokn0'], scope))
    expect(error).toBeInstanceOf(UnknownReferenceError)
    expect(error).toMatchObject({
      message: '$position.tokn0 in the value of $position is not defined',
      hint: 'did you mean "$position.token0"?',
    })
    expect(caught(() => substitute('$position.constructor', scope))).toBeInstanceOf(UnknownReferenceError)
    expect(caught(() => substitute('$position.__proto__', scope))).toBeInstanceOf(UnknownReferenceError)
  })

  test('a field of a param that holds no object stays as it is, for somebody who knows more names', () => {
    expect(substitute('$chain.name', scopeOf({ chain: text('base') }))).toBe('$chain.name')
  })

  test('a key named __proto__ stays a key', () => {
    const value = JSON.parse('{"__proto__": "$a"}') as Json
    expect(JSON.stringify(substitute(value, scopeOf({ a: bigint(1n) })))).toBe('{"__proto__":1}')
  })

  test('substituting changes no value without references', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        fc.pre(referencesIn(value as Json).length === 0)
        expect(substitute(value as Json, scopeOf({ a: bigint(1n) }))).toEqual(value)
      }),
    )
  })

  test('after substituting, only the names that nothing defines are left', () => {
    const name = fc.constantFrom('$a', '$b', '$c', '$d.e')
    const value = fc.letrec((tie) => ({
      any: fc.oneof({ maxDepth: 4 }, name, fc.integer(), fc.string(), fc.array(tie('any')), fc.dictionary(fc.string(), tie('any'))),
    })).any
    const scope = scopeOf({ a: bigint(1n), b: text('plain'), 'd.e': text('f') })
    fc.assert(
      fc.property(value, (given) => {
        const known = new Set(['a', 'b', 'd.e'])
        const left = referencesIn(given as Json).filter((found) => !known.has(found.name))
        expect(referencesIn(substitute(given as Json, scope))).toEqual(left)
      }),
    )
  })
})

describe('references inside text', () => {
  const scope = scopeOf({
    'chain.about.coingecko': text('a b/c'),
    now: { type: { kind: 'timestamp' }, value: 1_709_251_200_000_000n },
    position: json({ id: 7 }),
  })

  test('each is found with its place', () => {
    expect(textReferences('/coins/$chain.about.coingecko/market/$x?a=$1')).toEqual([
      { name: 'chain.about.coingecko', offset: 7 },
      { name: 'x', offset: 37 },
    ])
  })

  test('values are encoded, the text around them is not', () => {
    expect(substituteText('/coins/$chain.about.coingecko/$position.id', scope, encodeURIComponent)).toBe('/coins/a%20b%2Fc/7')
  })

  test('a dot after a name that has no fields is text', () => {
    expect(substituteText('snapshot_$now.json', scope)).toBe('snapshot_2024-03-01T00:00:00Z.json')
  })

  test('a name that nothing defines is an error', () => {
    expect(caught(() => substituteText('/$nov', scope))).toMatchObject({
      message: '$nov in "/$nov" is not defined',
      hint: 'did you mean "$now"?',
    })
  })

  test('every kind of value has its text', () => {
    expect([bigint(2n ** 70n), text('x'), json([1]), json(null)].map(paramText)).toEqual(['1180591620717411303424', 'x', '[1]', 'null'])
  })
})

describe('references in SQL', () => {
  const names = (sql: string) => sqlReferences(sql).map(({ name, offset }) => [name, offset])

  test.each<[string, [string, number][]]>([
    [
      'SELECT $a, $b.c + 1',
      [
        ['a', 7],
        ['b.c', 11],
      ],
    ],
    ["SELECT '$a', 'it''s $b', $c", [['c', 25]]],
    ["SELECT E'\\'$a', e'\\\\', $c", [['c', 23]]],
    ["SELECT 'x\\', $c", [['c', 13]]],
    ["SELECT type'$a', $c", [['c', 17]]],
    ['SELECT "$a", "x""$b", $c', [['c', 22]]],
    ['SELECT `$a`, $c', [['c', 13]]],
    ['SELECT 1 -- $a\n, $c', [['c', 17]]],
    ['SELECT 1 -- $a\r, $c', [['c', 17]]],
    ['SELECT 1 --', []],
    ['SELECT /* $a /* $b */ $d */ $c', [['c', 28]]],
    ['SELECT $$ $a $x$ $$, $c', [['c', 21]]],
    ['SELECT $t$ $a $$ $t $t$, $c', [['c', 25]]],
    ['SELECT $1, $23, $c', [['c', 16]]],
    ['SELECT col$a, a1$$b, $c', [['c', 21]]],
    ['SELECT x::int$a, é$b, $c', [['c', 22]]],
    ['SELECT 5-$c', [['c', 9]]],
    [
      'SELECT $c- -1, $c',
      [
        ['c', 7],
        ['c', 15],
      ],
    ],
    ['SELECT 1e3,$c', [['c', 11]]],
    ["SELECT $c'x'", [['c', 7]]],
    ['SELECT $c.', [['c', 7]]],
    ['SELECT $é', [['é', 7]]],
    ['SELECT $', []],
    ['', []],
  ])('%s', (sql, expected) => {
    expect(names(sql)).toEqual(expected)
  })

  test('a statement has the text around each name and its value apart, also twice', () => {
    const scope = scopeOf({ from: bigint(5n), 'chain.name': text("x'; DROP TABLE t; --"), position: json({ fee: 3000 }) })
    expect(bindSql('SELECT $from - $chain.name + $from, $position.fee', scope)).toEqual({
      parts: ['SELECT ', ' - ', ' + ', ', ', ''],
      params: [bigint(5n), text("x'; DROP TABLE t; --"), bigint(5n), { type: { kind: 'bigint' }, value: 3000 }],
    })
    expect(bindSql('SELECT 1', scope)).toEqual({ parts: ['SELECT 1'], params: [] })
  })

  test('a name that nothing defines is an error with its place and the name that was meant', () => {
    const error = caught(() => bindSql('SELECT 1,\n  $fron', scopeOf({ from: bigint(1n), to: bigint(2n) })))
    expect(error).toBeInstanceOf(UnknownReferenceError)
    expect(error).toMatchObject({
      code: 'UNKNOWN_REFERENCE',
      message: '$fron in sql at line 2, character 3 is not defined',
      hint: 'did you mean "$from"?',
    })
    expect(caught(() => bindSql('SELECT $zzzzzz', scopeOf({ from: bigint(1n) })))).toMatchObject({ hint: 'known here: $from' })
    expect(caught(() => bindSql('SELECT $é', scopeOf({ e: bigint(1n) })))).toBeInstanceOf(UnknownReferenceError)
  })

  test.each([
    ["SELECT 'it", "' at character 8 is never closed"],
    ['SELECT "a', '" at character 8 is never closed'],
    ["SELECT E'\\'", "E' at character 8 is never closed"],
    ['SELECT 1 /* /* */', '/* at character 10 is never closed'],
    ['SELECT $$ x', '$$ at character 8 is never closed'],
    ['SELECT $a$b', '$a$ at character 8 is never closed'],
    ['SELECT\n$1', 'a parameter by number at line 2, character 1'],
  ])('%j is refused before a database sees it', (sql, message) => {
    expect(sqlProblem(sql)?.message).toBe(message)
    expect(caught(() => bindSql(sql, scopeOf({ a: bigint(1n), b: bigint(1n) })))).toBeInstanceOf(SqlTextError)
  })

  test('the text of a statement never depends on the values', () => {
    const part = fc.oneof(
      fc.string(),
      fc.constantFrom('$a', '$b.c', "'", '"', '--', '\n', '/*', '*/', '$$', '$t$', "E'", '\\', '$1', ' ', 'x'),
    )
    fc.assert(
      fc.property(fc.array(part, { maxLength: 12 }), fc.string(), fc.bigInt(), (pieces, value, number) => {
        const sql = pieces.join('')
        const bound = (a: Param, c: Param) => attempt(() => bindSql(sql, scopeOf({ a, 'b.c': c })))
        const one = bound(text(value), bigint(number))
        const two = bound(text("'; DROP TABLE t; --"), json(null))
        if (!one || !two) {
          expect(one).toBe(two)
          return
        }
        expect(one.parts).toEqual(two.parts)
        expect(one.parts).toHaveLength(one.params.length + 1)
        const found = sqlReferences(sql)
        expect(one.parts.map((each, i) => each + (found[i] ? `$${found[i].name}` : '')).join('')).toBe(sql)
        expect(one.params).toEqual(found.map(({ name }) => (name === 'a' ? text(value) : bigint(number))))
      }),
      { numRuns: 2000 },
    )
  })
})

describe('a database reads the same quotes', () => {
  let connection: DuckDBConnection
  let instance: DuckDBInstance
  beforeAll(async () => {
    instance = await DuckDBInstance.create(':memory:')
    connection = await instance.connect()
  })
  afterAll(() => {
    connection.closeSync()
    instance.closeSync()
  })

  test('names in literals and comments stay text, all others are values, in any mixture', async () => {
    const inside = fc
      .array(fc.constantFrom('$a', '$$', '$t$', '--', '/*', '*/', "'", '"', 'x', ' ', '$1', '\n', 'é'), { maxLength: 6 })
      .map((pieces) => pieces.join(''))
    const item = fc.oneof(
      inside.map((body) => ({ sql: `'${body.replaceAll("'", "''")}'`, value: body })),
      inside.map((body) => ({ sql: `E'${body.replaceAll("'", "\\'")}\\n'`, value: `${body}\n` })),
      inside.filter((body) => !`${body}$`.includes('$$')).map((body) => ({ sql: `$$${body}$$`, value: body })),
      inside.filter((body) => !`${body}$`.includes('$q$')).map((body) => ({ sql: `$q$${body}$q$`, value: body })),
      inside.filter((body) => !/[/*]/.test(body)).map((body) => ({ sql: `/* ${body} /* $a */ */ 'c'`, value: 'c' })),
      inside.filter((body) => !body.includes('\n')).map((body) => ({ sql: `-- ${body}\n'l'`, value: 'l' })),
      fc.constant({ sql: '$a', value: 'VALUE' }),
      fc.constant({ sql: "($a||'$a')", value: 'VALUE$a' }),
    )
    await fc.assert(
      fc.asyncProperty(fc.array(item, { minLength: 1, maxLength: 6 }), async (items) => {
        const statement = bindSql(`SELECT ${items.map(({ sql }) => sql).join(', ')}`, scopeOf({ a: text('VALUE') }))
        const placed = statement.parts.reduce((joined, part, i) => `${joined}CAST($${i} AS text)${part}`)
        const reader = await connection.runAndReadAll(
          placed,
          statement.params.map(({ value }) => value as string),
        )
        expect(reader.getRows()).toEqual([items.map(({ value }) => value)])
      }),
      { numRuns: 300 },
    )
  })
})

test('a name is looked up as it stands before its beginning is', () => {
  const scope = scopeOf({ chain: json({ name: 'inner' }), 'chain.name': text('own') })
  expect(lookUp(scope, 'chain.name')).toEqual(text('own'))
  expect(lookUp(new Map([...scope].slice(0, 1)), 'chain.name')).toEqual(text('inner'))
  expect(lookUp(scope, 'other.name')).toBeUndefined()
})

function caught(act: () => unknown): unknown {
  try {
    act()
  } catch (error) {
    return error
  }
  throw new Error('nothing was thrown')
}

function attempt<T>(act: () => T): T | undefined {
  try {
    return act()
  } catch (error) {
    if (error instanceof SqlTextError || error instanceof UnknownReferenceError) return undefined
    throw error
  }
}
