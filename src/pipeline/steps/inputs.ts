import type { Consumer } from '../../sdk/index.js'
import type { Field } from '../yaml/node.js'
import type { Pipeline, Step } from '../pipeline.js'
import type { Problems } from '../yaml/problems.js'
import { baseOf, excludes } from './writers.js'

/** Who is to know of changes of which tables, for `Warehouse.watch`. */
export function consumersOf({ name, steps }: Pick<Pipeline, 'name' | 'steps'>): readonly Consumer[] {
  return steps.flatMap((step) => step.inputs.map(({ table, interval }) => ({ pipeline: name, step: step.id, table, interval })))
}

/** Reports steps that are computed from a table without coming after the step that fills it: what they give would be by chance. */
export function checkInputs(steps: readonly Step[], problems: Problems, needsOf: (step: Step) => Field): void {
  const byId = new Map(steps.map((step) => [step.id, step]))
  for (const step of steps.filter(({ inputs }) => inputs.length > 0)) {
    const before = ancestors(step, byId)
    const read = new Set(step.inputs.map(({ table }) => table))
    for (const writer of steps) {
      const table = writer.outputs.find((output) => read.has(output.table))?.table
      if (table === undefined || writer === step || baseOf(writer) === baseOf(step) || before.has(baseOf(writer)) || excludes(step, writer))
        continue
      const field = needsOf(step)
      problems.error(
        { place: field.node ? field.place : step.place, path: field.path },
        `step \`${baseOf(step)}\` reads table \`${table}\`, which \`${baseOf(writer)}\` fills, and does not come after it`,
        `needs: [${[...new Set([...step.needs.map((need) => need.replace(/\[.*$/, '')), baseOf(writer)])].join(', ')}]`,
      )
    }
  }
}

/** The names, without the values of a matrix, of all steps that end before this one begins. */
function ancestors(step: Step, byId: ReadonlyMap<string, Step>): ReadonlySet<string> {
  const found = new Set<string>()
  const seen = new Set<string>()
  const open = [...step.needs]
  for (let id = open.pop(); id !== undefined; id = open.pop()) {
    const need = byId.get(id)
    if (!need || seen.has(id)) continue
    seen.add(id)
    found.add(baseOf(need))
    open.push(...need.needs)
  }
  return found
}
