import {
  blockTimes,
  pathRoot,
  type Records,
  rowMakers,
  type RowsConfig,
  rowsOf,
  type RpcAnswers,
  type RpcCall,
  type RpcOptions,
  type RunContext,
  type Table,
  type TimeRule,
  USUAL_TIMES,
} from '../../src/sdk/authors.js'
import { isCompared } from './agree.js'
import { compileCalls, type CompiledCall } from './calls.js'
import { type Config, headerCall, isBlocks } from './config.js'
import type { Group } from './groups.js'
import { keepOf } from './keep.js'

/** Who is asked: the pool, or one endpoint of it. */
export type Ask = (calls: readonly RpcCall[], options: RpcOptions) => Promise<RpcAnswers>

/** A step's calls and rows, ready for the groups of a unit. */
export interface Compiled {
  readonly ctx: RunContext<Config, never>
  /** Whether its items are blocks, and whether heights may have none. */
  readonly blocks: boolean
  readonly maySkip: boolean
  readonly calls: readonly CompiledCall[]
  /** The same in the order in which their inputs are known; calls of one level are asked together. */
  readonly levels: readonly (readonly CompiledCall[])[]
  /** The one that reads the block of each height. */
  readonly header: CompiledCall | undefined
  /** Those whose answers say which block they are of. */
  readonly compared: readonly CompiledCall[]
  readonly makers: ReturnType<typeof rowMakers>
  /** What `each` walks: where the file lets it be null, it is an empty list. */
  readonly walked: ReadonlySet<string>
  /** All that rows and calls take, as text. */
  readonly taken: string
  /** Blocks above this one may be replaced by others. */
  readonly floor: bigint
}

export async function compile(ctx: RunContext<Config, never>): Promise<Compiled> {
  const { config, scope } = ctx
  const { over } = config
  const blocks = isBlocks(over)
  const maySkip = blocks && over.may_skip === true
  const needsHead = !blocks && Object.values(config.calls).some((call) => 'function' in call && call.block === undefined)
  const rowsConfig = rowsOf(config, ctx.into)
  const taken = JSON.stringify([rowsConfig, config.calls])
  const methods = Object.values(config.calls).flatMap((call) => ('method' in call ? [call.method] : []))
  // A proof takes every field.
  const keep = config.verify === 'proof' || storesJson(rowsConfig, ctx.tables) ? undefined : keepOf(taken, methods)
  const calls = await compileCalls(config.calls, scope, blocks ? '$number' : needsHead ? await ctx.head() : 0n, maySkip, keep)
  return {
    ctx,
    blocks,
    maySkip,
    calls,
    levels: levelsOf(calls),
    header: calls.find(({ name }) => name === headerCall(config)),
    compared: calls.filter(({ method }) => isCompared(method)),
    makers: rowMakers(rowsConfig, ctx.outputs, ctx.tables, scope, timesOf(ctx)),
    walked: new Set(rowsConfig.flatMap(({ each }) => Object.values(each ?? {}))),
    taken,
    floor: await nearFrom(ctx),
  }
}

/** Whether a column keeps an answer, or a part of it, with whatever fields it has. */
const storesJson = (all: readonly RowsConfig[], tables: ReadonlyMap<string, Table>): boolean =>
  all.some(({ into, row }) => tables.get(into)?.columns.some(({ name, type }) => type.kind === 'json' && name in row) === true)

/** An item as errors name it. */
export const nameOf = ({ blocks }: Compiled, group: Group, i: number): string => `${blocks ? 'block' : 'row'} ${group.key(i)}`

/** The highest block of a group. */
export const highestOf = ({ blocks }: Compiled, { covers }: Group): bigint | undefined => (blocks ? covers?.[1] : undefined)

/** Blocks behind the confirmations that a reorg may reach. */
const NEAR = 64n

const nearFrom = async ({ head, chain }: Pick<RunContext<Config, never>, 'head' | 'chain'>): Promise<bigint> =>
  (await head()) - BigInt(chain?.confirmations ?? 0) - NEAR

function levelsOf(calls: readonly CompiledCall[]): CompiledCall[][] {
  const result: CompiledCall[][] = []
  const levelOf = new Map<string, number>()
  for (const call of calls) {
    const level = Math.max(-1, ...call.after.map((name) => levelOf.get(name) ?? -1)) + 1
    levelOf.set(call.name, level)
    ;(result[level] ??= []).push(call)
  }
  return result
}

/** Times that calls give: those of blocks, but for block 0, which many chains give none. */
function timesOf({ config, into, scope }: RunContext<Config, never>): TimeRule {
  const now = scope.get('now')?.value
  const range = typeof now === 'bigint' ? blockTimes(now) : USUAL_TIMES
  // A column of a query is no answer; an element of a list is one.
  const answered = new Set([...Object.keys(config.calls), ...rowsOf(config, into).flatMap(({ each }) => Object.keys(each ?? {}))])
  const isGenesis = (records: Records) =>
    records.number === 0n ||
    Object.keys(config.calls).some((name) => (records[name] as { number?: unknown } | null | undefined)?.number === '0x0')
  return {
    range,
    holdsFor: (path) => answered.has(pathRoot(path)),
    except: (records, instant) => instant < range.from && isGenesis(records),
  }
}
