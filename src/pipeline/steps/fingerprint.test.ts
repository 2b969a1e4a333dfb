import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { defineStep, type Json, type Output, type StepDefinition, type TSchema, Type } from '../../sdk/index.js'
import { canonicalJson, changedParts, fingerprint } from './fingerprint.js'

function step(config: TSchema, more: Partial<StepDefinition> = {}): StepDefinition {
  return { ...defineStep({ type: 'trial', summary: 's', example: 'e', config, *plan() {}, async *run() {} }), ...more } as StepDefinition
}

const tuning = { tuning: true }
const Over = Type.Union([
  Type.Object(
    { blocks: Type.Object({ from: Type.Any(), to: Type.Any() }), chunk: Type.Optional(Type.Integer(tuning)) },
    { additionalProperties: false },
  ),
  Type.Object(
    { sql: Type.String(), key: Type.Array(Type.String()), order: Type.Optional(Type.String(tuning)), chunk: Type.Optional(Type.Integer()) },
    { additionalProperties: false },
  ),
])
const definition = step(
  Type.Object({
    over: Type.Optional(Over),
    scope: Type.Optional(Type.Any(tuning)),
    calls: Type.Optional(
      Type.Record(
        Type.String(),
        Type.Object({ method: Type.String(), params: Type.Array(Type.Any()), batch: Type.Optional(Type.Integer(tuning)) }),
      ),
    ),
    rows: Type.Optional(
      Type.Array(Type.Object({ row: Type.Record(Type.String(), Type.String()), note: Type.Optional(Type.String(tuning)) })),
    ),
    verify: Type.Optional(Type.String({ default: 'none' })),
  }),
)

const output: Output & { key: readonly string[]; types: Readonly<Record<string, string>> } = {
  id: 'blocks',
  table: 'blocks',
  key: ['number'],
  types: { number: 'bigint', hash: 'hash', day: 'date', note: 'text' },
  columns: ['number', 'hash'],
  compute: { day: 'CAST(t AS date)' },
  constants: { origin_key: 'base' },
}
const base = { definition, with: {} as Json, chainId: 1, outputs: [output] }
const of = (config: Json) => fingerprint({ ...base, with: config })

