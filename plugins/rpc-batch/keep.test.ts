import { expect, test } from 'vitest'
import { keepOf } from './keep.js'

test('of a receipt that is kept which the file names or which is compared; a bloom only where no logs explain it', () => {
  const { fields, blooms } = keepOf('{"from_address":"receipt.from"}', ['eth_getBlockReceipts'])
  const some = ['blockHash', 'from', 'gasUsed', 'logs', 'logIndex', 'transactionHash', 'logsBloom']
  expect([some.filter((name) => !fields.includes(name)), fields.includes('status'), fields.includes('topics'), blooms]).toEqual([
    [],
    false,
    false,
    'unexplained',
  ])
  expect(keepOf('{"bloom":"receipt.logsBloom"}', []).blooms).toBe('all')
  expect(keepOf('', ['eth_getLogs']).fields).toEqual(expect.arrayContaining(['address', 'topics']))
})
