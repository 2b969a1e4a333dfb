import { parentPort } from 'node:worker_threads'
import { type KeptFields, packed } from '../sdk/index.js'
import { UnreadableError } from './charset.js'
import { FieldSieve } from './field-sieve.js'
import { TooDeepError } from './json-depth.js'
import { flawOf } from './json-numbers.js'
import { JsonSplit, type PackedPage, parsed, type TakenList } from './json-stream.js'

/** Of one body, by a number of its own: what is kept of it, then its bytes as they come, then its end. */
export type ToWorker =
  | { readonly body: number; readonly keep: KeptFields }
  | { readonly body: number; readonly bytes: Uint8Array }
  | { readonly body: number; readonly end: 'whole' | 'dropped' }

/** Bytes that were worked on, given back; the next elements of a list, packed; JSON of what is left at the end; or why nothing can be told: no class goes from thread to thread. */
export type FromWorker =
  | { readonly body: number; readonly taken: Uint8Array }
  | ({ readonly body: number; readonly list: number } & PackedPage)
  | { readonly body: number; readonly lists: readonly TakenList[]; readonly bytes: Uint8Array }
  | { readonly body: number; readonly failed: 'deep' | 'syntax' | 'unreadable'; readonly message: string }

/** Bytes of elements that are parsed at once. Of what is longer than 100 kB, `JSON.parse` makes values for the collector of old ones. */
const PIECE = 65_536
/** For what is kept of some bytes, again and again: to take memory and give it back takes longer than the work. */
const ROOM = Buffer.allocUnsafeSlow(524_288)
/** Elements that are told at once. */
const PAGE = 128

/** Bodies are sieved, split and parsed in a thread of its own, any number side by side. Bytes are handed over in both directions. */
const bodies = new Map<number, { readonly sieve: FieldSieve; readonly split: JsonSplit }>()

function tell(said: FromWorker): void {
  parentPort?.postMessage(said, memoryOf(said))
}

function memoryOf(said: FromWorker): ArrayBuffer[] {
  if ('failed' in said) return []
  return [('taken' in said ? said.taken : said.bytes).buffer as ArrayBuffer]
}

/** Bytes of a memory of their own, which can be handed over. */
const own = (bytes: Uint8Array): Uint8Array => new Uint8Array(bytes)

function begin(body: number, keep: KeptFields): void {
  const waiting = new Map<number, unknown[]>()
  const tellPage = (list: number, elements: readonly unknown[]): void => {
    // What JSON can say can be packed.
    const bytes = packed(elements) as Uint8Array
    tell({ body, list, bytes: own(bytes), count: elements.length, isRounded: flawOf(elements) !== undefined })
  }
  const split = new JsonSplit(
    {
      elements: (list, bytes) => {
        const elements = waiting.get(list) ?? []
        for (const element of parsed(bytes) as unknown[]) elements.push(element)
        waiting.set(list, elements.length < PAGE ? elements : [])
        if (elements.length >= PAGE) tellPage(list, elements)
      },
      rest: (bytes, lists) => {
        for (const [list, elements] of waiting) if (elements.length > 0) tellPage(list, elements)
        tell({ body, lists, bytes: own(bytes) })
      },
    },
    PIECE,
  )
  bodies.set(body, { sieve: new FieldSieve(keep), split })
}

function hear(said: ToWorker): void {
  const { body } = said
  if ('keep' in said) return begin(body, said.keep)
  const known = bodies.get(body)
  if (!known) return
  if ('end' in said) bodies.delete(body)
  try {
    if ('bytes' in said) {
      // What is kept is copied at once.
      known.split.add(known.sieve.add(said.bytes, ROOM))
      tell({ body, taken: said.bytes })
    } else if (said.end === 'whole') {
      known.split.add(known.sieve.end())
      known.split.end()
    }
  } catch (error) {
    bodies.delete(body)
    tell({ body, failed: failureOf(error), message: (error as Error).message })
  }
}

function failureOf(error: unknown): 'deep' | 'syntax' | 'unreadable' {
  if (error instanceof TooDeepError) return 'deep'
  return error instanceof UnreadableError ? 'unreadable' : 'syntax'
}

parentPort?.on('message', hear)
