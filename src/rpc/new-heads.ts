import { Agent, WebSocket } from 'undici'
import { basicOf, loginOf, type ProxyOf } from '../net/proxies.js'
import { type Scrub, scrubber, showText } from '../net/text.js'
import { CONNECT, throughProxy } from '../net/through-proxy.js'
import { type Clock, formatDuration, type RunFact } from '../sdk/index.js'

interface Socket {
  /** `ws` or `wss`. */
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
}

export interface NewHeadsOptions {
  readonly chain: string
  readonly blockTimeMs: number
  /** Tried in turn. */
  readonly sockets: readonly Socket[]
  readonly proxyOf: ProxyOf
  readonly clock: Clock
  readonly emit: (fact: RunFact) => void
  /** The socket of this host says that this block is there. */
  readonly onHead: (number: bigint, host: string) => void
}

const FIRST_WAIT_MS = 1_000
const LONGEST_WAIT_MS = 60_000
/** Blocks may come at times of their own: only who says nothing for so much longer is taken for dead. */
const SILENT_BLOCKS = 20
const SILENT_MS = 30_000

/**
 * New heads of a chain as WebSockets tell of them (`eth_subscribe`). Whatever goes wrong with one is told once until heads come again,
 * and tried anew after waits that grow: who asks for heads by himself misses nothing.
 */
export class NewHeads {
  readonly #options: NewHeadsOptions
  readonly #closing = new AbortController()
  readonly #silentMs: number
  readonly #running: Promise<void>
  #tells = false

  constructor(options: NewHeadsOptions) {
    this.#options = options
    this.#silentMs = Math.max(SILENT_MS, SILENT_BLOCKS * options.blockTimeMs)
    this.#running = this.#run()
  }

  /** Whether one tells of heads: it has, and neither ended since nor said nothing for too long. */
  get tells(): boolean {
    return this.#tells
  }

  async close(): Promise<void> {
    this.#closing.abort()
    await this.#running
  }

  async #run(): Promise<void> {
    const { chain, sockets, clock, emit } = this.#options
    let told = false
    for (let tries = 0; ; tries++) {
      const socket = sockets[tries % sockets.length]
      if (!socket) return
      const { reason, heard } = await this.#listen(socket)
      this.#tells = false
      if (this.#closing.signal.aborted) return
      if (heard) tries = 0
      if (heard || !told)
        emit({
          type: 'warning',
          message: `${chain}: ${new URL(socket.url).host} tells of no new head (${reason}); heads are asked for meanwhile`,
        })
      told = true
      await clock.sleep(Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** tries), this.#closing.signal).catch(() => undefined)
      if (this.#closing.signal.aborted) return
    }
  }

  /** Until the socket ends or says nothing for too long. */
  async #listen({ url: address, headers }: Socket): Promise<{ readonly reason: string; readonly heard: boolean }> {
    const { clock, onHead } = this.#options
    const { url, host, dispatcher, scrub, authorization } = this.#way(address, headers)
    const socket = new WebSocket(url, { dispatcher, headers: { ...headers, ...authorization } })
    const over = new AbortController()
    let heard = false
    let broken = 'it can not be reached'
    let lastAt = clock.monotonic()
    const ended = new Promise<string>((resolve) => {
      const end = (reason: string) => resolve(showText(reason, scrub))
      this.#closing.signal.addEventListener('abort', () => end('closed'), { signal: over.signal })
      socket.addEventListener('open', () => {
        broken = 'the connection broke off'
        socket.send('{"jsonrpc":"2.0","id":1,"method":"eth_subscribe","params":["newHeads"]}')
      })
      socket.addEventListener('error', ({ message, error }) => end(wordsOf(error) || message || broken))
      socket.addEventListener('close', ({ code, reason }) => end(`it closed the connection: ${code} ${reason}`.trim()))
      socket.addEventListener('message', ({ data }) => {
        const said = readMessage(data)
        if (said === undefined) return
        if (typeof said === 'string') return end(`it refuses eth_subscribe: ${said}`)
        heard = this.#tells = true
        lastAt = clock.monotonic()
        onHead(said, host)
      })
      const watch = async () => {
        while (!over.signal.aborted) {
          const left = lastAt + this.#silentMs - clock.monotonic()
          if (left <= 0) return end(`nothing for ${formatDuration(this.#silentMs)}`)
          await clock.sleep(left, over.signal).catch(() => undefined)
        }
      }
      void watch()
    })
    const reason = await ended
    over.abort()
    // What comes of an end that nobody waits for any more.
    socket.addEventListener('error', () => undefined)
    if (socket.readyState === WebSocket.OPEN) socket.close()
    await dispatcher.destroy()
    return { reason, heard }
  }

  #way(address: string, headers: Readonly<Record<string, string>>) {
    const url = new URL(address)
    const asked = new URL(address.replace(/^ws/i, 'http'))
    const proxy = this.#options.proxyOf(asked)
    const scrub: Scrub = scrubber(asked, headers, proxy?.url)
    const login = loginOf(url)
    url.username = url.password = ''
    const dispatcher = proxy ? throughProxy(proxy) : new Agent({ connect: CONNECT })
    return { url: url.href, host: url.host, scrub, dispatcher, authorization: login ? { authorization: basicOf(login) } : {} }
  }
}

const wordsOf = (error: unknown) => (error instanceof Error ? error.message : '')

/** The number of a new head, or the words of a refusal; undefined for what is none of both. */
function readMessage(data: unknown): bigint | string | undefined {
  try {
    // What a server sends may be anything: each part is looked at.
    const { error, params } = JSON.parse(String(data)) as {
      readonly error?: { readonly message?: unknown }
      readonly params?: { readonly result?: { readonly number?: unknown } }
    }
    if (error) return String(error.message ?? 'no reason given')
    const number = params?.result?.number
    return typeof number === 'string' && /^0x[\da-f]{1,16}$/i.test(number) ? BigInt(number) : undefined
  } catch {
    return undefined
  }
}
