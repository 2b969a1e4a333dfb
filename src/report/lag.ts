import type { RunView, StepView } from './view.js'

/** How far what is read of a chain lies behind its head. */
export interface Lag {
  readonly chain: string
  readonly head: number
  /** Blocks up to the head that not all steps of the chain have read; those that they leave to a reorg count as well. */
  readonly behind: number
  /** For how many milliseconds the oldest of them is known to be there; null where it was there before the run began. */
  readonly ms: number | null
}

/** The lag of each chain that a step follows, at `now`. */
export function lagsOf(view: RunView, now: number): Lag[] {
  return Object.entries(view.heads).flatMap(([chain, text]) => {
    const head = Number(text)
    const steps = view.steps.filter(({ blocks }) => blocks?.chain === chain)
    if (steps.length === 0) return []
    const behind = Math.max(...steps.map((step) => behindOf(step, head)))
    return [{ chain, head, behind, ms: behind === 0 ? 0 : ageOf(view.seen[chain] ?? [], head - behind + 1, now) }]
  })
}

const behindOf = ({ blocks, total, done }: StepView, head: number): number =>
  Math.max(0, head - (blocks?.last ?? head) + Math.max(0, (total ?? 0) - done))

/** The first sight of a run says nothing of how long the blocks up to it have been there. */
function ageOf(seen: readonly (readonly [number, number])[], block: number, now: number): number | null {
  const first = seen.findIndex(([head]) => head >= block)
  const at = first > 0 ? seen[first]?.[1] : undefined
  return at === undefined ? null : Math.max(0, now - at)
}

/** More sights than this of a chain are thinned out. */
const MOST_SEEN = 256

/** Takes note of heads that moved, and forgets those below all that is unread. */
export function seeHeads(view: RunView, at: number): void {
  for (const [chain, text] of Object.entries(view.heads)) {
    const head = Number(text)
    const seen = (view.seen[chain] ??= [])
    if (head > (seen.at(-1)?.[0] ?? -1)) seen.push([head, at])
    const behind = lagsOf(view, at).find((lag) => lag.chain === chain)?.behind ?? head
    while (seen.length > 2 && (seen[1]?.[0] ?? head) <= head - behind) seen.shift()
    if (seen.length > MOST_SEEN) view.seen[chain] = seen.filter((_, i) => i === 0 || i % 2 === 1)
  }
}
