import { BlockList, isIP } from 'node:net'
import { PipeError } from '../sdk/index.js'

/** A proxy of the environment. */
export interface Proxy {
  /** With its login, if it has one. Never shown. */
  readonly url: URL
  /** As it may be shown: `http://proxy:3128`. */
  readonly name: string
}

/** The proxy that leads to an address; undefined where none does. @throws {ProxyInvalidError} */
export type ProxyOf = (url: URL) => Proxy | undefined

/** A variable of the environment that names a proxy is no address of one. */
export class ProxyInvalidError extends PipeError {
  readonly code = 'PROXY_INVALID'
  override readonly blame = 'outage'
  override readonly hint =
    'write it as http://HOST:PORT (https:// and socks5:// are known, too), or unset it; NO_PROXY=* switches all proxies off'
  constructor(readonly variable: string) {
    // The value is not shown: it may hold a password.
    super(`${variable} of the environment is no address of a proxy`)
  }
}

type Environment = Readonly<Record<string, string | undefined>>

/**
 * Which proxy leads where, by HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY, each in small letters, too, which come first. As in
 * undici, HTTP_PROXY is used for https as well where no HTTPS_PROXY is set. This machine itself is always reached straight.
 */
export function proxiesOf(env: Environment): ProxyOf {
  const variables = {
    'https:': ['https_proxy', 'HTTPS_PROXY', 'all_proxy', 'ALL_PROXY', 'http_proxy', 'HTTP_PROXY'],
    'http:': ['http_proxy', 'HTTP_PROXY', 'all_proxy', 'ALL_PROXY'],
  }
  const direct = directHosts(env['no_proxy'] || env['NO_PROXY'] || '')
  return (url) => {
    const variable = variables[url.protocol === 'https:' ? 'https:' : 'http:'].find((name) => env[name]?.trim())
    return variable === undefined || direct(url) ? undefined : readProxy(variable, (env[variable] ?? '').trim())
  }
}

const PROTOCOLS: Readonly<Record<string, string>> = {
  'http:': 'http:',
  'https:': 'https:',
  'socks:': 'socks5:',
  'socks5:': 'socks5:',
  // The proxy resolves names: so it does for all.
  'socks5h:': 'socks5:',
}

function readProxy(variable: string, value: string): Proxy {
  const text = value.includes('://') ? value : `http://${value}`
  const [, scheme = '', rest = ''] = /^([a-z][\da-z+.-]*:)\/\/(.*)$/i.exec(text) ?? []
  const protocol = PROTOCOLS[scheme.toLowerCase()]
  if (protocol === undefined || !URL.canParse(`${protocol}//${rest}`)) throw new ProxyInvalidError(variable)
  const url = new URL(`${protocol}//${rest}`)
  if (url.hostname === '' || loginOf(url) === undefined) throw new ProxyInvalidError(variable)
  return { url, name: `${url.protocol}//${url.host}` }
}

/** User and password of an address, as `user:password`, or '' where it has none. Undefined where they are not encoded as they must be. */
export function loginOf({ username, password }: URL): string | undefined {
  if (username === '' && password === '') return ''
  try {
    return `${decodeURIComponent(username)}:${decodeURIComponent(password)}`
  } catch {
    return undefined
  }
}

/** A login as a header says it. */
export const basicOf = (login: string): string => `Basic ${Buffer.from(login).toString('base64')}`

/** What NO_PROXY says: hosts with all below them, hosts with a port, IP addresses and their blocks (10.0.0.0/8), or `*`. */
function directHosts(text: string): (url: URL) => boolean {
  const names: { readonly host: string; readonly port: string }[] = []
  const addresses = new BlockList()
  addresses.addSubnet('127.0.0.0', 8, 'ipv4')
  addresses.addAddress('::1', 'ipv6')
  for (const entry of text
    .toLowerCase()
    .split(/[\s,]+/)
    .filter(Boolean)) {
    const [, block = '', bits = ''] = /^(.+)\/(\d{1,3})$/.exec(entry) ?? []
    const version = isIP(block)
    if (version > 0 && Number(bits) <= (version === 4 ? 32 : 128)) {
      addresses.addSubnet(block, Number(bits), version === 4 ? 'ipv4' : 'ipv6')
      continue
    }
    const bare = isIP(entry)
    const [, host = entry, port = ''] = bare > 0 ? [] : (/^(.*):(\d+)$/.exec(entry) ?? [])
    const name = host.replace(/^\[(.*)\]$/, '$1').replace(/^\*?\./, '')
    if (port === '' && isIP(name) > 0) addresses.addAddress(name, isIP(name) === 4 ? 'ipv4' : 'ipv6')
    else names.push({ host: name, port })
  }
  return (url) => {
    const host = url.hostname.replace(/^\[(.*)\]$/, '$1').replace(/\.$/, '')
    const port = url.port || (url.protocol === 'https:' ? '443' : '80')
    const version = isIP(host)
    if (version > 0 && addresses.check(host, version === 4 ? 'ipv4' : 'ipv6')) return true
    if (host === 'localhost' || host.endsWith('.localhost')) return true
    return names.some((name) => name.host === '*' || ((name.port === '' || name.port === port) && isWithin(host, name.host)))
  }
}

const isWithin = (host: string, domain: string) => host === domain || host.endsWith(`.${domain}`)
