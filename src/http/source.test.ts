import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { gzipSync, brotliCompressSync } from 'node:zlib'
import { afterAll, describe, expect, it } from 'vitest'
import { type ApiFault, fakeApi } from '../sandbox/index.js'
import type { Clock, RunFact } from '../sdk/index.js'
import { openSource, type Source, type SourceConfig } from './source.js'

const open: { close(): Promise<unknown> }[] = []
afterAll(() => Promise.all(open.map((each) => each.close())))

const TIMEOUT_MS = 30_000

/** Time that passes only when somebody waits for it, except for deadlines, which never come. */
function patientClock(): Clock & { readonly slept: number[]; advance(ms: number): void } {
  let at = 0
  const slept: number[] = []
  return {
    slept,
    advance: (ms) => void (at += ms),
    now: () => Date.parse('2026-01-01T00:00:00Z') + at,
    monotonic: () => at,
    sleep: (ms, signal) => {
      if (ms === TIMEOUT_MS) return new Promise((_, reject) => signal?.addEventListener('abort', () => reject(signal.reason as Error)))
      slept.push(ms)
      at += ms
      return Promise.resolve()
    },
  }
}

function source(url: string, more: Partial<SourceConfig> = {}, clock: Clock = patientClock()): { source: Source; facts: RunFact[] } {
  const facts: RunFact[] = []
  const opened = openSource({
    source: {
      name: 'api',
      url,
      headers: {},
      settings: {},
      requestsPerSecond: undefined,
      concurrency: undefined,
      timeoutMs: TIMEOUT_MS,
      maxBytes: 1_000_000,
      retry: { attempts: 5, waitMs: 500, maxWaitMs: 8_000 },
      ...more,
    },
    clock,
    random: () => 0.5,
    emit: (fact) => void facts.push(fact),
  })
  open.push(opened)
  return { source: opened, facts }
}

const signal = new AbortController().signal
const api = fakeApi({ seed: 3, rows: 10 })

async function server(faults: readonly ApiFault[] = []) {
  const opened = await api.serve({ faults })
  open.push(opened)
  return opened
}

/** A server that answers as the test says. */
async function answering(handler: (request: IncomingMessage, response: ServerResponse, n: number) => void) {
  let n = 0
  const requests: { url: string; headers: IncomingMessage['headers'] }[] = []
  const http = createServer((request, response) => {
    requests.push({ url: request.url ?? '', headers: request.headers })
    handler(request, response, ++n)
  })
  await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve))
  open.push({
    close: () => {
      http.closeAllConnections()
      return new Promise((resolve) => http.close(resolve))
    },
  })
  return { url: `http://127.0.0.1:${(http.address() as AddressInfo).port}`, requests }
}

const json = (response: ServerResponse, body: string, headers: Record<string, string> = {}, status = 200) =>
  response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(body)

const page = { path: '/lists/next', query: { limit: 3 } }

