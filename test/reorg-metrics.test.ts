import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { fakeChain } from '../src/sandbox/index.js'
import { seededRandom } from '../src/sandbox/random.js'
import { chainMetrics, metricsWarehouses, rowsIn, variedCosts } from './support/chain-metrics.js'
import { atEnd } from './support/cleanup.js'
import { projectFolder, temporaryFolder } from './support/folder.js'
import { events, served, strikeOnce } from './support/reorg-world.js'
import { runPipe, spawnPipe } from './support/spawn-pipe.js'

/** More for a longer look: `npm run loop:reorg`. */
const SEEDS = Number(process.env.PIPE_TEST_CASES ?? 1)
const FIRST = Number(process.env.PIPE_TEST_SEED ?? 7)
/** Of each seed: all of them are so many, and at least one a seed. A process with ClickHouse takes as long as three with another. */
const killsOf = (warehouse: string) => Math.ceil(Number(process.env.PIPE_TEST_KILLS ?? (warehouse === 'ClickHouse' ? 1 : 2)) / SEEDS)
const file = join(projectFolder, 'pipelines/chain-metrics.yaml')

const BLOCKS = 26
/** From block to block; each is up to 10 seconds late by its fork. */
const SECONDS = 12
/** What a process that is killed tells at most before. */
const LINES = 150
/** What a process that goes on asks for at most, before it has read what is new. */
const CALLS = 10
/** How many blocks are replaced by others, and come back. */
const DEPTHS = [1, 3, 12]
const KILL_MS = 40

type Price = readonly [ms: number, usd: number]

