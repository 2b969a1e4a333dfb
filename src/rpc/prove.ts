import { type BlockParts, type Disproof, turn } from '../sdk/index.js'
import { loadProver, said } from './logs/prover.js'

/** `RpcPool.prove` for a chain. Others have their turn after each block: one with thousands of receipts takes long. */
export async function prove({ block, receipts, transactions }: BlockParts, chainId: number): Promise<Disproof | undefined> {
  const { checkBlock } = await loadProver()
  const wrong = checkBlock(block, receipts, transactions, { chainId })
  await turn()
  if (!wrong) return undefined
  return 'rebuildable' in wrong ? { why: wrong.reason, by: 'form' } : { why: said(wrong), by: 'contradiction' }
}
