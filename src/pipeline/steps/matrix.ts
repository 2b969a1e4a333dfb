import { referenceName, type Scope } from '../../sdk/index.js'
import { entriesOf, type Field, fieldOf, itemsOf, numberOf, textOf } from '../yaml/node.js'
import type { ParamDefinition } from '../pipeline.js'
import type { Problems } from '../yaml/problems.js'
import { suggestion } from '../schema/schema-problems.js'

/** The values of one axis of a matrix, as text. Undefined where they can't be known. */
export interface Axis {
  readonly name: string
  readonly values: readonly string[] | undefined
}

const VALUE = /^[A-Za-z0-9._-]{1,64}$/

/** The axes of a step. What is wrong with them is reported when `problems` is given. */
export function axesOf(
  step: Field,
  params: ReadonlyMap<string, ParamDefinition>,
  scope: Scope,
  problems: Problems | undefined,
): readonly Axis[] {
  return entriesOf(fieldOf(step, 'matrix')).map(({ key, field }) => {
    const name = referenceName(textOf(field))
    const values = name === undefined ? literals(field) : paramValues(name, field, params, scope, problems)
    const odd = values?.find((value) => !VALUE.test(value))
    if (odd !== undefined)
      problems?.error(
        field,
        `matrix value ${JSON.stringify(odd.slice(0, 60))} is not allowed`,
        'use letters, digits, `.`, `-` and `_`, at most 64: it becomes part of the step id',
      )
    const double = values?.find((value, i) => values.indexOf(value) !== i)
    if (double !== undefined) problems?.error(field, `matrix value \`${double}\` is there twice`)
    return { name: key, values: odd === undefined && double === undefined ? values : undefined }
  })
}

function literals(field: Field): readonly string[] | undefined {
  const values = itemsOf(field).map((item) => textOf(item) ?? numberOf(item)?.toString())
  return field.node?.kind === 'list' && values.every((value) => value !== undefined) ? values : undefined
}

function paramValues(
  name: string,
  field: Field,
  params: ReadonlyMap<string, ParamDefinition>,
  scope: Scope,
  problems: Problems | undefined,
): readonly string[] | undefined {
  if (!params.has(name)) {
    problems?.error(
      field,
      `\`$${name}\` is not defined`,
      suggestion(name, params.keys()) ?? 'a matrix takes a list, or the $name of a list param',
    )
    return undefined
  }
  const value = scope.get(name)?.value
  if (value === undefined || value === null) return undefined
  return Array.isArray(value) ? value.map(String) : [String(value as string | number | boolean | bigint)]
}

/** Every combination of the values of the axes, in their order. One empty combination without axes, or where a value is not known. */
export function combinations(axes: readonly Axis[]): readonly Readonly<Record<string, string>>[] {
  if (axes.some(({ values }) => values === undefined)) return [{}]
  return axes.reduce<readonly Readonly<Record<string, string>>[]>(
    (all, { name, values }) => all.flatMap((each) => (values ?? []).map((value) => ({ ...each, [name]: value }))),
    [{}],
  )
}

/** How many combinations there are, without making them. */
export function combinationCount(axes: readonly Axis[]): number {
  return axes.reduce((product, { values }) => product * (values?.length ?? 1), 1)
}

/** `balances[base]`. */
export function expandedId(id: string, matrix: Readonly<Record<string, string>>): string {
  const values = Object.values(matrix)
  return values.length === 0 ? id : `${id}[${values.join(',')}]`
}

/** Of the instances of a needed step, those with equal values on the axes that both have; all of them when none is so. */
export function pairedWith<T extends { readonly matrix: Readonly<Record<string, string>> }>(
  matrix: Readonly<Record<string, string>>,
  needed: readonly T[],
): readonly T[] {
  const equal = needed.filter((step) => {
    const shared = Object.keys(step.matrix).filter((axis) => Object.hasOwn(matrix, axis))
    return shared.length > 0 && shared.every((axis) => step.matrix[axis] === matrix[axis])
  })
  return equal.length > 0 ? equal : needed
}