describe('what may pass on another try is tried again', () => {
  const passing: Record<string, readonly ApiFault[]> = {
    '500, 502, 503 and 504 with HTML': [500, 502, 503, 504].map((status) => ({
      kind: 'http',
      status,
      headers: { 'content-type': 'text/html' },
      body: '<html><h1>Bad gateway</h1></html>',
      times: 1,
    })),
    'a page of a captive portal under status 200': [
      { kind: 'http', status: 200, headers: { 'content-type': 'text/html' }, body: '<html>log in</html>', times: 1 },
    ],
    'a connection that is reset in the body': [{ kind: 'reset', at: 0.5, times: 1 }],
    'a body that ends early': [{ kind: 'truncate', at: 0.5, times: 1 }],
    'a wrong content length': [{ kind: 'content-length', delta: 10, times: 1 }],
    'a gzip body that is cut': [{ kind: 'gzip', cut: 0.5, times: 1 }],
    'a brotli body that is cut': [{ kind: 'brotli', cut: 0.5, times: 1 }],
    'a connection that is closed without an answer': [{ kind: 'drop', times: 2 }],
    'an empty body': [{ kind: 'http', status: 200, body: '', times: 1 }],
  }
  it.each(Object.entries(passing))('%s', async (_, faults) => {
    const { url } = await server(faults)
    const { source: client, facts } = source(url)
    const { body } = await client.get(page, { signal })
    expect((body as { items: unknown[] }).items.length).toBe(3)
    expect(facts.filter(({ type }) => type === 'retry').length).toBeGreaterThan(0)
  })

  it('gzip, brotli, a byte order mark and lines of JSON are read', async () => {
    const text = '\ufeff{"a":9007199254740993}'
    const { url } = await answering((request, response) => {
      if (request.url === '/gzip') json(response, '', {}).end()
      else json(response, text)
    })
    expect((await source(url).source.get({ path: '/bom' }, { signal })).body).toEqual({ a: '9007199254740993' })
    const packed = await answering((request, response) => {
      const gzip = request.url === '/gzip'
      response.writeHead(200, { 'content-encoding': gzip ? 'gzip' : 'br' }).end(gzip ? gzipSync(text) : brotliCompressSync(text))
    })
    for (const path of ['/gzip', '/br'])
      expect((await source(packed.url).source.get({ path }, { signal })).body).toEqual({ a: '9007199254740993' })
    const lines = await answering((_, response, n) =>
      response.writeHead(200, { 'content-type': 'application/x-ndjson' }).end(n === 1 ? '{"a":1}\n{"a":' : '{"a":1}\n{"a":2}\n'),
    )
    expect((await source(lines.url).source.get({ path: '/' }, { signal })).body).toEqual([{ a: 1 }, { a: 2 }])
  })

  it('after the last attempt it says what came, without tags and without keys', async () => {
    const { url } = await server([{ kind: 'http', status: 502, body: '<html><script>x</script><h1>Bad</h1> key-123456789</html>' }])
    const { source: client, facts } = source(url, { headers: { 'X-Key': 'key-123456789' } })
    await expect(client.get(page, { signal })).rejects.toMatchObject({
      code: 'HTTP_UNREACHABLE',
      blame: 'outage',
      message: 'source api: HTTP 502: Bad *** (5 attempts)',
    })
    expect(JSON.stringify(facts)).not.toContain('key-123456789')
    expect(facts.at(-1)).toMatchObject({ type: 'endpoint', health: 'down' })
  })

  it('waits grow with full jitter up to the longest', async () => {
    const { url } = await server([{ kind: 'drop' }])
    const clock = patientClock()
    await expect(source(url, {}, clock).source.get(page, { signal })).rejects.toMatchObject({ code: 'HTTP_UNREACHABLE' })
    expect(clock.slept).toEqual([250, 500, 1000, 2000])
  })
})

