import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { dataFolder } from './mainnet.js'

/** An object as a node gave it. */
export type Recorded = Record<string, unknown>

export interface RecordedBlock {
  readonly block: Recorded
  readonly receipts: Recorded[]
}

/** Real blocks of Ethereum from five forks with all their receipts; `test.skipIf(!dataFolder)` where there are none. */
export function mainnetBlocks(): RecordedBlock[] {
  const folder = join(dataFolder ?? '', 'ethereum-mainnet-receipts')
  return lines(readFileSync(join(folder, 'blocks.eth_getBlockByNumber.ndjson'))).map((block) => ({
    block,
    // The casts hold for the folder's own files.
    receipts: JSON.parse(gunzipSync(readFileSync(join(folder, `receipts_${Number(block.number)}.json.gz`))).toString()) as Recorded[],
  }))
}

/** Real blocks of Optimism, some with their transactions whole, and proofs of one account in them. */
export function optimismBlocks(): { readonly blocks: Recorded[]; readonly proofs: Recorded[] } {
  const folder = join(dataFolder ?? '', 'optimism-fee-balances')
  return {
    blocks: lines(gunzipSync(readFileSync(join(folder, 'blocks.eth_getBlockByNumber.ndjson.gz')))),
    proofs: JSON.parse(readFileSync(join(folder, 'miner_sequencer_vault_proofs.eth_getProof.json'), 'utf8')) as Recorded[],
  }
}

/** A block of an OP stack after Isthmus (Unichain Sepolia) with transactions and receipts, a deposit first. Always there. */
export function depositBlock(): RecordedBlock {
  const file = join(import.meta.dirname, '../../src/proof/fixtures/unichain-sepolia-35535698.json')
  return JSON.parse(readFileSync(file, 'utf8')) as RecordedBlock
}

function lines(text: Buffer): Recorded[] {
  return text
    .toString()
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Recorded)
}
