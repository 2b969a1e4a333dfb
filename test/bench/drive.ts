import { builtIn } from '../../plugins/index.js'
import { systemClock } from '../../src/cli/system-clock.js'
import type { Chain, Pipeline, Step } from '../../src/pipeline/pipeline.js'
import { reduce } from '../../src/report/reduce.js'
import { initialView } from '../../src/report/view.js'
import { openChainRpc } from '../../src/rpc/pool.js'
import { createBus } from '../../src/run/bus.js'
import { run } from '../../src/run/run.js'
import {
  defaultOutputs,
  defineStep,
  micros,
  numberAxis,
  type Json,
  parseColumnType,
  type RpcPool,
  type StepDefinition,
  type Table,
  Type,
  type Warehouse,
} from '../../src/sdk/index.js'
import { ADDRESS, type Load } from './raw.js'

const CHAIN: Chain = {
  name: 'ethereum',
  id: 1,
  blockTimeMs: 12_000,
  confirmations: 0,
  multicall: undefined,
  about: null,
  endpoints: [],
  sockets: [],
}
const RETRY = { attempts: 5, waitMs: 100, maxWaitMs: 2_000 }

const table = (name: string, columns: Readonly<Record<string, string>>): Table => ({
  name,
  columns: Object.entries(columns).map(([column, text]) => {
    const parsed = parseColumnType(text)
    if (!parsed) throw new Error(`${text} is no type`)
    return { name: column, ...parsed }
  }),
  key: ['number'],
  range: 'number',
  indexes: {},
  retention: undefined,
})

const balances = table('balances', { number: 'bigint', balance: 'uint256' })
const headers = table('headers', { number: 'bigint', hash: 'hash', parent_hash: 'hash', timestamp: 'timestamp', miner: 'address' })

/** A pipeline of one step, as a file would give it. */
function pipelineOf(definition: StepDefinition, config: Json, into: Table | undefined): Pipeline {
  const tables = new Map(into ? [[into.name, into]] : [])
  const step: Step = {
    id: 'bench',
    title: 'bench',
    definition,
    with: config,
    needs: [],
    chain: CHAIN.name,
    source: undefined,
    into: into?.name,
    inputs: [],
    outputs: definition.outputs?.({ config: config as never, into, tables, names: new Set(), chain: CHAIN }) ?? defaultOutputs(into),
    retry: RETRY,
    timeoutMs: undefined,
    parallel: undefined,
    onError: 'fail',
    when: {},
    matrix: {},
    place: { file: 'bench.yaml', line: 1, column: 1 },
  }
  return {
    name: 'bench',
    description: undefined,
    file: 'bench.yaml',
    hash: '',
    params: new Map(),
    warehouse: '',
    chains: new Map([[CHAIN.name, CHAIN]]),
    sources: new Map(),
    maxBytesInFlight: undefined,
    tables,
    migrations: undefined,
    schedule: undefined,
    notify: [],
    steps: [step],
    secrets: [],
  }
}

/** The pipeline that asks what `rawLoop` asks, and keeps it. */
export function rpcPipeline({ method, calls }: Load): Pipeline {
  const definition = builtIn.find(({ type }) => type === 'rpc-batch')
  if (!definition) throw new Error('no step type rpc-batch')
  const over = { blocks: { from: 0, to: calls - 1 } }
  // The definition has its own config type; here it is one of many.
  const general = definition as unknown as StepDefinition
  return method === 'eth_getBalance'
    ? pipelineOf(
        general,
        { over, calls: { asked: { method, params: [ADDRESS, '$number'] } }, row: { number: 'number', balance: 'asked' } },
        balances,
      )
    : pipelineOf(
        general,
        {
          over,
          calls: { asked: { method, params: ['$number', false] } },
          row: {
            number: 'asked.number',
            hash: 'asked.hash',
            parent_hash: 'asked.parentHash',
            timestamp: 'asked.timestamp',
            miner: 'asked.miner',
          },
        },
        headers,
      )
}

export interface Driven {
  readonly pipeline: Pipeline
  readonly warehouse: Warehouse
  readonly rpc: RpcPool
  /** Microseconds UTC; times of blocks after it are refused. Default: what the clock says. */
  readonly now?: bigint
  readonly head?: bigint
}

