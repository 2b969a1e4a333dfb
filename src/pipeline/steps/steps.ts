import {
  type ChainInfo,
  defaultOutputs,
  type Files,
  type Json,
  type Output,
  referenceName,
  type Scope,
  type StepDefinition,
  type StepInput,
  type Table,
} from '../../sdk/index.js'
import type { Registry } from '../../registry.js'
import { checkWith, inputsOf, outputsOf, type StepContext } from './check-step.js'
import { DEFAULT_RETRY, durationOf, readRetry } from '../connections.js'
import { fillDefaults } from '../schema/fill-defaults.js'
import { orderSteps } from './graph.js'
import { axesOf, combinationCount, combinations, expandedId } from './matrix.js'
import { entriesOf, type Field, fieldOf, hasUnknown, itemsOf, numberOf, textOf, toJson } from '../yaml/node.js'
import { nameChecker } from '../names.js'
import { type Instance, readNeeds, type Written } from './needs.js'
import { parseParam } from '../params/params.js'
import type { Chain, ParamDefinition, Retry, Source, Step } from '../pipeline.js'
import type { Problems } from '../yaml/problems.js'
import { listing, suggestion } from '../schema/schema-problems.js'
import { checkInputs } from './inputs.js'
import { checkShadows } from './shadows.js'
import { checkWriters } from './writers.js'

export interface StepsInput {
  readonly steps: Field
  /** `defaults` of the imported files and of the pipeline, in this order. */
  readonly defaults: readonly Field[]
  readonly registry: Registry
  readonly params: ReadonlyMap<string, ParamDefinition>
  readonly scope: Scope
  readonly tables: ReadonlyMap<string, Table>
  readonly chains: ReadonlyMap<string, Chain>
  readonly sources: ReadonlyMap<string, Source>
  readonly files: Files
  /** Whether the schema has something against the `with` of a step. */
  readonly broken: (index: number) => boolean
  readonly problems: Problems
}

const MAX_STEPS = 10_000

/** All steps with their matrices expanded, in dependency order. Everything that is wrong with them is reported. */
export function readSteps(input: StepsInput): readonly Step[] {
  const written = readWritten(input)
  const { needs, order } = readNeeds(written, input.problems)
  const defaults = readDefaults(input)
  const steps = written.flatMap((step) =>
    step.instances.flatMap((instance) => readInstance(step, instance, needs(step, instance), defaults, input) ?? []),
  )
  const fieldIn = (step: Step, name: string) =>
    fieldOf(written.find(({ instances }) => instances.some(({ id }) => id === step.id))?.field ?? input.steps, name)
  checkWriters(steps, input.tables, input.problems, (step) => fieldIn(step, 'into'))
  checkShadows(steps, input.tables, input.problems, (step) => fieldIn(step, 'with'))
  checkInputs(steps, input.problems, (step) => fieldIn(step, 'needs'))
  if (!order) return steps
  // Without a matrix the graph of the file is the graph of the run, and it was ordered to find cycles.
  const expanded = written.some(({ instances }) => instances.length !== 1 || Object.keys(instances[0]?.matrix ?? {}).length > 0)
  const ordered = expanded ? orderSteps(steps) : { order }
  if ('cycle' in ordered) return steps
  const byId = new Map(steps.map((step) => [step.id, step]))
  return ordered.order.flatMap((id) => byId.get(id) ?? [])
}

