import { expect, it } from 'vitest'
import { seededRandom } from '../src/sandbox/random.js'
import { events, expected, reorgWorld, rowsOf, stored, strikeOnce } from './support/reorg-world.js'

/** More for a longer look: `npm run loop:reorg`. */
const SEEDS = Number(process.env.PIPE_TEST_CASES ?? (process.env.CI === undefined ? 4 : 10))
const FIRST = Number(process.env.PIPE_TEST_SEED ?? 7)
const ROUNDS = Number(process.env.PIPE_TEST_ROUNDS ?? 1)

it(`reorgs from ${SEEDS} seeds, between runs and while they read: the tables are those of the chain as it is`, async () => {
  for (let seed = FIRST; seed < FIRST + SEEDS; seed++) {
    const random = seededRandom(seed)
    const upTo = (bound: number) => Math.floor(random() * bound)
    const confirmations = [0, 0, 3][upTo(3)] ?? 0
    const { chain, node, run, cwd } = await reorgWorld({ seed, blocks: 14 + upTo(12), chunk: [1, 7, 1000][upTo(3)] ?? 1000, confirmations })
    const args = confirmations === 0 ? [] : ['--param', 'to=safe']
    const told: unknown[] = [{ seed, confirmations }]
    try {
      for (let round = 0; round <= ROUNDS; round++) {
        const fork = () => {
          const depth = 1 + upTo(12)
          // The new fork may be shorter at first.
          const grown = Math.max(1, depth + upTo(5) - (confirmations === 0 ? 2 : 0))
          told.push({ fork: depth, grown })
          chain.fork(depth, grown)
        }
        if (round > 0 && upTo(2) === 0) fork()
        if (upTo(2) === 0) chain.add(upTo(5))
        if (upTo(3) === 0) {
          const at = node.count() + 3 + upTo(12)
          strikeOnce(node, { when: () => node.count() >= at }, fork)
          const { code, out } = await run(args)
          node.clear()
          told.push({ code, reorgs: events(out, 'reorg').map(({ block, replaced }) => [block, replaced]) })
          if (code === 0) {
            const read = rowsOf(await stored(cwd))
            expect({ told, ...read }).toEqual({ told, ...expected(chain, (read.blocks?.length ?? 0) - 1) })
          }
        }
        const { code, out, err } = await run(args)
        const ended = events(out, 'step:ended').map(({ step, outcome, reason }) => [step, outcome, reason])
        told.push({ reorgs: events(out, 'reorg').map(({ block, replaced }) => [block, replaced]) })
        expect({ told, code, err, ended: code === 0 ? [] : ended }).toEqual({ told, code: 0, err: '', ended: [] })
        const last = Number(chain.head) - confirmations
        expect({ told, ...rowsOf(await stored(cwd)) }).toEqual({ told, ...expected(chain, last) })
      }
    } finally {
      await node.close()
    }
  }
}, 600_000)
