import type { NoticeKind } from '../pipeline/receivers.js'
import { facts } from '../sdk/events.js'
import { count, formatDuration, type RunEvent } from '../sdk/index.js'
import type { Problem } from '../state/store.js'

/** What a receiver is told, once. */
export interface Notice {
  readonly kind: NoticeKind
  /** Steps that it is about; `''` is the run itself. */
  readonly about: readonly string[]
  /** What happened, a sentence each. */
  readonly lines: readonly string[]
  /** Milliseconds UTC. */
  readonly at: number
}

type ProblemKind = Problem['kind']
type Of<T extends RunEvent['type']> = Extract<RunEvent, { readonly type: T }>

/** Nothing has moved, or no round could be done, for so long. Shorter is a rate limit, or a node that is started again. */
const STALL_MS = 180_000
/** What is told, gets well and comes back is told again after so long. */
const QUIET_MS = 600_000
/** What stays is told again after so long. */
const REPEAT_MS = 86_400_000
const STALL = keyOf({ kind: 'stall', about: '' })

/**
 * Finds in the events of a run what a receiver is to be told: each problem once, and when it is over. A step is told of when its end is
 * the last word: at once in a run of one round or while following, and at the end of a run whose rounds go on until all is complete.
 * What is in quarantine stays there, so it is told at once.
 */
export class Watch {
  readonly #told: Map<string, Problem>
  /** When each problem of this run was told last, also of those that are over. */
  readonly #lately = new Map<string, number>()
  #steps: readonly string[] = []
  #follow = false
  #rounds = false
  #startedAt: number | undefined
  #rows = 0
  /** Steps that did not end well in this round. */
  readonly #bad = new Map<string, { readonly kind: ProblemKind; readonly line: string }>()
  /** Why a unit or key of each step failed last. */
  readonly #why = new Map<string, { readonly error: string; readonly hint?: string }>()
  #stalled = false
  /** Why rounds can't be done, and since when. */
  #outage: { readonly reason: string; readonly since: number } | undefined

  /** @param told What earlier runs left. */
  constructor(told: readonly Problem[]) {
    this.#told = new Map(told.map((each) => [keyOf(each), each]))
  }

