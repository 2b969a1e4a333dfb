import { createServer, type IncomingMessage, type Server } from 'node:http'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { afterEach, describe, expect, test } from 'vitest'
import { openSource } from '../http/source.js'
import { endpoint, fastClock, openPool, startNode } from '../rpc/fixtures/fake-node.js'
import type { RunFact } from '../sdk/index.js'
import { proxiesOf } from './proxies.js'

const open: (() => unknown)[] = []
afterEach(async () => {
  for (const close of open.splice(0)) await close()
})

const shown = (env: Record<string, string>, url: string) => proxiesOf(env)(new URL(url))?.name

test.each<[Record<string, string>, string, string | undefined]>([
  [{ HTTPS_PROXY: 'http://p:3128' }, 'https://a.test/v1', 'http://p:3128'],
  [{ HTTPS_PROXY: 'http://p:3128' }, 'http://a.test/v1', undefined],
  [{ HTTP_PROXY: 'http://p:3128' }, 'http://a.test', 'http://p:3128'],
  [{ HTTP_PROXY: 'http://p:3128' }, 'https://a.test', 'http://p:3128'],
  [{ HTTP_PROXY: 'http://p', HTTPS_PROXY: 'https://q', https_proxy: 'http://r' }, 'https://a.test', 'http://r'],
  [{ ALL_PROXY: 'socks5h://p:1080', HTTPS_PROXY: '' }, 'https://a.test', 'socks5://p:1080'],
  [{ https_proxy: 'user:pass@p:3128' }, 'https://a.test', 'http://p:3128'],
  ...['https://localhost:8545', 'http://x.localhost', 'http://127.0.0.9', 'http://[::1]:8545'].map(
    (url): [Record<string, string>, string, undefined] => [{ ALL_PROXY: 'http://p' }, url, undefined],
  ),
  ...(
    [
      ['*', 'https://a.test', false],
      ['a.test', 'https://a.test', false],
      ['a.test', 'https://b.a.test', false],
      ['.a.test, c.test', 'https://b.a.test', false],
      ['*.a.test', 'https://b.A.test.', false],
      ['a.test', 'https://xa.test', true],
      ['a.test:8443', 'https://a.test', true],
      ['a.test:443', 'https://a.test', false],
      ['10.0.0.0/8', 'http://10.1.2.3:8545', false],
      ['10.0.0.0/8', 'http://11.1.2.3:8545', true],
      ['10.1.2.3', 'http://10.1.2.3:8545', false],
      ['[fd00::1]', 'http://[fd00::1]:8545', false],
      ['fd00::/8', 'http://[fd12::9]:8545', false],
      ['x/99 10.0.0.0/99', 'http://10.1.2.3', true],
    ] as const
  ).map(([no_proxy, url, proxied]): [Record<string, string>, string, string | undefined] => [
    { ALL_PROXY: 'http://p', NO_PROXY: no_proxy },
    url,
    proxied ? 'http://p' : undefined,
  ]),
])('with %j, %s goes through %s', (env, url, expected) => {
  expect(shown(env, url)).toBe(expected)
})

test.each(['ftp://u:secret@p', 'http://', 'http://u:%zz@p', 'http://p:99999', 'socks4://p'])(
  'a proxy that is none is refused by the name of its variable: %s',
  (value) => {
    const asked = () => proxiesOf({ HTTPS_PROXY: value })(new URL('https://a.test'))
    expect(asked).toThrow('HTTPS_PROXY of the environment is no address of a proxy')
    expect(() => proxiesOf({ HTTPS_PROXY: value })(new URL('http://a.test'))).not.toThrow()
  },
)

