import { expect, test } from 'vitest'
import { keepOf } from './keep.js'

const log = { address: '0xa', topics: ['0x1'], data: '0x2', logIndex: '0x0', blockHash: '0xb', transactionHash: '0xc' }
const receipt = (logs: readonly object[]) => ({
  blockHash: '0xb',
  from: '0xf',
  gasUsed: '0x1',
  status: '0x1',
  logs,
  logsBloom: '0x8',
  type: null,
})
const place = { logIndex: '0x0', blockHash: '0xb', transactionHash: '0xc' }

test('of a receipt that is kept which the file names or which is compared; a bloom only where there are no logs', () => {
  const keep = keepOf('{"from_address":"receipt.from"}', ['eth_getBlockReceipts'])
  expect([receipt([log]), receipt([])].map(keep)).toEqual([
    { blockHash: '0xb', from: '0xf', gasUsed: '0x1', logs: [place] },
    { blockHash: '0xb', from: '0xf', gasUsed: '0x1', logs: [], logsBloom: '0x8' },
  ])
  expect(keepOf('{"bloom":"receipt.logsBloom","kind":"receipt.type"}', [])(receipt([log]))).toMatchObject({ logsBloom: '0x8', type: null })
  expect(keepOf('', ['eth_getLogs'])(log)).toEqual({ ...place, address: '0xa', topics: ['0x1'] })
})