describe('a fingerprint', () => {
  test('covers the types of the columns that it fills, computed ones too, and no others', () => {
    const typed = (types: Readonly<Record<string, string>>) =>
      fingerprint({ ...base, outputs: [{ ...output, types: { ...output.types, ...types } }] })
    expect(changedParts(typed({}), typed({ hash: 'bigint' }))).toEqual(['column types'])
    expect(changedParts(typed({}), typed({ day: 'timestamp' }))).toEqual(['column types'])
    expect(typed({ note: 'json' })).toBe(typed({}))
  })

  test('says which parts changed', () => {
    const before = of({ calls: {}, rows: [], 'odd name:': 1 })
    const after = fingerprint({
      ...base,
      definition: { ...definition, version: 2 },
      chainId: 10,
      outputs: [],
      with: { calls: {}, 'odd name:': 2, verify: 'bloom' },
    })
    expect(changedParts(before, after)).toEqual(['chain', 'column types', 'odd name:', 'rows', 'step', 'table', 'verify'])
    expect(changedParts(before, before)).toEqual([])
    expect(changedParts(before.slice(0, 32), after)).toEqual([])
  })

  test('is 32 hex digits and its parts, and stays what it was', () => {
    // A change here redoes the work of every user: raise nothing without a reason.
    expect(fingerprint({ ...base, with: { calls: { a: { method: 'eth_getBalance', params: ['$miner', 1] } } } })).toBe(
      '8800fe5c298a689a6a330ec3dfae3a30 calls:4803d52b chain:6b86b273 column%20types:88b9afbe step:4cdb923b table:94cef19d',
    )
  })

  test.each<[string, Json, Json]>([
    ['a tuning field of the step', { scope: 1 }, { scope: { blocks: [1, 2] } }],
    ['a tuning field that is left out', { scope: 1 }, {}],
    [
      'a tuning field in each value of a map',
      { calls: { a: { method: 'm', params: [], batch: 1 } } },
      { calls: { a: { method: 'm', params: [], batch: 9 } } },
    ],
    ['a tuning field in a list', { rows: [{ row: { a: 'b' }, note: 'x' }] }, { rows: [{ row: { a: 'b' } }] }],
    [
      'a tuning field of the branch of a union that fits',
      { over: { blocks: { from: 1, to: 2 }, chunk: 10 } },
      { over: { blocks: { from: 1, to: 2 }, chunk: 20 } },
    ],
    ['a tuning field of another branch', { over: { sql: 'q', key: ['a'], order: 'x' } }, { over: { sql: 'q', key: ['a'], order: 'y' } }],
    ['the default of the schema', { verify: 'none' }, {}],
    [
      'the order of keys',
      { calls: { a: { method: 'm', params: [] }, b: { method: 'n', params: [] } } },
      { calls: { b: { params: [], method: 'n' }, a: { params: [], method: 'm' } } },
    ],
  ])('does not depend on %s', (_, one, other) => {
    expect(of(one)).toBe(of(other))
  })

  test.each<[string, Json, Json]>([
    [
      'a field that is tuning only in a branch that does not fit',
      { over: { sql: 'q', key: ['a'], chunk: 10 } },
      { over: { sql: 'q', key: ['a'], chunk: 20 } },
    ],
    ['another branch', { over: { blocks: { from: 1, to: 2 } } }, { over: { sql: 'q', key: [] } }],
    ['a method', { calls: { a: { method: 'm', params: [] } } }, { calls: { a: { method: 'n', params: [] } } }],
    ['the name of a call', { calls: { a: { method: 'm', params: [] } } }, { calls: { b: { method: 'm', params: [] } } }],
    ['the order of a list', { calls: { a: { method: 'm', params: [1, 2] } } }, { calls: { a: { method: 'm', params: [2, 1] } } }],
    ['the type of a value', { calls: { a: { method: 'm', params: [1] } } }, { calls: { a: { method: 'm', params: ['1'] } } }],
    ['a path in a row', { rows: [{ row: { a: 'b' } }] }, { rows: [{ row: { a: 'c' } }] }],
    ['a value that is not the default', { verify: 'none' }, { verify: 'bloom' }],
    ['a field that the schema does not know', {}, { other: null }],
  ])('depends on %s', (_, one, other) => {
    expect(of(one)).not.toBe(of(other))
  })

  test('depends on type, version, chain, key, filled columns, compute and constants, and not on their order or on texts', () => {
    const same = [
      { ...base, definition: { ...definition, version: 1, summary: 'other', example: 'other', units: 9 } },
      { ...base, outputs: [{ ...output, columns: ['hash', 'number'] }] },
    ]
    const others = [
      { ...base, definition: { ...definition, type: 'trial-2' } },
      { ...base, definition: { ...definition, version: 2 } },
      { ...base, chainId: 10 },
      { ...base, chainId: undefined },
      { ...base, outputs: [{ ...output, key: ['number', 'hash'] }] },
      { ...base, outputs: [{ ...output, table: 'blocks2' }] },
      { ...base, outputs: [{ ...output, columns: ['number'] }] },
      { ...base, outputs: [{ ...output, compute: {} }] },
      { ...base, outputs: [{ ...output, constants: { origin_key: 'ethereum' } }] },
      { ...base, outputs: [] },
    ]
    expect(new Set(same.map(fingerprint))).toEqual(new Set([fingerprint(base)]))
    expect(new Set([base, ...others].map(fingerprint)).size).toBe(others.length + 1)
  })

  test('depends on a field that only one of the branches that fit calls tuning, not on one that all of them do', () => {
    const Tuned = Type.Object({ a: Type.Any(tuning), b: Type.Object({ c: Type.Any(tuning), d: Type.Any() }) })
    const Plain = Type.Object({ a: Type.Any(), b: Type.Any(tuning) })
    for (const both of [step(Type.Union([Tuned, Plain])), step(Type.Union([Plain, Tuned]))]) {
      const print = (a: Json, c: Json, d: Json) => fingerprint({ ...base, definition: both, with: { a, b: { c, d } } })
      expect(print(1, 1, 1)).toBe(print(1, 2, 1))
      expect(new Set([print(1, 1, 1), print(2, 1, 1), print(1, 1, 2)]).size).toBe(3)
    }
  })

  test('takes schemas with references, tuples and patterns, also ones that contain themselves', () => {
    const tree = step({
      $defs: {
        node: {
          type: 'object',
          properties: { cost: { type: 'number', tuning: true }, kids: { type: 'array', items: { $ref: '#/$defs/node' } } },
        },
      },
      $ref: '#/$defs/node',
    } as unknown as TSchema)
    const print = (config: Json) => fingerprint({ ...base, definition: tree, with: config })
    expect(print({ cost: 1, kids: [{ cost: 2, kids: [{ cost: 3, name: 'a' }] }] })).toBe(
      print({ kids: [{ kids: [{ name: 'a', cost: 9 }] }] }),
    )
    expect(print({ kids: [{ name: 'a' }] })).not.toBe(print({ kids: [{ name: 'b' }] }))

    const loop = step({ $ref: '#', properties: { a: { tuning: true } } } as unknown as TSchema)
    expect(fingerprint({ ...base, definition: loop, with: { a: 1, b: 2 } })).toBe(
      fingerprint({ ...base, definition: loop, with: { b: 2 } }),
    )

    const recursive = step(Type.Recursive((self) => Type.Object({ hint: Type.Optional(Type.String(tuning)), inner: Type.Optional(self) })))
    expect(fingerprint({ ...base, definition: recursive, with: { inner: { hint: 'x', inner: { hint: 'y' } } } })).toBe(
      fingerprint({ ...base, definition: recursive, with: { inner: { inner: {} } } }),
    )

    const odd = step({
      type: 'object',
      properties: { pair: { type: 'array', prefixItems: [{}, { properties: { t: { tuning: true } } }] } },
      patternProperties: { '^x_': { tuning: true } },
      additionalProperties: {},
    } as unknown as TSchema)
    expect(fingerprint({ ...base, definition: odd, with: { x_1: 1, pair: [1, { t: 1 }], y: 1 } })).toBe(
      fingerprint({ ...base, definition: odd, with: { pair: [1, {}], y: 1 } }),
    )
  })
})

