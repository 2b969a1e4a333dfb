import { describe, expect, it } from 'vitest'
import type { Json, Row } from '../sdk/index.js'
import { upgradeRow } from './upgrade.js'

/** What version 2 says of a unit that version 1 wrote with that cursor. */
function upgraded(unit: string, cursor?: Json): { first: unknown; last: unknown; coverage: unknown; cursor: unknown } {
  const row: Row = { unit, cursor: cursor === undefined ? null : JSON.stringify(cursor), first: null, last: null, coverage: null }
  const once = upgradeRow(row, 1)
  // A kill half-way through makes it run again over rows that are upgraded.
  expect(upgradeRow(once, 1)).toBe(once)
  expect(upgradeRow(row, 2)).toBe(row)
  const json = (value: Row[string] | undefined) => (typeof value === 'string' ? (JSON.parse(value) as Json) : undefined)
  const number = (value: Row[string] | undefined) => value ?? undefined
  return { first: number(once.first), last: number(once.last), coverage: json(once.coverage), cursor: json(once.cursor) }
}

const nowhere = { first: undefined, last: undefined, coverage: undefined, cursor: undefined }

describe('a row of version 1', () => {
  it.each([
    ['0-999', 0n, 999n],
    ['-5--1', -5n, -1n],
    ['-5-7', -5n, 7n],
    ['2024-03-01T00:00:00Z..2024-03-01T23:59:59.999999Z', 1_709_251_200_000_000n, 1_709_337_599_999_999n],
  ])('that is named %s lies on an axis', (unit, first, last) => {
    expect(upgraded(unit)).toEqual({ ...nowhere, first, last })
  })

  it.each([
    'all',
    '2024-03-01',
    'a-b',
    '1-2-3',
    '2024-03-01..2024-03-02',
    '2024-03-01T00:00:00.000Z..2024-03-02T00:00:00Z',
    '0-9223372036854775808',
  ])('that is named %s lies on none', (unit) => {
    expect(upgraded(unit)).toEqual(nowhere)
  })

  it('has in its coverage what was the core’s in its cursor, and in its cursor what was the step’s', () => {
    expect(upgraded('0-9', { covered: [['0', '4']], redo: 'changed: url' })).toEqual({
      first: 0n,
      last: 9n,
      coverage: { covered: [['0', '4']], redo: 'changed: url' },
      cursor: undefined,
    })
    const at = { page: 7 }
    expect(upgraded('u', { covered: [], tentative: '1710000000000000', at })).toEqual({
      ...nowhere,
      coverage: { covered: [], tentative: '1710000000000000' },
      cursor: at,
    })
  })

  it('keeps a cursor of the step’s own, also one that has a field `covered`', () => {
    const cursors: readonly Json[] = [
      7,
      'next',
      [1],
      { next: 5 },
      { next: 5, covered: [] },
      { covered: [5] },
      { covered: 'all' },
      { covered: [['a', 'b']] },
    ]
    for (const cursor of cursors) expect(upgraded('0-9', cursor)).toEqual({ first: 0n, last: 9n, coverage: undefined, cursor })
  })

  it('whose step’s cursor looks like the core’s keeps it as the step’s', () => {
    expect(upgraded('u', { covered: [], at: { covered: [['1', '2']] } })).toMatchObject({
      coverage: { covered: [] },
      cursor: { covered: [['1', '2']] },
    })
  })
})
