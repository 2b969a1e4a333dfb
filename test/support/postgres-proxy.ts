import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { atEnd } from './cleanup.js'

/** Stands between a client and a Postgres server, and cuts connections where it is told to. */
export interface PostgresProxy {
  /** The URL of the server, by way of the proxy. */
  readonly url: string
  /** Connections that were made so far. */
  readonly made: number
  /**
   * Cuts the next connection on which the client sends this text. `unsent`: the server never sees it. `unanswered`: the
   * server has done it, and its answer is kept from the client. Resolves when it was cut.
   */
  cut(text: string, when: 'unsent' | 'unanswered'): Promise<void>
  /** Cuts all connections, and refuses new ones until `open`. */
  close(): void
  open(): void
}

export async function postgresProxy(server: string): Promise<PostgresProxy> {
  const target = new URL(server)
  const sockets = new Set<Socket>()
  const cuts: { readonly text: string; readonly when: 'unsent' | 'unanswered'; readonly done: () => void }[] = []
  let refuses = false
  let made = 0
  const listener = createServer((client) => {
    if (refuses) return void client.destroy()
    made++
    const upstream = connect(Number(target.port), target.hostname)
    let silent: (() => void) | undefined
    const end = () => {
      client.destroy()
      upstream.destroy()
    }
    for (const socket of [client, upstream]) {
      sockets.add(socket)
      socket.on('error', end).on('close', () => {
        sockets.delete(socket)
        end()
      })
    }
    client.on('data', (chunk) => {
      const [cut] = cuts
      if (cut && chunk.includes(cut.text)) {
        cuts.shift()
        if (cut.when === 'unsent') {
          end()
          return cut.done()
        }
        silent = cut.done
      }
      upstream.write(chunk)
    })
    upstream.on('data', (chunk) => {
      if (!silent) return void client.write(chunk)
      // ReadyForQuery, outside of a transaction: all of it was done.
      if (!chunk.includes(Buffer.from('Z\0\0\0\x05I'))) return
      end()
      silent()
    })
  })
  listener.listen(0, '127.0.0.1')
  await once(listener, 'listening')
  const address = listener.address()
  if (address === null || typeof address === 'string') throw new Error('no port')
  const url = new URL(server)
  url.port = String(address.port)
  atEnd(() => {
    listener.close()
    for (const socket of sockets) socket.destroy()
  })
  return {
    url: url.href,
    get made() {
      return made
    },
    cut: (text, when) => new Promise((done) => cuts.push({ text, when, done })),
    close() {
      refuses = true
      for (const socket of sockets) socket.destroy()
    },
    open() {
      refuses = false
    },
  }
}
