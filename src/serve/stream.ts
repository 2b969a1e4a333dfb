import { setMaxListeners } from 'node:events'
import type { SSEStreamingApi } from 'hono/streaming'
import type { Clock } from '../sdk/index.js'
import type { Feed } from './feed.js'

export interface StreamOptions {
  readonly clock: Clock
  /** Aborted when the server ends. */
  readonly signal: AbortSignal
  /** Looks whether another process has got on. */
  readonly refresh: () => Promise<void>
  /** Takes out what must not be shown. */
  readonly shown: (text: string) => string
  readonly lastId: string | undefined
}

/** Between two sendings to one listener: what came meanwhile goes together. */
const PACE_MS = 250
const LOOK_MS = 1_000
const ALIVE_MS = 15_000

/**
 * Tells one listener of a feed until it goes: `fact` (what happened), `view` (all of it, where it changed) and `resync` (facts are
 * missing). It waits for a listener that is slow, and keeps nothing for it meanwhile.
 */
export async function tell(stream: SSEStreamingApi, feed: Feed, { clock, signal, refresh, shown, lastId }: StreamOptions): Promise<void> {
  // All who listen wait with the same one, and Node warns at more than ten.
  setMaxListeners(0, signal)
  let at = feed.from(lastId)
  let said = -Infinity
  while (!stream.aborted && !stream.closed && !signal.aborted) {
    await refresh()
    const news = feed.since(at)
    at = news.at
    if (news.lost) await stream.writeSSE({ event: 'resync', data: '{}' })
    for (const { id, text } of news.facts) await stream.writeSSE({ id, event: 'fact', data: shown(text) })
    if (news.view !== undefined) await stream.writeSSE({ id: feed.id(at.fact), event: 'view', data: shown(news.view) })
    const now = clock.monotonic()
    if (news.lost || news.facts.length > 0 || news.view !== undefined) said = now
    else if (now - said > ALIVE_MS) {
      await stream.write(': alive\n\n')
      said = now
    }
    await clock.sleep(PACE_MS, signal).catch(() => undefined)
    await feed.moved(at, LOOK_MS, signal)
  }
}
