/** Names of query params and headers whose value is a key, whatever it looks like. */
const NAMES_KEY = /^(authorization|auth)$|key|token|secret/i

/** Words of a name: `arbitrum`, `Fuji`, `JSONRPC`, `zksync2`, `base8453`, `42161`. What mixes letters and digits otherwise is none. */
const WORD = /^(([A-Za-z]?[a-z]{0,14}|[A-Z]{1,8})\d{0,5}|\d{1,9})$/

/**
 * Whom a provider counts the requests of an endpoint for: the key in its URL or headers, at the provider's domain. Endpoints of several
 * chains have one account where they have one key. Where there is no key it is the host. It is a secret: never to be shown.
 */
export function accountOf({ url, headers }: { readonly url: string; readonly headers: Readonly<Record<string, string>> }): string {
  const { hostname, host, pathname, searchParams, username, password } = new URL(url)
  const named = [...searchParams, ...Object.entries(headers)].filter(([name, value]) => NAMES_KEY.test(name) || isKey(value))
  const keys = [...pathname.split('/').filter(isKey), ...named.map(([, value]) => value)].filter((key) => key !== '')
  if (username || password) keys.push(`${username}:${password}`)
  if (keys.length === 0) return host
  const isAddress = /^[\d.]+$|^\[/.test(hostname)
  return [isAddress ? host : hostname.split('.').slice(-2).join('.'), ...keys.sort()].join(' ')
}

/** The part of an account that may be shown: the domain of the provider, or the host where there is no key. */
export const providerOf = (account: string): string => account.split(' ', 1)[0] ?? account

/** Whether a part of a URL is a key by its looks: long, and not made of the words that chains, versions and paths are named with. */
function isKey(part: string): boolean {
  return part.length >= (/\d/.test(part) ? 6 : 16) && !part.split(/[-_.+/; ]+/).every((word) => WORD.test(word))
}
