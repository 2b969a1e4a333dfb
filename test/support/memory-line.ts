import type { Exchange } from '../../src/net/exchange.js'
import type { LineRequest } from '../../src/net/line.js'
import type { Clock } from '../../src/sdk/index.js'

/** What a server says to a path. */
export interface Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

/** A server that can be asked. */
export interface Reachable {
  readonly url: string
  close(): Promise<void>
}

let server: ((path: string) => Answer) | undefined

/** Has a server of this process answer without a socket those who ask through a `MemoryLine`. One at a time. */
export function reachInMemory(answer: (path: string) => Answer): Promise<Reachable> {
  server = answer
  const close = () => {
    server = undefined
    return Promise.resolve()
  }
  return Promise.resolve({ url: 'http://memory', close })
}

const CONTROLLER = { abort: () => undefined, pause: () => undefined, resume: () => undefined }

/** In place of `Line`, for loops: the server is a function of this process. */
export class MemoryLine {
  send({ path }: LineRequest, exchange: Exchange): void {
    const answer = server
    if (!answer) throw new Error('no server')
    const controller = CONTROLLER as never
    setImmediate(() => {
      const { status, headers, body } = answer(path)
      exchange.onRequestStart(controller)
      exchange.onResponseStart(controller, status, headers)
      exchange.onResponseData(controller, Buffer.from(body))
      exchange.onResponseEnd()
    })
  }

  close(): Promise<void> {
    return Promise.resolve()
  }
}

/** Waits below it pass at once; a longer one is a deadline, which never comes. */
const DEADLINE_MS = 1_000

/** A clock on which waits take no time, for servers that answer at once. */
export function quickClock(): Clock {
  let ahead = 0
  return {
    now: () => Date.now() + ahead,
    monotonic: () => performance.now() + ahead,
    sleep: (ms, signal) =>
      new Promise((resolve, reject) => {
        signal?.throwIfAborted()
        signal?.addEventListener('abort', () => reject(signal.reason as Error), { once: true })
        if (ms >= DEADLINE_MS) return
        ahead += ms
        setImmediate(resolve)
      }),
  }
}
