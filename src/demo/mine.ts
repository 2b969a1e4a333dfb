import { Pool } from 'undici'
import { PipeError } from '../sdk/index.js'

/** A call that the demo node refused while its blocks were made. */
export class DemoCallError extends PipeError {
  readonly code = 'DEMO_CALL_FAILED'
  override readonly blame = 'outage'
  override readonly hint = 'run the demo again; it makes its blocks anew each time'
  constructor(
    readonly method: string,
    readonly problem: string,
  ) {
    super(`the demo's Ethereum node refused ${method}: ${problem}`)
  }
}

const genesisTime = 1_700_000_000
const blockTime = 12
const miners = [1, 2, 3, 4, 5].map((i) => `0x${String(i).repeat(40)}`)
const priority = 1_000_000_000n

type Call = readonly [method: string, params: readonly unknown[]]

/**
 * Mines blocks 12 seconds apart. Five miners take irregular turns; each block holds none to three transfers between
 * the node's accounts, whose priority fees its miner earns.
 */
export async function mineBlocks(url: string, blocks: number, signal?: AbortSignal): Promise<void> {
  const pool = new Pool(url, { connections: 1 })
  try {
    const [accounts] = await ask(pool, [['eth_accounts', []]], signal)
    // The cast holds for any node's eth_accounts.
    const senders = accounts as readonly string[]
    const sender = (i: number): string => senders[i % senders.length] ?? ''
    const nonces = new Map<string, number>()
    for (let number = 1; number <= blocks; number++) {
      const transfers = Array.from({ length: (number * 5 + (number >> 3)) % 4 }, (_, i): Call => {
        const from = sender(number + 3 * i)
        const nonce = nonces.get(from) ?? 0
        nonces.set(from, nonce + 1)
        return ['eth_sendTransaction', [transfer(from, sender(number + 3 * i + 1), nonce, number, i)]]
      })
      // Calls of one request may run in any order; the block must not begin before all of these are in.
      await ask(pool, [['anvil_setCoinbase', [miners[(number * 7 + (number >> 2)) % miners.length]]], ...transfers], signal)
      await ask(pool, [['evm_mine', [{ timestamp: genesisTime + number * blockTime }]]], signal)
    }
  } finally {
    await pool.destroy()
  }
}

function transfer(from: string, to: string, nonce: number, number: number, i: number): Record<string, string> {
  // All tips of a block differ, so there is one order by fee.
  const tip = priority + BigInt(number) * 1_000_003n + BigInt(i) * 7n
  return {
    from,
    to,
    value: quantity(BigInt(number) * 1_000_000_000_000n + BigInt(i)),
    nonce: quantity(BigInt(nonce)),
    gas: quantity(21_000n),
    maxFeePerGas: quantity(20n * priority),
    maxPriorityFeePerGas: quantity(tip),
  }
}

function quantity(value: bigint): string {
  return `0x${value.toString(16)}`
}

async function ask(pool: Pool, calls: readonly Call[], signal: AbortSignal | undefined): Promise<readonly unknown[]> {
  const body = JSON.stringify(calls.map(([method, params], id) => ({ jsonrpc: '2.0', id, method, params })))
  const headers = { 'content-type': 'application/json' }
  const response = await pool.request({ path: '/', method: 'POST', headers, body, signal })
  // The cast holds for a JSON-RPC server; anvil answers a batch in order.
  const replies = (await response.body.json()) as readonly {
    readonly id: number
    readonly result?: unknown
    readonly error?: { readonly message: string }
  }[]
  const refused = replies.find((reply) => reply.error)
  if (refused) throw new DemoCallError(calls[refused.id]?.[0] ?? 'a call', refused.error?.message ?? '')
  return replies.map((reply) => reply.result)
}
