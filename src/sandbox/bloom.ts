import { createRequire } from 'node:module'
import type { Hex } from './source.js'

/** No log at all. */
export const emptyBloom: Hex = '0x' + '0'.repeat(512)

/** The 2,048-bit bloom filter of addresses and topics as block headers carry it (Yellow Paper, 4.3.1): three bits an item. */
export function bloomOf(items: Iterable<Hex>): Hex {
  const bits = new Uint8Array(256)
  const keccak256 = loadKeccak()
  for (const item of items) {
    const hash = keccak256(item, 'bytes')
    for (let i = 0; i < 6; i += 2) {
      const bit = ((hash[i]! << 8) | hash[i + 1]!) & 2047
      bits[255 - (bit >> 3)]! |= 1 << (bit & 7)
    }
  }
  return '0x' + Buffer.from(bits).toString('hex')
}

// Loaded when the first log is served: most tests have none, and viem takes a third of a second to load.
let keccak: ((value: Hex, to: 'bytes') => Uint8Array) | undefined

function loadKeccak(): (value: Hex, to: 'bytes') => Uint8Array {
  // The cast holds for viem's documented signature; `require` gives no types.
  keccak ??= (createRequire(import.meta.url)('viem/utils') as { keccak256: NonNullable<typeof keccak> }).keccak256
  return keccak
}
