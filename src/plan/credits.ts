import type { Endpoint } from '../pipeline/pipeline.js'
import { accountOf, providerOf } from '../sdk/index.js'

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
  const accounts = new Map<string, { readonly perSecond: number; readonly cost: number }>()
  for (const endpoint of askedFirst(endpoints)) {
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

/** What a key has to pay for, where several steps spend its one budget. */
export interface KeyForecast {
  /** The domain at which it is a key; where there is none, the host. */
  readonly provider: string
  readonly chains: readonly string[]
  readonly steps: readonly string[]
  readonly credits: number
  readonly perSecond: number
  /** How long its budget makes all of them together take. */
  readonly seconds: number
}

interface Spending {
  readonly id: string
  readonly chain: string
  readonly endpoints: readonly Endpoint[]
  readonly budget: CreditsForecast | null
}

/** The sums by key, of those whose budget more than one step spends. */
export function sharedBudgets(steps: readonly Spending[]): readonly KeyForecast[] {
  const keys = new Map<string, KeyForecast>()
  for (const { id, chain, endpoints, budget } of steps) {
    if (!budget || budget.credits === 0) continue
    const rates = new Map(askedFirst(endpoints).map((endpoint) => [accountOf(endpoint), endpoint.budget?.creditsPerSecond ?? 0]))
    for (const [account, perSecond] of rates) {
      const before = keys.get(account)
      const seconds = (before?.seconds ?? 0) + budget.seconds
      keys.set(account, {
        provider: providerOf(account),
        chains: [...new Set([...(before?.chains ?? []), chain])],
        steps: [...(before?.steps ?? []), id],
        credits: Math.round(seconds * perSecond),
        perSecond,
        seconds,
      })
    }
  }
  return [...keys.values()].filter((key) => key.steps.length > 1)
}

/** Those of the lowest priority number: the others are asked when these can't answer. */
function askedFirst(endpoints: readonly Endpoint[]): readonly Endpoint[] {
  const first = Math.min(...endpoints.map(({ priority }) => priority))
  return endpoints.filter(({ priority }) => priority === first)
}
