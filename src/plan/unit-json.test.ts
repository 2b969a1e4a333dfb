import fc from 'fast-check'
import { expect, it, test } from 'vitest'
import { dayAxis, type Json, numberAxis, type Piece, timeAxis } from '../sdk/index.js'
import type { PlannedUnit } from './plan.js'
import { stretchUnits } from './stretch-units.js'
import { unitFromJson, unitToJson } from './unit-json.js'

const bigint = fc.bigInt({ min: -(2n ** 80n), max: 2n ** 80n })
const stretch = fc.tuple(bigint, bigint)
const order = fc.constantFrom('newest-first' as const, 'oldest-first' as const)
const piece: fc.Arbitrary<Piece> = fc.oneof(
  fc.record({
    kind: fc.constant('stretch' as const),
    axis: fc.constantFrom(numberAxis(1000), dayAxis, timeAxis(), timeAxis(60n)),
    from: bigint,
    to: bigint,
    order,
  }),
  fc.record({ kind: fc.constant('rows' as const), order, keys: stretch, redo: fc.boolean() }),
  fc.record({ kind: fc.constant('rows' as const), order, redo: fc.boolean() }),
  fc.record({ kind: fc.constant('task' as const) }),
)
const param = fc.oneof(
  bigint.map((value) => ({ type: { kind: 'bigint' as const }, value })),
  fc.string().map((value) => ({ type: { kind: 'text' as const }, value })),
)
const rows = fc.record(
  { keys: stretch, except: fc.array(stretch), from: fc.array(param), until: fc.array(param), redo: fc.boolean() },
  { requiredKeys: [] },
)
const json = fc.jsonValue().map((value) => value as Json)
const unit: fc.Arbitrary<PlannedUnit> = fc
  .tuple(
    fc.record({
      key: fc.string(),
      piece,
      size: fc.double({ noNaN: true, noDefaultInfinity: true }),
      reason: fc.string(),
      redo: fc.boolean(),
    }),
    fc.record({ rows, limit: fc.nat(), resumeFrom: json, recompute: fc.boolean(), againDays: fc.nat() }, { requiredKeys: [] }),
  )
  .map(([must, may]) => ({ ...must, ...may }))

test('a unit that goes to another process as text comes back as it was', () => {
  fc.assert(
    fc.property(unit, (given) => {
      // JSON knows no -0, and no unit asks for it.
      fc.pre(
        !JSON.stringify(given, (_, item: unknown) => (Object.is(item, -0) ? '-0' : typeof item === 'bigint' ? '' : item)).includes('"-0"'),
      )
      expect(unitFromJson(JSON.parse(JSON.stringify(unitToJson(given))) as Json)).toEqual(given)
    }),
  )
})

it.each([
  ['a function', { resumeFrom: () => 1 }, 'unit.resumeFrom is no plain data'],
  ['a date', { resumeFrom: new Date(0) }, 'unit.resumeFrom is no plain data'],
  ['what is not finite', { size: Infinity }, 'unit.size is no plain data'],
  ['a field that would be taken for a bigint', { resumeFrom: { $bigint: '1' } }, 'unit.resumeFrom has a field $bigint'],
])('%s is refused where it stands: it would come back as something else', (_, wrong, message) => {
  const fine: PlannedUnit = { key: 'u', piece: { kind: 'task' }, size: 1, reason: 'new', redo: false }
  expect(() => unitToJson({ ...fine, ...wrong } as never)).toThrow(message)
})

it('one of many units that lie side by side is the same in the other process', () => {
  const wanted = { kind: 'stretches', axis: numberAxis(100), domain: [50n, 249n], due: 'uncovered', order: 'newest-first' } as const
  const { units } = stretchUnits(wanted, { rows: [], fingerprint: 'f' }, { step: 's', limit: undefined, now: 0n })
  const { axis, order } = wanted
  const unit = (from: bigint, to: bigint) => ({
    key: `${from}-${to}`,
    piece: { kind: 'stretch', axis, from, to, order },
    size: Number(to - from) + 1,
    reason: 'new',
    redo: false,
  })
  expect(units.map((each) => unitFromJson(JSON.parse(JSON.stringify(unitToJson(each))) as Json))).toEqual([
    unit(200n, 249n),
    unit(100n, 199n),
    unit(50n, 99n),
  ])
})
