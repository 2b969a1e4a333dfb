import type { Json } from '../../sdk/index.js'
import { entriesOf, type Field, fieldOf, hasUnknown, numberOf, textOf, toJson } from '../yaml/node.js'
import { nameChecker } from '../names.js'
import { parseParam, RESERVED_PARAM_NAMES, staticParams, unknownParams } from './params.js'
import type { ParamDefinition, ParamType, Problem } from '../pipeline.js'
import type { Problems } from '../yaml/problems.js'
import type { Scope } from '../../sdk/index.js'

const TYPES: ReadonlySet<string> = new Set<ParamType>(['block', 'int', 'text', 'bool', 'date', 'timestamp', 'float', 'address'])

/** The params of a file, with what is known of their values before a run. `complete`: each must have a value. */
export function readParamDefinitions(
  params: Field,
  given: Readonly<Record<string, string>>,
  problems: Problems,
  complete: boolean,
): { readonly definitions: ReadonlyMap<string, ParamDefinition>; readonly scope: Scope } {
  const definitions = new Map<string, ParamDefinition>()
  const unknown = new Set<string>()
  const paramName = nameChecker('param', problems)
  for (const entry of entriesOf(params)) {
    const { key, field } = entry
    if (!paramName(key, entry)) continue
    if (RESERVED_PARAM_NAMES.includes(key)) {
      problems.error(entry, `a param can't be called \`${key}\`, which means something by itself`, 'choose another name')
      continue
    }
    const definition = readDefinition(key, field)
    if (!definition) continue
    definitions.set(key, definition)
    if (hasUnknown(fieldOf(field, 'default').node) && !Object.hasOwn(given, key)) unknown.add(key)
    checkLimits(definition, field, problems)
  }
  const { scope, problems: found } = staticParams(definitions, given)
  problems.add(
    found.filter((problem) => !unknown.has(nameIn(problem, definitions) ?? '')).filter((problem) => complete || !wantsValue(problem)),
  )
  for (const message of unknownParams(definitions, given)) {
    const [, path = '', text = message] = /^(--param \S+): (.*)$/s.exec(message) ?? []
    problems.add([{ ...params.place, path, message: text, severity: 'error' }])
  }
  checkOrder(definitions, scope, problems)
  return { definitions, scope }
}

/** A param without a value is a mistake of whoever starts a run, not of the file. */
function wantsValue({ message }: Problem): boolean {
  return message === 'has no value'
}

function nameIn(problem: Problem, definitions: ReadonlyMap<string, ParamDefinition>): string | undefined {
  return [...definitions.values()].find(({ place }) => place.line === problem.line && place.column === problem.column)?.name
}

function readDefinition(name: string, field: Field): ParamDefinition | undefined {
  const type = textOf(fieldOf(field, 'type'))
  if (type === undefined || !TYPES.has(type)) return undefined
  const byDefault = fieldOf(field, 'default')
  const list = fieldOf(field, 'list').node
  const oneOf = fieldOf(field, 'one_of').node
  return {
    name,
    // One of `TYPES`, which are all there are.
    type: type as ParamType,
    list: list?.kind === 'scalar' && list.value === true,
    default: valueOf(byDefault),
    demo: valueOf(fieldOf(field, 'demo')),
    oneOf: oneOf?.kind === 'list' ? (toJson(oneOf) as readonly Json[]) : undefined,
    min: numberOf(fieldOf(field, 'min')),
    max: numberOf(fieldOf(field, 'max')),
    description: textOf(fieldOf(field, 'description')),
    place: byDefault.node ? byDefault.place : field.place,
  }
}

function valueOf(field: Field): Json | undefined {
  if (!field.node || hasUnknown(field.node)) return undefined
  return toJson(field.node) ?? undefined
}

function checkLimits(definition: ParamDefinition, field: Field, problems: Problems): void {
  const { min, max, type } = definition
  if (min !== undefined && max !== undefined && min > max) problems.error(fieldOf(field, 'max'), `max (${max}) is below min (${min})`)
  if ((min !== undefined || max !== undefined) && type !== 'int' && type !== 'float' && type !== 'block') {
    problems.error(fieldOf(field, min === undefined ? 'max' : 'min'), `min and max are for numbers (the param is ${type})`)
  }
  if (definition.demo !== undefined) {
    const parsed = parseParam(definition, definition.demo)
    if ('problem' in parsed) problems.error(fieldOf(field, 'demo'), parsed.problem)
  }
  for (const [i, option] of (definition.oneOf ?? []).entries()) {
    const parsed = parseParam({ ...definition, oneOf: undefined, list: false }, option)
    if ('problem' in parsed) problems.error({ place: fieldOf(field, 'one_of').place, path: [...field.path, 'one_of', i] }, parsed.problem)
  }
}

/** `from` above `to`, where both are known. */
function checkOrder(definitions: ReadonlyMap<string, ParamDefinition>, scope: Scope, problems: Problems): void {
  const from = scope.get('from')
  const to = scope.get('to')
  const definition = definitions.get('from')
  if (!from || !to || !definition || from.type.kind !== to.type.kind) return
  const [low, high] = [from.value, to.value]
  const above =
    (typeof low === 'bigint' && typeof high === 'bigint' && low > high) ||
    (typeof low === 'string' && typeof high === 'string' && from.type.kind === 'date' && low > high)
  if (above)
    problems.error(
      { place: definition.place, path: ['params', 'from'] },
      `from (${String(low)}) is above to (${String(high)})`,
      'swap them',
    )
}
