import { Pool } from 'undici'

export interface Load {
  /** With its latency in it. */
  readonly url: string
  readonly method: 'eth_getBalance' | 'eth_getBlockByNumber'
  /** One a block, from block 0. */
  readonly calls: number
  /** Calls a request. */
  readonly batch: number
  /** Requests in flight. */
  readonly parallel: number
}

export const ADDRESS = '0xd8da6bf26964af9d7eed9e03e53415d37aa96045'

export function openRaw({ url, parallel }: Load): Pool {
  return new Pool(new URL(url).origin, { connections: parallel, pipelining: 1 })
}

/** The least that asks all calls and has their answers parsed: one undici pool, JSON both ways, no checks. */
export async function rawLoop({ url, method, calls, batch, parallel }: Load, pool: Pool): Promise<void> {
  const { pathname } = new URL(url)
  const headers = { 'content-type': 'application/json' }
  let next = 0
  let answers = 0
  const worker = async () => {
    while (next < calls) {
      const from = next
      const to = Math.min(calls, from + batch)
      next = to
      const body = []
      for (let number = from; number < to; number++) {
        const block = `0x${number.toString(16)}`
        body.push({ jsonrpc: '2.0', id: number, method, params: method === 'eth_getBalance' ? [ADDRESS, block] : [block, false] })
      }
      const response = await pool.request({ path: pathname, method: 'POST', headers, body: JSON.stringify(body) })
      const parsed = JSON.parse(await response.body.text()) as readonly unknown[]
      answers += parsed.length
    }
  }
  await Promise.all(Array.from({ length: parallel }, worker))
  if (answers !== calls) throw new Error(`${answers} answers to ${calls} calls`)
}
