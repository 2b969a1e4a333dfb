import { systemClock } from '../../src/cli/system-clock.js'
import type { Clock } from '../../src/sdk/index.js'
import { startServer } from '../../src/serve/serve.js'
import { atEnd } from './cleanup.js'
import { serveOptions } from './serve-options.js'

// Answers are looked at as a stranger gets them.
// eslint-disable-next-line @typescript-eslint/no-explicit-any
export type Answer = Record<string, any>

export interface RealServerOptions {
  readonly env?: Readonly<Record<string, string>>
  readonly clock?: Clock
  readonly token?: string | undefined
  readonly schedules?: boolean
  /** Beside `p.yaml`. */
  readonly files?: readonly string[]
}

/** A server that listens on a port of loopback, over a folder, with its runs in this process. */
export async function realServer(cwd: string, { env = {}, clock, token, schedules = true, files = [] }: RealServerOptions = {}) {
  const { options, io, launch, said, reported } = await serveOptions(cwd, env, clock, files)
  const server = await startServer({ ...options, token, schedules }, io)
  let open = true
  const close = async () => {
    if (open) await server.close()
    open = false
  }
  atEnd(close)
  const ask = async (path: string, body?: unknown) => {
    const init = body === undefined ? {} : { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) }
    return (await (await fetch(server.url + path, init)).json()) as Answer
  }
  const until = async (path: string, is: (answer: Answer) => boolean) => {
    for (;;) {
      const answer = await ask(path)
      if (is(answer)) return answer
      await systemClock.sleep(50)
    }
  }
  const over = (run: unknown) => until(`/api/runs/${String(run)}`, ({ endedAt }) => endedAt !== null)
  return { url: server.url, ask, until, over, close, said, reported, launched: () => launch.lines }
}
