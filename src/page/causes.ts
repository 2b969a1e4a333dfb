import type { Broken, RunView } from './api.js'

/** Failures that have one cause, as far as their words say. */
export interface Cause {
  readonly step: string
  /** The first line of one of them. */
  readonly message: string
  readonly code: string | null
  readonly hint: string | null
  /** The lines below, of an error that nobody expected. */
  readonly stack: string | null
  readonly count: number
  /** `retrying`: not given up yet. */
  readonly state: 'quarantined' | 'failed' | 'retrying'
  /** Some of the units and keys. */
  readonly where: readonly string[]
  /** Of the newest, milliseconds UTC. */
  readonly at: number
}

interface Failure {
  readonly step: string
  readonly error: string
  readonly code: string | null
  readonly hint: string | null
  readonly state: Cause['state']
  readonly where: string
  readonly at: number
}

const WORST: readonly Cause['state'][] = ['quarantined', 'failed', 'retrying']
const MOST_WHERE = 20

/** What failed, by cause: what differs in numbers and hashes only is one. The worst first, then the most. */
export function causesOf(broken: readonly Broken[], view: RunView | null | undefined): readonly Cause[] {
  const kept = broken.map(({ step, unit, key, state, error, at }): Failure => ({
    ...{ step, error, state, code: null, hint: null },
    where: key ?? unit ?? '',
    at: Date.parse(at),
  }))
  const seen = (view?.steps ?? []).flatMap(({ id, failures }) =>
    failures.map(({ unit, key, error, code, hint, state, at }): Failure => ({
      step: id,
      error,
      code,
      hint,
      state,
      at,
      where: key ?? unit,
    })),
  )
  const groups = new Map<string, Failure[]>()
  for (const failure of [...kept, ...seen]) {
    const cause = `${failure.step} ${likeness(firstLine(failure.error))}`
    groups.set(cause, [...(groups.get(cause) ?? []), failure])
  }
  return [...groups.values()].map(causeOf).sort((a, b) => WORST.indexOf(a.state) - WORST.indexOf(b.state) || b.count - a.count)
}

function causeOf(failures: readonly Failure[]): Cause {
  const first = failures[0] as Failure
  const places = [...new Set(failures.map(({ where }) => where))]
  const stack = failures.map(({ error }) => error.split('\n').slice(1).join('\n')).find((lines) => lines !== '')
  return {
    step: first.step,
    message: firstLine(first.error),
    code: failures.find(({ code }) => code !== null)?.code ?? null,
    hint: failures.find(({ hint }) => hint !== null)?.hint ?? null,
    stack: stack ?? null,
    count: places.length,
    state: WORST.find((state) => failures.some((failure) => failure.state === state)) ?? 'failed',
    where: places.slice(0, MOST_WHERE),
    at: Math.max(...failures.map(({ at }) => at)),
  }
}

/** Of an unexpected error, the kept text begins with the name of its class, which the event leaves out. */
const firstLine = (error: string): string => (error.split('\n')[0] ?? '').replace(/^(?:[A-Z]\w*)?Error: /, '')

const likeness = (text: string): string => text.replace(/0x[0-9a-f]+|\d[\d,._-]*/gi, '#')
