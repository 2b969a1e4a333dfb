import { type Json, parseDuration, urlFault } from '../sdk/index.js'
import { readBudget, SharedBudgets } from './budgets.js'
import { knownChain, suggestChain } from './chains.js'
import type { Declared } from './yaml/declared.js'
import { entriesOf, type Field, fieldOf, hasUnknown, itemsOf, numberOf, textOf, toJson, unsetIn } from './yaml/node.js'
import { nameChecker } from './names.js'
import type { Chain, Endpoint, Retry, Socket, Source } from './pipeline.js'
import type { Problems } from './yaml/problems.js'

/** Chains with what is known of them. Of those that no step uses, nothing is insisted on. */
export function readChains(
  declared: ReadonlyMap<string, Declared>,
  used: ReadonlySet<string>,
  problems: Problems,
): ReadonlyMap<string, Chain> {
  const chains = new Map<string, Chain>()
  const shared = new SharedBudgets()
  const chainName = nameChecker('chain', problems)
  for (const [name, { field, key }] of declared) {
    if (!chainName(name, key)) continue
    const known = knownChain(name)
    const blockTimeText = textOf(fieldOf(field, 'block_time'))
    const id = numberOf(fieldOf(field, 'id')) ?? known?.id
    const blockTimeMs = (blockTimeText === undefined ? undefined : parseDuration(blockTimeText)) ?? known?.blockTimeMs
    if (id === undefined && !hasUnknown(fieldOf(field, 'id').node)) {
      problems.error(
        key,
        `chain \`${name}\` is not one that is known`,
        [suggestChain(name), 'give its id and block_time'].filter(Boolean).join(', or '),
      )
    } else if (blockTimeMs === undefined && !hasUnknown(fieldOf(field, 'block_time').node)) {
      problems.error(key, `the block time of chain \`${name}\` is not known`, 'give it: block_time: 2s')
    }
    if (blockTimeMs === 0) problems.error(fieldOf(field, 'block_time'), 'a block time must be more than 0')
    const about = fieldOf(field, 'about').node
    const unset = unsetIn(fieldOf(field, 'rpc').node)
    chains.set(name, {
      name,
      id: id ?? 0,
      blockTimeMs: blockTimeMs ?? 1000,
      confirmations: numberOf(fieldOf(field, 'confirmations')) ?? known?.confirmations ?? 10,
      multicall: textOf(fieldOf(field, 'multicall'))?.toLowerCase() ?? known?.multicall,
      about: about ? toJson(about) : {},
      ...(used.has(name) ? readRpc(name, fieldOf(field, 'rpc'), shared, problems) : { endpoints: [], sockets: [] }),
      unset: unset.length > 0 ? unset : undefined,
    })
  }
  return chains
}

function readRpc(chain: string, rpc: Field, shared: SharedBudgets, problems: Problems): Pick<Chain, 'endpoints' | 'sockets'> {
  const endpoints = new Map<string, Endpoint>()
  const sockets = new Map<string, Socket>()
  for (const item of rpc.node?.kind === 'list' ? itemsOf(rpc) : [rpc]) {
    const isMap = item.node?.kind === 'map'
    const at = isMap ? fieldOf(item, 'url') : item
    const budget = readBudget(fieldOf(item, 'budget'), problems)
    for (const text of (textOf(at) ?? '').split(',')) {
      const url = text.trim()
      // An entry whose variable is empty by its own default is left out.
      if (url === '' || endpoints.has(url)) continue
      const headers = readHeaders(fieldOf(item, 'headers'), problems)
      if (/^wss?:\/\//i.test(url)) {
        if (isServer(url, at, problems)) sockets.set(url, { url, headers })
        continue
      }
      if (!isHttp(url, at, problems)) continue
      const endpoint: Endpoint = {
        url,
        maxWorkers: numberOf(fieldOf(item, 'max_workers')),
        priority: numberOf(fieldOf(item, 'priority')) ?? 1,
        requestsPerSecond: numberOf(fieldOf(item, 'requests_per_second')),
        maxBlockRange: numberOf(fieldOf(item, 'max_block_range')),
        headers,
        budget,
      }
      shared.add(endpoint, fieldOf(item, 'budget'), problems)
      endpoints.set(url, endpoint)
    }
  }
  // Of a file that could not be read that was said already.
  if (endpoints.size === 0 && rpc.node && rpc.node.kind !== 'map' && !hasUnknown(rpc.node) && isEmpty(rpc)) {
    problems.error(rpc, `chain \`${chain}\` has no endpoint: every URL is empty`, 'give one in `rpc`')
  }
  if (endpoints.size === 0 && sockets.size > 0)
    problems.error(rpc, `chain \`${chain}\` has WebSockets alone, and calls go by https`, 'add the https URL of the same endpoint')
  return { endpoints: [...endpoints.values()], sockets: [...sockets.values()] }
}

function isEmpty(rpc: Field): boolean {
  const urls = rpc.node?.kind === 'list' ? itemsOf(rpc).map((item) => (item.node?.kind === 'map' ? fieldOf(item, 'url') : item)) : [rpc]
  return urls.every((url) => (textOf(url) ?? '').replaceAll(/[,\s]/g, '') === '')
}

