import { escapeJson } from '../report/escape.js'
import { KeptFacts } from '../report/kept-facts.js'
import type { RunView } from '../report/view.js'
import type { RunEvent } from '../sdk/events.js'
import type { Clock } from '../sdk/index.js'
import { type Course, goneOn, NO_COURSE } from './course.js'

/** What a listener has not heard yet. */
export interface News {
  readonly at: Position
  /** There was more than is kept: what the listener knows of facts has a hole. */
  readonly lost: boolean
  readonly facts: readonly { readonly id: string; readonly text: string }[]
  /** The view as JSON, where it has changed. */
  readonly view: string | undefined
}

/** How far a listener is. */
export interface Position {
  readonly fact: number
  readonly version: number
}

/** A view is written anew at most so often, for all listeners together. */
const WRITE_MS = 200

/**
 * What happens in a pipeline, for any number of listeners. It keeps the newest facts and the view, and nothing a listener: one that is
 * slow misses facts, is told so, and gets the view, which holds what they came to.
 */
export class Feed {
  readonly #clock: Clock
  readonly #start: string
  readonly #kept = new KeptFacts()
  #version = 1
  #view: RunView | undefined
  #course = NO_COURSE
  #written: { readonly version: number; readonly text: string; readonly at: number } | undefined
  readonly #waiting = new Set<() => void>()

  /** `start`: a name of this start of the server, so that a number of an earlier one says nothing here. */
  constructor(clock: Clock, start: string) {
    this.#clock = clock
    this.#start = start
  }

  get view(): RunView | undefined {
    return this.#view
  }

  /** How the run went on, as far as it was heard here. */
  get course(): Course {
    return this.#course
  }

  /** Takes an event whose view is `view`. Those that come often and say little by themselves are in the view only. */
  push(event: RunEvent, view: RunView): void {
    this.#view = view
    this.#course = goneOn(this.#course, view)
    this.#kept.push(event)
    this.#changed()
  }

  /** Takes a view as another process wrote it. */
  show(view: RunView | undefined): void {
    this.#view = view
    if (view) this.#course = goneOn(this.#course, view)
    this.#changed()
  }

  /** Where somebody begins who says what he heard last; at the end of all facts where he says nothing. */
  from(lastId: string | undefined): Position {
    const [start, n] = lastId?.split('-') ?? []
    if (lastId === undefined) return { fact: this.#kept.count, version: 0 }
    return { fact: start === this.#start && /^\d{1,15}$/.test(n ?? '') ? Math.min(Number(n), this.#kept.count) : -1, version: 0 }
  }

  /** What came after a position. */
  since({ fact, version }: Position): News {
    const { lines, dropped, count } = this.#kept
    const next = Math.max(fact, dropped)
    const view = version === this.#version ? undefined : this.#write()
    return {
      at: { fact: count, version: view?.version ?? version },
      lost: fact < dropped,
      facts: lines.slice(next - dropped).map((text, i) => ({ id: this.id(next + i + 1), text })),
      view: view?.version === version ? undefined : view?.text,
    }
  }

  id(fact: number): string {
    return `${this.#start}-${fact}`
  }

  /** Resolves when there is something after a position, or `ms` have gone by. */
  async moved({ fact, version }: Position, ms: number, signal: AbortSignal): Promise<void> {
    if (fact !== this.#kept.count || version !== this.#version) return
    // No AbortSignal.any: a signal that lives as long as the server would keep a trace of each for ever.
    const over = new AbortController()
    const end = () => over.abort()
    signal.addEventListener('abort', end, { once: true })
    await new Promise<void>((resolve) => {
      this.#waiting.add(resolve)
      const done = () => {
        this.#waiting.delete(resolve)
        resolve()
      }
      if (signal.aborted) done()
      else this.#clock.sleep(ms, over.signal).then(done, done)
    })
    signal.removeEventListener('abort', end)
    over.abort()
  }

  #changed(): void {
    this.#version++
    if (this.#waiting.size === 0) return
    for (const wake of this.#waiting) wake()
    this.#waiting.clear()
  }

  #write(): { readonly version: number; readonly text: string } {
    const now = this.#clock.monotonic()
    const written = this.#written
    if (written && (written.version === this.#version || now - written.at < WRITE_MS)) return written
    const anew = { version: this.#version, text: escapeJson(JSON.stringify(this.#view ?? null)), at: now }
    this.#written = anew
    return anew
  }
}
