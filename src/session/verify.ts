import type { Pipeline } from '../pipeline/pipeline.js'
import type { LedgerReader } from '../sdk/index.js'
import type { VerifyReport } from '../verify/report.js'
import { type VerifyOptions, verifyPipeline } from '../verify/verify.js'
import type { Chains } from './chains.js'
import { EachEndpoint } from './each-endpoint.js'
import type { LastRun } from './last-run.js'
import { goneTables } from './gone.js'
import { createMoment } from './moment.js'
import { refusePending } from './ready.js'
import { createRedactor, redactDeep } from './redact.js'
import { openSources } from './sources.js'
import type { Surroundings, World } from './surroundings.js'

export interface VerifyRequest {
  /** Read with the params of the last run. */
  readonly pipeline: Pipeline
  readonly params: Readonly<Record<string, string>>
  /** What is wanted is what the last run wanted. */
  readonly last: LastRun
  /** One step; undefined means all. */
  readonly step: string | undefined
  /** Units of each step that are fetched again. */
  readonly sample: number | undefined
  /** Blocks of each step that are proved, and what they are chosen by. */
  readonly proof?: VerifyOptions['proof']
  /** Whether the commands that mend say `--demo`. */
  readonly demo: boolean
  /** Where the state is kept, when those commands must say it. */
  readonly state?: string | undefined
}

export interface VerifyWith {
  readonly warehouse: LedgerReader
  readonly chains: Chains
  readonly surroundings: Surroundings
  /** What stands in for what the pipeline reads. */
  readonly world: World | undefined
}

/** Compares the warehouse with its ledger. The report holds no secret. */
export async function verify({ warehouse, chains, surroundings, world }: VerifyWith, request: VerifyRequest): Promise<VerifyReport> {
  const { pipeline, last } = request
  const { clock, random, signal } = surroundings
  const sources = openSources({ pipeline, surroundings, emit: () => undefined, standIn: world?.source })
  const endpoints = new EachEndpoint(pipeline, warehouse, surroundings, world?.chain)
  try {
    await warehouse.assume([])
    await refusePending(warehouse, pipeline)
    const gone = await goneTables(warehouse, pipeline)
    await warehouse.assume([...pipeline.tables.values()])
    if (request.sample !== undefined || request.proof) await endpoints.ready()
    const present = createMoment(world?.now ?? clock.now(), (chain) => {
      const known = last.heads[chain]
      return known === undefined ? chains.head(chain) : Promise.resolve(BigInt(known))
    })
    const report = await verifyPipeline({
      pipeline,
      warehouse,
      gone,
      moment: { now: last.now === undefined ? present.now : BigInt(last.now), head: (chain) => present.head(chain) },
      rests: last.rests,
      given: request.params,
      demo: request.demo,
      state: request.state,
      now: present.now,
      step: request.step,
      sample: request.sample,
      proof: request.proof,
      fetchers: (step, config) => endpoints.of(step, config),
      http: (step) => sources.client(step),
      random,
      signal,
    })
    return redactDeep(report, createRedactor(pipeline.secrets))
  } finally {
    await Promise.all([endpoints.close(), sources.close()])
  }
}
