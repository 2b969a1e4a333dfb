import { describe, expect, it } from 'vitest'
import { RESET_FINGERPRINT } from '../src/ledger/fingerprints.js'
import { count, subtract, union } from '../src/ledger/intervals.js'
import { resetRows } from '../src/ledger/reset.js'
import { standing, stored } from '../src/ledger/standing.js'
import { type LedgerRow, numberAxis } from '../src/sdk/index.js'
import { ledgerRow } from './support/ledger-row.js'

/** A redo of 1-450 that was cut off at 200: 201-450 still hold rows of the old definition. */
const row = ledgerRow('1-450', {
  step: 'b',
  state: 'failed',
  fingerprint: 'B',
  first: 1n,
  last: 450n,
  coverage: { covered: stored([[1n, 200n]]), redo: 'changed: row' },
})
for (const range of ['10..20', '190..300', undefined])
  describe(`reset ${range ?? 'of all'}`, () => {
    it('forgets no stretch that holds rows of an older definition', () => {
      const { put, drop } = resetRows({ pipeline: 'p', step: 'b', fingerprint: RESET_FINGERPRINT }, [row], range)
      const names = new Set([...drop, ...put].map(({ unit }) => unit))
      const after = [
        ...(names.has(row.unit) ? [] : [row]),
        ...put.map((p) => ({ ...row, coverage: undefined, ...p, step: 'b', fingerprint: p.step.fingerprint }) as LedgerRow),
      ]
      const { stale } = standing(numberAxis(1), { rows: after, fingerprint: 'B' })
      expect(count(subtract([[201n, 450n]], union(stale.map(({ interval }) => interval))))).toBe(0n)
    })
  })
