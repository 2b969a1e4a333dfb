import { resolve } from 'node:path'
import { formatDuration, formatInstant, identifier, joinSql, PipeError, type Row, sql, sqlText, type Table } from '../sdk/index.js'
import type { Pipeline } from '../pipeline/pipeline.js'
import { warehouseUrl } from '../session/places.js'
import type { World } from '../session/surroundings.js'
import { demoFile, inDemo } from './demo-warehouse.js'
import { type Io } from './io.js'

/** The demo can't stand in for what this pipeline reads. */
export class NoDemoError extends PipeError {
  readonly code = 'NO_DEMO'
  override readonly hint = 'run it without --demo, with the environment that it names'
  constructor(pipeline: string, problem: string) {
    super(`pipeline ${pipeline} has no demo: ${problem}`)
  }
}

export interface Demo {
  /** With a warehouse of its own, unless WAREHOUSE_URL is set: a demo never mixes with real data. */
  readonly pipeline: Pipeline
  /** The same, of the pipeline read with other params. */
  of(pipeline: Pipeline): Pipeline
  readonly world: World
  /** After so many rounds everything that it has to show was seen, where its chain goes on growing; undefined: its world stands still. */
  readonly rounds: number | undefined
  /** Prints the first rows of what was made. */
  show(io: Io): Promise<void>
  close(): Promise<void>
}

const ROWS_SHOWN = 5
/** About 20 seconds. */
const LIVE_ROUNDS = 8

/** Starts what the pipeline reads: a local Ethereum node, a REST API, or both. They hold the same at every start. */
export async function startDemo(pipeline: Pipeline, io: Io): Promise<Demo> {
  const chains = new Set(pipeline.steps.flatMap(({ chain }) => chain ?? []))
  const sources = new Set(pipeline.steps.flatMap(({ source }) => source ?? []))
  if (chains.size > 1) throw new NoDemoError(pipeline.name, `it reads ${chains.size} chains, and the demo is a node of one`)
  if (chains.size === 0 && sources.size === 0) throw new NoDemoError(pipeline.name, 'it reads no chain and no source')
  const started: { close(): Promise<void> }[] = []
  const close = async () => void (await Promise.all(started.map((one) => one.close())))
  try {
    const demo = (world: World, blockTimeMs?: number, rounds?: number): Demo => {
      const of = (read: Pipeline) => atPace(inDemo(read, io), blockTimeMs)
      const own = of(pipeline)
      return { pipeline: own, of, world, rounds, show: (out) => showRows(own, out), close }
    }
    if (chains.size > 0 && sources.size > 0) {
      const live = await startLive(pipeline, [...chains][0], io)
      started.push(live)
      return demo({ chain: [live.node.url], source: live.apiUrl }, live.blockTimeMs, LIVE_ROUNDS)
    }
    const chain = await startChain(pipeline, [...chains][0], io)
    if (chain) started.push(chain)
    const api = sources.size > 0 ? await startApi(io) : undefined
    if (api) started.push(api)
    return demo({ chain: chain?.urls, source: api?.url, now: api ? apiWorld.now : chain?.now }, chain?.blockTimeMs)
  } catch (error) {
    await close()
    throw error
  }
}

/** The pipeline, whose chains have a block in so many milliseconds. */
function atPace(pipeline: Pipeline, blockTimeMs: number | undefined): Pipeline {
  if (blockTimeMs === undefined) return pipeline
  return { ...pipeline, chains: new Map([...pipeline.chains].map(([name, chain]) => [name, { ...chain, blockTimeMs }])) }
}

/** What stands in for a chain. */
interface ChainStandIn {
  readonly urls: readonly string[]
  /** From a block to the next; undefined: as on the real one. */
  readonly blockTimeMs?: number
  /** Where its world ends, in milliseconds UTC; undefined: it is as old as the clock says. */
  readonly now?: number
  close(): Promise<void>
}

