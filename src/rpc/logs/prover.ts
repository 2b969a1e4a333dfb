import type * as bloom from '../../proof/bloom.js'
import type * as proof from '../../proof/index.js'
import type { Difference } from '../../proof/rebuilt.js'
import type { RpcLog } from '../../sdk/index.js'
import { RpcUnprovableError } from './errors.js'

/** What is proved with: loaded when something is to be proved, since a hasher is compiled for it. */
export type Prover = typeof proof & Pick<typeof bloom, 'addToBloom'>

let loading: Promise<Prover> | undefined

export function loadProver(): Promise<Prover> {
  loading ??= Promise.all([import('../../proof/index.js'), import('../../proof/bloom.js')]).then(([functions, { addToBloom }]) => ({
    ...functions,
    addToBloom,
  }))
  return loading
}

type Wrong = NonNullable<ReturnType<Prover['checkBlock']>>

/** In words what contradicts; an error when nothing can be computed of what was given. */
export function contradiction(wrong: Wrong, chain: string, block: bigint): string | RpcUnprovableError {
  if ('rebuildable' in wrong) return new RpcUnprovableError(chain, block, wrong.reason)
  return `block ${block}: ${said(wrong)}`
}

export const said = ({ field, said, computed }: Difference): string => `${field} is ${said}, and from the rest follows ${computed}`

/**
 * Whether a header's bloom has more than the logs of all receipts put there, so that one of them is missing. A bloom of which each
 * bit is set is none: some chains give it instead.
 */
export function isMore(logsBloom: string, logs: readonly RpcLog[], { addToBloom }: Prover): boolean {
  if (/^0xf+$/.test(logsBloom)) return false
  const made = new Uint8Array(256)
  const known = new Map()
  for (const { address, topics } of logs) {
    addToBloom(made, known, address, 'address', 20)
    for (const topic of topics) addToBloom(made, known, topic, 'topic', 32)
  }
  return Buffer.from(logsBloom.slice(2), 'hex').some((byte, i) => (byte & ~(made[i] ?? 0)) !== 0)
}
