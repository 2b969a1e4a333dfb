import { type BlockParts, type Disproof, turn } from '../sdk/index.js'
import { loadProver, said } from './logs/prover.js'

/** `RpcPool.prove` for a chain. Others have their turn after each block: one with thousands of receipts takes long. */
export async function prove({ block, receipts, transactions, used = [] }: BlockParts, chainId: number): Promise<Disproof | undefined> {
  const { checkBlock, checkUsed } = await loadProver()
  const wrong =
    checkBlock(block, receipts, transactions, { chainId }) ?? (await checkUsed(block, { receipts, transactions }, used, { chainId }))
  await turn()
  if (!wrong) return undefined
  if ('why' in wrong) return { ...wrong, by: 'field' }
  return 'rebuildable' in wrong ? { why: wrong.reason, by: 'form' } : { why: said(wrong), by: 'contradiction' }
}
