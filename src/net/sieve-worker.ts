import { parentPort } from 'node:worker_threads'
import type { KeptFields } from '../sdk/index.js'
import { FieldSieve } from './field-sieve.js'

/** Of one body, by a number of its own: what is kept of it, then its bytes as they come, then its end. */
export type ToWorker =
  | { readonly body: number; readonly keep: KeptFields }
  | { readonly body: number; readonly bytes: Uint8Array }
  | { readonly body: number; readonly end: 'whole' | 'dropped' }

/** What is kept of these bytes, or why nothing can be. `end`: there is no more. */
export type FromWorker =
  { readonly body: number; readonly bytes: Uint8Array; readonly end: boolean } | { readonly body: number; readonly failed: Error }

/** Sieves bodies in a thread of its own, any number side by side. Bytes are handed over in both directions, never copied. */
const sieves = new Map<number, FieldSieve>()

function answer(said: ToWorker): FromWorker | undefined {
  const { body } = said
  if ('keep' in said) {
    sieves.set(body, new FieldSieve(said.keep))
    return undefined
  }
  const sieve = sieves.get(body)
  if (!sieve) return undefined
  try {
    if ('bytes' in said) return { body, bytes: sieve.add(said.bytes), end: false }
    sieves.delete(body)
    return said.end === 'whole' ? { body, bytes: own(sieve.end()), end: true } : undefined
  } catch (failed) {
    sieves.delete(body)
    return { body, failed: failed as Error }
  }
}

/** Bytes of a memory of their own, which can be handed over. */
const own = (bytes: Buffer): Uint8Array => new Uint8Array(bytes)

parentPort?.on('message', (said: ToWorker) => {
  const answered = answer(said)
  if (!answered) return
  parentPort?.postMessage(answered, 'bytes' in answered ? [answered.bytes.buffer as ArrayBuffer] : [])
})