  /** What the receiver knows of and is not over. */
  get told(): readonly Problem[] {
    return [...this.#told.values()]
  }

  /** It could not be told. It is tried again when it is met again. */
  untold({ kind, about }: Notice): void {
    for (const each of about) this.#told.delete(keyOf({ kind, about: each }))
  }

  see(event: RunEvent): readonly Notice[] {
    const found = [this.#outageOf(event), ...this.#of(event)].filter((notice) => notice !== undefined)
    if (!this.#stalled || !facts[event.type].moves) return found
    this.#stalled = false
    return [...found, ...this.#recovered([STALL], event.at)]
  }

  #of(event: RunEvent): readonly (Notice | undefined)[] {
    const { at } = event
    switch (event.type) {
      case 'run:started':
        this.#steps = event.steps.map(({ id }) => id)
        this.#follow = event.follow ?? false
        this.#startedAt = at
        return []
      case 'round:started':
        this.#rounds = !this.#follow
        return []
      case 'round:ended':
        if (event.reason !== undefined) this.#outage ??= { reason: event.reason, since: at }
        return []
      case 'commit:done':
        this.#rows += event.rows
        return []
      case 'unit:failed':
        this.#why.set(event.step, event)
        if (event.state !== 'quarantined') return []
        return [this.#problem('failure', event.step, `${event.step}: unit ${event.unit} is in quarantine: ${withHint(event)}`, at)]
      case 'key:failed':
        this.#why.set(event.step, event)
        return []
      case 'key:quarantined':
        return [this.#problem('failure', event.step, `${event.step}: ${event.key} is in quarantine: ${withHint(event)}`, at)]
      case 'check:evaluated':
        return this.#check(event)
      case 'step:ended':
        return this.#stepEnded(event)
      case 'run:waiting':
        if (event.ms < STALL_MS) return []
        this.#stalled = true
        return [this.#problem('stall', '', `nothing has moved for ${formatDuration(event.ms)}; it waits for ${event.for}`, at)]
      case 'run:ended':
        return this.#runEnded(event)
      default:
        return []
    }
  }

  /** An outage between rounds moves nothing that could stall, so its time is counted. */
  #outageOf(event: RunEvent): Notice | undefined {
    if (!this.#outage) return undefined
    if (event.type === 'commit:done' || (event.type === 'step:ended' && event.outcome === 'complete')) {
      this.#outage = undefined
      this.#stalled = this.#told.has(STALL)
      return undefined
    }
    // While it is paused no round is to be done.
    if (event.type === 'run:pausing') this.#outage = { ...this.#outage, since: Infinity }
    if (event.type === 'run:resumed') this.#outage = { ...this.#outage, since: event.at }
    const ms = event.at - this.#outage.since
    if (ms < STALL_MS) return undefined
    return this.#problem(
      'stall',
      '',
      `no round could be done for ${formatDuration(Math.floor(ms / 1_000) * 1_000)}: ${this.#outage.reason}`,
      event.at,
    )
  }

  /** Evaluated while its needs run, a gate closes nothing: it says what it would do. */
  #check({ step, result, final, at }: Of<'check:evaluated'>): readonly (Notice | undefined)[] {
    const about = `${step}: ${result.name}`
    // The end of the step says it.
    if (final) this.#told.delete(keyOf({ kind: 'gate_closed', about }))
    if (final || result.severity !== 'error') return []
    if (result.passed) return this.#recovered([keyOf({ kind: 'gate_closed', about })], at)
    const found = result.problem ?? `is ${result.value ?? 'no number'}, expected ${result.expect}`
    return [this.#problem('gate_closed', about, `${step} would close, while its needs run: ${result.name} ${found}`, at)]
  }

  #stepEnded({ step, outcome, reason, at }: Of<'step:ended'>): readonly (Notice | undefined)[] {
    if (outcome === 'complete' || outcome === 'skipped') {
      this.#bad.delete(step)
      this.#why.delete(step)
    }
    if (outcome === 'complete')
      return this.#recovered([keyOf({ kind: 'failure', about: step }), keyOf({ kind: 'gate_closed', about: step })], at)
    if (outcome !== 'failed' && outcome !== 'incomplete' && outcome !== 'closed') return []
    const kind = outcome === 'closed' ? 'gate_closed' : 'failure'
    const why = outcome === 'closed' ? undefined : this.#why.get(step)
    const said = reason === undefined || why?.error === reason ? [] : [reason]
    const parts = [`${step} ${WORDS[outcome]}`, ...said, ...(why ? [withHint(why)] : [])]
    const bad = { kind, line: parts.join(': ') } as const
    this.#bad.set(step, bad)
    return this.#rounds ? [] : [this.#problem(kind, step, bad.line, at)]
  }

  #runEnded({ outcome, error, at }: Of<'run:ended'>): readonly (Notice | undefined)[] {
    if (outcome === 'stopped') return []
    if (outcome === 'error') return [this.#problem('failure', '', error ?? 'the run was ended by an error', at)]
    if (outcome === 'incomplete') {
      const steps = [...this.#bad].map(([step, { kind, line }]) => this.#problem(kind, step, line, at))
      return error === undefined ? steps : [...steps, this.#problem('failure', '', `the run ended: ${error}`, at)]
    }
    const over = this.told.filter(
      ({ about }) => about === '' || this.#steps.some((step) => about === step || about.startsWith(`${step}: `)),
    )
    const took = formatDuration(Math.max(1_000, Math.round((at - (this.#startedAt ?? at)) / 1_000) * 1_000))
    const line = `nothing is missing; ${count(this.#rows)} rows were written in ${took}`
    // One that follows ends when it is told to.
    if (this.#follow) return this.#recovered(over.map(keyOf), at)
    return [...this.#recovered(over.map(keyOf), at), { kind: 'completion', about: [], lines: [line], at }]
  }

  #problem(kind: ProblemKind, about: string, line: string, at: number): Notice | undefined {
    const problem = { kind, about, at }
    const key = keyOf(problem)
    const told = this.#told.get(key)
    if (told && at - told.at < REPEAT_MS) return undefined
    if (!told && at - (this.#lately.get(key) ?? -Infinity) < QUIET_MS) return undefined
    this.#told.set(key, problem)
    this.#lately.set(key, at)
    return { kind, about: [about], lines: [line], at }
  }

  #recovered(keys: readonly string[], at: number): readonly Notice[] {
    const over = keys.flatMap((key) => this.#told.get(key) ?? [])
    if (over.length === 0) return []
    for (const each of over) this.#told.delete(keyOf(each))
    return [{ kind: 'recovery', about: over.map(({ about }) => about), lines: over.map(recoveryOf), at }]
  }
}

const WORDS = { failed: 'failed', incomplete: 'is incomplete', closed: 'is closed' } as const

function keyOf({ kind, about }: { readonly kind: NoticeKind; readonly about: string }): string {
  return `${kind} ${about}`
}

const withHint = ({ error, hint }: { readonly error: string; readonly hint?: string }) =>
  hint === undefined ? error : `${error} (${hint})`

function recoveryOf({ kind, about, at }: Problem): string {
  const since = `told at ${new Date(at).toISOString().slice(0, 19)}Z`
  if (kind === 'stall') return `the run gets on again (${since})`
  if (about === '') return `the run is complete again (${since})`
  return `${about} ${kind === 'failure' ? 'is complete again' : 'is as expected again'} (${since})`
}
