import { dirname, join, resolve } from 'node:path'
import { readPipeline } from '../pipeline/read.js'
import { formatProblem } from '../pipeline/yaml/format.js'
import { escapeText } from '../report/escape.js'
import { staticParams, unknownParams } from '../pipeline/params/params.js'
import type { Endpoint, Pipeline, Step } from '../pipeline/pipeline.js'
import type { Moment } from '../plan/scope.js'
import { didYouMean, type HttpClient, PipeError, type RpcPool, type RunFact, type Warehouse } from '../sdk/index.js'
import type { Source } from '../http/source.js'
import type { ChainRpc } from '../rpc/pool.js'
import { StepWithoutChainError } from '../run/run.js'
import type { StateStore } from '../state/store.js'
import type { Io } from './io.js'
import type { PlanOptions } from './options.js'
import { UsageError } from './usage-error.js'

/** Tables of the warehouse are not what the file declares. */
export class SchemaDriftError extends PipeError {
  readonly code = 'SCHEMA_DRIFT'
  override readonly hint: string
  constructor(problems: readonly string[], fixes: readonly string[], migrations: boolean) {
    super(`the warehouse differs from \`tables\`:\n  ${problems.join('\n  ')}`)
    const where = migrations ? ' (put it into the next numbered file of `migrations`, and run `pipe migrate`)' : ''
    this.hint = fixes.length > 0 ? `this would mend it${where}:\n    ${fixes.join('\n    ')}` : 'change `tables`, or the table'
  }
}

/** SQL of the pipeline is not applied yet. Nothing was fetched. */
export class MigrationsPendingError extends PipeError {
  readonly code = 'MIGRATIONS_PENDING'
  override readonly hint: string
  constructor(display: string, names: readonly string[], file: string) {
    super(
      `${names.length} ${names.length === 1 ? 'migration is' : 'migrations are'} not applied to ${display}: ${names.slice(0, 5).join(', ')}${names.length > 5 ? ', …' : ''}`,
    )
    this.hint = `apply ${names.length === 1 ? 'it' : 'them'} first: pipe migrate ${file}`
  }
}

/** A chain was asked for its head and must not be. */
export class OfflineError extends PipeError {
  readonly code = 'OFFLINE'
  override readonly hint = 'leave out --offline, or give the blocks as numbers: --param from=… --param to=…'
  constructor(readonly chain: string) {
    super(`needs the head of ${chain}`)
  }
}

/** A pipeline for `plan` and `run`, with every `--param` and `--select` checked. Undefined when it has mistakes; they are printed. */
export async function pipelineFor(
  file: string,
  options: PlanOptions,
  io: Io,
  environment: 'require' | 'warn',
): Promise<Pipeline | undefined> {
  const { pipeline, problems } = await readPipeline(file, { cwd: io.cwd, env: io.env, environment, params: options.params })
  const errors = problems.filter(({ severity }) => severity === 'error')
  for (const problem of environment === 'warn' ? errors : problems) io.stderr.write(`${escapeText(formatProblem(problem))}\n`)
  if (errors.length > 0) return undefined
  if (!pipeline) throw new UsageError(`${file} has no steps: it is a shared file`, 'name the pipeline that imports it')
  const wrong = [
    ...unknownParams(pipeline.params, options.params),
    ...staticParams(pipeline.params, options.params).problems.map(
      ({ path, message, hint }) => `${path} ${message}${hint === undefined ? '' : ` (${hint})`}`,
    ),
  ]
  const ids = pipeline.steps.flatMap(({ id }) => [id, id.replace(/\[.*\]$/, '')])
  for (const id of options.select ?? []) {
    if (!ids.includes(id))
      wrong.push(`--select ${id}: no such step (${didYouMean(id, ids) ?? `it has ${pipeline.steps.map((step) => step.id).join(', ')}`})`)
  }
  if (wrong.length === 0) return pipeline
  for (const line of wrong) io.stderr.write(`error: ${line}\n`)
  return undefined
}

/** Where the state store is, as an absolute URL. */
export function stateUrl(state: string, io: Io): string {
  return state.startsWith('sqlite:') ? `sqlite:${resolve(io.cwd, state.slice('sqlite:'.length))}` : state
}

/** The folder for locks and other small files of runs. */
export function stateFolder(state: string, io: Io): string {
  const url = stateUrl(state, io)
  return url.startsWith('sqlite:') ? dirname(url.slice('sqlite:'.length)) : join(io.cwd, '.pipe')
}

