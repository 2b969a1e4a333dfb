import type { IncomingMessage, ServerResponse } from 'node:http'
import { brotliCompressSync, gzipSync } from 'node:zlib'
import type { Clock } from '../sdk/index.js'
import type { WireFault } from './fault.js'

export interface Reply {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

/** Sends a reply as it is. */
export function send(response: ServerResponse, reply: Reply): number {
  const body = Buffer.from(reply.body)
  response.writeHead(reply.status, { ...reply.headers, 'content-length': body.length })
  response.end(body)
  return body.length
}

/** Sends a reply with damage done to its bytes or its pace. Resolves to the bytes of body sent; ends early when the client leaves. */
export async function sendDamaged(
  request: IncomingMessage,
  response: ServerResponse,
  reply: Reply,
  fault: WireFault,
  clock: Clock,
): Promise<number> {
  const body = Buffer.from(reply.body)
  const part = (fraction: number): Buffer => body.subarray(0, Math.floor(body.length * Math.min(1, Math.max(0, fraction))))
  const { socket } = request
  switch (fault.kind) {
    case 'slow': {
      response.writeHead(reply.status, { ...reply.headers, 'content-length': body.length })
      let sent = 0
      for (; sent < body.length && !socket.destroyed; sent += fault.bytes) {
        response.write(body.subarray(sent, sent + fault.bytes))
        await clock.sleep(fault.everyMs)
      }
      response.end()
      return Math.min(sent, body.length)
    }
    case 'reset': {
      response.writeHead(reply.status, { ...reply.headers, 'content-length': body.length })
      const sent = part(fault.at)
      // The reset must follow the bytes: what is still queued here would be thrown away with it.
      await new Promise<void>((resolve) => {
        if (sent.length === 0) response.flushHeaders()
        response.write(sent.length === 0 ? '' : sent, () => resolve())
      })
      await clock.sleep(5)
      socket.resetAndDestroy()
      return sent.length
    }
    case 'truncate': {
      const sent = part(fault.at)
      response.writeHead(reply.status, { ...reply.headers, 'content-length': sent.length })
      response.end(sent)
      return sent.length
    }
    case 'content-length': {
      const claimed = Math.max(0, body.length + fault.delta)
      const headers = Object.entries({ ...reply.headers, 'content-length': claimed }).map(([name, value]) => `${name}: ${value}\r\n`)
      // Past node's own HTTP, which would not let it through.
      socket.end(Buffer.concat([Buffer.from(`HTTP/1.1 ${reply.status} OK\r\n${headers.join('')}\r\n`), body]))
      return body.length
    }
    case 'gzip':
    case 'brotli': {
      const packed = fault.kind === 'gzip' ? gzipSync(body) : brotliCompressSync(body)
      const sent = fault.cut === undefined ? packed : packed.subarray(0, Math.floor(packed.length * fault.cut))
      const encoding = fault.kind === 'gzip' ? 'gzip' : 'br'
      response.writeHead(reply.status, { ...reply.headers, 'content-encoding': encoding, 'content-length': sent.length })
      response.end(sent)
      return sent.length
    }
    case 'gzip-bomb': {
      const { block, count } = blanks(fault.bytes)
      response.writeHead(reply.status, { ...reply.headers, 'content-encoding': 'gzip' })
      // Members of a gzip stream follow one another, so one packed block can be sent again and again.
      return stream(response, gzipSync(block), count, gzipSync(body))
    }
    case 'huge': {
      const { block, count } = blanks(fault.bytes)
      response.writeHead(reply.status, reply.headers)
      return stream(response, block, count, body)
    }
  }
}

// Complete by its type: a kind that is missing here does not compile.
export const wireFaults: Readonly<Record<WireFault['kind'], true>> = {
  slow: true,
  reset: true,
  truncate: true,
  'content-length': true,
  gzip: true,
  brotli: true,
  'gzip-bomb': true,
  huge: true,
}

export function isWireFault<F extends { readonly kind: string }>(fault: F): fault is F & WireFault {
  return Object.hasOwn(wireFaults, fault.kind)
}

function blanks(bytes: number): { readonly block: Buffer; readonly count: number } {
  const size = Math.min(bytes, 1 << 20)
  return { block: Buffer.alloc(size, ' '), count: Math.ceil(bytes / size) }
}

async function stream(response: ServerResponse, block: Buffer, count: number, last: Buffer): Promise<number> {
  let sent = 0
  for (let i = 0; i < count && !response.destroyed; i++) {
    sent += block.length
    if (!response.write(block)) await writable(response)
  }
  response.end(last)
  return sent + last.length
}

/** Resolves when there is room again, or nobody left to write to. */
function writable(response: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    const go = (): void => {
      response.off('drain', go).off('close', go)
      resolve()
    }
    response.on('drain', go).on('close', go)
  })
}
