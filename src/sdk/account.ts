/**
 * Whom a provider counts the requests of an endpoint for: the key in its URL or headers, at the provider's domain. Endpoints of several
 * chains have one account where they have one key. Where there is no key it is the host. It is a secret: never to be shown.
 */
export function accountOf({ url, headers }: { readonly url: string; readonly headers: Readonly<Record<string, string>> }): string {
  const { hostname, host, pathname, searchParams, username, password } = new URL(url)
  const keys = [...pathname.split('/'), ...searchParams.values(), ...Object.values(headers)].filter(isKey)
  if (username || password) keys.push(`${username}:${password}`)
  if (keys.length === 0) return host
  const isAddress = /^[\d.]+$|^\[/.test(hostname)
  return [isAddress ? host : hostname.split('.').slice(-2).join('.'), ...keys.sort()].join(' ')
}

/** Whether a part of a URL may be a key. Short words like "v3" or "mainnet" are none. */
export function isKey(part: string): boolean {
  return part.length >= (/\d/.test(part) ? 6 : 16)
}
