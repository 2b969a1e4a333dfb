import type { Server } from 'node:http'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
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

test('of a thousand listeners that came and went nothing is left, neither handles nor memory, and nobody is warned of so many', async () => {
  const warned: Error[] = []
  process.on('warning', (warning) => warned.push(warning))
  const comeAndGo = async (times: number) => {
    for (let i = 0; i < times; i++) {
      const some = Array.from({ length: 100 }, () => listen())
      await until(() => told === 100)
      for (const socket of some) socket.destroy()
      await until(() => told === 0)
    }
    await until(() => sockets.size === 0)
    return { heap: await heapUsed(), handles: process.getActiveResourcesInfo().length }
  }
  // What code and pools take is there after the first ones.
  let before = await comeAndGo(3)
  let after = await comeAndGo(10)
  // What is left behind is left each time; what the test's own process takes once is not.
  for (let again = 0; again < 2 && after.heap / before.heap >= 1.05; again++) [before, after] = [after, await comeAndGo(10)]
  expect(after.handles).toBeLessThanOrEqual(before.handles)
  expect(after.heap / before.heap).toBeLessThan(1.05)
  expect(warned).toEqual([])
})

test('of the waits of a listener, one a second for as long as the server lives, nothing is left', async () => {
  const still = new Feed({ ...systemClock, sleep: () => Promise.resolve() }, 'start')
  const { at } = still.since(still.from(undefined))
  const wait = async (times: number) => {
    for (let i = 0; i < times; i++) await still.moved(at, 1_000, ended.signal)
    return heapUsed()
  }
  const before = await wait(1_000)
  expect((await wait(20_000)) / before).toBeLessThan(1.05)
})

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void

/** Bytes that are held. Twice, since what is finalized frees more, and what waits a moment longer than its listener is over then. */
async function heapUsed(): Promise<number> {
  for (let i = 0; i < 2; i++) {
    await systemClock.sleep(100)
    collect()
  }
  return process.memoryUsage().heapUsed
}