/** A warehouse URL with the path of a file made absolute. */
export function warehouseUrl(url: string, io: Io): string {
  const match = /^(duckdb|chdb):(.+)$/.exec(url)
  return match && match[2] !== ':memory:' ? `${match[1]}:${resolve(io.cwd, match[2] ?? '')}` : url
}

/** The pipeline with the warehouse of its demo: one of its own, unless WAREHOUSE_URL is set. */
export function inDemo(pipeline: Pipeline, io: Io): Pipeline {
  return io.env.WAREHOUSE_URL ? pipeline : { ...pipeline, warehouse: `duckdb:data/${pipeline.name}-demo.duckdb` }
}

/** Opens the state store; of a machine's runs it can tell whether they live. */
export async function openState(state: string, io: Io, readOnly = false): Promise<StateStore> {
  const { openStateStore } = await import('../state/open.js')
  return openStateStore(stateUrl(state, io), { clock: io.clock, machine: { host: io.host, alive: (pid) => io.alive(pid) }, readOnly })
}

/**
 * Stops while migrations are pending: what they make is part of what the steps fill. The ledger's tables must be there.
 *
 * @throws {MigrationsPendingError} @throws {MigrationHistoryError}
 */
export async function refusePending(warehouse: Warehouse, pipeline: Pipeline): Promise<void> {
  if (pipeline.migrations === undefined) return
  const [{ readMigrations }, { pendingMigrations }] = await Promise.all([
    import('../pipeline/migrations.js'),
    import('../warehouse/migrate.js'),
  ])
  const { migrations } = readMigrations(pipeline.migrations, warehouse.kind)
  const pending = await pendingMigrations(warehouse, pipeline.name, migrations)
  if (pending.length > 0)
    throw new MigrationsPendingError(
      warehouse.display,
      pending.map(({ name }) => name),
      pipeline.file,
    )
}

/** Stops with every difference between the declared tables and the real ones. @throws {SchemaDriftError} */
export async function refuseDrift(warehouse: Warehouse, pipeline: Pipeline): Promise<void> {
  const drift = await warehouse.drift([...pipeline.tables.values()])
  if (drift.length > 0)
    throw new SchemaDriftError(
      drift.map(({ table, problem }) => `${table}: ${problem}`),
      drift.flatMap(({ fix }) => fix ?? []),
      pipeline.migrations !== undefined,
    )
}

/** The endpoints of every chain in use, opened when a step or a head first needs them. */
export interface Chains {
  head(chain: string): Promise<bigint>
  /** Heads that were asked for, as text. */
  heads(): Record<string, string>
  lane(step: Step): RpcPool
  /** Writes down what was found out about the endpoints. */
  remember(): Promise<void>
  close(): Promise<void>
}

export interface ChainsOptions {
  readonly pipeline: Pipeline
  readonly warehouse: Warehouse
  readonly state: StateStore
  readonly io: Io
  /** Ends the wait for a head. */
  readonly signal: AbortSignal
  readonly emit: (fact: RunFact) => void
  /** Stands in for the endpoints of every chain. */
  readonly endpoint?: string | undefined
  /** Whether the genesis hash of a new chain is written down. Not when planning, which changes nothing. */
  readonly remember: boolean
}

export function openChains({ pipeline, warehouse, state, io, signal, emit, endpoint, remember }: ChainsOptions): Chains {
  const opened = new Map<string, ChainRpc>()
  const opening = new Map<string, Promise<ChainRpc>>()
  const heads = new Map<string, Promise<bigint>>()
  const known = new Map<string, bigint>()
  const open = (name: string): Promise<ChainRpc> => {
    let promise = opening.get(name)
    if (!promise) opening.set(name, (promise = openChain(name)))
    return promise
  }
  const openChain = async (name: string): Promise<ChainRpc> => {
    const chain = pipeline.chains.get(name)
    if (!chain) throw new Error(`no chain ${name}`)
    if (endpoint === undefined && chain.endpoints.length === 0) {
      const { RpcUnreachableError } = await import('../rpc/errors.js')
      throw new RpcUnreachableError(name, [], chain.unset)
    }
    const { openChainRpc } = await import('../rpc/pool.js')
    const limits = endpoint === undefined ? await state.limits(name) : []
    const rpc = openChainRpc({
      chain: { name, id: chain.id },
      endpoints: endpoint === undefined ? chain.endpoints : [standIn(endpoint)],
      clock: io.clock,
      random: io.random,
      emit,
      limits,
      genesis: await warehouse.genesis(chain.id),
      ...(remember ? { onGenesis: (hash: string) => warehouse.rememberGenesis(chain.id, hash) } : {}),
    })
    opened.set(name, rpc)
    return rpc
  }
  return {
    head: (name) => {
      let head = heads.get(name)
      if (!head) {
        head = open(name).then((rpc) => rpc.head(signal))
        heads.set(name, head)
        head.then(
          (number) => known.set(name, number),
          () => heads.delete(name),
        )
      }
      return head
    },
    heads: () => Object.fromEntries([...known].map(([name, head]) => [name, String(head)])),
    lane: (step) => lazyLane(step, open),
    remember: async () => {
      if (endpoint !== undefined) return
      const at = io.clock.now()
      const limits = [...opened].flatMap(([chain, rpc]) =>
        rpc.learned().map((learned) => ({ chain, ...learned, maxBlockRange: undefined, at })),
      )
      if (limits.length > 0) await state.rememberLimits(limits)
    },
    close: async () => {
      await Promise.all([...opened.values()].map((rpc) => rpc.close()))
    },
  }
}

