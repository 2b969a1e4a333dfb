/**
 * A fake server in a process of its own, for benches and for tests that kill what talks to it:
 * `node dist/src/sandbox/main.js --blocks 100000 --latency 20`, or with `--api` a fake REST API:
 * `node dist/src/sandbox/main.js --api --rows 500000 --ties 40`. Its first line of output is its URL. It ends when its
 * standard input does (give it a pipe), so it never outlives the process that started it.
 */
import { createReadStream } from 'node:fs'
import { parseArgs } from 'node:util'
import type { ApiFault } from './api/fault.js'
import type { ApiServer } from './api/server.js'
import { fakeApi } from './api/world.js'
import { fakeChain } from './chain.js'
import type { FakeEndpoint } from './endpoint.js'
import type { Fault } from './fault.js'

const { values } = parseArgs({
  options: {
    api: { type: 'boolean', default: false },
    seed: { type: 'string', default: '1' },
    port: { type: 'string', default: '0' },
    latency: { type: 'string', default: '0' },
    /** JSON of a fault; may be given several times. */
    fault: { type: 'string', multiple: true, default: [] },
    // Of a node.
    blocks: { type: 'string', default: '1000' },
    transactions: { type: 'string', default: '0' },
    'chain-id': { type: 'string', default: '1' },
    // Of an API.
    rows: { type: 'string', default: '1000' },
    ties: { type: 'string', default: '6' },
    every: { type: 'string', default: '10' },
    from: { type: 'string', default: '1700000000' },
    bound: { type: 'string', default: 'inclusive' },
    /** Rows that are added before each request is answered. */
    grow: { type: 'string', default: '0' },
  },
})

const server = values.api ? await serveApi() : await serveChain()
console.log(server.url)
createReadStream('', { fd: 0 })
  .on('close', () => void server.close())
  .resume()

/** The casts here hold for who writes a fault as the types say; a kind that does not exist is refused. */
function serveChain(): Promise<FakeEndpoint> {
  const faults = values.fault.map((text) => JSON.parse(text) as Fault)
  const latency: readonly Fault[] = Number(values.latency) > 0 ? [{ kind: 'latency', ms: Number(values.latency) }] : []
  const chain = fakeChain({
    seed: Number(values.seed),
    chainId: Number(values['chain-id']),
    blocks: Number(values.blocks),
    transactions: Number(values.transactions),
  })
  return chain.serve({ port: Number(values.port), log: false, faults: [...faults, ...latency] })
}

function serveApi(): Promise<ApiServer> {
  const faults = values.fault.map((text) => JSON.parse(text) as ApiFault)
  const latency: readonly ApiFault[] = Number(values.latency) > 0 ? [{ kind: 'latency', ms: Number(values.latency) }] : []
  const api = fakeApi({
    seed: Number(values.seed),
    rows: Number(values.rows),
    ties: Number(values.ties),
    every: Number(values.every),
    from: Number(values.from),
  })
  return api.serve({
    port: Number(values.port),
    log: false,
    bound: values.bound === 'exclusive' ? 'exclusive' : 'inclusive',
    before: () => void api.add(Number(values.grow)),
    faults: [...faults, ...latency],
  })
}
