import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { gunzipSync } from 'node:zlib'
import { Hono } from 'hono'
import { expect, test } from 'vitest'
import { temporaryFolder } from '../../test/support/folder.js'
import { guard, LOOPBACK, Tries } from './guard.js'
import { page } from './page.js'
import { refusalOf } from './refusal.js'

function served(folder: string) {
  const app = new Hono()
  app.onError((error, c) => c.text(refusalOf(error).code, refusalOf(error).status))
  const tries = new Tries({ now: () => 0, monotonic: () => 0, sleep: async () => {} })
  app.use(guard({ hosts: new Set(LOOPBACK), token: 'x'.repeat(40), tries }))
  app.use(page(folder))
  app.get('/api/x', (c) => c.text('read'))
  return (path: string, headers: Record<string, string> = {}) => app.request(path, { headers: { host: 'localhost', ...headers } })
}

test('the page is given to whoever asks for it by a name of ours, its files for ever and its addresses each time anew; the API is not', async () => {
  const folder = temporaryFolder()
  mkdirSync(join(folder, 'assets'))
  writeFileSync(join(folder, 'index.html'), '<title>pipe</title>')
  writeFileSync(join(folder, 'assets/index-1a.js'), 'const x = 1')
  writeFileSync(join(folder, 'secret.txt'), 'secret')
  const ask = served(folder)
  for (const path of ['/', '/pipelines/miners', '/admin/enrichment']) {
    const response = await ask(path)
    const { status, headers } = response
    expect([path, status, await response.text(), headers.get('cache-control'), headers.get('content-type')]).toEqual([
      path,
      200,
      '<title>pipe</title>',
      'no-cache',
      'text/html; charset=utf-8',
    ])
    expect(headers.get('content-security-policy')).toMatch(/^default-src 'self';/)
    expect(headers.get('content-security-policy')).not.toContain('unsafe')
    expect(headers.get('x-content-type-options')).toBe('nosniff')
  }
  const asset = await ask('/assets/index-1a.js', { 'accept-encoding': 'gzip, br' })
  expect([asset.headers.get('cache-control'), asset.headers.get('content-type'), asset.headers.get('content-encoding')]).toEqual([
    'public, max-age=31536000, immutable',
    'text/javascript; charset=utf-8',
    'gzip',
  ])
  expect(gunzipSync(await asset.arrayBuffer()).toString()).toBe('const x = 1')
  expect((await ask('/', { host: 'evil.com' })).status).toBe(403)
  for (const path of ['/api/x', '/secret.txt', '/assets/..%2fsecret.txt', '/assets/secret.txt', '/pipelines/a/b'])
    expect([path, [401, 404].includes((await ask(path)).status)]).toEqual([path, true])
})

test('where the page is not built its addresses say how to build it', async () => {
  const response = await served(join(temporaryFolder(), 'none'))('/')
  expect([response.status, await response.text()]).toEqual([503, 'The page is not built. In the folder of pipe: npm run build\n'])
})
