import { Worker } from 'node:worker_threads'
import { type KeptFields, turn } from '../sdk/index.js'
import { TooDeepError } from './json-depth.js'
import type { JsonParts } from './json-stream.js'
import type { FromWorker, ToWorker } from './sieve-worker.js'

/** Bytes that are handed over at once: few enough to be worked on in some milliseconds. */
const PIECE = 262_144

/** Who waits for what is kept of a body. After its rest, or a failure, no more comes. */
export interface Sieved extends JsonParts {
  failed(error: Error): void
}

/** A body on its way through the thread. */
export interface Sieving {
  /** Holds nothing of `chunk`. */
  add(chunk: Buffer): void
  end(): void
  drop(): void
}

/** The thread died, and what it held with it. */
export class ThreadDiedError extends Error {
  constructor(cause: unknown) {
    super(`the thread that reads long answers ended: ${cause instanceof Error ? cause.message : String(cause)}`, { cause })
  }
}

/**
 * One thread for all long bodies of the process, started with the first. It keeps the process alive only while there is a body. After its
 * death the next body starts another one.
 */
class SieveThread {
  readonly #bodies = new Map<number, Sieved>()
  /** What has come back and is still to be told, in order: a piece a turn of the loop, so that others have theirs. */
  readonly #told: FromWorker[] = []
  #worker: Worker | undefined
  #next = 0
  #tells = false

  begin(keep: KeptFields, sieved: Sieved): Sieving {
    const body = this.#next++
    const worker = (this.#worker ??= this.#start())
    this.#bodies.set(body, sieved)
    worker.ref()
    const post = (said: ToWorker, memory: readonly ArrayBuffer[] = []) => worker.postMessage(said, memory)
    post({ body, keep })
    let piece = Buffer.allocUnsafeSlow(PIECE)
    let filled = 0
    const handOver = (): void => {
      if (filled === 0) return
      post({ body, bytes: piece.subarray(0, filled) }, [piece.buffer])
      piece = Buffer.allocUnsafeSlow(PIECE)
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
      this.#told.push(said)
      this.#tell()
    })
    const died = (cause: unknown): void => {
      if (this.#worker !== worker) return
      this.#worker = undefined
      this.#told.length = 0
      const bodies = [...this.#bodies.values()]
      this.#bodies.clear()
      for (const each of bodies) each.failed(new ThreadDiedError(cause))
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

  #hear(said: FromWorker): void {
    const sieved = this.#bodies.get(said.body)
    if (!sieved) return
    if (!('list' in said)) this.#forget(said.body)
    if ('failed' in said) return sieved.failed(said.failed === 'deep' ? new TooDeepError() : new SyntaxError(said.message))
    const bytes = Buffer.from(said.bytes.buffer, said.bytes.byteOffset, said.bytes.length)
    if ('list' in said) sieved.elements(said.list, bytes)
    else sieved.rest(bytes, said.lists)
  }

  #forget(body: number): void {
    this.#bodies.delete(body)
    if (this.#bodies.size === 0) this.#worker?.unref()
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
