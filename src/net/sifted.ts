import type { KeptFields } from '../sdk/index.js'
import { FieldSieve } from './field-sieve.js'

/**
 * Bytes of JSON-RPC answers without the fields that nobody looks at, as a long answer is read. For a short one that is useless as a whole:
 * what is broken in such a field is judged in neither. Undefined where that is not what it is.
 */
export function sifted(body: Buffer, keep: KeptFields | undefined): Buffer | undefined {
  if (!keep) return undefined
  const sieve = new FieldSieve(keep)
  try {
    return Buffer.concat([sieve.add(body), sieve.end()])
  } catch {
    // Brackets that do not fit, or too many of them: the reader of the whole says so.
    return undefined
  }
}
