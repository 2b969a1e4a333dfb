import { createServer, type IncomingMessage } from 'node:http'
import { Pool } from 'undici'
import { atEnd } from './cleanup.js'

export interface Call {
  readonly id: unknown
  readonly method: string
  readonly params: readonly unknown[]
}

/** What becomes of a true result; `noMethod`: the node does not know the method. */
export type Lie = (call: Call, result: unknown) => unknown

export const noMethod = Symbol('no method')

export interface LyingNode {
  readonly url: string
  /** Of the one that it asks. */
  readonly real: string
  readonly host: string
  /** Null: the truth. */
  lie: Lie | null
  /** What it was asked. */
  readonly log: Call[]
}

/** A node that asks a real one and changes what it says. It ends with the test file. */
export async function lyingNode(real: string): Promise<LyingNode> {
  const pool = new Pool(real)
  const node: { lie: Lie | null; readonly log: Call[] } = { lie: null, log: [] }
  const server = createServer((request, response) => {
    answer(request).then(
      (body) => response.setHeader('content-type', 'application/json').end(body),
      () => response.destroy(),
    )
  })
  const answer = async (request: IncomingMessage): Promise<string> => {
    const chunks: Buffer[] = []
    for await (const chunk of request) chunks.push(chunk as Buffer)
    const asked = JSON.parse(Buffer.concat(chunks).toString()) as Call | readonly Call[]
    const calls = Array.isArray(asked) ? (asked as readonly Call[]) : [asked as Call]
    node.log.push(...calls)
    const headers = { 'content-type': 'application/json' }
    const { body } = await pool.request({ path: '/', method: 'POST', headers, body: JSON.stringify(calls) })
    const replies = (await body.json()) as readonly { readonly id: unknown; readonly result?: unknown }[]
    const told = replies.map((reply) => {
      const call = calls.find(({ id }) => id === reply.id)
      if (!call || !node.lie || !('result' in reply)) return reply
      const result = node.lie(call, reply.result)
      if (result === noMethod)
        return { jsonrpc: '2.0', id: reply.id, error: { code: -32601, message: `the method ${call.method} does not exist` } }
      return { ...reply, result }
    })
    return JSON.stringify(Array.isArray(asked) ? told : told[0])
  }
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as { readonly port: number }
  atEnd(async () => {
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
    await pool.destroy()
  })
  return Object.assign(node, { real, url: `http://127.0.0.1:${port}`, host: `127.0.0.1:${port}` })
}
