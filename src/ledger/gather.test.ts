import { expect, it } from 'vitest'
import { ledgerRow } from '../../test/support/ledger-row.js'
import { gathered } from './gather.js'

const step = { pipeline: 'p', step: 's', fingerprint: 'now' }
const NOTHING = { put: [], drop: [] }
/** One a block, by keys that are no numbers; `b` gave the second one. */
const rows = (count: number) =>
  Array.from({ length: count }, (_, block) =>
    ledgerRow(`0x${String(block).padStart(4, '0')}`, {
      rows: { t: 2 },
      endpoint: block === 1 ? 'b' : 'a',
      coverage: { covered: [], numbers: [String(block), String(block)], blocks: [[String(block), '0xab']] },
    }),
  )

it('units that no reorg reaches become one, with the rows of all and every host', () => {
  const { put, drop } = gathered(rows(200), step, 150n)
  expect(put).toEqual([{ step, unit: '0x0000', state: 'done', coverage: null, rows: { t: 300 }, endpoint: 'a, b' }])
  expect(drop).toEqual(
    rows(150)
      .slice(1)
      .map(({ unit }) => ({ step: 's', unit })),
  )
})

it('they stay as they are while there are few, where a reorg may reach them, and while another definition is read again', () => {
  expect(gathered(rows(64), step, undefined)).toEqual(NOTHING)
  expect(gathered(rows(200), step, 64n)).toEqual(NOTHING)
  expect(gathered([...rows(200), ledgerRow('older', { fingerprint: 'before' })], step, undefined)).toEqual(NOTHING)
  const open = rows(200).map((row) => ({ ...row, state: 'pending' as const }))
  expect(gathered(open, step, undefined)).toEqual(NOTHING)
})
