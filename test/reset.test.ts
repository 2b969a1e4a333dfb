import { describe, expect, it } from 'vitest'
import { resetRows } from '../src/cli/reset.js'
import { coveredCursor, rangeState, RESET_FINGERPRINT } from '../src/plan/plan.js'
import { count, subtract, union } from '../src/plan/intervals.js'
import type { LedgerRow } from '../src/sdk/index.js'

/** A redo of 1-450 that was cut off at 200: 201-450 still hold rows of the old definition. */
const row = {
  step: 'b',
  unit: '1-450',
  state: 'failed',
  fingerprint: 'B',
  epoch: 1n,
  cursor: coveredCursor([[1n, 200n]], 'changed: row'),
  rows: {},
  attempts: 0,
  startedAt: 0n,
  updatedAt: 0n,
} as unknown as LedgerRow
for (const range of ['10..20', '190..300', undefined])
  describe(`reset ${range ?? 'of all'}`, () => {
    it('forgets no stretch that holds rows of an older definition', () => {
      const { put, drop } = resetRows({ pipeline: 'p', step: 'b', fingerprint: RESET_FINGERPRINT }, [row], range)
      const names = new Set([...drop, ...put].map(({ unit }) => unit))
      const after = [
        ...(names.has(row.unit) ? [] : [row]),
        ...put.map((p) => ({ ...row, cursor: undefined, ...p, step: 'b', fingerprint: p.step.fingerprint }) as LedgerRow),
      ]
      const { stale } = rangeState({ rows: after, fingerprint: 'B' })
      expect(count(subtract([[201n, 450n]], union(stale.map(({ interval }) => interval))))).toBe(0n)
    })
  })
