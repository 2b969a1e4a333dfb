import type { NoticeKind, Receiver } from '../pipeline/receivers.js'
import type { Clock, Random, RunEvent } from '../sdk/index.js'
import type { Problem } from '../state/store.js'
import { NoticeFailedError } from './notice-failed.js'
import { type Notice, Watch } from './watch.js'

export interface NotifierOptions {
  readonly receiver: Receiver
  /** Of what it was told in earlier runs, and what is not over. */
  readonly told: readonly Problem[]
  readonly clock: Clock
  readonly random: Random
  /** @throws {NoticeFailedError} */
  send(receiver: Receiver, notice: Notice, signal: AbortSignal): Promise<void>
  /** Says that it could not be told. */
  warn(message: string): void
}

/** What comes within so long of each other is one notice. */
const GATHER_MS = 5_000
const ATTEMPTS = 4
const WAIT_MS = 1_000
/** A run that has ended waits for its notices so long at most. */
const CLOSE_MS = 20_000

/**
 * Tells one receiver of a run while it goes on, so that none waits for another. A notice that can't be sent is tried again, then said,
 * and changes nothing of the run.
 */
export class Notifier {
  readonly #options: NotifierOptions
  readonly #watch: Watch
  #waiting: Notice[] = []
  #sending: Promise<void> | undefined
  /** Ends the wait for more. */
  readonly #closing = new AbortController()
  readonly #over = new AbortController()

  constructor(options: NotifierOptions) {
    this.#options = options
    this.#watch = new Watch(options.told)
  }

  /** Returns at once. */
  see(event: RunEvent): void {
    const found = this.#watch.see(event)
    if (found.length === 0) return
    this.#waiting.push(...found)
    this.#sending ??= this.#sendAll()
  }

  /** Sends what waits. Resolves to what the receiver knows of and is not over. */
  async close(): Promise<readonly Problem[]> {
    this.#closing.abort()
    const done = new AbortController()
    void this.#options.clock.sleep(CLOSE_MS, done.signal).then(
      () => this.#over.abort(),
      () => undefined,
    )
    await this.#sending
    done.abort()
    return this.#watch.told
  }

  async #sendAll(): Promise<void> {
    while (this.#waiting.length > 0) {
      if (!this.#closing.signal.aborted) await this.#options.clock.sleep(GATHER_MS, this.#closing.signal).catch(() => undefined)
      const notices = gathered(this.#waiting)
      this.#waiting = []
      for (const notice of notices) await this.#tell(notice)
    }
    this.#sending = undefined
  }

  async #tell(notice: Notice): Promise<void> {
    if (this.#options.receiver.on.includes(notice.kind) && !(await this.#deliver(notice))) this.#watch.untold(notice)
  }

  async #deliver(notice: Notice): Promise<boolean> {
    const { receiver, send, warn, clock, random } = this.#options
    const { signal } = this.#over
    for (let attempt = 1; ; attempt++) {
      try {
        await send(receiver, notice, signal)
        return true
      } catch (error) {
        const lasting = error instanceof NoticeFailedError && !error.retryable
        if (!lasting && attempt < ATTEMPTS && !signal.aborted) {
          await clock.sleep(WAIT_MS * 4 ** (attempt - 1) * (0.5 + random()), signal).catch(() => undefined)
          if (!signal.aborted) continue
        }
        const words = error instanceof Error ? error.message : String(error)
        const hint = error instanceof NoticeFailedError ? ` (${error.hint})` : ''
        warn(
          `nobody was told of a ${notice.kind} by ${receiver.type}, in ${attempt} ${attempt === 1 ? 'attempt' : 'attempts'}: ${words}${hint}; the run is not affected`,
        )
        return false
      }
    }
  }
}

/** One of each kind, in the order in which the kinds came. */
function gathered(notices: readonly Notice[]): readonly Notice[] {
  const byKind = new Map<NoticeKind, Notice>()
  for (const notice of notices) {
    const before = byKind.get(notice.kind)
    const both = before && { ...before, about: [...before.about, ...notice.about], lines: [...before.lines, ...notice.lines] }
    byKind.set(notice.kind, both ?? notice)
  }
  return [...byKind.values()]
}
