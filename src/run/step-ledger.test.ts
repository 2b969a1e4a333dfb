import { describe, expect, it } from 'vitest'
import { ledgerRow } from '../../test/support/ledger-row.js'
import { RESET_FINGERPRINT } from '../ledger/fingerprints.js'
import type { StepPlan } from '../plan/plan.js'
import { numberAxis } from '../sdk/index.js'
import type { RunServices } from './services.js'
import { joinRule } from './step-ledger.js'

const axis = numberAxis(10)
// Only what the rule reads.
const services = { pipeline: { name: 'p', chains: new Map([['chain', { confirmations: 10 }]]) } } as unknown as RunServices
const plan = {
  step: { id: 's', chain: 'chain' },
  wanted: { kind: 'stretches', domain: [0n, 999n] },
  axis,
  fingerprint: 'now',
} as unknown as StepPlan
const done = (first: bigint, fingerprint = 'now', last = first + 9n) => ledgerRow(`${first}-${last}`, { first, last, fingerprint })

describe('units of blocks are joined', () => {
  it('below the newest block that was read, less what a reorg may undo; a range that was reset may lie far beyond it', () => {
    const rows = Array.from({ length: 20 }, (_, i) => done(BigInt(i) * 10n))
    const put = (all: readonly ReturnType<typeof done>[]) => joinRule(services, plan)?.(all).put.map(({ unit }) => unit)
    expect(put(rows)).toEqual(['0-119'])
    expect(put([...rows, done(200n, RESET_FINGERPRINT, 99_999n)])).toEqual(['0-119'])
  })
})
