import { type Json, numberAxis, type Param, PipeError, type Scope, type Value } from '../sdk/index.js'
import { rowStretch } from '../ledger/axis.js'
import { RESET_FINGERPRINT } from '../ledger/fingerprints.js'
import { subtract } from '../ledger/intervals.js'
import { type Ledger, standing } from '../ledger/standing.js'
import type { ParamDefinition, Pipeline, Step } from '../pipeline/pipeline.js'
import { parseBlock } from '../pipeline/params/block-params.js'
import { moves } from '../pipeline/params/param-values.js'
import { parseParam, resolveParams } from '../pipeline/params/params.js'
import { mentions } from '../pipeline/schema/mentions.js'

/** What moves, resolved once a round: the clock and the chains' heads. */
export interface Moment {
  /** Microseconds UTC. */
  readonly now: bigint
  /** The same answer all through a round. @throws {PipeError} when the chain can't be reached. */
  head(chain: string): Promise<bigint>
}

/** A param has no usable value. */
export class ParamError extends PipeError {
  readonly code = 'PARAM_REFUSED'
  override readonly hint = 'give it with --param NAME=VALUE or mend its default'
  constructor(step: string, problems: readonly string[]) {
    super(`step ${step}: ${problems.join('; ')}`)
  }
}

/** Every `$name` that a step may use when it is planned. Only params that its `with` mentions are resolved: a gate asks no node for its head. */
export async function stepScope(
  pipeline: Pipeline,
  step: Step,
  given: Readonly<Record<string, string>>,
  moment: Moment,
  ledger: Ledger | undefined,
): Promise<Scope> {
  const used = mentioned(step, pipeline.params, given)
  const chain = step.chain === undefined ? onlyChain(pipeline) : step.chain
  const head = () => {
    if (chain === undefined) throw new ParamError(step.id, ['a block param needs a step with a `chain`'])
    return moment.head(chain)
  }
  const confirmations = BigInt(pipeline.chains.get(chain ?? '')?.confirmations ?? 0)
  const { scope, problems } = await resolveParams(used, given, {
    now: moment.now,
    head,
    safe: async () => max0((await head()) - confirmations),
    covered: () => Promise.resolve(ledger && firstAfter(ledger)),
  })
  if (problems.length > 0) throw new ParamError(step.id, problems)
  return new Map([...scope, ...builtIns(pipeline, step, moment)])
}

/** Whether what a step mentions moves with the clock: `$now`, or a param whose value does. */
export function readsClock({ params }: Pick<Pipeline, 'params'>, step: Step, given: Readonly<Record<string, string>>): boolean {
  if (mentions(step.definition.config, step.with, 'inside').some(({ name }) => name === 'now')) return true
  return [...mentioned(step, params, given).values()].some((param) => {
    const parsed = parseParam(param, given[param.name] ?? param.default ?? null)
    return 'value' in parsed && moves(param, parsed.value)
  })
}

/** Whether a step mentions a block that moves with the head of its chain. */
export function readsHead({ params }: Pick<Pipeline, 'params'>, step: Step, given: Readonly<Record<string, string>>): boolean {
  return [...mentioned(step, params, given).values()].some((param) => {
    const block = param.type === 'block' ? parseBlock(String(given[param.name] ?? param.default ?? '')) : undefined
    return block !== undefined && 'kind' in block && (block.kind === 'head' || block.kind === 'safe')
  })
}

/** `$now` and `$chain`. */
function builtIns(pipeline: Pipeline, step: Step, moment: Pick<Moment, 'now'>): Map<string, Param> {
  const scope = new Map<string, Param>([['now', { type: { kind: 'timestamp' }, value: moment.now }]])
  for (const [axis, value] of Object.entries(step.matrix)) scope.set(axis, { type: { kind: 'text' }, value })
  const chain = step.chain === undefined ? undefined : pipeline.chains.get(step.chain)
  if (chain) {
    scope.set('chain.name', { type: { kind: 'text' }, value: chain.name })
    scope.set('chain.id', { type: { kind: 'bigint' }, value: BigInt(chain.id) })
    for (const [path, value] of leaves('chain.about', chain.about)) scope.set(path, value)
  }
  return scope
}

function mentioned(
  { with: config, definition }: Step,
  params: ReadonlyMap<string, ParamDefinition>,
  given: Readonly<Record<string, string>>,
): Map<string, ParamDefinition> {
  const found = new Map<string, ParamDefinition>()
  const add = (name: string) => {
    const param = params.get(name)
    if (!param || found.has(name)) return
    found.set(name, param)
    for (const match of (given[name] ?? JSON.stringify(param.default ?? null)).matchAll(/[A-Za-z_]\w*/g)) add(match[0])
  }
  for (const { name } of mentions(definition.config, config, 'inside')) add(name.split('.', 1)[0] ?? '')
  return found
}

function onlyChain(pipeline: Pipeline): string | undefined {
  const chains = new Set(pipeline.steps.flatMap((step) => step.chain ?? []))
  return chains.size === 1 ? [...chains][0] : undefined
}

/**
 * The block after the last one that is covered. What was begun below it and is not covered comes first, with all that no run has
 * begun beneath: blocks that failed or are in quarantine, that a killed run left open, or that were reset.
 */
export function firstAfter(ledger: Ledger): bigint | undefined {
  const axis = numberAxis(1)
  const { done } = standing(axis, ledger)
  let open: bigint | undefined
  for (const row of ledger.rows) {
    const all = row.fingerprint === ledger.fingerprint || row.fingerprint === RESET_FINGERPRINT ? rowStretch(axis, row) : undefined
    const [first] = all ? subtract([all], done) : []
    if (first && (open === undefined || first[0] < open)) open = first[0]
  }
  const last = done.at(-1)
  if (open === undefined) return last && last[1] + 1n
  const below = done.findLast(([, to]) => to < open)
  return below ? below[1] + 1n : open
}

function* leaves(path: string, value: Json): Iterable<[string, Param]> {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
    for (const [key, inner] of Object.entries(value)) yield* leaves(`${path}.${key}`, inner)
  } else {
    yield [path, typed(value)]
  }
}

function typed(value: Json): Param {
  if (typeof value === 'boolean') return { type: { kind: 'bool' }, value }
  if (typeof value === 'number')
    return Number.isSafeInteger(value) ? { type: { kind: 'bigint' }, value: BigInt(value) } : { type: { kind: 'float' }, value }
  if (typeof value === 'string') return { type: { kind: 'text' }, value }
  return { type: { kind: 'json' }, value: value as Value }
}

const max0 = (n: bigint) => (n > 0n ? n : 0n)
