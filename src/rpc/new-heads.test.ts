import { createServer } from 'node:http'
import { type AddressInfo, connect, type Socket } from 'node:net'
import { afterEach, expect, test, vi } from 'vitest'
import { systemClock } from '../cli/system-clock.js'
import { proxiesOf } from '../net/proxies.js'
import { fakeChain, type FakeEndpoint, type Fault } from '../sandbox/index.js'
import type { Clock } from '../sdk/index.js'
import { NewHeads } from './new-heads.js'

/** Seconds pass in a thirtieth of their time. */
const PACE = 30
const quick: Clock = {
  now: () => Date.now() * PACE,
  monotonic: () => systemClock.monotonic() * PACE,
  sleep: (ms, signal) => systemClock.sleep(ms / PACE, signal),
}
interface World {
  readonly clock?: Clock
  readonly env?: Readonly<Record<string, string>>
  readonly faults?: readonly Fault[]
  /** Default: one of the chain. */
  readonly node?: FakeEndpoint
  /** Default: that of the node, with a key. */
  readonly address?: string
}

const open: { close(): Promise<void> }[] = []
afterEach(async () => void (await Promise.all(open.splice(0).map((each) => each.close()))))

async function world({ clock = systemClock, env = {}, faults = [], node: given, address }: World = {}) {
  const chain = fakeChain({ blocks: 10 })
  const node = given ?? (await chain.serve({ faults }))
  const heard: bigint[] = []
  const told: string[] = []
  const sockets = [{ url: address ?? `${node.url.replace('http', 'ws')}/v2/key-0123456789abcdef`, headers: {} }]
  const heads = new NewHeads({
    ...{ chain: 'fake', blockTimeMs: 2_000, sockets, proxyOf: proxiesOf(env), clock },
    emit: (fact) => fact.type === 'warning' && told.push(fact.message),
    onHead: (number) => heard.push(number),
  })
  open.push(heads, node)
  const host = new URL(node.url).host
  /** Adds blocks until one is told of. */
  const hears = (known = heard.length) =>
    vi.waitFor(
      () => {
        chain.add(1)
        expect(heard.length).toBeGreaterThan(known)
      },
      { timeout: 10_000, interval: 20 },
    )
  return { chain, node, heads, heard, told, host, hears }
}

test('a block is told of as it comes, and that some are is known', async () => {
  const { chain, heads, heard, told, hears } = await world()
  expect(heads.tells).toBe(false)
  await hears()
  expect(heads.tells).toBe(true)
  chain.add(1)
  await vi.waitFor(() => expect(heard.at(-1)).toBe(chain.head))
  expect(told).toEqual([])
})

test('one that closes, says nothing or refuses is told once until heads come again, and is tried again', async () => {
  const { chain, node, heads, heard, told, host, hears } = await world({ clock: quick })
  await hears()
  told.length = 0
  const closed = node.fault({ kind: 'heads', as: 'closed', times: 1 })
  chain.add(1)
  await vi.waitFor(() => expect([closed.hits, heads.tells]).toEqual([1, false]))
  await hears()
  const silent = node.fault({ kind: 'heads', as: 'silent' })
  chain.add(1)
  await vi.waitFor(() => expect(told.length).toBe(2), 10_000)
  silent.remove()
  const refused = node.fault({ kind: 'heads', as: 'refused' })
  await vi.waitFor(() => expect(refused.hits).toBeGreaterThan(1), 10_000)
  refused.remove()
  await hears()
  await vi.waitFor(() => expect(heard.at(-1)).toBe(chain.head))
  const again = 'heads are asked for meanwhile'
  expect(told).toEqual([
    `fake: ${host} tells of no new head (the connection broke off); ${again}`,
    `fake: ${host} tells of no new head (nothing for 40s); ${again}`,
  ])
})

test('one that refuses, or can not be reached, is told once and without its key', async () => {
  const { node, told, host, chain } = await world({ faults: [{ kind: 'heads', as: 'refused' }] })
  await vi.waitFor(() => expect(told).toEqual([expect.stringContaining('it refuses eth_subscribe: subscriptions are not available')]))
  await node.close()
  const { told: none } = await world({ node: await chain.serve().then(async (gone) => (await gone.close(), gone)) })
  await vi.waitFor(() => expect(none.length).toBe(1))
  await systemClock.sleep(150)
  expect([told.length, none.length]).toEqual([1, 1])
  expect(told.join()).toContain(`fake: ${host} tells of no new head (`)
  expect([...told, ...none].join()).not.toContain('0123456789abcdef')
})

test('a proxy of the environment leads there, and a login goes as a header', async () => {
  const asked: string[] = []
  const proxy = createServer().on('connect', (request, client: Socket) => {
    asked.push(request.url ?? '')
    const server = connect(Number(new URL(node.url).port), '127.0.0.1', () => client.write('HTTP/1.1 200 OK\r\n\r\n'))
    server.pipe(client).pipe(server)
    for (const end of [server, client]) end.on('error', () => end.destroy())
  })
  await new Promise<void>((resolve) => proxy.listen(0, '127.0.0.1', resolve))
  open.push({ close: async () => void proxy.close() })
  const env = { HTTP_PROXY: `http://127.0.0.1:${(proxy.address() as AddressInfo).port}` }
  const { node, hears } = await world({ env, address: 'ws://user:pass@chain.example/' })
  await hears()
  expect([asked, node.sockets[0]?.authorization]).toEqual([['chain.example:80'], `Basic ${Buffer.from('user:pass').toString('base64')}`])
})
