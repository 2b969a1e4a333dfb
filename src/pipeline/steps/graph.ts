/** A step as the graph sees it. */
export interface GraphNode {
  readonly id: string
  readonly needs: readonly string[]
}

/**
 * The steps with each after all that it needs, otherwise in the order of the file; or a cycle as a path that ends where it
 * begins (`a, b, a`: a needs b, b needs a). Needs that are no step are not looked at.
 */
export function orderSteps(steps: readonly GraphNode[]): { readonly order: string[] } | { readonly cycle: string[] } {
  const cycle = findCycle(steps)
  if (cycle) return { cycle }
  const needs = new Map(steps.map((step) => [step.id, step.needs]))
  const order = new Set<string>()
  for (const { id } of steps) addWithNeeds(id, needs, order)
  return { order: [...order] }
}

/** The steps by distance from the start: all of a level can run at the same time. The steps must have no cycle. */
export function levels(steps: readonly GraphNode[]): string[][] {
  const ordered = orderSteps(steps)
  const needs = new Map(steps.map((step) => [step.id, step.needs]))
  const depths = new Map<string, number>()
  for (const id of 'order' in ordered ? ordered.order : [])
    depths.set(
      id,
      (needs.get(id) ?? []).reduce((depth, need) => Math.max(depth, (depths.get(need) ?? -1) + 1), 0),
    )
  const rows: string[][] = []
  for (const { id } of steps) (rows[depths.get(id) ?? 0] ??= []).push(id)
  return rows
}

/** Each need as `[what is needed, who needs it]`. Needs that are no step are left out. */
export function edges(steps: readonly GraphNode[]): readonly (readonly [string, string])[] {
  const known = new Set(steps.map(({ id }) => id))
  return steps.flatMap(({ id, needs }) => needs.filter((need) => known.has(need)).map((need) => [need, id] as const))
}

/**
 * All that these steps need, and what that needs in turn; one of these only where another of them needs it.
 *
 * @param through Whether what a needed step needs counts, too. Left out, it does.
 */
export function ancestors<T extends GraphNode>(
  steps: readonly T[],
  of: Iterable<string>,
  through: (step: T) => boolean = () => true,
): Set<string> {
  const byId = new Map(steps.map((step) => [step.id, step]))
  const found = new Set<string>()
  const open = [...of].flatMap((id) => byId.get(id)?.needs ?? [])
  for (let id = open.pop(); id !== undefined; id = open.pop()) {
    const step = byId.get(id)
    if (!step || found.has(id)) continue
    found.add(id)
    if (through(step)) open.push(...step.needs)
  }
  return found
}

/** Adds what a step needs, then the step. Without recursion: a file may chain thousands of steps. */
function addWithNeeds(id: string, needs: ReadonlyMap<string, readonly string[]>, order: Set<string>): void {
  const stack = [id]
  for (let at = stack.at(-1); at !== undefined; at = stack.at(-1)) {
    const missing = order.has(at) ? undefined : needs.get(at)?.find((need) => needs.has(need) && !order.has(need))
    if (missing !== undefined) stack.push(missing)
    else {
      order.add(at)
      stack.pop()
    }
  }
}

/** The first cycle met when following needs in the order of the file, or undefined when there is none. */
function findCycle(steps: readonly GraphNode[]): string[] | undefined {
  const needs = new Map(steps.map((step) => [step.id, step.needs]))
  const finished = new Set<string>()
  for (const { id } of steps) {
    const path: { readonly id: string; next: number }[] = [{ id, next: 0 }]
    const open = new Set([id])
    for (let at = path.at(-1); at; at = path.at(-1)) {
      const need = needs.get(at.id)?.[at.next++]
      if (need === undefined) {
        finished.add(at.id)
        open.delete(at.id)
        path.pop()
      } else if (open.has(need)) {
        return [...path.slice(path.findIndex((step) => step.id === need)).map((step) => step.id), need]
      } else if (needs.has(need) && !finished.has(need)) {
        open.add(need)
        path.push({ id: need, next: 0 })
      }
    }
  }
  return undefined
}
