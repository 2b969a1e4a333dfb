import type { Moment } from '../plan/scope.js'

/** A moment that says which heads it was asked for. */
export interface SessionMoment extends Moment {
  /** By chain, as text. */
  heads(): Record<string, string>
}

/**
 * What a round reads up to: the clock when it was made (`now`, milliseconds), and each head when it is first asked for.
 * `ask` is called once a chain, and again only after it failed; `asked` is waited for before a new head is given. `heads`: those
 * that are known already.
 */
export function createMoment(
  now: number,
  ask: (chain: string) => Promise<bigint>,
  asked: (heads: Record<string, string>) => Promise<void> = () => Promise.resolve(),
  heads: ReadonlyMap<string, bigint> = new Map(),
): SessionMoment {
  const known = new Map(heads)
  const asking = new Map([...heads].map(([chain, head]) => [chain, Promise.resolve(head)]))
  const told = () => Object.fromEntries([...known].map(([chain, head]) => [chain, String(head)]))
  const resolve = async (chain: string) => {
    const head = await ask(chain)
    known.set(chain, head)
    await asked(told())
    return head
  }
  const head = (chain: string) => {
    let promise = asking.get(chain)
    if (!promise) {
      asking.set(chain, (promise = resolve(chain)))
      // An endpoint that was down may answer in the next round.
      promise.catch(() => asking.delete(chain))
    }
    return promise
  }
  return { now: BigInt(Math.floor(now)) * 1000n, head, heads: told }
}