function readWritten({ steps, registry, params, scope, problems }: StepsInput): readonly Written[] {
  const written: Written[] = []
  const stepName = nameChecker('step', problems)
  const taken = new Set<string>()
  let total = 0
  for (const [index, field] of itemsOf(steps).entries()) {
    const idField = fieldOf(field, 'id')
    const name = textOf(idField)
    const typeField = fieldOf(field, 'type')
    const type = textOf(typeField)
    const definition = type === undefined ? undefined : registry.get(type)
    if (type !== undefined && !definition) {
      const near = registry.suggest(type)
      problems.error(
        typeField,
        `unknown step type \`${type.slice(0, 60)}\``,
        near === undefined
          ? (listing(
              'the types are',
              registry.all().map((each) => each.type),
            ) ?? 'name its plugin in `plugins`')
          : `did you mean \`${near}\`?`,
      )
    }
    const sound = name !== undefined && stepName(name, idField)
    // A step without a usable id is checked all the same.
    const id = name !== undefined && (sound || (/^[\w-]+$/.test(name) && !taken.has(name))) ? name : `steps[${index}]`
    taken.add(id)
    const axes = axesOf(field, params, scope, problems)
    total += combinationCount(axes)
    if (total > MAX_STEPS) {
      problems.error(fieldOf(field, 'matrix'), `the matrices come to more than ${MAX_STEPS} steps`, 'shorten a list')
      return written
    }
    const { node } = fieldOf(field, 'with')
    const config = node === undefined || (node.kind === 'scalar' && node.value === null) ? {} : toJson(node)
    written.push({
      config: definition ? fillDefaults(definition.config, config) : config,
      unknown: hasUnknown(node),
      index,
      id,
      field,
      definition,
      instances: combinations(axes).map((matrix) => ({ id: expandedId(id, matrix), matrix })),
    })
  }
  return written
}

interface Defaults {
  readonly retry: Retry
  readonly timeoutMs: number | undefined
  readonly parallel: number | undefined
}

function readDefaults({ defaults, problems }: StepsInput): Defaults {
  return defaults.reduce<Defaults>(
    (before, field) => ({
      retry: readRetry(fieldOf(field, 'retry'), before.retry, problems),
      timeoutMs: durationOf(fieldOf(field, 'timeout'), problems) ?? before.timeoutMs,
      parallel: numberOf(fieldOf(field, 'parallel')) ?? before.parallel,
    }),
    { retry: DEFAULT_RETRY, timeoutMs: undefined, parallel: undefined },
  )
}

function readInstance(
  step: Written,
  instance: Instance,
  needs: readonly string[],
  defaults: Defaults,
  input: StepsInput,
): Step | undefined {
  const { field, definition } = step
  const { problems, tables } = input
  const chain = connection('chain', step, instance, input)
  const source = connection('source', step, instance, input)
  const intoField = fieldOf(field, 'into')
  const into = textOf(intoField)
  if (into !== undefined && !tables.has(into)) {
    problems.error(
      intoField,
      `table \`${into.slice(0, 60)}\` is not declared`,
      suggestion(into, tables.keys()) ?? listing('declared are', [...tables.keys()]) ?? 'declare it in `tables`',
    )
  }
  const when = readWhen(fieldOf(field, 'when'), input)
  const retry = readRetry(fieldOf(field, 'retry'), defaults.retry, problems)
  const timeoutMs = durationOf(fieldOf(field, 'timeout'), problems) ?? defaults.timeoutMs
  const everyMs = durationOf(fieldOf(field, 'every'), problems)
  if (everyMs !== undefined && !source.asked)
    problems.error(fieldOf(field, 'every'), 'says how often a source is asked, and this step asks none', 'leave it out')
  if (!definition) return undefined
  const hasRequired = checkRequired(step, definition, { chain: chain.asked, source: source.asked, into: into !== undefined }, problems)
  const chainInfo = chain.name === undefined ? undefined : infoOf(input.chains.get(chain.name))
  const context: StepContext = {
    field: fieldOf(field, 'with'),
    config: step.config,
    into: into === undefined ? undefined : tables.get(into),
    tables,
    params: input.params,
    matrix: instance.matrix,
    chain: chainInfo,
    files: input.files,
  }
  let outputs: readonly Output[] = defaultOutputs(context.into)
  let inputs: readonly StepInput[] = []
  // What is wrong or missing above was reported: a step type would only say it again in its own words.
  const known = (!chain.asked || chain.name !== undefined) && (into === undefined || context.into !== undefined) && hasRequired
  if (known && !input.broken(step.index) && !step.unknown) {
    const sound = checkWith(definition, context, problems)
    if (sound) {
      outputs = outputsOf(definition, context, problems)
      inputs = inputsOf(definition, context, problems)
    }
  }
  return {
    id: instance.id,
    title: titleOf(textOf(fieldOf(field, 'title')), instance),
    definition,
    with: step.config,
    needs,
    chain: chain.name,
    source: source.name,
    into,
    outputs,
    inputs,
    retry,
    timeoutMs,
    everyMs,
    parallel: numberOf(fieldOf(field, 'parallel')) ?? defaults.parallel,
    onError: textOf(fieldOf(field, 'on_error')) === 'continue' ? 'continue' : 'fail',
    when,
    matrix: instance.matrix,
    place: field.place,
  }
}

