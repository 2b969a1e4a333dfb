import type { Pipeline, Step } from '../pipeline/pipeline.js'
import type { Moment } from '../plan/scope.js'
import { count, counted } from '../report/words.js'
import type { ChainRpc } from '../rpc/pool.js'
import { didYouMean, type Json, micros, type Warehouse } from '../sdk/index.js'
import type { StateStore } from '../state/store.js'
import type { Finding, VerifyReport } from '../verify/report.js'
import type { Fetcher } from '../verify/sample.js'
import { verifyPipeline } from '../verify/verify.js'
import { Exit, type Io } from './io.js'
import { nothingRun } from './nothing-run.js'
import { openPipeline } from './open-pipeline.js'
import type { VerifyOptions } from './options.js'
import { createRedactor, redactDeep } from './redact.js'
import { UsageError } from './usage-error.js'
import { inDemo, lazyLane, openChains, openState, pipelineFor, refusePending, warehouseUrl } from './wire.js'

/** Looks for what is not as the ledger says, and prints it with what mends it. Changes nothing. */
export async function verifyCommand(file: string, options: VerifyOptions, io: Io): Promise<number> {
  if (options.demo && options.sample !== undefined)
    throw new UsageError('--sample asks endpoints, and those of the demo have ended with it', 'leave out --sample or --demo')
  const environment = options.sample === undefined ? 'warn' : 'require'
  // Read without params first: which warehouse it is decides which run was the last.
  const found = await openPipeline(file, { environment: 'warn', params: options.params }, io)
  if (!found) return Exit.notStarted
  const named = options.demo ? inDemo(found, io) : found
  const { openWarehouse } = await import('../warehouse/open.js')
  const warehouse = await openWarehouse(warehouseUrl(named.warehouse, io), { mode: 'plan' })
  let state: StateStore | undefined
  try {
    state = await openState(options.state, io, true)
    const last = await lastRun(state, named, warehouse, io)
    if (!last.any && (await warehouse.units(named.name)).length === 0) throw nothingRun(named, warehouse.display, 'verify', io)
    const params = { ...last.params, ...options.params }
    const pipeline = await pipelineFor(file, { ...options, params, select: undefined, limit: undefined }, io, environment)
    if (!pipeline) return Exit.notStarted
    const ids = pipeline.steps.map(({ id }) => id)
    const bare = ids.map((id) => id.replace(/\[.*\]$/, ''))
    if (options.step !== undefined && ![...ids, ...bare].includes(options.step))
      throw new UsageError(`--step ${options.step}: no such step`, didYouMean(options.step, ids) ?? `it has ${ids.join(', ')}`)
    const report = redactDeep(await verify({ pipeline, warehouse, state, options, params, last, io }), createRedactor(pipeline.secrets))
    io.stdout.write(options.json ? `${JSON.stringify(report, null, 2)}\n` : renderVerify(report, options.demo))
    return report.ok ? Exit.done : Exit.incomplete
  } finally {
    await state?.close()
    await warehouse.close()
  }
}

/** What the last run was asked for. */
interface LastRun {
  /** Whether there was one. */
  readonly any: boolean
  readonly params: Readonly<Record<string, string>>
  readonly heads: Readonly<Record<string, string>>
  /** Microseconds UTC, as text. */
  readonly now: string | undefined
}

const RUNS_LOOKED_AT = 20

async function lastRun(state: StateStore, pipeline: Pipeline, warehouse: Warehouse, io: Io): Promise<LastRun> {
  const runs = await state.runs(pipeline.name, { warehouse: warehouse.display, limit: RUNS_LOOKED_AT })
  const [latest] = runs
  if (latest?.outcome === 'running')
    io.stderr.write(
      `warning: a run of ${pipeline.name} is under way (pid ${latest.pid} on ${latest.host}): what it has not done yet is listed, too\n`,
    )
  const found = runs.find(({ resolved }) => resolved !== undefined && resolved !== null)?.resolved
  const texts = (value: Json | undefined): [string, string][] =>
    typeof value === 'object' && value !== null ? Object.entries(value).map(([name, item]) => [name, String(item)]) : []
  const { params, heads, now } = (typeof found === 'object' ? found : {}) as { readonly [key: string]: Json }
  return {
    any: runs.length > 0,
    // A param that the file no longer has says nothing.
    params: Object.fromEntries(texts(params).filter(([name]) => pipeline.params.has(name))),
    heads: Object.fromEntries(texts(heads)),
    now: typeof now === 'string' ? now : undefined,
  }
}