/** Events that say why a run is not done. */
const TROUBLES: ReadonlySet<string> = new Set(['warning', 'unit:failed', 'key:failed', 'key:quarantined'])

/** What a run of the command line does between start and end, with the view that its reporters read. The warehouse is prepared. */
export async function drive({ pipeline, warehouse, rpc, now = micros(systemClock), head = 1_000_000_000n }: Driven): Promise<void> {
  const bus = createBus(systemClock, 'bench')
  let view = initialView()
  const warnings: string[] = []
  bus.subscribe((event) => {
    view = reduce(view, event)
    if (TROUBLES.has(event.type)) warnings.push(JSON.stringify(event))
  })
  const steps = pipeline.steps.map(({ id, title, definition, needs }) => ({ id, title, type: definition.type, needs }))
  bus.emit({ type: 'run:started', pipeline: pipeline.name, warehouse: warehouse.display, pid: 0, host: 'bench', steps })
  const { outcome } = await run({
    pipeline,
    warehouse,
    moment: { now, head: () => Promise.resolve(head) },
    clock: systemClock,
    random: Math.random,
    emit: bus.emit,
    signal: new AbortController().signal,
    given: {},
    select: undefined,
    limit: undefined,
    rpc: () => rpc,
    http: () => ({ get: () => Promise.reject(new Error('a bench of nodes reads no REST source')) }),
    redact: (text) => text,
    onCheck: () => undefined,
  })
  if (outcome !== 'done') throw new Error(`the run is ${outcome}: ${warnings.slice(0, 3).join('\n')}`)
}

/** The pool of one endpoint, held at a batch size and a number of requests in flight; without them it finds both. */
export function openPool(
  url: string,
  fixed: Pick<Load, 'batch' | 'parallel'> | undefined,
): { readonly lane: RpcPool; limits(): string; close(): Promise<void> } {
  const { host } = new URL(url)
  const rpc = openChainRpc({
    chain: CHAIN,
    endpoints: [{ url, maxWorkers: undefined, priority: 0, requestsPerSecond: undefined, maxBlockRange: undefined, headers: {} }],
    clock: systemClock,
    random: Math.random,
    emit: () => undefined,
    limits: fixed ? [{ endpoint: host, ...fixed }] : [],
  })
  return {
    lane: rpc.forStep({ id: 'bench', ...RETRY, ...fixed }),
    limits: () =>
      rpc
        .learned()
        .map(({ batch, parallel }) => `${batch ?? '?'} x ${parallel ?? '?'}`)
        .join(),
    close: () => rpc.close(),
  }
}

/** All calls of the load through one pool and nothing else: `batch` after `batch`, as a step asks them. */
export async function poolLoop({ method, calls }: Load, lane: RpcPool): Promise<void> {
  const { signal } = new AbortController()
  const under = new Set<Promise<void>>()
  let answers = 0
  for (let from = 0; from < calls; from += 200) {
    const asked = []
    for (let number = from; number < Math.min(calls, from + 200); number++) {
      const block = `0x${number.toString(16)}`
      asked.push({ method, params: method === 'eth_getBalance' ? [ADDRESS, block] : [block, false] })
    }
    await lane.ready(signal)
    const work: Promise<void> = lane.batch(asked, { signal, block: BigInt(from + asked.length - 1) }).then(({ values }) => {
      answers += values.length
      under.delete(work)
    })
    under.add(work)
  }
  await Promise.all(under)
  if (answers !== calls) throw new Error(`${answers} answers to ${calls} calls`)
}

/** `units` units of one number each that do nothing but be done. */
export function idlePipeline(units: number): Pipeline {
  const idle = defineStep({
    type: 'idle',
    summary: 'Does nothing.',
    config: Type.Object({}),
    example: '',
    *plan() {
      yield { kind: 'stretches', axis: numberAxis(1), domain: [0n, BigInt(units - 1)], due: 'uncovered', order: 'oldest-first' }
    },
    async *run() {},
  })
  return pipelineOf(idle as unknown as StepDefinition, {}, undefined)
}
