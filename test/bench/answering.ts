import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { errorBody, type RpcError } from '../../src/sandbox/wordings.js'

export interface Call {
  readonly id: number
  readonly method: string
  readonly params: readonly unknown[]
}

/**
 * A JSON-RPC server in a process of its own, which `fork` started: its first message is its port, and it ends when its parent lets go
 * of it. `result` gives the result of a call as JSON text, or the error that a node would give. The path of its URL is its latency in milliseconds, whatever its query:
 * `http://127.0.0.1:PORT/20`.
 */
export function answering(result: (call: Call) => string | RpcError): void {
  const answer = (call: Call): string => {
    const given = result(call)
    return typeof given === 'string' ? `{"jsonrpc":"2.0","id":${call.id},"result":${given}}` : errorBody(call.id, given)
  }
  const serve = (request: IncomingMessage, response: ServerResponse): void => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const asked = JSON.parse(Buffer.concat(chunks).toString()) as Call | readonly Call[]
      const body = Array.isArray(asked) ? `[${asked.map(answer).join(',')}]` : answer(asked as Call)
      const send = () => {
        response.writeHead(200, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) })
        response.end(body)
      }
      const latency = parseInt(request.url?.slice(1) ?? '', 10)
      if (latency > 0) setTimeout(send, latency)
      else send()
    })
  }
  const server = createServer({ keepAliveTimeout: 60_000 }, serve)
  server.listen(0, '127.0.0.1', () => process.send?.((server.address() as AddressInfo).port))
  process.on('disconnect', () => process.exit())
}
