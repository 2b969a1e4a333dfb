import { expect, it } from 'vitest'
import { ledgerRow } from '../../test/support/ledger-row.js'
import { RESET_FINGERPRINT } from './fingerprints.js'
import { resetRows } from './reset.js'

it('the parts of a unit that stay done keep the hashes of their blocks', () => {
  const blocks = [
    ['17', '0x17'],
    ['18', '0x18'],
    ['19', '0x19'],
  ] as const
  const row = ledgerRow('10-19', {
    first: 10n,
    last: 19n,
    parentHash: '0x9',
    lastHash: '0x19',
    coverage: { covered: [['10', '19']], blocks },
  })
  const { put } = resetRows({ pipeline: 'p', step: 's', fingerprint: RESET_FINGERPRINT }, [row], '12..17')
  expect(put.map(({ unit, coverage, parentHash, lastHash }) => ({ unit, coverage, parentHash, lastHash }))).toEqual([
    { unit: '12-17', coverage: undefined, parentHash: undefined, lastHash: undefined },
    { unit: '10-11', coverage: undefined, parentHash: '0x9', lastHash: undefined },
    { unit: '18-19', coverage: { blocks: blocks.slice(1) }, parentHash: '0x17', lastHash: '0x19' },
  ])
})

it('units of numbers that have not begun are in a range by their numbers, not by how they are written', () => {
  const rows = ['0-99', '39200-39299', '50-149', '900-999'].map((unit) =>
    ledgerRow(unit, { first: undefined, last: undefined, state: 'pending', coverage: undefined }),
  )
  const { put, open } = resetRows({ pipeline: 'p', step: 's', fingerprint: RESET_FINGERPRINT }, rows, '0..99', true)
  expect([open, put.map(({ unit, state }) => `${unit} ${state}`)]).toEqual([
    ['0-99', '50-149'],
    ['0-99 pending', '50-149 pending'],
  ])
})
