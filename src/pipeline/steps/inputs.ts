import type { Consumer } from '../../sdk/index.js'
import type { Field } from '../yaml/node.js'
import type { Pipeline, Step } from '../pipeline.js'
import type { Problems } from '../yaml/problems.js'
import { baseOf, excludes } from './writers.js'

/** Who is to know of changes of which tables, for `Warehouse.watch`. */
export function consumersOf({ name, steps }: Pick<Pipeline, 'name' | 'steps'>): readonly Consumer[] {
  return steps.flatMap((step) => step.inputs.map((input) => ({ pipeline: name, step: step.id, ...input })))
}

/** Reports steps that are computed from a table without coming after the step that fills it: what they give would be by chance. */
export function checkInputs(steps: readonly Step[], problems: Problems, needsOf: (step: Step) => Field): void {
  const byId = new Map(steps.map((step) => [step.id, step]))
  const writers = writersByTable(steps)
  const places = new Map(steps.map((step, i) => [step, i]))
  const place = (step: Step): number => places.get(step) ?? 0
  for (const step of steps.filter(({ inputs }) => inputs.length > 0)) {
    const own = baseOf(step)
    const read = new Set(step.inputs.map(({ table }) => table))
    const filling = new Set([...read].flatMap((table) => writers.get(table) ?? []))
    const others = [...filling].filter((writer) => baseOf(writer) !== own && !excludes(step, writer))
    if (others.length === 0) continue
    const before = ancestors(step, byId, new Set(others.map(baseOf)))
    for (const writer of others.filter((each) => !before.has(baseOf(each))).sort((a, b) => place(a) - place(b))) {
      const table = writer.outputs.find((output) => read.has(output.table))?.table
      const field = needsOf(step)
      problems.error(
        { place: field.node ? field.place : step.place, path: field.path },
        `step \`${own}\` reads table \`${table}\`, which \`${baseOf(writer)}\` fills, and does not come after it`,
        `needs: [${[...new Set([...step.needs.map((need) => need.replace(/\[.*$/, '')), baseOf(writer)])].join(', ')}]`,
      )
    }
  }
}

function writersByTable(steps: readonly Step[]): ReadonlyMap<string, readonly Step[]> {
  const writers = new Map<string, Step[]>()
  for (const step of steps) {
    for (const table of new Set(step.outputs.map((output) => output.table))) {
      const list = writers.get(table)
      if (list) list.push(step)
      else writers.set(table, [step])
    }
  }
  return writers
}

/**
 * Which of the wanted names, without the values of a matrix, are of steps that end before this one begins. Goes from the
 * nearest need to the farthest and ends when all are found: who fills an input mostly stands right before.
 */
function ancestors(step: Step, byId: ReadonlyMap<string, Step>, wanted: ReadonlySet<string>): ReadonlySet<string> {
  const found = new Set<string>()
  const seen = new Set(step.needs)
  // A set is walked in the order of what is added, also while it grows.
  for (const id of seen) {
    const need = byId.get(id)
    if (!need) continue
    const base = baseOf(need)
    if (wanted.has(base)) found.add(base)
    if (found.size === wanted.size) break
    for (const next of need.needs) seen.add(next)
  }
  return found
}
