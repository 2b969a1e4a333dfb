import { useEffect, useRef, useState } from 'preact/hooks'
import type { RunEvent } from '../sdk/events.js'
import { pipelinePath, type RunView } from './api.js'
import { inSlot } from './slots.js'
import { eventsOf, type Told } from './stream.js'

/** What is known of a pipeline by its stream of events. */
export interface Live {
  /** `lost`: what is shown is of before, and the page tries to get it back. */
  readonly link: 'connecting' | 'live' | 'lost' | 'token'
  /** The newest view; null: it never ran. Undefined until the first one is there. */
  readonly view: RunView | null | undefined
  /** The newest facts, the oldest first. */
  readonly facts: readonly RunEvent[]
  /** Rises when something may have been missed: what was read besides is to be read again. */
  readonly epoch: number
  /** Milliseconds by which the clock of the server is ahead of the one here. */
  readonly ahead: number
}

const START: Live = { link: 'connecting', view: undefined, facts: [], epoch: 0, ahead: 0 }
const MOST_FACTS = 200
/** No server gave this: it tells all that it keeps. */
const FROM_ALL = 'none'
const LEAST_WAIT_MS = 400
const MOST_WAIT_MS = 5_000
/** Who has no slot listens so long, and then not for so long. */
const LOOK_MS = 700
const BETWEEN_LOOKS_MS = 1_500

/** People see no more changes than these, and a phone is not kept busy by them. */
const LEAST_APART_MS = 150

/** Follows the events of a pipeline. What comes meanwhile is folded into one change, in a frame of the screen. */
export function useLive(name: string): Live {
  const [live, setLive] = useState(START)
  const last = useRef<{ name: string; id: string | undefined }>({ name, id: undefined })
  useEffect(() => {
    if (last.current.name !== name) {
      last.current = { name, id: undefined }
      setLive(START)
    }
    let following: AbortController | undefined
    let frame = 0
    let pause: ReturnType<typeof setTimeout> | undefined
    let waiting: Told[] = []
    const flush = () => {
      const told = waiting
      waiting = []
      setLive((before) => folded(before, told))
      pause = setTimeout(() => {
        frame = waiting.length > 0 ? requestAnimationFrame(flush) : 0
      }, LEAST_APART_MS)
    }
    const heard = (told: Told) => {
      if (told.id !== undefined) last.current.id = told.id
      waiting.push(told)
      if (frame === 0) frame = requestAnimationFrame(flush)
    }
    const changed = (change: Partial<Live>) => setLive((before) => ({ ...before, ...change }))
    // A page that nobody sees gives its connection back: a browser has six for a server.
    const seen = () => {
      if (document.hidden) following?.abort()
      else if (!following || following.signal.aborted) {
        following = new AbortController()
        void follow(name, { signal: following.signal, heard, changed, lastId: () => last.current.id })
      }
    }
    seen()
    document.addEventListener('visibilitychange', seen)
    return () => {
      document.removeEventListener('visibilitychange', seen)
      following?.abort()
      cancelAnimationFrame(frame)
      clearTimeout(pause)
    }
  }, [name])
  return live
}

interface Following {
  readonly signal: AbortSignal
  readonly heard: (told: Told) => void
  readonly changed: (change: Partial<Live>) => void
  readonly lastId: () => string | undefined
}

/** Listens until it is told to stop; when the connection breaks it goes on with the first event that was not heard. */
async function follow(name: string, { signal, heard, changed, lastId }: Following): Promise<void> {
  let wait = LEAST_WAIT_MS
  while (!signal.aborted) {
    let end = 'lost' as 'looked' | 'token' | 'lost'
    try {
      await inSlot(async (isShort) => {
        const only = isShort ? AbortSignal.any([signal, AbortSignal.timeout(LOOK_MS)]) : signal
        const headers = { 'last-event-id': lastId() ?? FROM_ALL }
        const response = await fetch(pipelinePath(name, '/events'), { headers, signal: only })
        if (response.status === 401) end = 'token'
        if (!response.ok || !response.body) throw new Error(`status ${response.status}`)
        changed({ link: 'live', ahead: aheadBy(response) })
        wait = LEAST_WAIT_MS
        if (isShort) end = 'looked'
        for await (const told of eventsOf(response.body)) heard(told)
      })
    } catch {
      // Whatever broke it: the page says that it is lost, and tries again.
    }
    if (signal.aborted) return
    if (end === 'token') return changed({ link: 'token' })
    if (end === 'looked') await new Promise((resolve) => setTimeout(resolve, BETWEEN_LOOKS_MS))
    else {
      changed({ link: 'lost' })
      await new Promise((resolve) => setTimeout(resolve, wait * (0.75 + Math.random() / 2)))
      wait = Math.min(MOST_WAIT_MS, wait * 2)
    }
  }
}

/** The live state with what was heard since. Of many views the last one counts. */
export function folded(before: Live, told: readonly Told[]): Live {
  const view = told.findLast(({ event }) => event === 'view')
  const facts = told.filter(({ event }) => event === 'fact').map(({ data }) => JSON.parse(data) as RunEvent)
  const isLost = told.some(({ event }) => event === 'resync')
  return {
    ...before,
    view: view ? (JSON.parse(view.data) as RunView | null) : before.view,
    facts: [...(isLost ? [] : before.facts), ...facts].slice(-MOST_FACTS),
    epoch: isLost ? before.epoch + 1 : before.epoch,
  }
}

/** Whole seconds are all that the header says; less than two is no difference. */
function aheadBy(response: Response): number {
  const ahead = Date.parse(response.headers.get('date') ?? '') - Date.now()
  return Math.abs(ahead) > 2_000 ? ahead : 0
}