/** A proxy that leads every tunnel to one server, or refuses with a status. `asked`: what came, with the login. */
async function proxyTo(target: string, refuses?: number, forwards = false) {
  const asked: string[] = []
  const sockets = new Set<Socket>()
  const port = Number(new URL(target).port)
  const note = (request: IncomingMessage) =>
    asked.push(
      `${request.method} ${request.url} ${Buffer.from((request.headers['proxy-authorization'] ?? '').slice(6), 'base64').toString()}`.trim(),
    )
  const server: Server = createServer((request, response) => {
    note(request)
    if (!forwards) return response.writeHead(refuses ?? 501).end('no')
    const to = new URL(request.url ?? '')
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      void fetch(`http://127.0.0.1:${port}${to.pathname}${to.search}`, {
        method: request.method ?? 'GET',
        ...(request.method === 'POST' ? { body: Buffer.concat(chunks) } : {}),
      }).then(async (answer) => response.writeHead(answer.status, { 'content-type': 'application/json' }).end(await answer.text()))
    })
  })
  server.on('connection', (socket) => sockets.add(socket))
  server.on('connect', (request, socket: Socket) => {
    note(request)
    socket.on('error', () => undefined)
    if (refuses !== undefined) return socket.end(`HTTP/1.1 ${refuses} No\r\ncontent-length: 0\r\n\r\n`)
    const up = connect(port, '127.0.0.1', () => {
      socket.write('HTTP/1.1 200 OK\r\n\r\n')
      up.pipe(socket).pipe(up)
    })
    up.on('error', () => socket.destroy())
    sockets.add(up)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  open.push(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return { host: `127.0.0.1:${(server.address() as AddressInfo).port}`, asked }
}

const signal = new AbortController().signal
const step = { id: 'step', attempts: 2, waitMs: 500, maxWaitMs: 8_000 }

/** Asks a node that only the proxy knows. */
async function askNode(env: (proxy: string) => Record<string, string>, refuses?: number, forwards?: boolean) {
  const clock = fastClock(50)
  const node = await startNode(clock)
  const proxy = await proxyTo(node.url, refuses, forwards)
  const { rpc, facts } = openPool([endpoint({ url: 'http://node.internal.test/v1' })], clock, { proxyOf: proxiesOf(env(proxy.host)) })
  open.push(
    () => rpc.close(),
    () => node.close(),
  )
  const answer = await rpc
    .forStep(step)
    .request('eth_getBalance', ['0xaa'], { signal })
    .catch((error: unknown) => (error as Error).message)
  return { answer: String(answer).replaceAll(proxy.host, 'PROXY'), asked: [...new Set(proxy.asked)], facts }
}

describe('a node that only a proxy knows', () => {
  const login = (proxy: string) => ({ HTTP_PROXY: `http://us:sec%40ret-word@${proxy}` })

  test('is asked through it, with its login', async () => {
    expect(await askNode(login)).toMatchObject({
      answer: 'eth_getBalance:0xaa',
      asked: ['CONNECT node.internal.test:80 us:sec@ret-word'],
    })
  })

  test('is asked by the proxy itself where that opens no tunnel', async () => {
    const { answer, asked } = await askNode(login, 403, true)
    expect(answer).toBe('eth_getBalance:0xaa')
    expect(asked).toEqual(['CONNECT node.internal.test:80 us:sec@ret-word', 'POST http://node.internal.test/v1 us:sec@ret-word'])
  })

  test('a proxy that wants another login is told as the one that refuses', async () => {
    const { answer, facts } = await askNode(login, 407)
    expect(answer).toContain('node.internal.test (the proxy http://PROXY refused: HTTP 407, its login lacks or is wrong')
    expect(JSON.stringify(facts) + answer).not.toMatch(/sec.{1,3}ret-word/)
  })

  test('a proxy that is not there is told by its name', async () => {
    const { answer } = await askNode(() => ({ HTTP_PROXY: 'http://us:sec%40ret-word@127.0.0.1:1' }))
    expect(answer).toContain("node.internal.test (the proxy http://127.0.0.1:1 can't be reached: connect ECONNREFUSED 127.0.0.1:1")
  })

  test('is asked straight where NO_PROXY says so', async () => {
    const { answer, asked } = await askNode((proxy) => ({ ...login(proxy), NO_PROXY: 'internal.test' }))
    expect([answer, asked]).toEqual([expect.stringContaining('getaddrinfo'), []])
  })
})

test.each([
  [undefined, '{"a":1}', ['CONNECT api.internal.test:80']],
  [407, 'source api: the proxy http://PROXY refused: HTTP 407, its login lacks or is wrong (2 attempts)', undefined],
])('a source that only a proxy knows: %s', async (refuses, expected, tunnels) => {
  const api = createServer((_, response) => response.end('{"a":1}'))
  await new Promise<void>((resolve) => api.listen(0, '127.0.0.1', resolve))
  open.push(() => api.close())
  const proxy = await proxyTo(`http://127.0.0.1:${(api.address() as AddressInfo).port}`, refuses)
  const facts: RunFact[] = []
  const source = openSource({
    source: {
      ...{ name: 'api', url: 'http://api.internal.test', headers: {}, settings: {}, requestsPerSecond: undefined, concurrency: undefined },
      ...{ timeoutMs: 30_000, maxBytes: 1_000, retry: { attempts: 2, waitMs: 1, maxWaitMs: 1 } },
    },
    clock: fastClock(1),
    random: () => 0,
    emit: (fact) => void facts.push(fact),
    proxyOf: proxiesOf({ http_proxy: proxy.host }),
  })
  open.push(() => source.close())
  const told = await source.get({ path: '/x' }, { signal }).then(
    ({ body }) => JSON.stringify(body),
    (error: unknown) => (error as Error).message,
  )
  expect(told.replaceAll(proxy.host, 'PROXY')).toBe(expected)
  if (tunnels) expect(proxy.asked).toEqual(tunnels)
})
