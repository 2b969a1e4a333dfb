import { Pool } from 'undici'
import { startDemoNode } from '../../src/demo/anvil.js'
import { TOKEN, TOPIC } from './peers-world.js'

/** Where a follower begins: above the blocks that come with the node. */
export const FIRST = 101
export const TRANSFERS_OF_BLOCK = 10
export const CHAIN_ID = 31_337

/** anvil, which mines a block with `TRANSFERS_OF_BLOCK` transfers whenever it is told to. */
export interface GrowingNode {
  readonly url: string
  /** The number of the new block. */
  mine(): Promise<number>
  close(): Promise<void>
}

/** `to` and `value` of the call go into a Transfer from the caller: what a token does for whom it counts. */
const CODE = `0x602035600052600035337f${TOPIC.slice(2)}60206000a300`

export async function openGrowingNode(): Promise<GrowingNode> {
  const node = await startDemoNode({ execPath: process.execPath, chainId: CHAIN_ID, blocks: FIRST - 1 })
  const pool = new Pool(node.url, { connections: 1 })
  const ask = async (method: string, params: readonly unknown[]): Promise<unknown> => {
    const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method, params })
    const answer = await pool.request({ path: '/', method: 'POST', headers: { 'content-type': 'application/json' }, body })
    const { result, error } = (await answer.body.json()) as { result?: unknown; error?: { message: string } }
    if (error) throw new Error(`${method}: ${error.message}`)
    return result
  }
  await ask('anvil_setCode', [TOKEN, CODE])
  const senders = (await ask('eth_accounts', [])) as readonly string[]
  let number = FIRST - 1
  return {
    url: node.url,
    mine: async () => {
      number += 1
      const transfers = Array.from({ length: TRANSFERS_OF_BLOCK }, (_, i) => {
        const data = `0x${word(2_000_000 + i)}${word(number * TRANSFERS_OF_BLOCK + i)}`
        return ask('eth_sendTransaction', [{ from: senders[i % senders.length], to: TOKEN, data, gas: '0x186a0' }])
      })
      await Promise.all(transfers)
      await ask('evm_mine', [])
      return number
    },
    close: async () => {
      await pool.destroy()
      await node.close()
    },
  }
}

const word = (value: number): string => value.toString(16).padStart(64, '0')
