import { expect, it } from 'vitest'
import { ledgerRow } from '../../test/support/ledger-row.js'
import type { LedgerRow } from '../sdk/index.js'
import { rewound } from './rewind.js'
import { stored } from './standing.js'

const of = { pipeline: 'p', step: 's' }
const unit = (first: bigint, last: bigint, change: Partial<LedgerRow> = {}) =>
  ledgerRow(`${first}-${last}`, { first, last, coverage: { covered: stored([[first, last]]) }, rows: { t: 5 }, ...change })

it('a unit that reaches above the common block keeps what lies below it, with the hashes that are known there', () => {
  const blocks = [
    ['17', '0x17'],
    ['18', '0x18'],
    ['19', '0x19'],
  ] as const
  const rows = [
    unit(0n, 9n, { lastHash: '0x9' }),
    unit(10n, 19n, { parentHash: '0x9', lastHash: '0x19', coverage: { covered: stored([[10n, 19n]]), blocks }, endpoint: 'a' }),
    unit(20n, 24n, { parentHash: '0x19' }),
  ]
  expect(rewound(of, rows, 18n)).toEqual({
    put: [
      {
        step: { ...of, fingerprint: 'now' },
        unit: '10-18',
        first: 10n,
        last: 18n,
        state: 'done',
        coverage: { covered: [['10', '18']], blocks: blocks.slice(0, 2) },
        parentHash: '0x9',
        lastHash: '0x18',
        endpoint: 'a',
      },
    ],
    drop: [
      { step: 's', unit: '10-19' },
      { step: 's', unit: '20-24' },
    ],
    blocks: [[19n, 24n]],
    times: [],
  })
})

it('of a unit under way what it covered below stays, one that wrote nothing is no block that was read, and older rows are replaced', () => {
  const rows = [
    unit(10n, 19n, {
      state: 'failed',
      coverage: {
        covered: stored([
          [10n, 12n],
          [16n, 17n],
        ]),
        redo: 'reset',
      },
    }),
    unit(20n, 24n, { state: 'pending', coverage: undefined, rows: {} }),
  ]
  const { put, drop, blocks } = rewound(of, rows, 15n)
  expect(put.map(({ unit: name, step }) => [name, step.fingerprint])).toEqual([
    ['10-12', 'now'],
    ['13-15', 'reset'],
  ])
  expect([drop.length, blocks]).toEqual([2, [[16n, 17n]]])
})

it('a unit of time goes with all others of its days, by the blocks that it holds', () => {
  const hour = 3_600_000_000n
  const time = (first: bigint, last: bigint, numbers: readonly [string, string], name: string) =>
    ledgerRow(name, { first, last: last - 1n, coverage: { covered: [], numbers } })
  const rows = [
    time(0n, 24n * hour, ['0', '9'], '1970-01-01'),
    time(24n * hour, 30n * hour, ['10', '14'], '1970-01-02T00:00:00Z..1970-01-02T05:59:59.999999Z'),
    time(30n * hour, 48n * hour, ['15', '19'], '1970-01-02T06:00:00Z..1970-01-02T23:59:59.999999Z'),
  ]
  expect(rewound(of, rows, 16n)).toEqual({
    put: [],
    drop: [
      { step: 's', unit: '1970-01-02T00:00:00Z..1970-01-02T05:59:59.999999Z' },
      { step: 's', unit: '1970-01-02T06:00:00Z..1970-01-02T23:59:59.999999Z' },
    ],
    blocks: [[10n, 19n]],
    times: [[24n * hour, 48n * hour - 1n]],
  })
  expect(rewound(of, rows, 19n)).toEqual({ put: [], drop: [], blocks: [], times: [] })
})
