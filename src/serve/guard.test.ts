import { Type } from '@sinclair/typebox'
import { Hono } from 'hono'
import { expect, test } from 'vitest'
import { bodyOf, MOST_BYTES } from './body.js'
import { cookieOf, guard, LOOPBACK, Tries } from './guard.js'
import { refusalOf } from './refusal.js'

const TOKEN = 'a-token-of-thirty-two-characters'

function served(token?: string) {
  const app = new Hono()
  const clock = { now: () => 0, monotonic: () => 0, sleep: () => Promise.resolve() }
  app.onError((error, c) => c.text(refusalOf(error).code, refusalOf(error).status))
  app.use(guard({ hosts: new Set([...LOOPBACK, 'pipe.example']), token, tries: new Tries(clock) }))
  app.get('/api/x', (c) => c.text('read'))
  app.get('/page', (c) => c.text('page'))
  app.get('/healthz', (c) => c.text('lives'))
  app.post('/api/x', async (c) => c.json(await bodyOf(c, Type.Object({ a: Type.Integer() }, { additionalProperties: false }))))
  return async (path: string, headers: Record<string, string> = {}, body?: string | Uint8Array<ArrayBuffer>) => {
    const response = await app.request(path, {
      method: body === undefined ? 'GET' : 'POST',
      headers: { host: 'localhost:8080', ...headers },
      body,
    })
    return { status: response.status, text: await response.text(), headers: response.headers }
  }
}

const JSON_TYPE = { 'content-type': 'application/json' }

test('only a name of this server is answered, to read as to change', async () => {
  const ask = served()
  for (const host of ['localhost', 'localhost:8080', '127.0.0.1:1', '[::1]:8080', 'PIPE.example'])
    expect([host, (await ask('/api/x', { host })).status]).toEqual([host, 200])
  for (const host of ['evil.com', 'localhost.evil.com', '127.0.0.1.evil.com', 'evil.com:8080', '', '0.0.0.0', '[::1]x'])
    expect([host, (await ask('/api/x', { host })).text]).toEqual([host, 'HOST_REFUSED'])
})

test('a page of another address can neither read nor change anything, and a link from it can open a page', async () => {
  const ask = served()
  const own = { origin: 'http://localhost:8080', 'sec-fetch-site': 'same-origin', ...JSON_TYPE }
  expect((await ask('/api/x', own, '{"a":1}')).status).toBe(200)
  expect((await ask('/api/x', JSON_TYPE, '{"a":1}')).status).toBe(200)
  const others: Record<string, string>[] = [
    { origin: 'https://evil.com' },
    { origin: 'null' },
    { origin: 'http://localhost:8081' },
    { 'sec-fetch-site': 'cross-site' },
    { 'sec-fetch-site': 'same-site' },
    { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate' },
  ]
  for (const headers of others) {
    expect([headers, (await ask('/api/x', { ...headers, ...JSON_TYPE }, '{"a":1}')).text]).toEqual([headers, 'ORIGIN_REFUSED'])
    expect([headers, (await ask('/api/x', headers)).text]).toEqual([headers, 'ORIGIN_REFUSED'])
  }
  const link = { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'navigate' }
  expect((await ask('/page', link)).status).toBe(200)
  expect((await ask('/api/x', own, '{"a":1}')).headers.get('access-control-allow-origin')).toBeNull()
})

test('with a token nothing but the health is answered without it, and guessing is slowed down', async () => {
  const ask = served(TOKEN)
  expect((await ask('/healthz')).status).toBe(200)
  const right: Record<string, string>[] = [{ authorization: `Bearer ${TOKEN}` }, { cookie: `pipe_session=${cookieOf(TOKEN)}` }]
  for (const headers of right) expect((await ask('/api/x', headers)).status).toBe(200)
  expect((await ask(`/api/x?token=${TOKEN}`)).text).toBe('TOKEN_WRONG')
  const wrong: Record<string, string>[] = [{ authorization: 'Bearer x' }, { authorization: TOKEN }, { cookie: `pipe_session=${TOKEN}` }]
  for (const headers of wrong) expect((await ask('/api/x', headers)).text).toBe('TOKEN_WRONG')
  // A page that is opened without its cookie asks for much at once.
  for (let i = 0; i < 40; i++) expect((await ask('/api/x')).text).toBe('TOKEN_WRONG')
  for (let i = 0; i < 20; i++) await ask('/api/x', wrong[0])
  expect((await ask('/api/x', wrong[0])).text).toBe('TOO_MANY_TRIES')
  const stale = await ask('/api/x', wrong[2])
  expect([stale.text, stale.headers.get('set-cookie')]).toEqual(['TOO_MANY_TRIES', 'pipe_session=; Max-Age=0; Path=/'])
  expect((await ask('/api/x', right[0])).status).toBe(200)
})

test('every answer, also one that refuses, forbids scripts of others, frames and keeping', async () => {
  const ask = served()
  for (const { headers } of [await ask('/api/x'), await ask('/api/x', { host: 'evil.com' }), await ask('/none')]) {
    expect(headers.get('content-security-policy')).toMatch(/^default-src 'self'; /)
    expect(headers.get('content-security-policy')).not.toContain('unsafe')
    expect([headers.get('x-content-type-options'), headers.get('x-frame-options'), headers.get('cache-control')]).toEqual([
      'nosniff',
      'DENY',
      'no-store',
    ])
  }
})

test('a body is JSON of the wanted form, flat, in UTF-8, without double keys, and not large', async () => {
  const ask = served()
  const answer = async (body: string | Uint8Array<ArrayBuffer>, type = 'application/json') => {
    const { status, text } = await ask('/api/x', { 'content-type': type }, body)
    return `${status} ${text}`
  }
  expect(await answer('{"a":1}')).toBe('200 {"a":1}')
  expect(await answer('{"a":1}', 'application/json; charset=utf-8')).toBe('200 {"a":1}')
  for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data', 'application/jsonp'])
    expect(await answer('{"a":1}', type)).toBe('415 JSON_ONLY')
  expect(await answer('{"a":1,"a":2}')).toBe('400 BODY_UNREADABLE')
  expect(await answer('{"a":')).toBe('400 BODY_UNREADABLE')
  expect(await answer(new Uint8Array([0x22, 0xff, 0x22]))).toBe('400 BODY_UNREADABLE')
  expect(await answer('['.repeat(30_000) + ']'.repeat(30_000))).toBe('400 BODY_UNREADABLE')
  expect(await answer('{"a":"1"}')).toBe('422 BODY_WRONG')
  expect(await answer('{"a":1,"plugins":["./x.ts"]}')).toBe('422 BODY_WRONG')
  expect(await answer(`"${'x'.repeat(MOST_BYTES)}"`)).toBe('413 BODY_TOO_LARGE')
})
