import { ProxyAgent } from 'undici'
import { basicOf, loginOf, type Proxy } from './proxies.js'

/** How connections are made, straight or behind a proxy. */
export const CONNECT = { timeout: 10_000, rejectUnauthorized: true }

/**
 * Opens connections through a proxy, with its login.
 *
 * @param tunnel False: requests to http addresses are handed to the proxy itself. Undefined: as undici does by itself.
 */
export function throughProxy({ url }: Proxy, tunnel?: boolean): ProxyAgent {
  const login = loginOf(url)
  const token = login ? basicOf(login) : undefined
  return new ProxyAgent({ uri: url.href, proxyTunnel: tunnel, proxyTls: CONNECT, requestTls: CONNECT, token })
}