describe('what the source asks for is heeded by all who ask', () => {
  const waits: Record<string, readonly [Record<string, string>, number, number]> = {
    'Retry-After in seconds': [{ 'retry-after': '7' }, 429, 7_000],
    'Retry-After as a date': [{ 'retry-after': 'Thu, 01 Jan 2026 00:00:09 GMT' }, 429, 9_000],
    'a 403 that speaks of a rate': [{ 'retry-after': '3' }, 403, 3_000],
    'Retry-After of a 503': [{ 'retry-after': '4' }, 503, 4_000],
    'RateLimit-Remaining and RateLimit-Reset': [{ 'ratelimit-remaining': '0', 'ratelimit-reset': '5' }, 200, 5_000],
    'X-RateLimit-Reset since 1970': [
      { 'x-ratelimit-remaining': '0', 'x-ratelimit-reset': String(Date.parse('2026-01-01T00:00:11Z') / 1000) },
      200,
      11_000,
    ],
    'the newer RateLimit': [{ ratelimit: '"default";r=0;t=6' }, 200, 6_000],
  }
  it.each(Object.entries(waits))('%s', async (_, [headers, status, ms]) => {
    const clock = patientClock()
    const at: number[] = []
    const { url } = await answering((_request, response, n) => {
      at.push(clock.monotonic())
      json(response, '{"ok":1}', n === 1 ? headers : {}, n === 1 ? status : 200)
    })
    const { source: client } = source(url, { concurrency: 2 }, clock)
    await client.get({ path: '/' }, { signal })
    await Promise.all([client.get({ path: '/' }, { signal }), client.get({ path: '/' }, { signal })])
    expect(at[0]).toBe(0)
    for (const later of at.slice(1)) expect(later).toBeGreaterThanOrEqual(ms)
  })

  it('a rate limit uses up no attempt, and a wait of more than ten minutes is a quota, which ends the try', async () => {
    const limited = await server([{ kind: 'rate-limit', times: 12 }])
    const { source: client, facts } = source(limited.url)
    await client.get(page, { signal })
    expect(facts.filter((fact) => fact.type === 'retry' && fact.class === 'RATE').length).toBe(12)
    const used = await server([{ kind: 'rate-limit', retryAfter: 86_400 }])
    await expect(source(used.url).source.get(page, { signal })).rejects.toMatchObject({ code: 'HTTP_QUOTA_USED_UP', blame: 'outage' })
    expect(used.count()).toBe(1)
  })

  it('nothing but rate limits for ten minutes is an error', async () => {
    const { url } = await server([{ kind: 'rate-limit', retryAfter: 60 }])
    await expect(source(url).source.get(page, { signal })).rejects.toMatchObject({ code: 'HTTP_RATE_LIMITED', retryable: true })
  })

  it('requests_per_second is kept', async () => {
    const clock = patientClock()
    const { url } = await server()
    const { source: client } = source(url, { requestsPerSecond: 2, concurrency: 1 }, clock)
    for (let i = 0; i < 5; i++) await client.get(page, { signal })
    expect(clock.monotonic()).toBeGreaterThanOrEqual(1_900)
  })

  it('no more requests are under way than `concurrency`', async () => {
    const { url, totals } = await server([{ kind: 'latency', ms: 5 }])
    const { source: client } = source(url, { concurrency: 2 })
    await Promise.all(Array.from({ length: 10 }, () => client.get(page, { signal })))
    expect([totals.peakInFlight, totals.requests]).toEqual([2, 10])
  })
})

describe('what another try would not change ends it at once', () => {
  it('401 and 403 name the setting, are asked once, and nothing is asked before the login is tried again', async () => {
    for (const status of [401, 403]) {
      const opened = await server([{ kind: 'http', status, body: '{"error":"bad key secret-key-1"}' }])
      const { source: client, facts } = source(opened.url, {
        headers: { 'X-API-Key': 'secret-key-1' },
        settings: { 'X-API-Key': 'HIRO_API_KEY' },
      })
      const refusal = {
        code: 'HTTP_LOGIN_REFUSED',
        blame: 'outage',
        hint: 'check the header X-API-Key of sources.api (HIRO_API_KEY); then run again: it goes on where it was',
      }
      await expect(client.get(page, { signal })).rejects.toMatchObject(refusal)
      await expect(client.get(page, { signal })).rejects.toMatchObject(refusal)
      expect(opened.count()).toBe(1)
      client.tryLogin()
      await expect(client.get(page, { signal })).rejects.toMatchObject(refusal)
      expect(opened.count()).toBe(2)
      expect(JSON.stringify(facts)).not.toContain('secret-key-1')
    }
    const { url } = await server([{ kind: 'http', status: 401 }])
    await expect(source(url, { settings: { 'X-API-Key': '' } }).source.get(page, { signal })).rejects.toMatchObject({
      hint: 'check the header X-API-Key of sources.api, which is empty and was not sent; then run again: it goes on where it was',
    })
  })

  it('404, 410 and 400 are errors with their status', async () => {
    for (const status of [400, 404, 410]) {
      const opened = await server([{ kind: 'http', status, body: 'gone' }])
      await expect(source(opened.url).source.get(page, { signal })).rejects.toMatchObject({
        code: 'HTTP_STATUS',
        status,
        message: `source api: HTTP ${status} for /lists/next?limit=3: gone`,
      })
      expect(opened.count()).toBe(1)
    }
  })

  it('a body above the limit is not read to its end, be it packed or not', async () => {
    for (const fault of [
      { kind: 'huge', bytes: 50_000_000 },
      { kind: 'gzip-bomb', bytes: 50_000_000 },
    ] as const) {
      const opened = await server([fault])
      await expect(source(opened.url, { maxBytes: 10_000 }).source.get(page, { signal })).rejects.toMatchObject({
        code: 'HTTP_RESPONSE_TOO_LARGE',
      })
    }
  })

  it('a reply that drips, or stops after its headers, ends at the deadline', async () => {
    for (const fault of [
      { kind: 'slow', bytes: 1, everyMs: 20 },
      { kind: 'hang', headers: true },
    ] as const) {
      const { url } = await server([fault])
      const clock: Clock = { now: () => Date.now(), monotonic: () => performance.now(), sleep: (ms, stop) => sleep(ms, stop) }
      await expect(
        source(url, { timeoutMs: 60, retry: { attempts: 2, waitMs: 1, maxWaitMs: 2 } }, clock).source.get(page, { signal }),
      ).rejects.toMatchObject({
        message: 'source api: no whole reply within 0.06 s (2 attempts)',
      })
    }
  })

  it('an abort stops a wait and a request', async () => {
    const { url } = await server([{ kind: 'hang' }])
    const stop = new AbortController()
    const got = source(url).source.get(page, { signal: stop.signal })
    setTimeout(() => stop.abort(new Error('stopped')), 20)
    await expect(got).rejects.toThrow('stopped')
  })
})

