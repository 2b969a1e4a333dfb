import { type Compiled, nameOf } from './compiled.js'
import type { Block } from './links.js'
import { type Disproof, type PipeError, rowsOf } from '../../src/sdk/authors.js'
import { provedCalls, usedFields } from './provable.js'
import type { Reading } from './reading.js'
import { BlockInconsistentError, BlockUnprovableError, FieldUnprovableError } from './refused.js'

/** Refuses blocks whose own hashes contradict what was given, or say nothing of it or of a field that is stored. */
export async function refuseUnproved(step: Compiled, reading: Reading): Promise<void> {
  const { ctx } = step
  const { header, receipts, whole } = provedCalls(ctx.config)
  const fields = usedFields(ctx.config, rowsOf(ctx.config, ctx.into))
  const used = [...fields.keys()]
  const errorOf = (name: string, { by, why, used: field }: Disproof): PipeError => {
    if (by === 'contradiction') return new BlockInconsistentError(name, why)
    const chain = ctx.chain?.name ?? ''
    return by === 'form'
      ? new BlockUnprovableError(chain, name, why)
      : new FieldUnprovableError(chain, name, why, (field && fields.get(field)) ?? '')
  }
  for (let i = 0; i < reading.group.size; i++) {
    if (reading.isOver(i)) continue
    const record = reading.record(i)
    const block = record[header ?? ''] as Block
    const found = await ctx.rpc.prove({
      block,
      receipts: receipts === undefined ? undefined : record[receipts],
      transactions: whole ? block.transactions : undefined,
      used,
    })
    if (found) reading.refused.set(i, errorOf(nameOf(step, reading.group, i), found))
  }
}
