import type { Endpoint } from '../pipeline/pipeline.js'
import { accountOf } from '../sdk/index.js'

/** What calls cost of the budgets of the endpoints that are asked first. */
export interface CreditsForecast {
  readonly credits: number
  /** Of all these endpoints together. */
  readonly perSecond: number
  /** How long the budgets alone make it take. */
  readonly seconds: number
}

/**
 * The calls are shared out as fast as the budgets let each endpoint take them. `methods`: of how many of them each has how many.
 * Null when nobody knows how many calls there are, and where one of the endpoints has no budget: it may take any number.
 */
export function creditsOf(
  calls: number | undefined,
  methods: Readonly<Record<string, number>> | undefined,
  endpoints: readonly Endpoint[],
): CreditsForecast | null {
  const first = Math.min(...endpoints.map(({ priority }) => priority))
  const asked = endpoints.filter(({ priority }) => priority === first)
  const accounts = new Map<string, { readonly perSecond: number; readonly cost: number }>()
  for (const endpoint of asked) {
    const { budget } = endpoint
    if (!budget) return null
    const counts = Object.entries(methods ?? {})
    const all = counts.reduce((sum, [, count]) => sum + count, 0)
    const cost = counts.reduce((sum, [method, count]) => sum + (budget.costs[method] ?? budget.default) * (count / all), 0)
    accounts.set(accountOf(endpoint), { perSecond: budget.creditsPerSecond, cost: all > 0 ? cost : budget.default })
  }
  if (calls === undefined || accounts.size === 0) return null
  const budgets = [...accounts.values()]
  const perSecond = budgets.reduce((sum, budget) => sum + budget.perSecond, 0)
  // One at which they cost nothing takes them all.
  const seconds = calls / budgets.reduce((sum, budget) => sum + budget.perSecond / budget.cost, 0)
  return { credits: Math.round(seconds * perSecond), perSecond, seconds }
}
