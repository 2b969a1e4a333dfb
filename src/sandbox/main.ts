/**
 * A fake node in a process of its own, for benches and for tests that kill what talks to it:
 * `node dist/src/sandbox/main.js --blocks 100000 --latency 20`. Its first line of output is its URL. It ends when its
 * standard input does (give it a pipe), so it never outlives the process that started it.
 */
import { createReadStream } from 'node:fs'
import { parseArgs } from 'node:util'
import { fakeChain } from './chain.js'
import type { Fault } from './fault.js'

const { values } = parseArgs({
  options: {
    blocks: { type: 'string', default: '1000' },
    transactions: { type: 'string', default: '0' },
    seed: { type: 'string', default: '1' },
    'chain-id': { type: 'string', default: '1' },
    port: { type: 'string', default: '0' },
    latency: { type: 'string', default: '0' },
    /** JSON of a fault; may be given several times. */
    fault: { type: 'string', multiple: true, default: [] },
  },
})

const chain = fakeChain({
  seed: Number(values.seed),
  chainId: Number(values['chain-id']),
  blocks: Number(values.blocks),
  transactions: Number(values.transactions),
})
const node = await chain.serve({
  port: Number(values.port),
  log: false,
  // The cast holds for who writes a fault as the types say; a kind that does not exist is refused.
  faults: values.fault.map((text) => JSON.parse(text) as Fault),
})
if (Number(values.latency) > 0) node.fault({ kind: 'latency', ms: Number(values.latency) })
console.log(node.url)
createReadStream('', { fd: 0 })
  .on('close', () => void node.close())
  .resume()
