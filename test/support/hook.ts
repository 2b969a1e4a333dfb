import { createServer, type IncomingHttpHeaders } from 'node:http'
import type { AddressInfo } from 'node:net'
import { atEnd } from './cleanup.js'

export interface Hook {
  readonly url: string
  /** What was posted: path, headers, body. */
  readonly posts: { readonly path: string; readonly headers: IncomingHttpHeaders; readonly body: string }[]
  /** The statuses of the next answers; then 200. */
  readonly statuses: number[]
}

/** A server that keeps what is posted to it, and repeats it in its answer when it refuses. */
export async function hook(): Promise<Hook> {
  const posts: Hook['posts'] = []
  const statuses: number[] = []
  const server = createServer((request, response) => {
    let body = ''
    request.on('data', (chunk) => (body += String(chunk)))
    request.on('end', () => {
      posts.push({ path: request.url ?? '', headers: request.headers, body })
      response.statusCode = statuses.shift() ?? 200
      response.end(`${request.url} ${request.headers.authorization}`)
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  atEnd(() => void server.close())
  // A server that listens on a port has one.
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, posts, statuses }
}
