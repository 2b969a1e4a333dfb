import { type Dispatcher, Pool } from 'undici'
import type { Exchange } from './exchange.js'
import type { Proxy } from './proxies.js'
import { CONNECT, throughProxy } from './through-proxy.js'

/** A request without what is the same for all of its line. */
export interface LineRequest {
  readonly method: 'GET' | 'POST'
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  readonly body?: string
}

/** The sockets to one origin, straight or through a proxy. Makes no connection before the first request. */
export class Line {
  readonly #origin: string
  readonly #proxy: Proxy | undefined
  #dispatcher: Dispatcher | undefined
  #tunnel = true

  constructor(url: URL, proxy: Proxy | undefined) {
    this.#origin = url.origin
    this.#proxy = proxy
  }

  /** The exchange ends with exactly one outcome. */
  send(request: LineRequest, exchange: Exchange): void {
    if (this.#proxy) exchange.via = { proxy: this.#proxy.name, refused: () => this.#withoutTunnel() }
    try {
      this.#dispatcher ??= this.#open()
      // undici adds the host to the headers that it is given.
      const headers = { ...request.headers }
      this.#dispatcher.dispatch({ ...request, headers, origin: this.#origin, headersTimeout: 0, bodyTimeout: 0 }, exchange)
    } catch (error) {
      exchange.onResponseError(undefined, error instanceof Error ? error : new Error(String(error)))
    }
  }

  async close(): Promise<void> {
    await this.#dispatcher?.destroy()
  }

  #open(): Dispatcher {
    if (!this.#proxy) return new Pool(this.#origin, { pipelining: 1, connect: CONNECT })
    return throughProxy(this.#proxy, this.#tunnel)
  }

  /** Many proxies open tunnels for https alone: the next request to an http address is handed to the proxy itself. */
  #withoutTunnel(): void {
    if (!this.#tunnel || !this.#origin.startsWith('http:')) return
    this.#tunnel = false
    const before = this.#dispatcher
    this.#dispatcher = undefined
    void before?.close()
  }
}
