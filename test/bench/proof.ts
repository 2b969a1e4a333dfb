import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { createMPT } from '@ethereumjs/mpt'
import { toHex, toRlp } from 'viem'
import { checkBlock, headerHash, receiptsRoot, transactionsRoot } from '../../src/proof/index.js'
import { encodeReceipts } from '../../src/proof/receipts.js'
import { fakeChain } from '../../src/sandbox/index.js'
import type { Figure } from './goals.js'
import { alone, pairs } from './measure.js'

const number = 22_869_878
const times = 20

/**
 * Goal G13: the recorded block of 301 receipts and 714 logs proved (header hash, receipts root, places and blooms), in processor
 * time of this process, beside the trie library alone, which is given the receipts encoded. Without the recorded data nothing is
 * measured, and the table says so. Beside it what `verify: proof` of rpc-batch takes: a made block of 300 transfers, whole, with receipts.
 */
export async function* proving(rounds: number, root: string): AsyncIterable<Figure> {
  yield await wholeBlock(rounds)
  const folder = join(process.env.PIPE_TEST_DATA ?? join(root, '../shared/data'), 'ethereum-mainnet-receipts')
  const what = 'a block of 301 receipts proved, CPU'
  if (!existsSync(folder)) {
    yield { goal: 'G13', what: `${what}: no ${folder}`, ours: '', theirs: '', ratio: undefined, wanted: '<= 15 ms', met: undefined }
    return
  }
  // The casts hold for the folder's own files.
  const blocks = readFileSync(join(folder, 'blocks.eth_getBlockByNumber.ndjson'), 'utf8').trimEnd().split('\n')
  const block = blocks
    .map((line) => JSON.parse(line) as { number: string; receiptsRoot: string })
    .find((one) => Number(one.number) === number)
  const receipts = JSON.parse(gunzipSync(readFileSync(join(folder, `receipts_${number}.json.gz`))).toString()) as unknown[]
  const envelopes = encodeReceipts(receipts).map(({ envelope }) => envelope)
  const ours = {
    work: () => {
      for (let i = 0; i < times; i++) if (checkBlock(block, receipts)) throw new Error(`block ${number} is not proved`)
      return Promise.resolve()
    },
  }
  const theirs = {
    work: async () => {
      const trie = await createMPT()
      for (const [index, envelope] of envelopes.entries()) await trie.put(toRlp(index === 0 ? '0x' : toHex(index), 'bytes'), envelope)
      if (toHex(trie.root()) !== block?.receiptsRoot) throw new Error(`the library has another root of block ${number}`)
    },
  }
  const both = await pairs(rounds, ours, theirs)
  const ms = both.ours.cpuMs / times
  yield {
    goal: 'G13',
    what,
    ours: `${ms.toFixed(1)} ms`,
    theirs: `${both.theirs.cpuMs.toFixed(0)} ms trie alone`,
    ratio: ms / both.theirs.cpuMs,
    wanted: '<= 15 ms',
    met: ms <= 15,
  }
}

async function wholeBlock(rounds: number): Promise<Figure> {
  const chain = fakeChain({ blocks: 1, transactions: 300, hasher: { headerHash, receiptsRoot, transactionsRoot } })
  // The casts hold for the chain of our own.
  const block = JSON.parse(chain.blockJson(1n, true) ?? '') as { readonly transactions: readonly unknown[] }
  const receipts = JSON.parse(chain.receiptsJson(1n) ?? '') as readonly unknown[]
  const { cpuMs } = await alone(rounds, {
    work: () => {
      for (let i = 0; i < times; i++) if (checkBlock(block, receipts, block.transactions)) throw new Error('the made block is not proved')
      return Promise.resolve()
    },
  })
  const ms = cpuMs / times
  return {
    goal: 'G13',
    what: 'a block of 300 transactions and receipts proved, CPU',
    ours: `${ms.toFixed(1)} ms`,
    theirs: '',
    ratio: undefined,
    wanted: '<= 15 ms',
    met: ms <= 15,
  }
}
