import type { RunFact } from '../sdk/index.js'

/** `reorg at 118: 3 blocks replaced`. */
export function reorgInWords({ block, replaced }: Extract<RunFact, { type: 'reorg' }>): string {
  return `reorg at ${block}: ${replaced === 1 ? 'a block' : `${replaced} blocks`} replaced`
}
