import { fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Figure, GoalOptions } from './goals.js'
import { median } from './measure.js'
import { byPipe, byPonder, byScript, type Place, type Taken } from './peers-run.js'
import type { Asked } from './peers-server.js'
import { BLOCKS, LOGS_OF_BLOCK } from './peers-world.js'

/** Milliseconds to each answer, as of a provider on the other side of the internet. */
const LATENCY = 100

interface Peer {
  readonly name: string
  /** Ours must be so many times as fast. */
  readonly wanted: number
  /** Pairs at most: one where a reading takes minutes. */
  readonly rounds: number
  read(place: Place): Promise<Taken>
  /** The package that is looked for, and what npm is told to install it. Undefined: it comes with this project. */
  readonly needs: { readonly name: string; readonly install: string } | undefined
}

const PEERS: readonly Peer[] = [
  { name: 'a viem loop, 10 blocks x 5', wanted: 6, rounds: 3, read: byScript('./peers-viem.js'), needs: undefined },
  {
    name: 'evm-processor',
    wanted: 3,
    rounds: 3,
    read: byScript('./peers-subsquid.js'),
    needs: { name: '@subsquid/evm-processor', install: '@subsquid/evm-processor@1.27.3' },
  },
  {
    name: 'Ponder, 25 URLs',
    wanted: 8,
    rounds: 1,
    read: byPonder(25),
    needs: { name: 'ponder', install: 'ponder@0.16.10 hono viem@2 typescript@5' },
  },
]

/**
 * Goal G5: 5,000 blocks with 10 transfers each and the times of their blocks, read by `shard-days` over blocks (into DuckDB, decoded)
 * and by others from the same node, in pairs in turn, each reading in a new process. What is timed is from the first call that
 * reaches the node until the last row is in the store, so nobody's start is in it; ours ends with its process. Ours keeps what it has
 * learned of the node, as it does for everybody; its first reading is not counted. The others, as they come:
 *
 * - a loop over viem's batching HTTP transport, logs and headers of 10 blocks a request, 5 requests in flight; rows in memory;
 * - Subsquid's evm-processor, from the node alone, rows in memory. It reads all logs of a block, and here all are wanted;
 * - Ponder into its PGlite. It asks a URL 20 times a second at first and slowly more; it is given the node under 25 URLs, which
 *   add up to the most that it asks of one.
 *
 * The two products are looked for in the node_modules of the folder `PIPE_BENCH_PEERS`, or of this project.
 *
 * @throws when one has not as many logs as there are
 */
export async function* peers({ rounds, root }: GoalOptions): AsyncIterable<Figure> {
  const from = resolve(process.env.PIPE_BENCH_PEERS ?? root)
  const node = await openNode()
  const state = await mkdtemp(join(tmpdir(), 'pipe-peers-'))
  const measured = async (who: string, read: Peer['read']): Promise<Reading> => {
    const folder = await mkdtemp(join(tmpdir(), 'pipe-peers-'))
    try {
      const { ended, logs } = await read({ url: `${node.url}/${LATENCY}`, folder, state, root, peers: from })
      const { first, calls } = await node.asked()
      if (logs !== BLOCKS * LOGS_OF_BLOCK) throw new Error(`${who} has ${logs} logs of ${BLOCKS * LOGS_OF_BLOCK}`)
      return { ms: ended - first, calls }
    } finally {
      await rm(folder, { recursive: true })
    }
  }
  try {
    let warm = false
    for (const peer of PEERS) {
      const version = peer.needs && (await versionOf(from, peer.needs.name))
      if (peer.needs && version === undefined) {
        yield* missing(peer, peer.needs.install)
        continue
      }
      if (!warm) await measured('pipe', byPipe)
      warm = true
      const found: { readonly ours: Reading; readonly theirs: Reading }[] = []
      for (let round = 0; round < Math.min(peer.rounds, rounds); round++) {
        const first = round % 2 === 0 ? await measured(peer.name, peer.read) : undefined
        const ours = await measured('pipe', byPipe)
        found.push({ ours, theirs: first ?? (await measured(peer.name, peer.read)) })
      }
      yield* compared(version === undefined ? peer.name : `${peer.name}, ${version}`, peer.wanted, found)
    }
  } finally {
    node.close()
    await rm(state, { recursive: true })
  }
}

interface Reading {
  readonly ms: number
  readonly calls: number
}

function* compared(name: string, wanted: number, found: readonly { readonly ours: Reading; readonly theirs: Reading }[]): Iterable<Figure> {
  const of = (value: (pair: { readonly ours: Reading; readonly theirs: Reading }) => number) => median(found.map(value))
  const perSecond = (ms: number) => `${((BLOCKS / ms) * 1000).toFixed(0)} blocks/s`
  const ratio = of(({ ours, theirs }) => theirs.ms / ours.ms)
  yield {
    goal: 'G5',
    what: `${BLOCKS.toLocaleString('en')} blocks, ${LOGS_OF_BLOCK} logs each, ${LATENCY} ms: ${name}`,
    ours: perSecond(of(({ ours }) => ours.ms)),
    theirs: perSecond(of(({ theirs }) => theirs.ms)),
    ratio,
    wanted: `>= ${wanted}`,
    met: ratio >= wanted,
  }
  yield {
    goal: 'G5',
    what: '  calls',
    ours: of(({ ours }) => ours.calls).toLocaleString('en'),
    theirs: of(({ theirs }) => theirs.calls).toLocaleString('en'),
    ratio: undefined,
    wanted: '',
    met: undefined,
  }
}

function* missing({ name, wanted }: Peer, install: string): Iterable<Figure> {
  const nothing = { goal: 'G5', ours: '', theirs: '', ratio: undefined, met: undefined }
  yield { ...nothing, what: name, theirs: 'not installed', wanted: `>= ${wanted}` }
  yield { ...nothing, what: `  npm i --prefix DIR ${install}, then PIPE_BENCH_PEERS=DIR npm run bench -- G5`, wanted: '' }
}

/** Undefined: it is not installed there. */
export async function versionOf(folder: string, name: string): Promise<string | undefined> {
  const text = await readFile(join(folder, 'node_modules', name, 'package.json'), 'utf8').catch(() => undefined)
  return text === undefined ? undefined : (JSON.parse(text) as { readonly version: string }).version
}

/** The node, in a process of its own. `asked` says what it was asked since it was asked that. */
async function openNode(): Promise<{ readonly url: string; asked(): Promise<Asked>; close(): void }> {
  const child = fork(fileURLToPath(new URL('./peers-server.js', import.meta.url)), [], { execArgv: [] })
  const [port] = (await once(child, 'message')) as [number]
  return {
    url: `http://127.0.0.1:${port}`,
    asked: async () => {
      const told = once(child, 'message') as Promise<[Asked]>
      child.send('asked')
      return (await told)[0]
    },
    close: () => child.disconnect(),
  }
}
