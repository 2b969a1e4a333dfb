import { createBrotliDecompress, createGunzip, createInflate } from 'node:zlib'
import { isUtf8Text, UnreadableError } from './charset.js'
import type { KeptFields } from '../sdk/index.js'
import { JsonStream, PackedValue } from './json-stream.js'
import { sieve, type Sieving, ThreadDiedError } from './sieve-thread.js'

/** From so many bytes over the line on, a body is parsed while it comes; JSON that is packed is several times as long. */
export const LONG_BYTES = 1_000_000
export const LONG_PACKED_BYTES = 125_000

/** What is shown of a long body that is no answer, and what tells a page of a gateway from JSON that was cut. */
const HEAD = 4_096

type Unpacker = ReturnType<typeof createGunzip>

const UNPACKERS: Readonly<Record<string, () => Unpacker>> = {
  gzip: createGunzip,
  'x-gzip': createGunzip,
  deflate: createInflate,
  br: createBrotliDecompress,
}

/** How a long body ended: its beginning with what it says, or why it says nothing. */
export type Read =
  | { readonly kind: 'reply'; readonly text: string; readonly json: () => unknown }
  | { readonly kind: 'failed'; readonly cause: 'broken' | 'too-large' | 'unreadable'; readonly text: string }

/**
 * A long body, unpacked and parsed while it comes: none of it is held as it came. Where only some fields are kept, the others are taken out
 * in a thread of its own, which packs what is left of long lists.
 */
export class LongBody {
  /** What comes as it is, or what was kept of it. */
  readonly #json: JsonStream | PackedValue
  readonly #maxBytes: number
  readonly #ready: () => void
  readonly #unpacker: Unpacker | undefined
  #sieving: Sieving | undefined
  #head = Buffer.alloc(0)
  #bytes = 0
  #failed: Read | undefined
  /** More has come than was worked on. */
  #isBehind = false
  #done: ((read: Read) => void) | undefined

  /** @param encoding '' for a body that is not packed. @param ready More may be added again. */
  constructor(encoding: string, maxBytes: number, keep: KeptFields | undefined, ready: () => void) {
    this.#maxBytes = maxBytes
    this.#ready = ready
    if (keep) {
      const value = new PackedValue()
      this.#json = value
      this.#sieving = sieve(keep, {
        page: (list, page) => value.page(list, page),
        ready: () => this.#goOn(),
        rest: (bytes, lists) => {
          this.#guarded(() => value.rest(bytes, lists))
          this.#tell()
        },
        failed: (error) => this.#unsieved(error),
      })
    } else this.#json = new JsonStream()
    this.#unpacker = UNPACKERS[encoding]?.()
    this.#unpacker
      ?.on('data', (chunk: Buffer) => this.#parse(chunk))
      .on('end', () => this.#end())
      .on('error', (error) => this.#fail('broken', `${encoding} body: ${error.message}`))
  }

  /** Whether a body with these headers can be read so. */
  static fits(encoding: string, contentType: string | string[] | undefined): boolean {
    return isUtf8Text(contentType) && (encoding === '' || Object.hasOwn(UNPACKERS, encoding))
  }

  /** False: nothing more should be added before `ready`, or it waits in memory. */
  add(chunk: Buffer): boolean {
    if (this.#failed) return true
    if (this.#unpacker) this.#unpacker.write(chunk)
    else this.#parse(chunk)
    return !this.#isBehind
  }

  /** All has come. `done` is called once. */
  end(done: (read: Read) => void): void {
    this.#done = done
    if (this.#failed) done(this.#failed)
    else if (this.#unpacker) this.#unpacker.end()
    else this.#end()
  }

  /** Lets go of what has come. */
  drop(): void {
    this.#done = undefined
    this.#fail('broken', 'it was given up')
  }

  #parse(chunk: Buffer): void {
    if (this.#failed) return
    this.#bytes += chunk.length
    if (this.#bytes > this.#maxBytes) return this.#fail('too-large', `more than ${this.#maxBytes} bytes unpacked`)
    if (this.#head.length < HEAD) this.#head = Buffer.concat([this.#head, chunk.subarray(0, HEAD - this.#head.length)])
    if (this.#json instanceof JsonStream) this.#json.add(chunk)
    else if (this.#sieving?.add(chunk) === false) this.#isBehind = true
  }

  #end(): void {
    if (this.#failed) return
    if (this.#sieving) this.#sieving.end()
    else this.#tell()
  }

  #goOn(): void {
    if (!this.#isBehind) return
    this.#isBehind = false
    this.#ready()
  }

  /** What came is no JSON, which is told at its end; or the thread has died. */
  #unsieved(error: Error): void {
    this.#sieving = undefined
    this.#goOn()
    if (error instanceof ThreadDiedError) return this.#fail('broken', error.message)
    this.#json.drop(error)
    if (this.#done) this.#tell()
  }

  /** What can't be told of the parts is told at the end. */
  #guarded(work: () => void): void {
    try {
      work()
    } catch (error) {
      this.#json.drop(error as Error)
    }
  }

  #tell(): void {
    if (this.#failed) return
    const text = this.#head.toString('utf8')
    try {
      const value = this.#json.end()
      this.#done?.({ kind: 'reply', text, json: () => value })
    } catch (error) {
      if (error instanceof UnreadableError) return this.#fail('unreadable', error.message)
      const json = () => {
        throw error as Error
      }
      this.#done?.({ kind: 'reply', text, json })
    }
  }

  #fail(cause: 'broken' | 'too-large' | 'unreadable', text: string): void {
    if (this.#failed) return
    this.#failed = { kind: 'failed', cause, text }
    this.#json.drop()
    this.#sieving?.drop()
    this.#unpacker?.destroy()
    this.#done?.(this.#failed)
  }
}
