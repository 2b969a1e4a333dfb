import { afterEach, describe, expect, it } from 'vitest'
import { fakeChain, type FakeChain, type FakeEndpoint, type SentCall } from '../src/sandbox/index.js'
import type { UnitWrite } from '../src/sdk/index.js'
import { runInMemory } from './support/memory-run.js'
import { MemoryWarehouse } from './support/memory-warehouse.js'

/** Units of blocks 601 to 940 are read in two batches, which meet at 800: deeper than any hash that is kept since it is near. */
const HEAD = 1_050

/** Two forks of one chain, equal below a block. */
function forks(from: number): readonly [FakeChain, FakeChain] {
  const [one, other] = [fakeChain({ seed: 5, blocks: HEAD }), fakeChain({ seed: 5, blocks: HEAD })]
  other.fork(HEAD - from + 1, HEAD - from + 1)
  return [one, other]
}

const open: FakeEndpoint[] = []
const serve = async (chain: FakeChain) => {
  const node = await chain.serve({ log: false })
  open.push(node)
  return node
}
afterEach(async () => {
  for (const node of open.splice(0)) await node.close()
})

const numberIn = ({ params }: SentCall) => Number(params[0])
/** A node that can't give some blocks. */
const refuses = (node: FakeEndpoint, which: (block: number) => boolean) =>
  node.fault({
    kind: 'error',
    error: { code: -32000, message: 'block is corrupt' },
    methods: ['eth_getBlockByNumber'],
    if: (call) => which(numberIn(call)),
  })

async function readBlocks(warehouse: MemoryWarehouse, nodes: readonly FakeEndpoint[], to = '940') {
  const said: string[] = []
  const { exitCode } = await runInMemory({
    node: { url: nodes.map(({ url }) => url).join(',') },
    warehouse,
    request: { params: { from: '601', to } },
    onEvent: (event) => {
      if (event.type === 'warning') said.push(event.message)
      if (event.type === 'step:ended' && event.reason !== undefined) said.push(event.reason)
    },
  })
  return { exitCode, said: said.join('\n') }
}

const stored = (warehouse: MemoryWarehouse) =>
  warehouse
    .rows('heads')
    .map(({ number, hash }) => [Number(number), hash])
    .sort(([a], [b]) => Number(a) - Number(b))
const blocksOf = (chain: FakeChain, from: number, to: number) =>
  Array.from({ length: to - from + 1 }, (_, i) => [from + i, chain.block(from + i).hash])

/** Once the first batch is committed, the process is gone; the next one finds what it left. */
class Killed extends MemoryWarehouse {
  kills = true
  #killed = false
  protected override async commitWrites(writes: readonly UnitWrite[]) {
    const first = writes.find(({ rows }) => rows.length > 0)
    if (this.kills && first && !this.#killed) {
      await super.commitWrites(writes.slice(0, writes.indexOf(first) + 1))
      this.#killed = true
    }
    if (this.kills && this.#killed) throw new Error('killed')
    return super.commitWrites(writes)
  }
  protected override amendUnits(...args: Parameters<MemoryWarehouse['amendUnits']>) {
    return this.kills && this.#killed ? Promise.reject(new Error('killed')) : super.amendUnits(...args)
  }
}

/** So many units were read since that none of these is compared with the chain. */
class LongAgo extends MemoryWarehouse {
  override linked() {
    return Promise.resolve([])
  }
}

describe('far below the head, blocks that are stored go on from each other', () => {
  it('when the rest of a unit that was killed is read from another fork: nothing is added until it is of the first one', async () => {
    const [one, other] = forks(800)
    const [a, b] = [await serve(one), await serve(other)]
    const warehouse = new Killed()
    expect((await readBlocks(warehouse, [b])).exitCode).toBe(1)
    warehouse.kills = false
    const before = stored(warehouse)
    expect([blocksOf(other, 601, 800), blocksOf(other, 801, 940)]).toContainEqual(before)
    const ran = await readBlocks(warehouse, [a])
    expect([ran.exitCode, stored(warehouse)]).toEqual([1, before])
    expect(ran.said).toContain('chain devnet was reorganized deeper than 74 blocks')
    expect(await readBlocks(warehouse, [b])).toEqual({ exitCode: 0, said: '' })
    expect(stored(warehouse)).toEqual(blocksOf(other, 601, 940))
  }, 60_000)

  it('when two endpoints give the halves of a unit and are on different forks at once', async () => {
    const [one, other] = forks(800)
    const [a, b] = [await serve(one), await serve(other)]
    // One may also say what goes on from its last block, which proves that.
    refuses(a, (block) => block > 600 && block <= 800)
    refuses(b, (block) => block > 801 && block <= 940)
    const warehouse = new MemoryWarehouse()
    const { exitCode, said } = await readBlocks(warehouse, [a, b])
    expect(exitCode).toBe(1)
    expect([[], blocksOf(other, 601, 800), blocksOf(one, 801, 940)]).toContainEqual(stored(warehouse))
    expect(said).toContain(`step heads: block 800 is ${other.block(800).hash}, and what goes on from it says ${one.block(800).hash}`)
  }, 60_000)

  it.each([
    { from: 650, seam: 'below' },
    { from: 710, seam: 'above' },
  ])(
    'when blocks that failed are read again from a fork that differs $seam them',
    async ({ from }) => {
      const [one, other] = forks(from)
      const [a, b] = [await serve(one), await serve(other)]
      // Nothing goes on from block 709 then, so that it is not stored either.
      const lacks = b.fault({ kind: 'result', result: null, methods: ['eth_getBlockByNumber'], if: (call) => numberIn(call) === 710 })
      const warehouse = new MemoryWarehouse()
      expect((await readBlocks(warehouse, [b])).exitCode).toBe(1)
      lacks.remove()
      const before = [...blocksOf(other, 601, 708), ...blocksOf(other, 711, 940)]
      expect(stored(warehouse)).toEqual(before)
      expect((await readBlocks(warehouse, [a])).exitCode).toBe(1)
      expect(stored(warehouse)).toEqual(before)
      expect(await readBlocks(warehouse, [b])).toEqual({ exitCode: 0, said: '' })
      expect(stored(warehouse)).toEqual(blocksOf(other, 601, 940))
    },
    60_000,
  )

  it('and a run says where they do not, though it has nothing to read', async () => {
    const [one] = forks(800)
    const node = await serve(one)
    const warehouse = new LongAgo()
    await readBlocks(warehouse, [node], '700')
    expect(await readBlocks(warehouse, [node])).toEqual({ exitCode: 0, said: '' })
    const [row] = await warehouse.units('day', 'heads')
    const step = { pipeline: 'day', step: 'heads', fingerprint: row?.fingerprint ?? '' }
    await warehouse.amend('day', { put: [{ step, unit: '601-700', state: 'done', lastHash: '0xbad' }] }, 0n)
    const { exitCode, said } = await readBlocks(warehouse, [node])
    const seam = `601-700 ends with block 700, 0xbad, and 701-940 goes on from ${one.block(700).hash}: one of them is of another fork`
    expect([exitCode, said]).toEqual([
      1,
      `${seam}; \`pipe verify day.yaml --param from=601 --param to=940\` names the commands that mend it`,
    ])
  }, 60_000)
})
