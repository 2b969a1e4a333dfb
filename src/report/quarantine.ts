import { count, counted } from '../sdk/index.js'
import { escapeText } from './escape.js'
import type { RunView } from './view.js'

/** What failed for good for one reason in one step. */
export interface Cause {
  readonly step: string
  readonly what: 'keys' | 'units'
  readonly code: string
  /** Of the first of them; those of the others differ in their numbers at most. */
  readonly error: string
  readonly hint: string | null
  /** Lines that belong below the error of the first. */
  readonly detail: string | null
  count: number
  readonly first: string[]
}

/** One key or unit that failed for good. */
type Failure = Pick<Cause, 'step' | 'what' | 'code' | 'error' | 'hint' | 'detail'> & { readonly name: string }

/** More kinds of errors of a run are told together. */
const MOST_CAUSES = 50
const NAMED = 3

/** Not in the view: what other processes read of it stays as it is. */
const folded = new WeakMap<RunView['quarantined'], Map<string, Cause>>()

/** Counts what failed for good by step and error, without the numbers in it. */
export function setAside(view: RunView, failure: Failure): void {
  let causes = folded.get(view.quarantined)
  if (!causes) folded.set(view.quarantined, (causes = new Map()))
  add(causes, failure)
}

/** Why things are in quarantine, the most frequent cause first; of a view that another process folded only what it kept. */
export function causesOf(quarantined: Readonly<RunView['quarantined']>): Cause[] {
  let causes = folded.get(quarantined)
  if (!causes) {
    causes = new Map()
    for (const failure of quarantined.first) add(causes, { ...failure, what: 'keys', name: failure.key, detail: null })
  }
  return [...causes.values()].sort((a, b) => b.count - a.count)
}

function add(causes: Map<string, Cause>, { name, ...failure }: Failure): void {
  const { step, what, code, error } = failure
  const kind = JSON.stringify([step, what, code, error.replace(/0x[\da-f]+|\d[\d,.]*/gi, '#')])
  const others = JSON.stringify([step, what])
  const full = !causes.has(kind) && causes.size >= MOST_CAUSES
  const known = causes.get(full ? others : kind)
  if (known) {
    known.count++
    if (known.first.length < NAMED) known.first.push(name)
  } else if (full)
    causes.set(others, { step, what, code: 'OTHER', error: 'other errors', hint: null, detail: null, count: 1, first: [name] })
  else causes.set(kind, { ...failure, count: 1, first: [name] })
}

/** `17, 18, 19 and 409 more`. */
export function namesOf({ count: all, first }: Pick<Cause, 'count' | 'first'>): string {
  const names = first.map(escapeText).join(', ')
  return all > first.length ? `${names} and ${count(all - first.length)} more` : names
}

/** `412 keys of balances in quarantine: missing trie node (STATE): 17, 18, 19 and 409 more`. */
export function causeLine(cause: Cause): string {
  const { step, what, error, code } = cause
  return `${counted(cause.count, what)} of ${escapeText(step)} in quarantine: ${escapeText(error)} (${escapeText(code)}): ${namesOf(cause)}`
}
