import type { Pipeline } from '../pipeline/pipeline.js'
import type { Holder, Json } from '../sdk/index.js'
import type { RunRecord, StateStore } from '../state/store.js'

/** What the last run was asked for. */
export interface LastRun {
  /** Whether there was one. */
  readonly any: boolean
  /** Who runs it now. */
  readonly running: Pick<Holder, 'pid' | 'host'> | undefined
  readonly params: Readonly<Record<string, string>>
  readonly heads: Readonly<Record<string, string>>
  /** Microseconds UTC, as text. */
  readonly now: string | undefined
  /** Of steps that rested then: up to when they have read, microseconds UTC. */
  readonly rests: ReadonlyMap<string, bigint>
}

/** So many runs are looked through for one that knew its moment. */
export const RUNS_LOOKED_AT = 20

/** Looks the last run into a warehouse up. A run that ended before it knew its moment says nothing of it. */
export async function lastRun(state: StateStore, pipeline: Pipeline, warehouse: string): Promise<LastRun> {
  return lastOf(await state.runs(pipeline.name, { warehouse, limit: RUNS_LOOKED_AT }), pipeline)
}

/** The same of runs that somebody looked up, the newest first. */
export function lastOf(runs: readonly RunRecord[], pipeline: Pipeline): LastRun {
  const [latest] = runs
  const found = runs.find(({ resolved }) => resolved !== undefined && resolved !== null)?.resolved
  const texts = (value: Json | undefined): [string, string][] =>
    typeof value === 'object' && value !== null ? Object.entries(value).map(([name, item]) => [name, String(item)]) : []
  const { params, heads, now, rests } = (typeof found === 'object' ? found : {}) as { readonly [key: string]: Json }
  return {
    any: runs.length > 0,
    running: latest?.outcome === 'running' ? { pid: latest.pid, host: latest.host } : undefined,
    // A param that the file no longer has says nothing.
    params: Object.fromEntries(texts(params).filter(([name]) => pipeline.params.has(name))),
    heads: Object.fromEntries(texts(heads)),
    now: typeof now === 'string' ? now : undefined,
    rests: new Map(texts(rests).map(([step, at]) => [step, BigInt(at)])),
  }
}