const standIn = (url: string): Endpoint => ({
  url,
  maxWorkers: undefined,
  priority: 0,
  requestsPerSecond: undefined,
  maxBlockRange: undefined,
  headers: {},
})

/** The pool of a step's chain, opened with its first call. */
export function lazyLane(step: Step, open: (chain: string) => Promise<ChainRpc>): RpcPool {
  let lane: Promise<RpcPool> | undefined
  const get = (): Promise<RpcPool> => {
    if (step.chain === undefined) throw new StepWithoutChainError(step.id)
    const batch = typeof step.with === 'object' && step.with !== null && 'batch' in step.with ? Number(step.with.batch) : undefined
    lane ??= open(step.chain).then((rpc) =>
      rpc.forStep({
        id: step.id,
        parallel: step.parallel,
        ...(batch === undefined || Number.isNaN(batch) ? {} : { batch }),
        attempts: step.retry.attempts,
        waitMs: step.retry.waitMs,
        maxWaitMs: step.retry.maxWaitMs,
      }),
    )
    return lane
  }
  return {
    batch: async (calls, options) => (await get()).batch(calls, options),
    request: async (method, params, options) => (await get()).request(method, params, options),
    ready: async (signal) => (await get()).ready(signal),
  }
}

/** The REST sources in use, opened with the first request to each. */
export interface Sources {
  /** The source of a step. */
  client(step: Step): HttpClient
  close(): Promise<void>
}

export interface SourcesOptions {
  readonly pipeline: Pipeline
  readonly io: Io
  readonly emit: (fact: RunFact) => void
  /** URL that stands in for every source. */
  readonly standIn?: string | undefined
}

/** A step asks a REST source and names none. */
export class StepWithoutSourceError extends PipeError {
  readonly code = 'STEP_WITHOUT_SOURCE'
  override readonly hint = 'name a source of `sources` in the step: source: NAME'
  constructor(step: string) {
    super(`step ${step} asks a REST source and has none`)
  }
}

export function openSources({ pipeline, io, emit, standIn }: SourcesOptions): Sources {
  const opened = new Map<string, Promise<Source>>()
  const open = (name: string): Promise<Source> => {
    let source = opened.get(name)
    if (!source) opened.set(name, (source = openOne(name)))
    return source
  }
  const openOne = async (name: string): Promise<Source> => {
    const source = pipeline.sources.get(name)
    if (!source) throw new Error(`no source ${name}`)
    const { openSource } = await import('../http/source.js')
    // The keys of the real one are not for the one that stands in.
    const config = standIn === undefined ? source : { ...source, url: standIn, headers: {}, requestsPerSecond: undefined }
    return openSource({ source: config, clock: io.clock, random: io.random, emit })
  }
  return {
    client: (step) => ({
      get: async (request, options) => {
        if (step.source === undefined) throw new StepWithoutSourceError(step.id)
        return (await open(step.source)).get(request, options)
      },
    }),
    close: async () => {
      await Promise.all([...opened.values()].map(async (source) => (await source).close()))
    },
  }
}

/** What a run reads up to, in all its rounds: the clock when it began (`now`, milliseconds), each head when it is first asked for. */
export function createMoment(now: number, ask: (chain: string) => Promise<bigint>): Moment {
  const heads = new Map<string, Promise<bigint>>()
  const head = (chain: string) => {
    let known = heads.get(chain)
    if (!known) {
      heads.set(chain, (known = ask(chain)))
      // An endpoint that was down may answer in the next round.
      known.catch(() => heads.delete(chain))
    }
    return known
  }
  return { now: BigInt(Math.floor(now)) * 1000n, head }
}
