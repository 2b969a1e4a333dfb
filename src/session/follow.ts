import type { Moment } from '../plan/scope.js'
import { mayHelp } from '../run/rounds.js'
import type { RunResult } from '../run/run.js'
import type { StepEnd } from '../run/services.js'
import { type Clock, formatDuration, PipeError, type RunFact } from '../sdk/index.js'
import type { SessionMoment } from './moment.js'

export interface FollowOptions {
  /** The highest head of a chain, for one request. */
  poll(chain: string): Promise<bigint>
  /** The time that a round begins at, milliseconds UTC. */
  now(): number
  /** Begins a round. `heads`: those that are known; `away`: why there is none; others are asked for when they are needed. */
  begin(heads: ReadonlyMap<string, bigint>, away: ReadonlyMap<string, unknown>): Promise<SessionMoment>
  blockTimeMs(chain: string): number
  /** A block was told of that no look has found yet. */
  hasNews(chain: string): boolean
  /** From one look at the head of a chain to the next, milliseconds. */
  pollMs(chain: string): number
  /** Steps that ask a list outside and no chain: only the clock brings them anything new. */
  readonly lists: ReadonlySet<string>
  readonly clock: Clock
  readonly emit: (fact: RunFact) => void
}

/** A list that ended so was asked. */
const ASKED: ReadonlySet<StepEnd['outcome']> = new Set(['complete', 'incomplete', 'failed'])

/** So long a chain may keep another one waiting, of which the head is known. */
const PATIENCE_MS = 3_000

/** A chain was asked for its head and has not answered yet. */
export class ChainSilentError extends PipeError {
  readonly code = 'RPC_SILENT'
  override readonly retryable = true
  override readonly blame = 'outage'
  override readonly hint = 'check the endpoints of the chain; the others go on, and this one does when it answers'
  constructor(chain: string) {
    super(`chain ${chain}: no endpoint has said the head yet`)
  }
}

/** A chain without a new block for so many block times, and for so long at least, is said to stand still. */
const HALT_BLOCKS = 20
const HALT_MS = 60_000

/**
 * Says whether another round can find anything, without a look at the ledger: nobody else writes while the pipeline is held, so
 * only a head that moved, the clock, or what failed and may go well now can. A head that is lower than one before comes of an
 * endpoint that is behind, and is none.
 */
export class Follow {
  readonly #options: FollowOptions
  readonly #heads = new Map<string, bigint>()
  readonly #polledAt = new Map<string, number>()
  /** Chains that could not be reached when they were last asked, and why. */
  readonly #away = new Map<string, unknown>()
  /** Looks that last longer than others waited for them, and what came of them since. */
  readonly #pending = new Map<string, Promise<void>>()
  readonly #answers = new Map<string, PromiseSettledResult<bigint>>()
  readonly #moved = new Map<string, { at: number; told: boolean }>()
  #moment: SessionMoment | undefined
  /** Of the last round that came to its end. */
  #last: RunResult | undefined
  /** The time of the round in which a list was last asked. */
  readonly #askedAt = new Map<string, bigint>()
  /** A round began and did not come to its end. */
  #broken = false

  constructor(options: FollowOptions) {
    this.#options = options
  }

