import { createHash } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import type { Json } from '../sdk/index.js'

/** A WebSocket of which a client asks for new heads (RFC 6455, texts of one frame alone). */
export class HeadSocket {
  readonly #socket: Duplex
  #subscription: string | undefined
  #received = Buffer.alloc(0)

  /** `asked` answers a call: with its result, or with the message of an error. */
  constructor(request: IncomingMessage, socket: Duplex, asked: (method: string, params: readonly unknown[]) => Json | Error) {
    this.#socket = socket
    socket.on('error', () => socket.destroy())
    socket.on('data', (chunk: Buffer) => {
      this.#received = Buffer.concat([this.#received, chunk])
      for (let text = this.#next(); text !== undefined; text = this.#next()) this.#answer(text, asked)
    })
    const accept = createHash('sha1').update(`${request.headers['sec-websocket-key']}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest('base64')
    socket.write(`HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`)
  }

  /** Tells of a block, its JSON text, where heads were asked for. */
  tell(block: string): void {
    if (this.#subscription !== undefined)
      this.#send(
        `{"jsonrpc":"2.0","method":"eth_subscription","params":{"subscription":${JSON.stringify(this.#subscription)},"result":${block}}}`,
      )
  }

  close(): void {
    this.#socket.destroy()
  }

  #answer(text: string, asked: (method: string, params: readonly unknown[]) => Json | Error): void {
    const { id, method, params } = JSON.parse(text) as { readonly id: Json; readonly method: string; readonly params: readonly unknown[] }
    const result = asked(method, params)
    if (typeof result === 'string' && method === 'eth_subscribe') this.#subscription = result
    const said = result instanceof Error ? { error: { code: -32601, message: result.message } } : { result }
    this.#send(JSON.stringify({ jsonrpc: '2.0', id, ...said }))
  }

  #send(text: string): void {
    const body = Buffer.from(text)
    const head = body.length < 126 ? Buffer.from([0x81, body.length]) : Buffer.from([0x81, 126, body.length >> 8, body.length & 0xff])
    this.#socket.write(Buffer.concat([head, body]))
  }

  /** The next whole text that came in. What a client sends is masked; anything but a text closes. */
  #next(): string | undefined {
    const [first = 0, second = 0] = this.#received
    const long = (second & 0x7f) === 126
    const start = long ? 8 : 6
    if (this.#received.length < start) return undefined
    const length = long ? this.#received.readUInt16BE(2) : second & 0x7f
    if (this.#received.length < start + length) return undefined
    const mask = this.#received.subarray(start - 4, start)
    const body = this.#received.subarray(start, start + length).map((byte, i) => byte ^ (mask[i % 4] ?? 0))
    this.#received = this.#received.subarray(start + length)
    if ((first & 0x0f) === 1) return body.toString()
    this.close()
    return undefined
  }
}
