import { accountOf } from '../sdk/index.js'
import type { Endpoint, EndpointBudget } from './pipeline.js'
import { entriesOf, type Field, fieldOf, numberOf } from './yaml/node.js'
import type { Problems } from './yaml/problems.js'

/** Credits of a call of which nobody says what it costs. */
const DEFAULT_COST = 1

/** `budget` of an endpoint; undefined where there is none, or one that the schema reports. */
export function readBudget(field: Field, problems: Problems): EndpointBudget | undefined {
  const rate = fieldOf(field, 'credits_per_second')
  const creditsPerSecond = numberOf(rate)
  if (creditsPerSecond === undefined) return undefined
  const hint = `no call could be sent: raise credits_per_second, or lower what the call costs`
  const affordable = (at: Field, what: string): number | undefined => {
    const cost = numberOf(at)
    if (cost !== undefined && cost > creditsPerSecond)
      problems.error(at, `${what} costs ${cost} credits, and a second has ${creditsPerSecond}`, hint)
    return cost
  }
  const costs: Record<string, number> = {}
  for (const { key, field: at } of entriesOf(fieldOf(field, 'costs'))) costs[key] = affordable(at, key) ?? DEFAULT_COST
  const other = affordable(fieldOf(field, 'default'), 'a call of any other method')
  if (other === undefined)
    problems.warning(
      field,
      `a call of a method that \`costs\` does not name counts as ${DEFAULT_COST} credit`,
      `say what it costs: default: ${Math.max(DEFAULT_COST, ...Object.values(costs))}`,
    )
  return { creditsPerSecond, costs, default: other ?? DEFAULT_COST }
}

/** Sees to it that endpoints with one key, over all chains, have one budget. */
export class SharedBudgets {
  readonly #accounts = new Map<string, number>()

  add(endpoint: Endpoint, at: Field, problems: Problems): void {
    if (!endpoint.budget) return
    const account = accountOf(endpoint)
    const { creditsPerSecond } = endpoint.budget
    const shared = this.#accounts.get(account) ?? creditsPerSecond
    this.#accounts.set(account, shared)
    if (shared !== creditsPerSecond)
      problems.error(
        fieldOf(at, 'credits_per_second'),
        `is ${creditsPerSecond}, and ${shared} at another endpoint with the same key`,
        'endpoints with one key share one budget: give the same credits_per_second at each',
      )
  }
}
