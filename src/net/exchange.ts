import { brotliDecompress, gunzip, inflate } from 'node:zlib'
import type { Dispatcher } from 'undici'
import { isUtf8Text, textOf, UnreadableError } from './charset.js'
import type { KeptFields } from '../sdk/index.js'
import { type Flight, type Flying, Pieces } from './flight.js'
import { LONG_BYTES, LONG_PACKED_BYTES, LongBody } from './long-body.js'
import { sifted } from './sifted.js'

/**
 * How a request ended. `bytes` are those of the body as it came over the line. `unreadable`: packed or encoded in an unknown way.
 * `json`: what a long body says, which was parsed while it came, or throws why it is no JSON; `text` is only its beginning then.
 */
export type Outcome =
  | {
      readonly kind: 'reply'
      readonly status: number
      readonly headers: Headers
      readonly text: string
      readonly bytes: number
      readonly json?: () => unknown
    }
  /** `connect`: nothing was sent. `broken`: the answer never came or ended early. `crowded`: it had to make room for others. */
  | {
      readonly kind: 'failed'
      readonly cause: 'connect' | 'broken' | 'timeout' | 'too-large' | 'crowded' | 'unreadable'
      readonly text: string
      readonly bytes: number
    }

type Headers = Readonly<Record<string, string | string[] | undefined>>

class Stopped extends Error {
  constructor(
    readonly why: 'timeout' | 'too-large' | 'crowded',
    message: string,
  ) {
    super(message)
  }
}

const CONNECT = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ETIMEDOUT',
  'EMFILE',
  'UND_ERR_CONNECT_TIMEOUT',
  'EADDRNOTAVAIL',
])

type Unpack = (body: Buffer, options: { maxOutputLength: number }, done: (error: Error | null, unpacked: Buffer) => void) => void

const UNPACK: Readonly<Record<string, Unpack>> = {
  gzip: (body, options, done) => gunzip(body, options, done),
  'x-gzip': (body, options, done) => gunzip(body, options, done),
  deflate: (body, options, done) => inflate(body, options, done),
  br: (body, options, done) => brotliDecompress(body, options, done),
}

/** Bodies that unpack to more are unpacked one after the other. */
const LIGHT_BYTES = 16_000_000

function unpackWithin(maxBytes: number, flight: Flight, unpack: Unpack, body: Buffer, done: Parameters<Unpack>[2]): void {
  unpack(body, { maxOutputLength: Math.min(LIGHT_BYTES, maxBytes) }, (error, unpacked) => {
    if (!isTooLarge(error) || maxBytes <= LIGHT_BYTES) return done(error, unpacked)
    flight.alone((ended) =>
      unpack(body, { maxOutputLength: maxBytes }, (...outcome) => {
        ended()
        done(...outcome)
      }),
    )
  })
}

const isTooLarge = (error: Error | null) => (error as NodeJS.ErrnoException | null)?.code === 'ERR_BUFFER_TOO_LARGE'

/**
 * One HTTP request and its answer, held in memory. It is its own undici handler, so a request costs no stream, no
 * promise and no abort controller. `done` is called exactly once; whatever comes later is dropped.
 */
export abstract class Exchange implements Dispatcher.DispatchHandler, Flying {
  readonly maxBytes: number
  #controller: Dispatcher.DispatchController | undefined
  /** The proxy that it goes through, and what is to be done when that refuses. */
  via: { readonly proxy: string; readonly refused: () => void } | undefined
  readonly #flight: Flight
  readonly #pieces = new Pieces()
  /** Takes what comes of a long body. */
  #long: LongBody | undefined
  #longFrom = LONG_BYTES
  #held = false
  /** What comes is worked on more slowly than it comes. */
  #behind = false
  #bytes = 0
  #status = 0
  #headers: Headers = {}
  #stopped: Stopped | undefined
  #over = false

  constructor(maxBytes: number, flight: Flight) {
    this.maxBytes = Math.min(maxBytes, flight.most)
    this.#flight = flight
  }

  /** Whether it waits for others to be read: that time is not its own. */
  get held(): boolean {
    return this.#held || this.#behind
  }

  /** Throws nothing: undici gives what is thrown to an exchange that has its outcome already, where it would be lost. */
  protected abstract done(outcome: Outcome): void

  /** Where an answer is JSON and nothing else, so that a long one may be parsed while it comes: what is kept of it, if not all. */
  protected get json(): { readonly keep: KeptFields | undefined } | undefined {
    return undefined
  }

  /** Gives up and destroys the connection. */
  stop(message: string): void {
    this.#abort(new Stopped('timeout', message))
  }

  hold(): void {
    this.#held = true
    this.#controller?.pause()
  }

  goOn(): void {
    this.#held = false
    this.#resume()
  }

  #resume(): void {
    // undici reads one body at a time: this may be called from within another one.
    queueMicrotask(() => {
      if (!this.held && !this.#over) this.#controller?.resume()
    })
  }