  /** The moment of the round that begins now; undefined when it would find nothing. @throws {PipeError} when a chain can't be reached. */
  async next(): Promise<SessionMoment | undefined> {
    const { pollMs, hasNews, begin, clock } = this.#options
    const at = clock.monotonic()
    // Of several chains the slow ones are looked at less often. A timer may be a little early.
    const isDue = (chain: string) => hasNews(chain) || at - (this.#polledAt.get(chain) ?? -Infinity) >= 0.9 * pollMs(chain)
    const due = [...this.#heads.keys()].filter(isDue)
    await this.#look(due)
    let moved = false
    for (const chain of due) {
      this.#polledAt.set(chain, at)
      const answer = this.#answers.get(chain)
      this.#answers.delete(chain)
      if (answer?.status !== 'fulfilled') {
        this.#away.set(chain, answer ? answer.reason : new ChainSilentError(chain))
        continue
      }
      this.#away.delete(chain)
      if (this.#see(chain, answer.value)) moved = true
    }
    // One chain that is away does not keep the others from going on: its steps say so.
    const [first] = this.#heads.keys()
    if (first !== undefined && this.#away.size === this.#heads.size) throw this.#away.get(first) as Error
    if (!moved && this.#last && !this.#broken && !this.#mayHelp(this.#last) && !this.#isDue(this.#last)) return undefined
    this.#broken = true
    this.#moment = await begin(new Map([...this.#heads].filter(([chain]) => !this.#away.has(chain))), this.#away)
    return this.#moment
  }

  /** The heads of chains that are not away, while a round is under way. It begins none: the next look does. */
  async heads(): Promise<ReadonlyMap<string, bigint>> {
    const chains = Object.keys(this.#moment?.heads() ?? {}).filter((chain) => !this.#away.has(chain) && !this.#pending.has(chain))
    const asked = await Promise.allSettled(chains.map((chain) => this.#options.poll(chain)))
    return new Map(asked.flatMap((answer, i) => (answer.status === 'fulfilled' ? [[chains[i] ?? '', answer.value] as const] : [])))
  }

  /** Asks for heads. Those that keep others waiting are asked on, and `#answers` has them once they have answered. */
  async #look(due: readonly string[]): Promise<void> {
    const { poll, clock } = this.#options
    const asked = due
      .filter((chain) => !this.#pending.has(chain) && !this.#answers.has(chain))
      .map((chain) => {
        const look = Promise.allSettled([poll(chain)]).then(([answer]) => {
          this.#answers.set(chain, answer)
          this.#pending.delete(chain)
        })
        this.#pending.set(chain, look)
        return look
      })
    const all = Promise.all(asked)
    if (due.length === 1) return void (await (this.#pending.get(due[0] ?? '') ?? all))
    const over = new AbortController()
    const late = () => clock.sleep(PATIENCE_MS, over.signal).catch(() => undefined)
    await Promise.race([all, ...(asked.length > 0 ? [Promise.race(asked).then(late)] : [])])
    over.abort()
  }

  /** The round that began last came to its end. */
  ended(result: RunResult): void {
    const first = this.#last === undefined
    if (this.#moment) for (const list of this.#asking(this.#moment)) this.#askedAt.set(list, this.#moment.now)
    this.#last = result
    this.#broken = false
    for (const [chain, head] of Object.entries(this.#moment?.heads() ?? {})) this.#see(chain, BigInt(head))
    const moves = this.#heads.size > 0 || [...result.steps.values()].some(({ dueAt }) => dueAt !== undefined)
    if (first && !moves && !mayHelp(result))
      this.#options.emit({
        type: 'warning',
        message: 'nothing in this pipeline follows a head or the clock: no round will find anything new',
      })
  }

  /**
   * How lists stand that were asked lately, and are left alone until they are due: also one that failed, since a source that is down or
   * refuses is not to be asked in each round.
   */
  rest({ now }: Pick<Moment, 'now'>): ReadonlyMap<string, StepEnd> {
    const ends = [...(this.#last?.steps ?? [])]
    const isAsked = ({ outcome, goesOn }: StepEnd) => goesOn !== true && ASKED.has(outcome)
    return new Map(
      ends.filter(([step, end]) => this.#options.lists.has(step) && isAsked(end) && end.dueAt !== undefined && end.dueAt > now),
    )
  }

  /** Up to which time those have read that rest then, microseconds UTC. */
  readUpTo(moment: Pick<Moment, 'now'>): ReadonlyMap<string, bigint> {
    return new Map([...this.rest(moment).keys()].map((list) => [list, this.#askedAt.get(list) ?? moment.now]))
  }

  #asking(moment: Pick<Moment, 'now'>): string[] {
    const resting = this.rest(moment)
    return [...this.#options.lists].filter((list) => !resting.has(list))
  }

  /** Whether something failed that does not rest. */
  #mayHelp({ steps, ...result }: RunResult): boolean {
    const resting = this.rest({ now: this.#now })
    return mayHelp({ ...result, steps: new Map([...steps].filter(([step]) => !resting.has(step))) })
  }

  get #now(): bigint {
    return BigInt(Math.floor(this.#options.now())) * 1000n
  }

  #isDue({ steps }: RunResult): boolean {
    const now = this.#now
    return [...steps.values()].some(({ dueAt }) => dueAt !== undefined && dueAt <= now)
  }

  /** Whether a head is higher than any before. Says once that one does not move, and once that it does again. */
  #see(chain: string, head: bigint): boolean {
    const { clock, emit, blockTimeMs } = this.#options
    const now = clock.monotonic()
    const before = this.#heads.get(chain)
    const moved = this.#moved.get(chain)
    if (before === undefined || head > before || !moved) {
      if (moved?.told) emit({ type: 'warning', message: `${chain} goes on: block ${head}, after ${inSeconds(now - moved.at)} without one` })
      this.#heads.set(chain, head)
      this.#moved.set(chain, { at: now, told: false })
      return before !== undefined
    }
    const ms = now - moved.at
    if (!moved.told && ms >= Math.max(HALT_MS, HALT_BLOCKS * blockTimeMs(chain))) {
      moved.told = true
      emit({
        type: 'warning',
        message: `${chain} has had no new block for ${inSeconds(ms)}; its head is still ${before}`,
      })
    }
    return false
  }
}

const inSeconds = (ms: number) => formatDuration(Math.round(ms / 1_000) * 1_000)
