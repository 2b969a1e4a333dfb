import { describe, expect, it } from 'vitest'
import { ledgerRow } from '../../test/support/ledger-row.js'
import { type LedgerRow, numberAxis } from '../sdk/index.js'
import { joined } from './join.js'
import { stored } from './standing.js'

const step = { pipeline: 'p', step: 's', fingerprint: 'now' }
const done = (first: bigint, last: bigint, change: Partial<LedgerRow> = {}) =>
  ledgerRow(`${first}-${last}`, { first, last, coverage: { covered: stored([[first, last]]) }, ...change })
const join = (rows: readonly LedgerRow[], horizon?: bigint) => joined(rows, step, numberAxis(10), horizon)

describe('done stretches that touch', () => {
  it('become one, with the rows of all, the hashes of both ends and every host', () => {
    const { put, drop } = join([
      done(10n, 19n, { rows: { t: 5 }, endpoint: 'b', parentHash: '0x9', lastHash: '0x19' }),
      done(0n, 9n, { rows: { t: 10 }, endpoint: 'a, b', parentHash: '0x-1', lastHash: '0x9' }),
    ])
    expect(put).toEqual([
      {
        step,
        unit: '0-19',
        first: 0n,
        last: 19n,
        state: 'done',
        coverage: { covered: [['0', '19']] },
        rows: { t: 15 },
        cursor: null,
        endpoint: 'a, b',
        parentHash: '0x-1',
        lastHash: '0x19',
        attempts: 0,
        error: null,
      },
    ])
    expect(drop.map(({ unit }) => unit).sort()).toEqual(['0-9', '10-19'])
  })

  it('stay apart beyond the horizon, over a hole, under another definition, and where hashes do not follow', () => {
    expect(join([done(0n, 9n), done(10n, 19n)], 19n)).toEqual({ put: [], drop: [] })
    expect(join([done(0n, 9n), done(11n, 19n)])).toEqual({ put: [], drop: [] })
    expect(join([done(0n, 9n), done(10n, 19n, { fingerprint: 'before' })])).toEqual({ put: [], drop: [] })
    expect(join([done(0n, 9n, { lastHash: '0xa' }), done(10n, 19n, { parentHash: '0xb' })])).toEqual({ put: [], drop: [] })
    expect(join([done(0n, 9n, { evidence: { logs: 1 } }), done(10n, 19n)])).toEqual({ put: [], drop: [] })
  })

  it('stay apart at every 1,024th unit, however they were joined before', () => {
    // Units of 10: the border is at 10,240.
    expect(join([done(10_230n, 10_239n), done(10_240n, 10_249n)])).toEqual({ put: [], drop: [] })
    expect(join([done(0n, 10_229n), done(10_230n, 10_239n)]).put.map(({ unit }) => unit)).toEqual(['0-10239'])
    expect(join([done(5n, 10_245n), done(10_246n, 10_249n)])).toEqual({ put: [], drop: [] })
    const lanes = joined([done(0n, 10_239n), done(10_240n, 10_249n)], step, { ...numberAxis(10), cut: undefined }, undefined)
    expect(lanes.put.map(({ unit }) => unit)).toEqual(['0-10249'])
  })

  it('a table that one of them did not count is not counted, and a count that may be wrong stays so', () => {
    const { put } = join([done(0n, 9n, { rows: { t: 1, u: 2 } }), done(10n, 19n, { rows: { t: 1 }, coverage: undefined })])
    expect([put[0]?.rows, put[0]?.coverage]).toEqual([{ t: 2 }, null])
    const redone = join([
      done(0n, 9n, { coverage: { covered: [], cleared: true } }),
      done(10n, 19n, { coverage: { covered: [], cleared: true } }),
    ])
    expect(redone.put[0]?.coverage).toBe(null)
  })
})
