import type { Server } from 'node:http'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { createAdaptorServer } from '@hono/node-server'
import { Hono } from 'hono'
import { streamSSE } from 'hono/streaming'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { systemClock } from '../cli/system-clock.js'
import { initialView } from '../report/view.js'
import { Feed } from './feed.js'
import { tell } from './stream.js'

/** Whose waits are a hundredth as long. */
const clock = { ...systemClock, sleep: (ms: number, signal?: AbortSignal) => systemClock.sleep(ms / 100, signal) }
const feed = new Feed(clock, 'start')
const ended = new AbortController()
const sockets = new Set<Socket>()
let told = 0
let server: Server

beforeAll(async () => {
  const app = new Hono()
  const shown = (text: string) => text
  const refresh = () => Promise.resolve()
  app.get('/', (c) => {
    const lastId = c.req.header('last-event-id')
    return streamSSE(c, async (stream) => {
      told++
      await tell(stream, feed, { clock, signal: ended.signal, shown, lastId, refresh })
      told--
    })
  })
  // No options of http2 are given, so it is one of http.
  server = createAdaptorServer({ fetch: app.fetch, overrideGlobalObjects: false }) as Server
  server.on('connection', (socket: Socket) => {
    sockets.add(socket)
    socket.once('close', () => sockets.delete(socket))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
})

afterAll(() => {
  ended.abort()
  server.closeAllConnections()
  server.close()
})

function listen(lastId?: string): Socket {
  // A server that listens on a port has one.
  const socket = connect((server.address() as AddressInfo).port, '127.0.0.1')
  socket.write(`GET / HTTP/1.1\r\nhost: localhost\r\n${lastId === undefined ? '' : `last-event-id: ${lastId}\r\n`}\r\n`)
  return socket
}

const until = async (is: () => boolean) => {
  while (!is()) await systemClock.sleep(10)
}

test('for a listener that does not read nothing is kept; when it does, it is told that facts are missing, and the end of all', async () => {
  const slow = listen('start-0')
  slow.pause()
  await until(() => told === 1)
  const view = initialView()
  for (let i = 0; i < 400; i++) {
    for (let k = 0; k < 100; k++) feed.push({ run: 'r', at: 0, type: 'warning', message: 'x'.repeat(1_000) }, view)
    await systemClock.sleep(1)
  }
  feed.push({ run: 'r', at: 0, type: 'warning', message: 'the last' }, view)
  let heard = ''
  slow
    .setEncoding('utf8')
    .on('data', (text: string) => (heard += text))
    .resume()
  await until(() => heard.includes('the last'))
  expect(heard).toContain('event: resync\n')
  // Of 40 MB: what the buffers of both sockets held, and what came after it.
  expect(heard.length).toBeLessThan(12e6)
  slow.destroy()
  await until(() => told === 0)
})

test('of a thousand listeners that came and went nothing is left, and nobody is warned of so many', async () => {
  const warned: Error[] = []
  process.on('warning', (warning) => warned.push(warning))
  for (let i = 0; i < 10; i++) {
    const some = Array.from({ length: 100 }, () => listen())
    await until(() => told === 100)
    for (const socket of some) socket.destroy()
    await until(() => told === 0)
  }
  await until(() => sockets.size === 0)
  expect(warned).toEqual([])
})
