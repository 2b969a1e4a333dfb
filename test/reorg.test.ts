import { describe, expect, it } from 'vitest'
import { events, expected, reorgWorld, rowsOf, stored } from './support/reorg-world.js'

describe('after a reorg, a plain second run', () => {
  it('of depth 1 to 12 leaves the tables of the canonical chain, with what is computed from them', async () => {
    const world = await reorgWorld()
    const { chain, run, cwd, node } = world
    expect(await run()).toMatchObject({ code: 0, err: '' })
    expect(rowsOf(await stored(cwd))).toEqual(expected(chain))
    for (let depth = 1; depth <= 12; depth++) {
      const head = Number(chain.head)
      chain.fork(depth, depth + (depth % 3))
      const { code, out, err } = await run()
      expect({ depth, code, err }).toEqual({ depth, code: 0, err: '' })
      expect(events(out, 'reorg')).toMatchObject([{ chain: 'fake', block: String(head - depth + 1), replaced: depth }])
      expect({ depth, ...rowsOf(await stored(cwd)) }).toEqual({ depth, ...expected(chain) })
    }
    await node.close()
  }, 240_000)
})