interface Opened {
  readonly pipeline: Pipeline
  readonly warehouse: Warehouse
  readonly state: StateStore
  readonly options: VerifyOptions
  readonly params: Readonly<Record<string, string>>
  readonly last: LastRun
  readonly io: Io
}

async function verify({ pipeline, warehouse, state, options, params, last, io }: Opened): Promise<VerifyReport> {
  const chains = openChains({ pipeline, warehouse, state, io, signal: io.signal, emit: () => undefined, remember: false })
  const endpoints = new Endpoints(pipeline, warehouse, io)
  try {
    await warehouse.pretend([])
    await refusePending(warehouse, pipeline)
    await warehouse.pretend([...pipeline.tables.values()])
    if (options.sample !== undefined) await endpoints.ready()
    const now = micros(io.clock)
    const moment: Moment = {
      now: last.now === undefined ? now : BigInt(last.now),
      head: (chain) => {
        const known = last.heads[chain]
        return known === undefined ? chains.head(chain) : Promise.resolve(BigInt(known))
      },
    }
    return await verifyPipeline({
      pipeline,
      warehouse,
      moment,
      given: params,
      demo: options.demo,
      now,
      step: options.step,
      sample: options.sample,
      fetchers: (step) => endpoints.of(step),
      random: io.random,
      signal: io.signal,
    })
  } finally {
    await endpoints.close()
    await chains.close()
  }
}

/** Each endpoint of each chain as a pool of one, so that it is known who answers. */
class Endpoints {
  readonly #pipeline: Pipeline
  readonly #warehouse: Warehouse
  readonly #io: Io
  readonly #chains = new Map<string, { readonly host: string; readonly rpc: ChainRpc }[]>()

  constructor(pipeline: Pipeline, warehouse: Warehouse, io: Io) {
    this.#pipeline = pipeline
    this.#warehouse = warehouse
    this.#io = io
  }

  /** Makes the pools. Asks nothing yet. */
  async ready(): Promise<void> {
    const { endpointNames, openChainRpc } = await import('../rpc/pool.js')
    for (const [name, chain] of this.#pipeline.chains) {
      const genesis = await this.#warehouse.genesis(chain.id)
      const names = endpointNames(chain.endpoints)
      const pools = chain.endpoints.map((endpoint, i) => ({
        host: names[i] ?? '',
        rpc: openChainRpc({
          chain: { name, id: chain.id },
          endpoints: [endpoint],
          clock: this.#io.clock,
          random: this.#io.random,
          emit: () => undefined,
          limits: [],
          genesis,
        }),
      }))
      this.#chains.set(name, pools)
    }
  }

  of(step: Step): Fetcher[] {
    const pools = this.#chains.get(step.chain ?? '') ?? []
    return pools.map(({ host, rpc }) => ({ host, rpc: lazyLane(step, () => Promise.resolve(rpc)) }))
  }

  async close(): Promise<void> {
    await Promise.all([...this.#chains.values()].flat().map(({ rpc }) => rpc.close()))
  }
}

/** The report as people read it. */
export function renderVerify(report: VerifyReport, demo = false): string {
  const lines = [`verify ${report.pipeline} in ${report.warehouse}`, '']
  for (const step of report.steps) {
    const { units, rows } = step.sampled
    const found = report.findings.filter((finding) => finding.step === step.id).length + step.more
    const looked = [
      step.type === 'gate' ? '' : counted(step.units, 'units'),
      units > 0 ? `${counted(units, 'units')} fetched again, ${counted(rows, 'rows')} compared` : '',
      found > 0 ? counted(found, 'findings') : 'nothing found',
    ]
    lines.push(`${step.id}  ${looked.filter(Boolean).join(', ')}`)
    for (const note of step.notes) lines.push(`  ${note}`)
  }
  for (const finding of report.findings) lines.push('', ...renderFinding(finding))
  const more = report.steps.reduce((sum, step) => sum + step.more, 0)
  if (more > 0) lines.push('', `and ${count(more)} more of the kinds above`)
  lines.push(
    '',
    report.ok
      ? 'nothing found'
      : `${counted(report.findings.length + more, 'findings')}; pipe verify ${report.file}${demo ? ' --demo' : ''} again when they are mended`,
  )
  return `${lines.join('\n')}\n`
}

function renderFinding({ check, step, unit, key, problem, fix }: Finding): string[] {
  const where = [step, unit ?? '', key === null ? '' : `key ${key}`].filter(Boolean).join(' ')
  return [`${where}: ${problem} (${check})`, ...fix.flatMap((command) => command.split('\n')).map((line) => `    ${line}`)]
}