/** What people see: with a matrix, the same title with the values that tell its steps apart. */
function titleOf(title: string | undefined, { id, matrix }: Instance): string {
  return title === undefined ? id : title + expandedId(' ', matrix).trimEnd()
}

/** The chain or source of an instance. `asked`: the file names one, be it that nothing is known of it. */
function connection(
  kind: 'chain' | 'source',
  step: Written,
  instance: Instance,
  { params, scope, chains, sources, problems }: StepsInput,
): { readonly name: string | undefined; readonly asked: boolean } {
  const matrixField = fieldOf(fieldOf(step.field, 'matrix'), kind)
  const own = fieldOf(step.field, kind)
  if (matrixField.node && own.node) problems.error(own, `\`${kind}\` is also an axis of the matrix`, 'keep one of them')
  const field = matrixField.node ? matrixField : own
  if (!field.node) return { name: undefined, asked: false }
  const name = matrixField.node ? instance.matrix[kind] : namedBy(own, params, scope, problems)
  if (name === undefined) return { name: undefined, asked: true }
  const known: ReadonlyMap<string, unknown> = kind === 'chain' ? chains : sources
  if (known.has(name)) return { name, asked: true }
  const item = matrixField.node ? (itemsOf(matrixField).find((each) => textOf(each) === name) ?? field) : field
  problems.error(
    item,
    `${kind} \`${name.slice(0, 60)}\` is not declared`,
    suggestion(name, known.keys()) ??
      `declare it in \`${kind}s\`${known.size > 0 ? `; declared are: ${[...known.keys()].slice(0, 20).join(', ')}` : ''}`,
  )
  return { name: undefined, asked: true }
}

/** `ethereum`, or the value of `$chain`. */
function namedBy(field: Field, params: ReadonlyMap<string, ParamDefinition>, scope: Scope, problems: Problems): string | undefined {
  const text = textOf(field)
  const reference = referenceName(text)
  if (reference === undefined) return text
  const definition = params.get(reference)
  if (!definition) problems.error(field, `\`$${reference}\` is not defined`, suggestion(reference, params.keys()) ?? 'it must be a param')
  else if (definition.list)
    problems.error(field, `\`$${reference}\` is a list`, `write matrix: { ${String(field.path.at(-1))}: $${reference} }`)
  const value = definition && !definition.list ? scope.get(reference)?.value : undefined
  return typeof value === 'string' ? value : undefined
}

function readWhen(field: Field, { params, problems }: StepsInput): Readonly<Record<string, Json>> {
  const when: Record<string, Json> = {}
  for (const entry of entriesOf(field)) {
    const { key, field: value } = entry
    const definition = params.get(key)
    if (!definition) {
      problems.error(entry, `there is no param \`${key}\``, suggestion(key, params.keys()) ?? listing('the params are', [...params.keys()]))
    } else if (value.node?.kind === 'scalar' && !value.node.unknown) {
      const parsed = parseParam({ ...definition, list: false }, value.node.value)
      if ('problem' in parsed) problems.error(value, parsed.problem)
      else when[key] = parsed.value
    }
  }
  return when
}

function checkRequired(
  step: Written,
  definition: StepDefinition,
  has: Readonly<Record<'chain' | 'source' | 'into', boolean>>,
  problems: Problems,
): boolean {
  const missing = (definition.requires ?? []).filter((need) => !has[need])
  for (const need of missing) {
    const hint = need === 'into' ? 'into: the table that it fills' : `${need}: a name from \`${need}s\``
    problems.error(step.field, `a step of type \`${definition.type}\` needs \`${need}\``, hint)
  }
  return missing.length === 0
}

function infoOf(chain: Chain | undefined): ChainInfo | undefined {
  return chain && { name: chain.name, id: chain.id, blockTimeMs: chain.blockTimeMs, confirmations: chain.confirmations, about: chain.about }
}