  crowdOut(): void {
    this.#abort(new Stopped('crowded', `made room for other answers: ${this.#flight.most} bytes are in flight`))
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller
    if (this.#stopped) controller.abort(this.#stopped)
  }

  onResponseStart(_controller: Dispatcher.DispatchController, status: number, headers: Headers): void {
    this.#status = status
    this.#headers = headers
    if (this.#encoding !== '') this.#longFrom = LONG_PACKED_BYTES
  }

  onResponseData(_controller: Dispatcher.DispatchController, chunk: Buffer): void {
    this.#bytes += chunk.length
    if (this.#over) return
    if (this.#bytes > this.maxBytes) {
      this.#abort(new Stopped('too-large', `more than ${this.maxBytes} bytes`))
    } else {
      if (!this.#long) this.#pieces.add(chunk)
      else if (!this.#long.add(chunk)) {
        this.#behind = true
        this.#controller?.pause()
      }
      if (this.#bytes >= this.#longFrom && !this.#long) this.#readLong()
      this.#flight.took(this, chunk.length)
    }
  }

  onResponseEnd(): void {
    if (this.#long) {
      this.#long.end((read) =>
        this.#end(
          read.kind === 'reply'
            ? { ...read, status: this.#status, headers: this.#headers, bytes: this.#bytes }
            : { ...read, bytes: this.#bytes },
        ),
      )
      return
    }
    const body = this.#pieces.take()
    const encoding = this.#encoding
    if (encoding === '') return this.#reply(body)
    const unpack = Object.hasOwn(UNPACK, encoding) ? UNPACK[encoding] : undefined
    if (!unpack) {
      const text = `content-encoding ${encoding} is not known (${Object.keys(UNPACK).join(', ')} are)`
      return this.#end({ kind: 'failed', cause: 'unreadable', text, bytes: this.#bytes })
    }
    unpackWithin(this.maxBytes, this.#flight, unpack, body, (error, unpacked) => {
      if (!error) return this.#reply(unpacked)
      const large = isTooLarge(error)
      this.#end({
        kind: 'failed',
        cause: large ? 'too-large' : 'broken',
        text: large ? `more than ${this.maxBytes} bytes unpacked` : `${encoding} body: ${error.message}`,
        bytes: this.#bytes,
      })
    })
  }

  onResponseError(_controller: unknown, error: Error): void {
    this.#pieces.drop()
    this.#long?.drop()
    if (this.#stopped) return this.#end({ kind: 'failed', cause: this.#stopped.why, text: this.#stopped.message, bytes: this.#bytes })
    const cause = describeCause(error)
    const refusal = this.via && refusedStatus(error)
    if (refusal !== undefined) this.via?.refused()
    const connect = CONNECT.has(cause.code) || cause.tls || refusal !== undefined
    this.#end({ kind: 'failed', cause: connect ? 'connect' : 'broken', text: this.#told(cause, refusal), bytes: this.#bytes })
  }

  #told({ code, text }: { readonly code: string; readonly text: string }, refusal: string | undefined): string {
    if (!this.via) return text
    const { proxy } = this.via
    if (refusal === '407') return `the proxy ${proxy} refused: HTTP 407, its login lacks or is wrong`
    if (refusal !== undefined) return `the proxy ${proxy} refused: HTTP ${refusal}`
    return CONNECT.has(code) ? `the proxy ${proxy} can't be reached: ${text}` : `through the proxy ${proxy}: ${text}`
  }

  #abort(reason: Stopped): void {
    if (this.#over || this.#stopped) return
    this.#stopped = reason
    this.#controller?.abort(reason)
    // One that waits for a connection has no controller yet; it is dropped when its turn comes.
    this.onResponseError(undefined, reason)
  }

  /** How the body is packed; '' where it is not. */
  get #encoding(): string {
    const encoding = String(this.#headers['content-encoding'] ?? '')
      .trim()
      .toLowerCase()
    return encoding === 'identity' ? '' : encoding
  }

  /** What is no answer is only shown, so it is kept as it came. */
  #readLong(): void {
    const { json } = this
    if (!json || !isGood(this.#status) || !LongBody.fits(this.#encoding, this.#headers['content-type'])) return
    this.#long = new LongBody(this.#encoding, this.maxBytes, json.keep, () => {
      this.#behind = false
      this.#resume()
    })
    // Few enough that they need not wait.
    this.#long.add(this.#pieces.take())
  }

  #reply(body: Buffer): void {
    let text: string
    try {
      // What is no answer is only shown.
      text = isGood(this.#status) ? this.#textOf(body) : body.toString('utf8')
    } catch (error) {
      if (error instanceof UnreadableError)
        return this.#end({ kind: 'failed', cause: 'unreadable', text: error.message, bytes: this.#bytes })
      return this.#end({ kind: 'failed', cause: 'too-large', text: 'more text than can be held', bytes: this.#bytes })
    }
    this.#end({ kind: 'reply', status: this.#status, headers: this.#headers, text, bytes: this.#bytes })
  }

  /** Bytes that are no text matter where they are looked at. @throws {UnreadableError} */
  #textOf(body: Buffer): string {
    const type = this.#headers['content-type']
    try {
      return textOf(body, type)
    } catch (error) {
      const kept = isUtf8Text(type) ? sifted(body, this.json?.keep) : undefined
      if (!kept || !(error instanceof UnreadableError)) throw error
      return textOf(kept, type)
    }
  }

  #end(outcome: Outcome): void {
    if (this.#over) return
    this.#over = true
    try {
      this.done(outcome)
    } finally {
      this.#flight.ended(this)
    }
  }
}

const isGood = (status: number): boolean => status >= 200 && status < 300

/** The status with which a proxy refused to lead on, in the words of undici. */
function refusedStatus({ message }: Error): string | undefined {
  return /^Proxy response \((\d+)\)/.exec(message)?.[1] ?? /^Proxy Authentication Required \((407)\)/.exec(message)?.[1]
}

function describeCause(error: Error): { readonly code: string; readonly text: string; readonly tls: boolean } {
  // Several addresses of one host fail together; the first says as much as all.
  const inner =
    error instanceof AggregateError && error.errors[0] instanceof Error
      ? error.errors[0]
      : error.cause instanceof Error
        ? error.cause
        : error
  const code = String((inner as NodeJS.ErrnoException).code ?? '')
  const tls = /^(ERR_TLS|CERT_|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO|ERR_SSL|EPROTO)/.test(code)
  return { code, text: tls ? `TLS: ${inner.message}` : inner.message || code || 'connection failed', tls }
}
