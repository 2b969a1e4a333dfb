import { Pool } from 'undici'
import type { Exchange } from '../net/exchange.js'
import { type Scrub, scrubber } from '../net/text.js'

/** The way to one address: its sockets and headers. Makes no connection before the first request. */
export class Connection {
  /** Takes the secrets of address and headers out of a text. */
  readonly scrub: Scrub
  readonly #url: URL
  readonly #headers: Record<string, string>
  #path: string
  #pool: Pool | undefined

  constructor(address: string, headers: Readonly<Record<string, string>>) {
    const url = new URL(address)
    this.#url = url
    this.#path = url.pathname + url.search
    this.#headers = { 'content-type': 'application/json' }
    if (url.protocol === 'https:') this.#headers['accept-encoding'] = 'gzip'
    if (url.username || url.password) {
      const login = `${decodeURIComponent(url.username)}:${decodeURIComponent(url.password)}`
      this.#headers['authorization'] = `Basic ${Buffer.from(login).toString('base64')}`
    }
    for (const [header, value] of Object.entries(headers)) if (value !== '') this.#headers[header.toLowerCase()] = value
    this.scrub = scrubber(url, headers)
  }

  /** Sends a body. The exchange ends with exactly one outcome. */
  send(exchange: Exchange, body: string): void {
    try {
      this.#pool ??= new Pool(this.#url.origin, {
        pipelining: 1,
        headersTimeout: 0,
        bodyTimeout: 0,
        connect: { timeout: 10_000, rejectUnauthorized: true },
      })
      this.#pool.dispatch({ path: this.#path, method: 'POST', headers: this.#headers, body }, exchange)
    } catch (error) {
      exchange.onResponseError(undefined, error instanceof Error ? error : new Error(String(error)))
    }
  }

  /** Follows a redirect to another path of the same origin. Returns where any other one leads, which is not followed. */
  redirect(location: string): string | undefined {
    const to = URL.canParse(location, this.#url.href) ? new URL(location, this.#url) : undefined
    if (!to || to.origin !== this.#url.origin || to.pathname + to.search === this.#path) return to ? to.host : 'nowhere'
    this.#path = to.pathname + to.search
    return undefined
  }

  async close(): Promise<void> {
    await this.#pool?.destroy()
  }
}