export function readSources(
  declared: ReadonlyMap<string, Declared>,
  used: ReadonlySet<string>,
  fallback: Retry,
  problems: Problems,
): ReadonlyMap<string, Source> {
  const sources = new Map<string, Source>()
  const sourceName = nameChecker('source', problems)
  for (const [name, { field, key }] of declared) {
    if (!sourceName(name, key)) continue
    const url = fieldOf(field, 'url')
    const text = used.has(name) ? textOf(url) : undefined
    if (text !== undefined) {
      if (text.trim() === '') problems.error(url, `source \`${name}\` has an empty url`)
      else isHttp(text.trim(), url, problems)
    }
    sources.set(name, {
      name,
      url: text?.trim() ?? '',
      headers: readHeaders(fieldOf(field, 'headers'), problems),
      settings: readSettings(fieldOf(field, 'headers')),
      requestsPerSecond: numberOf(fieldOf(field, 'requests_per_second')),
      concurrency: numberOf(fieldOf(field, 'concurrency')),
      timeoutMs: durationOf(fieldOf(field, 'timeout'), problems) ?? 30_000,
      maxBytes: numberOf(fieldOf(field, 'max_bytes')) ?? 100_000_000,
      retry: readRetry(fieldOf(field, 'retry'), fallback, problems),
    })
  }
  return sources
}

/** The URL itself is not shown: it may hold a key. */
function isHttp(text: string, at: Field, problems: Problems): boolean {
  const protocol = URL.canParse(text) ? new URL(text).protocol : undefined
  if (protocol !== undefined && text.includes('://') && protocol !== 'http:' && protocol !== 'https:') {
    problems.error(at, `must be an http or https URL (is ${protocol}//…)`, 'write it whole: https://host/path')
    return false
  }
  return isServer(text, at, problems)
}

/** Whether a URL means what its writer saw. */
function isServer(text: string, at: Field, problems: Problems): boolean {
  const fault = text.includes('://') ? urlFault(text) : { message: 'is no URL', hint: 'write it whole: https://host/path' }
  if (fault) problems.error(at, `${ofVariables(at)}${fault.message}`, fault.hint)
  return fault === undefined
}

/** Of a value that may not be shown, where it comes from: `the value of ETH_RPC_URL `. */
export function ofVariables({ node }: Field): string {
  return node?.kind === 'scalar' && node.env.length > 0 ? `the value of ${[...new Set(node.env)].join(', ')} ` : ''
}

/** An empty header is not sent. */
export function readHeaders(field: Field, problems: Problems): Readonly<Record<string, string>> {
  const headers: Record<string, string> = {}
  for (const { key, field: value } of entriesOf(field)) {
    const text = textOf(value) ?? numberOf(value)?.toString()
    if (text === undefined || text === '') continue
    const fault = headerFault(key, text)
    if (fault) problems.error(value, `${ofVariables(value)}${fault.message}`, fault.hint)
    else headers[key] = text
  }
  return headers
}

/** What HTTP can't carry. Found by the first request, it would look like an endpoint that is down. */
function headerFault(name: string, text: string): { readonly message: string; readonly hint: string } | undefined {
  if (!/^[\w!#$%&'*+.^`|~-]+$/.test(name))
    return { message: 'has a name that is no name of a header', hint: 'write letters, digits and `-`' }
  if (/[\r\n]/.test(text)) return { message: 'holds a line break, which no header can carry', hint: 'take it out, also at the end' }
  if (/[^\t\u0020-\u007e\u0080-\u00ff]/.test(text))
    return {
      message: 'holds a sign that no header can carry',
      hint: 'compare it with what the provider shows: a copied `…` or quote is a common one',
    }
  if (text !== text.trim()) return { message: 'has a space at its begin or end', hint: 'take it out' }
  return undefined
}

/** For messages: which variables a header comes from. */
function readSettings(field: Field): Readonly<Record<string, string>> {
  return Object.fromEntries(
    entriesOf(field).map(({ key, field: value }) => [key, value.node?.kind === 'scalar' ? (value.node.env ?? []).join(', ') : '']),
  )
}

export const DEFAULT_RETRY: Retry = { attempts: 5, waitMs: 500, maxWaitMs: 8_000 }

export function readRetry(field: Field, fallback: Retry, problems: Problems): Retry {
  const waitMs = durationOf(fieldOf(field, 'wait'), problems, 0) ?? fallback.waitMs
  const maxWaitMs = durationOf(fieldOf(field, 'max_wait'), problems, 0)
  if (maxWaitMs !== undefined && maxWaitMs < waitMs) problems.error(fieldOf(field, 'max_wait'), 'max_wait must not be shorter than wait')
  return {
    attempts: numberOf(fieldOf(field, 'attempts')) ?? fallback.attempts,
    waitMs,
    maxWaitMs: maxWaitMs ?? Math.max(fallback.maxWaitMs, waitMs),
  }
}

/** Milliseconds; undefined when the field is missing, or wrong in a way that the schema reports. */
export function durationOf(field: Field, problems: Problems, least = 1): number | undefined {
  const text = textOf(field)
  const ms = text === undefined ? undefined : parseDuration(text)
  if (ms !== undefined && ms < least) problems.error(field, `must be more than 0 (is ${JSON.stringify(text)})`)
  return ms
}

/** Names under `$chain` with their values: `name`, `id`, and what `about` says, by its path. */
export function chainNames(chain: Pick<Chain, 'name' | 'id' | 'about'>): ReadonlyMap<string, Json> {
  const names = new Map<string, Json>([
    ['chain.name', chain.name],
    ['chain.id', chain.id],
  ])
  const add = (path: string, value: Json): void => {
    names.set(path, value)
    if (value !== null && typeof value === 'object' && !Array.isArray(value))
      for (const [key, part] of Object.entries(value)) add(`${path}.${key}`, part as Json)
  }
  add('chain.about', chain.about)
  return names
}