describe('keys stay with the source', () => {
  it('a redirect inside the source is followed, one to another origin is not, and no header goes there', async () => {
    const other = await answering((_, response) => json(response, '{}'))
    const { url, requests } = await answering((request, response) => {
      if (request.url === '/old') response.writeHead(302, { location: '/new' }).end()
      else if (request.url === '/away') response.writeHead(302, { location: `${other.url}/x` }).end()
      else json(response, '{"new":true}')
    })
    const { source: client } = source(url, { headers: { 'X-Key': 'k' } })
    expect((await client.get({ path: '/old' }, { signal })).body).toEqual({ new: true })
    await expect(client.get({ path: '/away' }, { signal })).rejects.toMatchObject({ code: 'HTTP_OTHER_ORIGIN' })
    expect([requests.map((each) => each.headers['x-key']), other.requests]).toEqual([['k', 'k', 'k'], []])
  })

  it('a next page elsewhere is refused: another host, another port, a link-local address, another protocol', async () => {
    const { url } = await answering((_, response) => json(response, '{}'))
    const { source: client } = source(url)
    const reply = await client.get({ path: '/' }, { signal })
    for (const address of [
      'http://evil.example/x',
      'http://127.0.0.1:1/x',
      'http://169.254.169.254/latest',
      'file:///etc/passwd',
      url.replace('http:', 'https:'),
      '//evil.example/x',
    ])
      expect(() => reply.place(address)).toThrow(/which is not the source/)
    expect(reply.place(`${url}/next?cursor=1`)).toBe('/next?cursor=1')
    expect(reply.place('?cursor=2')).toBe('/?cursor=2')
  })

  it("the source's own query goes with every request, and out of every address that is stored", async () => {
    const { url, requests } = await answering((_, response) => json(response, '{}'))
    const { source: client } = source(`${url}/base/?apikey=query-secret`, { headers: { Authorization: 'Bearer token-secret' } })
    const reply = await client.get({ path: '/list', query: { a: 'x y', b: undefined, c: 1 } }, { signal })
    const place = reply.place('/base/list?cursor=7&apikey=query-secret&token=token-secret')
    expect(place).toBe('/base/list?cursor=7')
    await client.get({ place }, { signal })
    expect(requests.map((each) => each.url)).toEqual([
      '/base/list?a=x+y&c=1&apikey=query-secret',
      '/base/list?cursor=7&apikey=query-secret',
    ])
  })
})

function sleep(ms: number, stop?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, ms)
    stop?.addEventListener('abort', () => {
      clearTimeout(timer)
      reject(stop.reason as Error)
    })
  })
}
