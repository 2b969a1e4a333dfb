import { brotliDecompress, gunzip, inflate } from 'node:zlib'
import type { Dispatcher } from 'undici'
import { at } from './at.js'

/** How a request ended. `bytes` are those of the body as it came over the line. */
export type Outcome =
  | { readonly kind: 'reply'; readonly status: number; readonly headers: Headers; readonly text: string; readonly bytes: number }
  /** `connect`: nothing was sent. `broken`: the answer never came or ended early. */
  | {
      readonly kind: 'failed'
      readonly cause: 'connect' | 'broken' | 'timeout' | 'too-large'
      readonly text: string
      readonly bytes: number
    }

type Headers = Readonly<Record<string, string | string[] | undefined>>

class Stopped extends Error {
  constructor(
    readonly why: 'timeout' | 'too-large',
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

/**
 * One HTTP request and its answer, held in memory. It is its own undici handler, so a request costs no stream, no
 * promise and no abort controller. `done` is called exactly once; whatever comes later is dropped.
 */
export abstract class Exchange implements Dispatcher.DispatchHandler {
  #controller: Dispatcher.DispatchController | undefined
  #chunks: Buffer[] = []
  #bytes = 0
  #status = 0
  #headers: Headers = {}
  #stopped: Stopped | undefined
  #over = false

  constructor(readonly maxBytes: number) {}

  /** Throws nothing: undici gives what is thrown to an exchange that has its outcome already, where it would be lost. */
  protected abstract done(outcome: Outcome): void

  /** Gives up and destroys the connection. */
  stop(message: string): void {
    this.#abort(new Stopped('timeout', message))
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller
    if (this.#stopped) controller.abort(this.#stopped)
  }

  onResponseStart(_controller: Dispatcher.DispatchController, status: number, headers: Headers): void {
    this.#status = status
    this.#headers = headers
  }

  onResponseData(_controller: Dispatcher.DispatchController, chunk: Buffer): void {
    this.#bytes += chunk.length
    if (this.#bytes > this.maxBytes) {
      this.#chunks = []
      this.#abort(new Stopped('too-large', `more than ${this.maxBytes} bytes`))
    } else {
      this.#chunks.push(chunk)
    }
  }

  onResponseEnd(): void {
    const body = this.#chunks.length === 1 ? at(this.#chunks, 0) : Buffer.concat(this.#chunks, this.#bytes)
    this.#chunks = []
    const encoding = this.#headers['content-encoding']
    if (encoding === undefined || encoding === 'identity' || encoding === '') return this.#reply(body)
    const unpack = typeof encoding === 'string' ? UNPACK[encoding] : undefined
    if (!unpack) return this.#end({ kind: 'failed', cause: 'broken', text: `content-encoding ${String(encoding)}`, bytes: this.#bytes })
    unpack(body, { maxOutputLength: this.maxBytes }, (error, unpacked) => {
      if (!error) return this.#reply(unpacked)
      const large = (error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE'
      this.#end({
        kind: 'failed',
        cause: large ? 'too-large' : 'broken',
        text: large ? `more than ${this.maxBytes} bytes unpacked` : `${encoding} body: ${error.message}`,
        bytes: this.#bytes,
      })
    })
  }

  onResponseError(_controller: unknown, error: Error): void {
    this.#chunks = []
    if (this.#stopped) return this.#end({ kind: 'failed', cause: this.#stopped.why, text: this.#stopped.message, bytes: this.#bytes })
    const cause = describeCause(error)
    this.#end({ kind: 'failed', cause: CONNECT.has(cause.code) || cause.tls ? 'connect' : 'broken', text: cause.text, bytes: this.#bytes })
  }

  #abort(reason: Stopped): void {
    if (this.#over || this.#stopped) return
    this.#stopped = reason
    this.#controller?.abort(reason)
    // One that waits for a connection has no controller yet; it is dropped when its turn comes.
    this.onResponseError(undefined, reason)
  }

  #reply(body: Buffer): void {
    let text: string
    try {
      text = body.toString('utf8')
    } catch {
      return this.#end({ kind: 'failed', cause: 'too-large', text: 'more text than can be held', bytes: this.#bytes })
    }
    this.#end({ kind: 'reply', status: this.#status, headers: this.#headers, text, bytes: this.#bytes })
  }

  #end(outcome: Outcome): void {
    if (this.#over) return
    this.#over = true
    this.done(outcome)
  }
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