/** The chain of transfers or that of positions, where the pipeline is of such a chain, else an Ethereum node. */
async function startChain(pipeline: Pipeline, name: string | undefined, io: Io): Promise<ChainStandIn | undefined> {
  const chain = name === undefined ? undefined : pipeline.chains.get(name)
  if (!chain) return undefined
  if (chain.id === TRANSFERS_CHAIN) return await startTransfers(io)
  if (chain.id === ENRICHMENT_CHAIN) return await startEnrichment(pipeline, io)
  const { startDemoNode } = await import('../demo/anvil.js')
  io.stderr.write('demo: starting a local Ethereum node and mining 300 blocks\n')
  const started = io.clock.monotonic()
  const node = await startDemoNode({ chainId: chain.id, signal: io.signal, execPath: io.execPath })
  const seconds = ((io.clock.monotonic() - started) / 1000).toFixed(1)
  io.stderr.write(`demo: it listens on ${node.url} after ${seconds} s (anvil, pid ${node.pid}) and ends with this command\n`)
  return { urls: [node.url], close: () => node.close() }
}

/** Polygon. */
const TRANSFERS_CHAIN = 137
const MOST_BLOCKS = 50

/** Two nodes in this process: one refuses wide ranges, the other one loses a log now and then. */
async function startTransfers(io: Io): Promise<ChainStandIn> {
  const { transfersChain, TRANSFERS_BLOCK_MS, TRANSFERS_NOW } = await import('../demo/transfers.js')
  const chain = transfersChain(await import('../proof/index.js'))
  const strict = await chain.serve({ log: false, faults: [{ kind: 'log-range', max: MOST_BLOCKS }] })
  const leaky = await chain.serve({ log: false, faults: [{ kind: 'log-hole', lacks: 'one-of-several', chance: 0.1 }] })
  io.stderr.write(
    `demo: a chain of ${chain.head} blocks with transfers. ${strict.url} refuses ranges of more than ${MOST_BLOCKS} blocks, ${leaky.url} loses a log now and then; both end with this command\n`,
  )
  return {
    urls: [strict.url, leaky.url],
    blockTimeMs: TRANSFERS_BLOCK_MS,
    now: TRANSFERS_NOW,
    close: async () => void (await Promise.all([strict.close(), leaky.close()])),
  }
}

/** Flare. */
const ENRICHMENT_CHAIN = 14

/** A node in this process, whose contracts know the positions of the sample data. */
async function startEnrichment({ params, name }: Pipeline, io: Io): Promise<ChainStandIn> {
  const [manager, factory] = ['manager', 'factory'].map((param) => params.get(param)?.default)
  if (typeof manager !== 'string' || typeof factory !== 'string')
    throw new NoDemoError(
      name,
      'its stand-in for Flare is a manager of positions and a factory of pools, and it has no params manager and factory',
    )
  const { enrichmentChain } = await import('../demo/enrichment.js')
  const { ENRICHMENT_NOW, pools, positions } = await import('../demo/enrichment-world.js')
  const node = await enrichmentChain({ manager, factory, pools, positions }).serve({ log: false })
  io.stderr.write(`demo: a chain with ${positions.length} positions in pools listens on ${node.url} and ends with this command\n`)
  return { urls: [node.url], now: ENRICHMENT_NOW, close: () => node.close() }
}

/** A chain beside an API: both are of the present, since one is read by the times of the other. */
async function startLive(pipeline: Pipeline, name: string | undefined, io: Io) {
  const chain = name === undefined ? undefined : pipeline.chains.get(name)
  if (!chain) throw new NoDemoError(pipeline.name, `it has no chain ${name ?? ''}`)
  const { startLiveDemo } = await import('../demo/chain-metrics.js')
  const { LIVE_BLOCK_MS: blockTimeMs } = await import('../demo/live-chain.js')
  const file = resolve(io.cwd, `${demoFile(pipeline).replace(/\.duckdb$/, '')}-${chain.name}.json`)
  const live = await startLiveDemo({ chainId: chain.id, file, clock: io.clock })
  io.stderr.write(
    `demo: a chain of ${live.chain.head} blocks, with one more every ${formatDuration(blockTimeMs)}, listens on ${live.node.url}, an API with prices on ${live.apiUrl}; both end with this command, and the next one goes on with the same chain\n`,
  )
  return { ...live, blockTimeMs }
}

/** Two hundred days of transactions, about sixty a day, many of them in one second. */
const apiWorld = { now: Date.UTC(2026, 0, 1), days: 200, rows: 12_000, ties: 12, every: 9_350, wallets: 2_000 }

