import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { openGrowingNode } from './following-node.js'
import { type Follow, followByPipe, followByPonder, followBySubsquid } from './following-run.js'
import type { Figure, GoalOptions } from './goals.js'
import { median } from './measure.js'
import { versionOf } from './peers.js'
import { cpuMsOf } from './process-cpu.js'

/** Milliseconds between two blocks, and between two looks at the head by everybody. */
const BLOCK_TIME = 1_000
/** Blocks before anything is measured, and blocks that are. */
const WARM = 15
const MEASURED = 45

const FOLLOWERS: readonly { readonly name: string; readonly follow: Follow; readonly needs: string | undefined }[] = [
  { name: 'pipe', follow: followByPipe, needs: undefined },
  { name: 'Ponder', follow: followByPonder, needs: 'ponder' },
  { name: 'evm-processor', follow: followBySubsquid, needs: '@subsquid/evm-processor' },
]

interface Followed {
  /** From the answer to `evm_mine` until the rows are in the store, milliseconds. */
  readonly delays: readonly number[]
  /** Processor time of its processes, a block. */
  readonly cpuMs: number
}

/**
 * Following the head: anvil mines a block of 10 transfers a second, and one after the other stores them. Printed are the delay from
 * the block to its rows (median and slowest of 45) and the processor time a block. The others keep rows in memory
 * (evm-processor) and in PGlite (Ponder, as it comes); ours are in a DuckDB file with a checkpoint each.
 *
 * @throws when a block was never stored
 */
export async function* following({ root }: GoalOptions): AsyncIterable<Figure> {
  const peers = resolve(process.env.PIPE_BENCH_PEERS ?? root)
  let ours: Followed | undefined
  for (const { name, follow, needs } of FOLLOWERS) {
    const version = needs && (await versionOf(peers, needs))
    if (needs && version === undefined) {
      yield { ...line(`following: ${name}`), theirs: 'not installed' }
      continue
    }
    const followed = await measured(follow, root, peers)
    ours ??= followed
    yield* compared(needs === undefined ? name : `${name}, ${version}`, ours, followed)
  }
}

function* compared(name: string, ours: Followed, theirs: Followed): Iterable<Figure> {
  const isOurs = ours === theirs
  const delay = ({ delays }: Followed) => `${median(delays).toFixed(0)} ms (${Math.max(...delays).toFixed(0)})`
  const cpu = ({ cpuMs }: Followed) => `${cpuMs.toFixed(0)} ms`
  yield {
    ...line(`head to row, median (slowest): ${name}`),
    ours: delay(ours),
    theirs: isOurs ? '' : delay(theirs),
    ratio: isOurs ? undefined : median(theirs.delays) / median(ours.delays),
    wanted: isOurs ? '< 2 s' : '',
    met: isOurs ? Math.max(...ours.delays) < 2 * BLOCK_TIME : undefined,
  }
  yield {
    ...line(`  processor time a block: ${name}`),
    ours: cpu(ours),
    theirs: isOurs ? '' : cpu(theirs),
    ratio: isOurs ? undefined : theirs.cpuMs / ours.cpuMs,
  }
}

const line = (what: string): Figure => ({ goal: 'FOLLOW', what, ours: '', theirs: '', ratio: undefined, wanted: '', met: undefined })

async function measured(follow: Follow, root: string, peers: string): Promise<Followed> {
  const node = await openGrowingNode()
  const folder = await mkdtemp(join(tmpdir(), 'pipe-following-'))
  // A unit may hold several blocks: its end says that those before it are there too.
  const stored: { readonly number: number; readonly at: number }[] = []
  const follower = await follow({ url: node.url, folder, state: folder, root, peers }, (number, at) => stored.push({ number, at }))
  const mined: { readonly number: number; readonly at: number }[] = []
  const mine = async (blocks: number): Promise<void> => {
    for (let i = 0; i < blocks; i++) {
      const next = performance.now() + BLOCK_TIME
      const number = await node.mine()
      mined.push({ number, at: Date.now() })
      await sleep(Math.max(0, next - performance.now()))
    }
  }
  try {
    await mine(WARM)
    const before = await cpuMsOf(follower.pid)
    await mine(MEASURED)
    const cpuMs = ((await cpuMsOf(follower.pid)) - before) / MEASURED
    await sleep(5 * BLOCK_TIME)
    const delays = mined.slice(WARM).map(({ number, at }) => {
      const first = stored.find((each) => each.number >= number)
      if (!first) throw new Error(`block ${number} was not stored within 5 s after the last`)
      return first.at - at
    })
    return { delays, cpuMs }
  } finally {
    await follower.close()
    await node.close()
    await rm(folder, { recursive: true })
  }
}