/** The URL of a source that has these prices, and no others. */
async function priceSource(prices: readonly Price[]): Promise<string> {
  const server = createServer(({ url = '' }, response) => {
    const { searchParams } = new URL(url, 'http://prices')
    const [from, to] = ['from', 'to'].map((name) => Number(searchParams.get(name)) * 1000) as [number, number]
    response.setHeader('content-type', 'application/json')
    response.end(JSON.stringify({ prices: prices.filter(([ms]) => ms >= from && ms <= to) }))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  atEnd(() => server.close())
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

/**
 * A chain on both sides of a moment, the last full hour or the last five minutes, of which each fork has its own transactions at its own
 * times, and prices from a little before that moment on: earlier blocks have none.
 */
async function metricsWorld(seed: number, border: 'hour' | '5 minutes') {
  // All blocks that come are in the past, and no retention lets go of any.
  const [latest, span] = [Date.now() / 1000 - 2 * BLOCKS * SECONDS, border === 'hour' ? 3600 : 300]
  const moment = Math.floor(latest / span) * span
  const prices = [-50, 40, 100].map((seconds, i): Price => [(moment + seconds) * 1000, 2_000.25 + i])
  const chain = fakeChain({
    seed,
    chainId: 8453,
    blocks: BLOCKS,
    transactions: (block, fork) => 2 + ((block + fork) % 3),
    costs: variedCosts(true),
    timeOf: (block, fork) => moment + (block - BLOCKS / 2) * SECONDS + ((block * 3 + fork * 5) % (SECONDS - 1)),
  })
  const node = await served(chain)
  let highest = BLOCKS
  return {
    chain,
    node,
    prices,
    source: await priceSource(prices),
    fork: (depth: number, blocks?: number) => {
      chain.fork(depth, blocks)
      highest = Math.max(highest, Number(chain.head))
    },
    /** Goes on until it is as high as it never was. Returns the number of its last block. */
    grow: (): number => {
      chain.add(Math.max(highest + 1 - Number(chain.head), 1))
      return (highest = Number(chain.head))
    },
  }
}

const reorgsIn = (out: string) => events(out.slice(0, out.lastIndexOf('\n') + 1), 'reorg').map(({ block, replaced }) => [block, replaced])

const reasonsIn = (out: string) => events(out, 'step:ended').flatMap(({ step, reason }) => (reason === undefined ? [] : [[step, reason]]))

describe.each(metricsWarehouses)('pipelines/chain-metrics.yaml into $name', ({ name, skip, url, read }) => {
  const kills = killsOf(name)
  it.skipIf(skip)(
    `after reorgs while it reads and between its rounds, one of them back to the first blocks, and kills with -9 at random (seeds: ${SEEDS}, kills of each: ${kills}), every table is that of the chain as it is`,
    async () => {
      for (let seed = FIRST; seed < FIRST + SEEDS; seed++) {
        const random = seededRandom(seed)
        const upTo = (bound: number) => Math.floor(random() * bound)
        const { chain, node, prices, source, ...world } = await metricsWorld(seed, seed % 2 === 0 ? 'hour' : '5 minutes')
        const told: unknown[] = [{ seed }]
        const [cwd, warehouse] = [temporaryFolder(), await url()]
        const env = {
          CHAIN: 'base',
          RPC_URLS: node.url,
          COINGECKO_API_URL: source,
          COINGECKO_REQUESTS_PER_SECOND: '1000',
          WAREHOUSE_URL: warehouse,
        }
        const follow = () =>
          spawnPipe(['run', file, '--follow', '--wait', '100ms', '--param', 'from=1', '--param', 'to=head', '--output', 'json'], {
            cwd,
            env,
          })
        const fork = (depth: number, blocks?: number) => {
          told.push({ fork: depth, blocks, head: Number(chain.head) })
          world.fork(depth, blocks)
        }
        /** While it reads, blocks that it read or is about to read are replaced. */
        const strike = (depth: number, blocks: number) => {
          const at = node.count() + 1 + upTo(CALLS)
          strikeOnce(node, { when: () => node.count() >= at }, () => fork(depth, blocks))
        }
        expect(await runPipe(['migrate', file], { cwd, env })).toMatchObject({ code: 0, stderr: '' })

        for (let kill = 0; kill < kills; kill++) {
          if (kill > 0) fork(1 + upTo(12))
          world.grow()
          // The new fork may be shorter at first, and a block that is to be read is not there for a while.
          const depth = 1 + upTo(12)
          const later = node.count() + 2 * CALLS
          strike(depth, depth - 1 + upTo(3))
          strikeOnce(node, { when: () => node.count() >= later }, () => void world.grow())
          const run = follow()
          const lines = 1 + Math.floor(((kill + random()) / kills) * LINES)
          await Promise.race([run.saw(new RegExp(`^(?:.*\\n){${lines}}`)), run.saw('"type":"round:ended"')])
          await new Promise((resolve) => setTimeout(resolve, upTo(KILL_MS)))
          run.kill('SIGKILL')
          const { signal, stdout } = await run.exit
          told.push({ killed: stdout.split('\n').length, reorgs: reorgsIn(stdout) })
          expect({ told, signal }).toEqual({ told, signal: 'SIGKILL' })
          node.clear()
        }

        // There while it reads, and back to the very blocks that were read before.
        const head = world.grow()
        const deep = 1 + (DEPTHS[upTo(DEPTHS.length)] ?? 1)
        strike(deep, deep + 1)
        const run = follow()
        const covered = (last: number) => run.saw(new RegExp(`"head":"${last}","behind":0[^]*"round:ended"`))
        await covered(head + 1)
        chain.unfork()
        await covered(world.grow())
        run.kill('SIGINT')
        const { code, stderr, stdout } = await run.exit
        told.push({ reorgs: reorgsIn(stdout), failed: reasonsIn(stdout) })
        const to = Number(chain.head)
        const truth = chainMetrics([{ name: 'base', chain, from: 1, to, prices }])
        expect({ told, code, stderr, ...rowsIn(await read(cwd, warehouse)) }).toEqual({ told, code: 0, stderr: '', ...truth })
        await node.close()
      }
    },
    240_000 * SEEDS,
  )
})
