import type { LedgerRow } from '../../src/sdk/index.js'

/** A ledger row of step `s` with nothing in it but what a test says. */
export function ledgerRow(unit: string, change: Partial<LedgerRow> = {}): LedgerRow {
  return {
    step: 's',
    unit,
    state: 'done',
    fingerprint: 'now',
    epoch: 1n,
    first: undefined,
    last: undefined,
    coverage: undefined,
    cursor: undefined,
    rows: {},
    attempts: 0,
    endpoint: undefined,
    parentHash: undefined,
    lastHash: undefined,
    evidence: undefined,
    error: undefined,
    startedAt: 0n,
    updatedAt: 0n,
    ...change,
  }
}
