import { type Compiled, nameOf } from './compiled.js'
import type { Block } from './links.js'
import { provedCalls } from './provable.js'
import type { Reading } from './reading.js'
import { BlockInconsistentError, BlockUnprovableError } from './refused.js'

/** Refuses blocks whose own hashes contradict what was given, or say nothing of it. */
export async function refuseUnproved(step: Compiled, reading: Reading): Promise<void> {
  const { ctx } = step
  const { header, receipts, whole } = provedCalls(ctx.config)
  for (let i = 0; i < reading.group.size; i++) {
    if (reading.isOver(i)) continue
    const record = reading.record(i)
    const block = record[header ?? ''] as Block
    const found = await ctx.rpc.prove({
      block,
      receipts: receipts === undefined ? undefined : record[receipts],
      transactions: whole ? block.transactions : undefined,
    })
    if (!found) continue
    const name = nameOf(step, reading.group, i)
    reading.refused.set(
      i,
      found.by === 'form' ? new BlockUnprovableError(ctx.chain?.name ?? '', name, found.why) : new BlockInconsistentError(name, found.why),
    )
  }
}
