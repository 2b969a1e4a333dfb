import type { Exchange } from '../net/exchange.js'
import { Line } from '../net/line.js'
import { basicOf, type ProxyOf } from '../net/proxies.js'
import { type Scrub, scrubber } from '../net/text.js'

/** The way to one address: its sockets and headers. Makes no connection before the first request. */
export class Connection {
  /** Takes the secrets of address and headers out of a text. */
  readonly scrub: Scrub
  readonly #url: URL
  readonly #headers: Record<string, string>
  readonly #line: Line
  #path: string

  constructor(address: string, headers: Readonly<Record<string, string>>, proxyOf: ProxyOf) {
    const url = new URL(address)
    const proxy = proxyOf(url)
    this.#url = url
    this.#path = url.pathname + url.search
    this.#headers = { 'content-type': 'application/json' }
    if (url.protocol === 'https:') this.#headers['accept-encoding'] = 'gzip'
    if (url.username || url.password) {
      const login = `${decodeURIComponent(url.username)}:${decodeURIComponent(url.password)}`
      this.#headers['authorization'] = basicOf(login)
    }
    for (const [header, value] of Object.entries(headers)) if (value !== '') this.#headers[header.toLowerCase()] = value
    this.#line = new Line(url, proxy)
    this.scrub = scrubber(url, headers, proxy?.url)
  }

  /** Sends a body. The exchange ends with exactly one outcome. */
  send(exchange: Exchange, body: string): void {
    this.#line.send({ path: this.#path, method: 'POST', headers: this.#headers, body }, exchange)
  }

  /** Follows a redirect to another path of the same origin. Returns where any other one leads, which is not followed. */
  redirect(location: string): string | undefined {
    const to = URL.canParse(location, this.#url.href) ? new URL(location, this.#url) : undefined
    if (!to || to.origin !== this.#url.origin || to.pathname + to.search === this.#path) return to ? to.host : 'nowhere'
    this.#path = to.pathname + to.search
    return undefined
  }

  close(): Promise<void> {
    return this.#line.close()
  }
}
