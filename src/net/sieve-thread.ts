import { Worker } from 'node:worker_threads'
import { type KeptFields, turn } from '../sdk/index.js'
import { TooDeepError } from './json-depth.js'
import { UnreadableError } from './charset.js'
import type { JsonParts, PackedPage } from './json-stream.js'
import type { FromWorker, ToWorker } from './sieve-worker.js'

/** Bytes that are handed over at once: few enough to be worked on in some milliseconds. */
const PIECE = 262_144
/** Pieces of a body that wait for the thread before no more is taken in. */
const MOST_WAITING = 6

/** Who waits for what is kept of a body. After its rest, or a failure, no more comes. */
export interface Sieved extends Pick<JsonParts, 'rest'> {
  /** The next elements of a list, packed. */
  page(list: number, page: PackedPage): void
  /** More may be added again. */
  ready(): void
  failed(error: Error): void
}

/** A body on its way through the thread. */
export interface Sieving {
  /** Holds nothing of `chunk`. False: nothing more should be added before `ready`. */
  add(chunk: Buffer): boolean
  end(): void
  drop(): void
}

/** The thread died, and what it held with it. */
export class ThreadDiedError extends Error {
  constructor(cause: unknown) {
    super(`the thread that reads long answers ended: ${cause instanceof Error ? cause.message : String(cause)}`, { cause })
  }
}

type Taken = Extract<FromWorker, { taken: unknown }>

interface Body {
  readonly sieved: Sieved
  /** Pieces that were handed over and are not worked on. */
  waiting: number
}

/**
 * One thread for all long bodies of the process, started with the first. It keeps the process alive only while there is a body. After its
 * death the next body starts another one.
 */
class SieveThread {
  readonly #bodies = new Map<number, Body>()
  /** What has come back and is still to be told, in order: a piece a turn of the loop, so that others have theirs. */
  readonly #told: Exclude<FromWorker, Taken>[] = []
  /** Pieces that came back. */
  readonly #memory: ArrayBuffer[] = []
  #worker: Worker | undefined
  #next = 0
  #tells = false

  begin(keep: KeptFields, sieved: Sieved): Sieving {
    const body = this.#next++
    const worker = (this.#worker ??= this.#start())
    const known: Body = { sieved, waiting: 0 }
    this.#bodies.set(body, known)
    worker.ref()
    const post = (said: ToWorker, memory: readonly ArrayBuffer[] = []) => worker.postMessage(said, memory)
    post({ body, keep })
    let piece = this.#piece()
    let filled = 0
    const handOver = (): void => {
      if (filled === 0) return
      known.waiting++
      post({ body, bytes: piece.subarray(0, filled) }, [piece.buffer])
      piece = this.#piece()
      filled = 0
    }
    return {
      add: (chunk) => {
        for (let from = 0; from < chunk.length;) {
          const copied = chunk.copy(piece, filled, from)
          from += copied
          filled += copied
          if (filled === PIECE) handOver()
        }
        return known.waiting < MOST_WAITING
      },
      end: () => {
        handOver()
        post({ body, end: 'whole' })
      },
      drop: () => {
        post({ body, end: 'dropped' })
        this.#forget(body)
      },
    }
  }

  #start(): Worker {
    const worker = import.meta.url.endsWith('.ts') ? fromSource() : new Worker(new URL('../net/sieve-worker.js', import.meta.url), OPTIONS)
    worker.on('message', (said: FromWorker) => {
      if ('taken' in said) return this.#taken(said)
      this.#told.push(said)
      this.#tell()
    })
    const died = (cause: unknown): void => {
      if (this.#worker !== worker) return
      this.#worker = undefined
      this.#told.length = 0
      const bodies = [...this.#bodies.values()]
      this.#bodies.clear()
      for (const { sieved } of bodies) sieved.failed(new ThreadDiedError(cause))
    }
    worker.on('error', died)
    worker.on('exit', (code) => died(`exit code ${code}`))
    return worker
  }

  #tell(): void {
    if (this.#tells) return
    this.#tells = true
    void turn().then(() => {
      this.#tells = false
      const said = this.#told.shift()
      if (said) this.#hear(said)
      if (this.#told.length > 0) this.#tell()
    })
  }

  /** Memory for bytes that are handed over: the same comes back. */
  #piece(): Buffer<ArrayBuffer> {
    const memory = this.#memory.pop()
    return memory ? Buffer.from(memory) : Buffer.allocUnsafeSlow(PIECE)
  }

  #taken({ body, taken }: Taken): void {
    if (this.#memory.length < MOST_WAITING) this.#memory.push(taken.buffer as ArrayBuffer)
    const known = this.#bodies.get(body)
    if (known && known.waiting-- === MOST_WAITING / 2) known.sieved.ready()
  }

  #hear(said: Exclude<FromWorker, Taken>): void {
    const sieved = this.#bodies.get(said.body)?.sieved
    if (!sieved) return
    if (!('list' in said)) this.#forget(said.body)
    if ('failed' in said) return sieved.failed(errorOf(said))
    if ('list' in said) sieved.page(said.list, said)
    else sieved.rest(Buffer.from(said.bytes.buffer, said.bytes.byteOffset, said.bytes.length), said.lists)
  }

  #forget(body: number): void {
    this.#bodies.delete(body)
    if (this.#bodies.size === 0) this.#worker?.unref()
  }
}

function errorOf({ failed, message }: Extract<FromWorker, { failed: string }>): Error {
  switch (failed) {
    case 'deep':
      return new TooDeepError()
    case 'syntax':
      return new SyntaxError(message)
    case 'unreadable':
      return new UnreadableError(message)
  }
}

const OPTIONS = { name: 'long answers' }

/** As tests and plugin authors run us: a thread needs a compiler of its own. */
function fromSource(): Worker {
  const [tsx, file] = [import.meta.resolve('tsx/esm/api'), new URL('./sieve-worker.ts', import.meta.url).href]
  const code = `import(${JSON.stringify(tsx)}).then((tsx) => { tsx.register(); return import(${JSON.stringify(file)}) })`
  return new Worker(code, { ...OPTIONS, eval: true })
}

const thread = new SieveThread()

/** Takes a body through the thread: what is kept of it comes back in parts, in order. */
export function sieve(keep: KeptFields, sieved: Sieved): Sieving {
  return thread.begin(keep, sieved)
}
