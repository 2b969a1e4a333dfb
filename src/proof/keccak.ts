import { createKeccak } from 'hash-wasm'

// Measured on the 301 receipts of block 22869878: 2 ms for the hashes of their envelopes, where @noble/hashes (viem's own) takes
// 33 ms. The module waits here until the hasher is compiled, so everything behind it is synchronous.
const hasher = await createKeccak(256)

/** Keccak-256, 32 bytes. */
export function keccak(bytes: Uint8Array): Uint8Array {
  return hasher.init().update(bytes).digest('binary')
}
