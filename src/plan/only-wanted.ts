import { PipeError, type Wanted } from '../sdk/index.js'

/** A step asked for nothing, or for several things at once that can't be told apart in the ledger. */
export class WantedError extends PipeError {
  readonly code = 'WANTED_UNCLEAR'
  override readonly hint = 'a step yields one `Wanted`; use two steps'
  constructor(step: string, found: 'nothing' | 'several things at once') {
    super(`step ${step} wants ${found}`)
  }
}

/** The `plan` of a step type does not come to its end. */
export class PlanEndlessError extends PipeError {
  readonly code = 'PLAN_ENDLESS'
  override readonly hint = 'this is a mistake in the step type: `plan` says what should exist, and reads little for it'
  constructor(step: string, ms: number) {
    super(`step ${step}: its plan did not end within ${ms / 60_000} minutes`)
  }
}

/** The longest that the plan of a step may take. */
const MOST_MS = 600_000

/**
 * The one thing that a plan gives. It is asked for a second one and for no more, so one that gives on and on is refused at once.
 *
 * @throws {WantedError} @throws {PlanEndlessError} @throws what `plan` throws.
 */
export async function onlyWanted(
  { id }: { readonly id: string },
  plan: () => AsyncIterable<Wanted> | Iterable<Wanted>,
  mostMs = MOST_MS,
): Promise<Wanted> {
  const all: Wanted[] = []
  const read = async () => {
    for await (const wanted of plan()) if (all.push(wanted) > 1) return
  }
  const reading = read()
  // It may fail when nobody waits for it any more.
  reading.catch(() => undefined)
  const ended = new AbortController()
  const endless = new Promise<never>((_, reject) => {
    const late = () => reject(new PlanEndlessError(id, mostMs))
    AbortSignal.timeout(mostMs).addEventListener('abort', late, { once: true, signal: ended.signal })
  })
  try {
    await Promise.race([reading, endless])
  } finally {
    ended.abort()
  }
  const [wanted, another] = all
  if (!wanted || another) throw new WantedError(id, wanted ? 'several things at once' : 'nothing')
  return wanted
}
