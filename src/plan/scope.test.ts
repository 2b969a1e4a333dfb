import { describe, expect, test } from 'vitest'
import { RESET_FINGERPRINT } from '../ledger/fingerprints.js'
import { ledgerRow } from '../../test/support/ledger-row.js'
import type { LedgerRow } from '../sdk/index.js'
import { firstAfter } from './scope.js'

const unit = (from: number, to: number, state: LedgerRow['state'], more: Partial<LedgerRow> = {}): LedgerRow =>
  ledgerRow(`${from}-${to}`, { state, fingerprint: 'f', ...more })
const after = (...rows: LedgerRow[]) => firstAfter({ rows, fingerprint: 'f' })

describe('`covered` is the block after the last one that is covered', () => {
  test('and nothing where nothing is', () => {
    expect(after()).toBeUndefined()
    expect(after(unit(0, 9, 'done'), unit(20, 29, 'done'))).toBe(30n)
    expect(after(unit(0, 9, 'done', { fingerprint: 'another' }))).toBeUndefined()
  })

  test('but what failed, is in quarantine or was left open below it comes first', () => {
    for (const state of ['failed', 'quarantined', 'running', 'pending'] as const)
      expect(after(unit(0, 9, 'done'), unit(10, 14, state), unit(15, 29, 'done'))).toBe(10n)
    expect(after(unit(10, 14, 'failed'), unit(15, 29, 'done'))).toBe(10n)
    expect(after(unit(10, 14, 'failed'))).toBe(10n)
    expect(after(unit(0, 9, 'done'), unit(10, 14, 'running'))).toBe(10n)
  })

  test('with what no run has begun beneath it, where the newest blocks are read first', () => {
    expect(after(unit(0, 9, 'done'), unit(40, 49, 'running'), unit(50, 59, 'done'))).toBe(10n)
  })

  test('a unit that was half done counts for what is left of it, and what was reset is open again', () => {
    const half = unit(10, 19, 'running', { coverage: { covered: [['10', '14']] } })
    expect(after(unit(0, 9, 'done'), half, unit(20, 29, 'done'))).toBe(15n)
    expect(after(unit(0, 9, 'done'), unit(10, 19, 'done', { fingerprint: RESET_FINGERPRINT }), unit(20, 29, 'done'))).toBe(10n)
  })
})
