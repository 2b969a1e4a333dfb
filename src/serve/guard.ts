import { createHash, timingSafeEqual } from 'node:crypto'
import type { Context, MiddlewareHandler } from 'hono'
import { deleteCookie, getCookie } from 'hono/cookie'
import type { Clock } from '../sdk/index.js'
import { isOfPage } from './page.js'
import { Refusal } from './refusal.js'

export interface GuardOptions {
  /** Names by which the server may be asked, without port: those of loopback, and what it was told. */
  readonly hosts: ReadonlySet<string>
  /** What a request must know; undefined: nothing, which only loopback may have. */
  readonly token: string | undefined
  readonly tries: Tries
}

/** The names of this machine for itself. A web page that reaches us under another one was led here by a false DNS answer. */
export const LOOPBACK: readonly string[] = ['localhost', '127.0.0.1', '[::1]']

export const COOKIE = 'pipe_session'

const HEADERS: Readonly<Record<string, string>> = {
  'Content-Security-Policy':
    "default-src 'self'; base-uri 'none'; connect-src 'self'; form-action 'self'; frame-ancestors 'none'; object-src 'none'; img-src 'self' data:",
  'X-Content-Type-Options': 'nosniff',
  'X-Frame-Options': 'DENY',
  'Referrer-Policy': 'no-referrer',
  'Cross-Origin-Opener-Policy': 'same-origin',
  'Cross-Origin-Resource-Policy': 'same-origin',
  'Cache-Control': 'no-store',
}

/** Wrong tokens that are answered in a minute, from everybody together. */
const WRONG_A_MINUTE = 20
const MINUTE_MS = 60_000

/** Asked without a token, besides the page itself: whether the process lives, and the way to get in. */
const OPEN: ReadonlySet<string> = new Set(['/healthz', '/readyz', '/api/session'])

/**
 * Lets through only what a person or a program of theirs asks: under a name of ours, from no page of others, and with the token
 * where there is one. Every answer says that no page may frame, sniff or keep it.
 */
export function guard({ hosts, token, tries }: GuardOptions): MiddlewareHandler {
  return async (c, next) => {
    for (const [name, value] of Object.entries(HEADERS)) c.header(name, value)
    refuseForeign(c, hosts)
    if (token !== undefined && !OPEN.has(c.req.path) && !isOfPage(c.req.path) && !hasToken(c, token)) {
      // What brings none guesses nothing: a page that is opened anew must not keep its own people out.
      if (c.req.header('authorization') === undefined && getCookie(c, COOKIE) === undefined)
        throw withoutToken('this server wants its token')
      deleteCookie(c, COOKIE, { path: '/' })
      throw tries.wrong('this is not the token of this server')
    }
    await next()
  }
}

const withoutToken = (problem: string) =>
  new Refusal(401, 'TOKEN_WRONG', problem, 'send it as: Authorization: Bearer TOKEN (the value of PIPE_TOKEN)')

/** Counts what came with a wrong token, so that guessing is told off. */
export class Tries {
  readonly #clock: Clock
  #count = 0
  #since = -Infinity

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** The answer to one more. */
  wrong(problem: string): Refusal {
    const now = this.#clock.monotonic()
    if (now - this.#since > MINUTE_MS) [this.#count, this.#since] = [0, now]
    if (++this.#count > WRONG_A_MINUTE) return new Refusal(429, 'TOO_MANY_TRIES', 'too many requests with a wrong token', 'wait a minute')
    return withoutToken(problem)
  }
}

function refuseForeign(c: Context, hosts: ReadonlySet<string>): void {
  const host = (c.req.header('host') ?? '').toLowerCase()
  if (!hosts.has(host.replace(/:\d+$/, '')))
    throw new Refusal(
      403,
      'HOST_REFUSED',
      'this server is not known by that name',
      'ask it as localhost, or start it with --allow-host NAME',
    )
  const origin = c.req.header('origin')
  const site = c.req.header('sec-fetch-site')
  // A link from elsewhere may open a page. It may neither change nor read anything else.
  const isOwn = site === undefined || site === 'same-origin' || site === 'none' || isPage(c)
  if (!isOwn || (origin !== undefined && !isSame(origin, host)))
    throw new Refusal(403, 'ORIGIN_REFUSED', 'a page of another address asks this', 'open the page of this server itself')
}

const isPage = (c: Context) => c.req.method === 'GET' && c.req.header('sec-fetch-mode') === 'navigate' && !c.req.path.startsWith('/api/')

function isSame(origin: string, host: string): boolean {
  return /^https?:\/\//.test(origin) && origin.replace(/^https?:\/\//, '').toLowerCase() === host
}

/** By header, or by the cookie of a page. */
function hasToken(c: Context, token: string): boolean {
  const [, bearer] = /^Bearer +(\S+)$/i.exec(c.req.header('authorization') ?? '') ?? []
  const cookie = getCookie(c, COOKIE)
  return (bearer !== undefined && same(bearer, token)) || (cookie !== undefined && same(cookie, cookieOf(token)))
}

/** What the cookie holds: it proves the token and is not it. */
export const cookieOf = (token: string): string => createHash('sha256').update(`pipe session ${token}`).digest('base64url')

/** Compares in a time that says nothing of where they differ, nor of how long they are. */
export function same(a: string, b: string): boolean {
  const digest = (text: string) => createHash('sha256').update(text).digest()
  return timingSafeEqual(digest(a), digest(b))
}