/** A REST API in this process: it ends with it, however that ends. */
async function startApi(io: Io) {
  const { fakeApi } = await import('../sandbox/index.js')
  const { now, days, ...world } = apiWorld
  const api = await fakeApi({ seed: 1, ...world, from: now / 1000 - days * 86_400 }).serve({
    log: false,
    clock: { ...io.clock, now: () => now },
  })
  const day = new Date(now).toISOString().slice(0, 10)
  io.stderr.write(
    `demo: a REST API with ${world.rows} transactions of the ${days} days before ${day} listens on ${api.url} and ends with this command\n`,
  )
  return api
}

/** The first rows of the table that the last step fills. */
async function showRows(pipeline: Pipeline, io: Io): Promise<void> {
  const table = pipeline.steps
    .flatMap((step) => step.outputs.map((output) => pipeline.tables.get(output.table)))
    .filter((found): found is Table => found !== undefined)
    .at(-1)
  if (!table) return
  const { openWarehouse } = await import('../warehouse/open.js')
  const warehouse = await openWarehouse(warehouseUrl(pipeline.warehouse, io), { mode: 'plan' })
  try {
    const rows: Row[] = []
    const columns = table.columns.map(({ name }) => name)
    const names = (list: readonly string[]) => joinSql(list.map(identifier), ', ')
    for await (const page of warehouse.query(
      sql`SELECT ${names(columns)} FROM ${identifier(table.name)} ORDER BY ${names(table.key)} LIMIT ${sqlText(String(ROWS_SHOWN))}`,
    ))
      rows.push(...page.map((row) => legible(row, table)))
    if (rows.length === 0) return
    const shown = columns.filter((name) => table.key.includes(name) || !isHex(String(rows[0]?.[name] as string)))
    const all = grid(columns, rows, io.columns)
    const fits = all.split('\n').every((line) => line.length <= io.columns)
    const rest = columns.filter((name) => !shown.includes(name))
    const title = fits || rest.length === 0 ? '' : ` (without ${rest.join(', ')})`
    io.stdout.write(`\nThe first rows of ${table.name}${title}:\n\n${title === '' ? all : grid(shown, rows, io.columns)}\n`)
  } finally {
    await warehouse.close()
  }
}

/** Times as people write them; all else as it is. */
function legible(row: Row, table: Table): Row {
  const times = table.columns.filter(({ name, type }) => type.kind === 'timestamp' && typeof row[name] === 'bigint')
  const text = (time: Row[string]) =>
    formatInstant(time as bigint)
      .replace('T', ' ')
      .replace('Z', '')
  return { ...row, ...Object.fromEntries(times.map(({ name }) => [name, text(row[name] ?? null)])) }
}

/** Columns side by side. When they are too wide, hex texts are cut in the middle; numbers and headings never are. */
function grid(columns: readonly string[], rows: readonly Row[], width: number): string {
  const lines = rows.map((row) => columns.map((column) => String(row[column] as string)))
  const needed = columns.map((name, i) => Math.max(name.length, ...lines.map((line) => line[i]?.length ?? 0)))
  const over = needed.reduce((sum, size) => sum + size + 2, 0) - width
  const hex = needed.filter((_, i) => isHex(lines[0]?.[i])).length
  const widths = needed.map((size, i) =>
    over > 0 && isHex(lines[0]?.[i]) ? Math.max(columns[i]?.length ?? 0, 12, size - Math.ceil(over / hex)) : size,
  )
  const cell = (text: string, i: number) => {
    const size = widths[i] ?? 0
    const fits = isHex(text) ? short(text, size) : text
    return /^-?\d/.test(lines[0]?.[i] ?? '') && !isHex(lines[0]?.[i]) ? fits.padStart(size) : fits.padEnd(size)
  }
  return [columns, ...lines].map((line) => `  ${line.map(cell).join('  ')}`.trimEnd()).join('\n')
}

const isHex = (text: string | undefined) => text?.startsWith('0x') === true

function short(text: string, size: number): string {
  if (text.length <= size) return text
  const head = Math.ceil((size - 1) / 2)
  return `${text.slice(0, head)}…${text.slice(text.length - (size - 1 - head))}`
}
