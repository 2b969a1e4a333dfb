import type { Json, StepDefinition } from '../../sdk/index.js'
import { orderSteps } from './graph.js'
import { pairedWith } from './matrix.js'
import { type Field, fieldOf, itemsOf, textOf } from '../yaml/node.js'
import type { Problems } from '../yaml/problems.js'
import { listing, suggestion } from '../schema/schema-problems.js'

/** A step as the file has it, before its matrix is expanded. */
export interface Written {
  readonly index: number
  readonly id: string
  readonly field: Field
  readonly definition: StepDefinition | undefined
  /** `with`, defaults filled in. */
  readonly config: Json
  /** Whether a part of it is not known. */
  readonly unknown: boolean
  readonly instances: readonly Instance[]
}

export interface Instance {
  readonly id: string
  readonly matrix: Readonly<Record<string, string>>
}

/** Checks `needs` of all steps, orders them, and gives those of an instance: of a step with the same matrix the one with equal values, else all. */
export function readNeeds(
  written: readonly Written[],
  problems: Problems,
): { readonly needs: (step: Written, instance: Instance) => readonly string[]; readonly order: readonly string[] | undefined } {
  const byId = new Map(written.map((step) => [step.id, step]))
  const owner = new Map(written.flatMap((step) => step.instances.map(({ id }) => [id, step] as const)))
  const needed = new Map<Written, readonly { readonly name: string; readonly step: Written; readonly field: Field }[]>()
  for (const step of written) {
    const found: { name: string; step: Written; field: Field }[] = []
    for (const item of itemsOf(fieldOf(step.field, 'needs'))) {
      const name = textOf(item)
      if (name === undefined) continue
      const target = byId.get(name) ?? owner.get(name)
      if (target) found.push({ name, step: target, field: item })
      else
        problems.error(
          item,
          `there is no step \`${name.slice(0, 60)}\``,
          suggestion(name, byId.keys()) ??
            listing(
              'the steps are',
              [...byId.keys()].filter((id) => !id.includes('[')),
            ),
        )
    }
    needed.set(step, found)
  }
  const needs = (step: Written, instance: Instance): readonly string[] => {
    const ids = (needed.get(step) ?? []).flatMap(({ name, step: target }) =>
      name === target.id ? pairedWith(instance.matrix, target.instances).map(({ id }) => id) : [name],
    )
    return [...new Set(ids)]
  }
  return { needs, order: orderOrReport(written, needed, problems) }
}

/** The ids in dependency order; undefined after a cycle was reported. */
function orderOrReport(
  written: readonly Written[],
  needed: ReadonlyMap<Written, readonly { readonly step: Written; readonly field: Field }[]>,
  problems: Problems,
): readonly string[] | undefined {
  const ordered = orderSteps(written.map((step) => ({ id: step.id, needs: (needed.get(step) ?? []).map((need) => need.step.id) })))
  if (!('cycle' in ordered)) return ordered.order
  const [first, second] = ordered.cycle
  const byId = new Map(written.map((step) => [step.id, step]))
  const begin = byId.get(first ?? '')
  const need = begin && needed.get(begin)?.find(({ step }) => step.id === second)
  const lines = [...new Set(ordered.cycle)].map((id) => byId.get(id)?.field.place.line)
  if (begin)
    problems.error(
      need?.field ?? begin.field,
      `steps need each other in a circle: ${ordered.cycle.join(' -> ')}`,
      `see ${lines.length === 1 ? 'line' : 'lines'} ${lines.join(', ')}`,
    )
  return undefined
}