/** A schema with a value, the same value with its tuning fields changed, and one with some other field changed. */
interface Case {
  readonly schema: TSchema
  readonly value: Json
  readonly tuned: Json
  readonly changed: Json | undefined
}

const leaf = fc.record({ value: fc.integer({ min: 0, max: 50 }), other: fc.integer({ min: 51, max: 99 }) })
const cases: fc.Arbitrary<Case> = fc.letrec<{ any: Case; leaf: Case; object: Case; list: Case; union: Case }>((tie) => ({
  any: fc.oneof({ maxDepth: 4, withCrossShrink: true }, tie('leaf'), tie('object'), tie('list'), tie('union')),
  leaf: leaf.map(({ value, other }) => ({ schema: Type.Integer(), value, tuned: value, changed: other })),
  object: fc
    .tuple(fc.dictionary(fc.stringMatching(/^[a-z]{1,3}$/), fc.tuple(tie('any'), fc.boolean(), leaf), { minKeys: 1, maxKeys: 4 }), fc.nat())
    .map(([fields, pick]) => {
      const entries = Object.entries(fields)
      const build = (choose: (name: string, field: (typeof entries)[number][1]) => Json) =>
        Object.fromEntries(entries.map(([name, field]) => [name, choose(name, field)]))
      const changeable = entries.filter(([, [inner, isTuning]]) => !isTuning && inner.changed !== undefined).map(([name]) => name)
      const target = changeable[pick % changeable.length]
      return {
        schema: Type.Object(
          Object.fromEntries(entries.map(([name, [inner, isTuning]]) => [name, isTuning ? Type.Any({ tuning: true }) : inner.schema])),
        ),
        value: build((_, [inner]) => inner.value),
        tuned: build((_, [inner, isTuning, { other }]) => (isTuning ? other : inner.tuned)),
        changed: target === undefined ? undefined : build((name, [inner]) => (name === target ? (inner.changed ?? null) : inner.value)),
      }
    }),
  list: tie('any').map((inner) => ({
    schema: Type.Array(inner.schema),
    value: [inner.value, inner.value],
    tuned: [inner.tuned, inner.value],
    changed: inner.changed === undefined ? [inner.value] : [inner.value, inner.changed],
  })),
  union: tie('any').map((inner) => ({
    // The branches differ in a constant, as those of a real step do.
    schema: Type.Union([
      Type.Object({ kind: Type.Literal('other'), a: Type.Any({ tuning: true }) }),
      Type.Object({ kind: Type.Literal('this'), a: inner.schema }),
    ]),
    value: { kind: 'this', a: inner.value },
    tuned: { kind: 'this', a: inner.tuned },
    changed: inner.changed === undefined ? { kind: 'other', a: 1 } : { kind: 'this', a: inner.changed },
  })),
})).any

test('a tuning field never matters and any other field does, however deep', () => {
  fc.assert(
    fc.property(cases, ({ schema, value, tuned, changed }) => {
      const print = (inner: Json) => fingerprint({ ...base, definition: step(Type.Object({ root: schema })), with: { root: inner } })
      expect(print(tuned)).toBe(print(value))
      if (changed !== undefined) expect(print(changed)).not.toBe(print(value))
    }),
    { numRuns: 300 },
  )
})

test('equal values have equal canonical JSON, whatever the order of their keys', () => {
  const shuffled = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(shuffled)
    if (value === null || typeof value !== 'object') return value
    return Object.fromEntries(
      Object.entries(value)
        .reverse()
        .map(([key, item]) => [key, shuffled(item)]),
    )
  }
  fc.assert(
    fc.property(fc.jsonValue(), (value) => {
      expect(canonicalJson(shuffled(value) as Json)).toBe(canonicalJson(value as Json))
      expect(JSON.parse(canonicalJson(value as Json))).toEqual(JSON.parse(JSON.stringify(value)))
    }),
  )
})
