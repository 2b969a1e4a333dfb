import { didYouMean, type Json, type Param, type Scope } from '../../sdk/index.js'
import { BLOCK_WORDS, type BlockExpression, parseBlock, resolveBlocks, type Words } from './block-params.js'
import { orderSteps } from '../steps/graph.js'
import { bigintParam, moves, outOfRange, parseParam, typed, show } from './param-values.js'
import type { ParamDefinition, Problem } from '../pipeline.js'

export { parseParam, type ParsedParam } from './param-values.js'

/** What moves, as a round sees it. Each is asked at most once, and only when a param needs it. */
export interface Moment {
  /** Microseconds UTC. */
  readonly now: bigint
  head(): Promise<bigint>
  /** The head less the chain's confirmations. */
  safe(): Promise<bigint>
  /** The first block after what is covered; undefined when nothing is covered yet. */
  covered(): Promise<bigint | undefined>
}

/** Names that mean something else where params are used. */
export const RESERVED_PARAM_NAMES: readonly string[] = ['now', 'head', 'safe', 'covered', 'latest', 'today', 'yesterday']

/**
 * The value of every param. Names in `given` that are no param are not looked at: see `unknownParams`. A param whose value
 * can't be had is left out and named in `problems`; whether `from` is above `to` is the caller's matter.
 *
 * @throws what `head`, `safe` and `covered` throw.
 */
export async function resolveParams(
  definitions: ReadonlyMap<string, ParamDefinition>,
  given: Readonly<Record<string, string>>,
  moment: Moment,
): Promise<{ readonly scope: Map<string, Param>; readonly problems: readonly string[] }> {
  const read = readParams(definitions, given)
  const head = once(() => moment.head())
  const words: Words = { head, safe: once(() => moment.safe()), covered: once(() => moment.covered()) }
  const blocks = await resolveBlocks(read.blocks, words)
  const problems = read.problems.map(({ path, message, hint }) => `${path} ${message}${hint === undefined ? '' : ` (${hint})`}`)
  const scope = new Map<string, Param>()
  for (const definition of definitions.values()) {
    const block = blocks.get(definition.name)
    const value = read.values.get(definition.name)
    if (block !== undefined) {
      const outside = outOfRange(definition, block)
      if (outside === undefined) scope.set(definition.name, bigintParam(block))
      else problems.push(`${pathOf(definition, given)} ${outside}`)
    } else if (value !== undefined) scope.set(definition.name, typed(definition, value, moment.now))
  }
  return { scope, problems }
}

/**
 * What can be known without a clock or a chain, for `validate`: the values that do not move, and every mistake in defaults
 * and given texts, each at the place of its param.
 */
export function staticParams(
  definitions: ReadonlyMap<string, ParamDefinition>,
  given: Readonly<Record<string, string>>,
): { readonly scope: Scope; readonly problems: readonly Problem[] } {
  const { values, blocks, problems } = readParams(definitions, given)
  const scope = new Map<string, Param>()
  for (const definition of definitions.values()) {
    const value = values.get(definition.name)
    const block = blocks.get(definition.name)
    if (block?.kind === 'number') scope.set(definition.name, bigintParam(block.block))
    else if (value !== undefined && !moves(definition, value)) scope.set(definition.name, typed(definition, value, 0n))
  }
  return { scope, problems }
}

/** What to say about each `--param` that the pipeline does not have. */
export function unknownParams(
  definitions: ReadonlyMap<string, ParamDefinition>,
  given: Readonly<Record<string, string>>,
): readonly string[] {
  const names = [...definitions.keys()]
  return Object.keys(given)
    .filter((name) => !definitions.has(name))
    .map((name) => {
      const hint = didYouMean(name, names) ?? (names.length > 0 ? `it has ${names.join(', ')}` : 'it has no params')
      return `--param ${name}: the pipeline has no such param (${hint})`
    })
}

interface ReadParams {
  /** Of the params that are no single block. */
  readonly values: ReadonlyMap<string, Json>
  readonly blocks: ReadonlyMap<string, BlockExpression>
  readonly problems: readonly Problem[]
}

function readParams(definitions: ReadonlyMap<string, ParamDefinition>, given: Readonly<Record<string, string>>): ReadParams {
  const values = new Map<string, Json>()
  const blocks = new Map<string, BlockExpression>()
  const problems: Problem[] = []
  const add = (definition: ParamDefinition, message: string, hint?: string) =>
    problems.push({
      ...definition.place,
      path: pathOf(definition, given),
      message,
      severity: 'error',
      hint,
    })
  for (const definition of definitions.values()) {
    const { name, type, list } = definition
    const text = Object.hasOwn(given, name) ? given[name] : definition.default
    if (text === undefined) {
      add(definition, 'has no value', `give it: --param ${name}=…`)
      continue
    }
    const parsed = parseParam(definition, text)
    if ('problem' in parsed) add(definition, parsed.problem)
    else if (type === 'block' && !list) {
      const block = parseBlock(String(parsed.value))
      if ('kind' in block) blocks.set(name, block)
    } else values.set(name, parsed.value)
  }
  dropBroken(definitions, given, blocks, add)
  return { values, blocks, problems }
}

/** Reports block params that refer to what is no block param, or to themselves, and leaves them and those that need them out. */
function dropBroken(
  definitions: ReadonlyMap<string, ParamDefinition>,
  given: Readonly<Record<string, string>>,
  blocks: Map<string, BlockExpression>,
  add: (definition: ParamDefinition, message: string, hint?: string) => void,
): void {
  const others = [...definitions.values()].filter(({ type, list }) => type === 'block' && !list).map(({ name }) => name)
  for (const definition of definitions.values()) {
    const { name } = definition
    const block = blocks.get(name)
    if (block?.kind !== 'param' || others.includes(block.name)) continue
    const text = show(Object.hasOwn(given, name) ? (given[name] ?? '') : (definition.default ?? null))
    if (definitions.has(block.name)) add(definition, `${text} refers to ${block.name}, which is no block param`)
    else add(definition, `${text} refers to ${block.name}, which nothing defines`, didYouMean(block.name, [...BLOCK_WORDS, ...others]))
    blocks.delete(name)
  }
  for (let cycle = cycleOf(blocks); cycle.length > 0; cycle = cycleOf(blocks)) {
    const first = definitions.get(cycle[0] ?? '')
    if (first) add(first, `depends on itself: ${cycle.join(' -> ')}`)
    for (const name of cycle) blocks.delete(name)
  }
  // A param that leads to a broken one has no value either; the broken one was reported.
  for (let size = -1; size !== blocks.size;) {
    size = blocks.size
    for (const [name, block] of blocks) if (block.kind === 'param' && !blocks.has(block.name)) blocks.delete(name)
  }
}

function cycleOf(blocks: ReadonlyMap<string, BlockExpression>): readonly string[] {
  const ordered = orderSteps([...blocks].map(([id, block]) => ({ id, needs: block.kind === 'param' ? [block.name] : [] })))
  return 'cycle' in ordered ? ordered.cycle : []
}

function pathOf({ name }: ParamDefinition, given: Readonly<Record<string, string>>): string {
  return Object.hasOwn(given, name) ? `--param ${name}` : `params.${name}`
}

function once<T>(ask: () => Promise<T>): () => Promise<T> {
  let answer: Promise<T> | undefined
  return () => (answer ??= ask())
}
