import type { Static, TSchema } from '@sinclair/typebox'
import {
  type Batch,
  type ChainInfo,
  defaultOutputs,
  type HttpClient,
  type InputPage,
  type Json,
  type Output,
  type Param,
  type Piece,
  type Program,
  type Row,
  type RpcPool,
  type RunningProgram,
  type StepDefinition,
  type Table,
  type Wanted,
  type WarehouseReader,
} from '../sdk/index.js'
import { runContext } from '../sdk/run-context.js'

/** What a step is given: the parts of a pipeline that it uses. What is left out is not there, and a step that uses it is told so. */
export interface StepWorld<Config, Cursor> {
  /** `with`, with every `$name` put in. */
  readonly config: Config
  readonly chain?: ChainInfo
  readonly rpc?: RpcPool
  readonly http?: HttpClient
  readonly head?: bigint
  readonly tables?: readonly Table[]
  /** Name of one of `tables`. */
  readonly into?: string
  /** What `$name`s stand for that the step looks up itself. */
  readonly scope?: Readonly<Record<string, Param>>
  /** Answers queries of the warehouse, also for the input of a step that wants rows. What `describe` is asked has no columns. */
  readonly query?: (text: string) => readonly Row[]
  /** Plays a program that the step runs. */
  readonly program?: (program: Program) => RunningProgram
  /** What the step does: all of what it wants, when left out. */
  readonly piece?: Piece
  /** Where it goes on, as after a crash. */
  readonly cursor?: Cursor
  /** Requests that it may make. */
  readonly requests?: number
  readonly signal?: AbortSignal
}

/** What a step wanted and what it gave. */
export interface StepRun<Cursor> {
  readonly wanted: readonly Wanted[]
  readonly batches: readonly Batch<Cursor>[]
  /** The rows of all batches, by output. */
  readonly rows: Readonly<Record<string, readonly Row[]>>
  /** The files that it wrote, by path. */
  readonly files: Readonly<Record<string, string>>
}

/**
 * Runs one step without a pipeline file, once, over all that it wants: nothing is cut into units, nothing is stored, and
 * nothing is tried again. What the step throws is thrown.
 *
 * ```ts
 * const { rows } = await runStep(csvLines, { config: { file }, tables: [lines], into: 'lines' })
 * expect(rows.lines).toEqual([{ n: 1n, text: 'a' }])
 * ```
 */
export async function runStep<C extends TSchema, K extends TSchema>(
  definition: StepDefinition<C, K>,
  world: StepWorld<Static<C>, Static<K>>,
): Promise<StepRun<Static<K>>> {
  const { config, tables: list = [], signal = new AbortController().signal } = world
  const tables = new Map(list.map((table) => [table.name, table]))
  const into = world.into === undefined ? undefined : tables.get(world.into)
  if (world.into !== undefined && !into) throw new Error(`the world has no table ${world.into}`)
  const names = new Set(Object.keys(world.scope ?? {}))
  const outputs: readonly Output[] = definition.outputs?.({ config, into, tables, names, chain: world.chain }) ?? defaultOutputs(into)
  const scope = new Map(Object.entries(world.scope ?? {}))
  const step = {
    pipeline: 'sandbox',
    step: definition.type,
    config,
    scope,
    chain: world.chain,
    outputs,
    into,
    tables,
    warehouse: warehouseOf(world),
  }
  const wanted: Wanted[] = []
  const files: Record<string, string> = {}
  for await (const each of definition.plan(step)) wanted.push(each)
  const batches: Batch<Static<K>>[] = []
  const budget = { left: world.requests ?? Infinity }
  for (const each of wanted) {
    const context = runContext({
      step: step as never,
      unit: { key: 'all', piece: world.piece ?? pieceOf(each), size: 1 },
      cursor: world.cursor as Json,
      ports: {
        input: () => inputOf(each, step.warehouse),
        rpc: world.rpc,
        http: world.http,
        head: world.head === undefined ? undefined : () => Promise.resolve(world.head as bigint),
        write: (path, text) => {
          files[path] = text
          return Promise.resolve()
        },
        program: world.program,
        budget: { take: () => budget.left-- > 0 },
      },
      signal,
      user: `a step of type ${definition.type}`,
    })
    for await (const batch of definition.run(context)) batches.push(batch)
  }
  return { wanted, batches, rows: rowsOf(batches), files }
}

/** All of what is wanted, as one piece. */
function pieceOf(wanted: Wanted): Piece {
  switch (wanted.kind) {
    case 'stretches': {
      const { axis, domain, order } = wanted
      if (domain === 'inputs') throw new Error('a step that is computed from inputs does one unit at a time: say which in `piece`')
      return { kind: 'stretch', axis, from: domain[0], to: domain[1], order }
    }
    case 'rows':
      return { kind: 'rows', order: wanted.order, redo: false }
    case 'task':
      return { kind: 'task', early: false }
  }
}

/** The rows of the wanted query; the key columns of each, as text, name it. */
async function* inputOf(wanted: Wanted, warehouse: WarehouseReader): AsyncIterable<InputPage> {
  if (wanted.kind !== 'rows') throw new Error(`a step that wants ${wanted.kind} has no input`)
  for await (const rows of warehouse.query(wanted.sql))
    yield { keys: rows.map((row) => wanted.key.map((column) => String(row[column])).join(',')), rows }
}

function warehouseOf({ query }: Pick<StepWorld<unknown, unknown>, 'query'>): WarehouseReader {
  return {
    kind: 'duckdb',
    async *query<R extends Row>({ parts }: { readonly parts: readonly string[] }) {
      await Promise.resolve()
      if (!query) throw new Error(`the step asks the warehouse, and the world has no \`query\`: ${parts.join('?')}`)
      // The test that gives `query` says what its rows are.
      yield query(parts.join('?')) as readonly R[]
    },
    describe: () => Promise.resolve([]),
  }
}

function rowsOf(batches: readonly Batch<unknown>[]): Record<string, Row[]> {
  const rows: Record<string, Row[]> = {}
  for (const batch of batches) for (const [id, some] of Object.entries(batch.rows ?? {})) (rows[id] ??= []).push(...some)
  return rows
}
