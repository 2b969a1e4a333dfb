import type { BlockLink } from '../sdk/index.js'
import { horizon } from './horizon.js'

/** Blocks near the head, with their hashes. */
export type NearBlocks = readonly (readonly [bigint, string])[]

/** The blocks of a stretch whose hashes the ledger keeps: those that a reorg may still reach, and the one below them. */
export function nearTop(known: NearBlocks, blocks: readonly BlockLink[], top: bigint, confirmations: number): NearBlocks {
  const floor = horizon(top, confirmations)
  const near = blocks.flatMap(hashed).filter(([number]) => number >= floor)
  return near.length === 0 ? known : [...known, ...near]
}

/** Of blocks in no order: each once, as far as a reorg reaches, with the highest one that it does not reach. */
export function nearest(known: NearBlocks, blocks: readonly BlockLink[], confirmations: number): NearBlocks {
  const all = [...known, ...blocks.flatMap(hashed)]
  const newest = all.reduce((high, [number]) => (number > high ? number : high), 0n)
  const deep = all.reduce((high, [number]) => (number > high && number <= horizon(newest, confirmations) ? number : high), -1n)
  const each = new Map(all.map((block) => [block.join(' '), block]))
  return [...each.values()].filter(([number]) => number >= deep)
}

const hashed = ({ number, hash }: BlockLink): NearBlocks => (hash === undefined ? [] : [[number, hash]])
