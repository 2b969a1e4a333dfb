import { parentPort } from 'node:worker_threads'
import type { KeptFields } from '../sdk/index.js'
import { FieldSieve } from './field-sieve.js'
import { TooDeepError } from './json-depth.js'
import { JsonSplit, type TakenList } from './json-stream.js'

/** Of one body, by a number of its own: what is kept of it, then its bytes as they come, then its end. */
export type ToWorker =
  | { readonly body: number; readonly keep: KeptFields }
  | { readonly body: number; readonly bytes: Uint8Array }
  | { readonly body: number; readonly end: 'whole' | 'dropped' }

/** JSON of a list with elements of a list, what is left at the end, or why nothing can be told: no class goes from thread to thread. */
export type FromWorker =
  | { readonly body: number; readonly list: number; readonly bytes: Uint8Array }
  | { readonly body: number; readonly lists: readonly TakenList[]; readonly bytes: Uint8Array }
  | { readonly body: number; readonly failed: 'deep' | 'syntax'; readonly message: string }

/** Bodies are sieved and split in a thread of its own, any number side by side. Bytes are handed over in both directions. */
const bodies = new Map<number, { readonly sieve: FieldSieve; readonly split: JsonSplit }>()

function tell(said: FromWorker): void {
  parentPort?.postMessage(said, 'bytes' in said ? [said.bytes.buffer as ArrayBuffer] : [])
}

/** Bytes of a memory of their own, which can be handed over. */
const own = (bytes: Buffer): Uint8Array => new Uint8Array(bytes)

function begin(body: number, keep: KeptFields): void {
  const split = new JsonSplit({
    elements: (list, bytes) => tell({ body, list, bytes: own(bytes) }),
    rest: (bytes, lists) => tell({ body, lists, bytes: own(bytes) }),
  })
  bodies.set(body, { sieve: new FieldSieve(keep), split })
}

function hear(said: ToWorker): void {
  const { body } = said
  if ('keep' in said) return begin(body, said.keep)
  const known = bodies.get(body)
  if (!known) return
  if ('end' in said) bodies.delete(body)
  try {
    if ('bytes' in said) known.split.add(known.sieve.add(said.bytes))
    else if (said.end === 'whole') {
      known.split.add(known.sieve.end())
      known.split.end()
    }
  } catch (error) {
    bodies.delete(body)
    tell({ body, failed: error instanceof TooDeepError ? 'deep' : 'syntax', message: (error as Error).message })
  }
}

parentPort?.on('message', hear)
