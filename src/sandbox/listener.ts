import { createServer } from 'node:http'
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { Duplex } from 'node:stream'

/** An HTTP server on 127.0.0.1 for a fake: never the first to close an idle connection, never in the way of its end. */
export class Listener {
  readonly #server: Server
  #url = ''

  /** `upgrade`: takes sockets over that ask for another protocol. */
  constructor(
    receive: (request: IncomingMessage, response: ServerResponse) => void,
    upgrade?: (request: IncomingMessage, socket: Duplex) => void,
  ) {
    this.#server = createServer((request, response) => {
      // A client may leave at any moment; what is then written to it fails, and that is its own business.
      request.on('error', () => undefined)
      response.on('error', () => undefined)
      receive(request, response)
    })
    // Longer than any client keeps an idle connection, so that a reset in a test is never this timer's.
    this.#server.keepAliveTimeout = 120_000
    this.#server.requestTimeout = 0
    if (upgrade) this.#server.on('upgrade', upgrade)
    this.#server.on('clientError', (_, socket) => socket.destroy())
  }

  /** `http://127.0.0.1:<port>`, once it listens. */
  get url(): string {
    return this.#url
  }

  /** `port` 0 takes one that is free. */
  listen(port: number): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#server.once('error', reject)
      this.#server.listen(port, '127.0.0.1', () => {
        this.#server.off('error', reject)
        // The cast holds for a TCP server that listens.
        this.#url = `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`
        resolve()
      })
    })
  }

  /** Stops listening and cuts all connections. */
  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()))
    this.#server.closeAllConnections()
    await closed
  }
}
