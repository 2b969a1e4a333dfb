import {
  type ChainInfo,
  type CheckContext,
  defaultOutputs,
  type Files,
  type Json,
  type Output,
  type StepDefinition,
  type StepInput,
  type Table,
} from '../../sdk/index.js'
import { chainNames } from '../connections.js'
import { undefinedNames } from './check-names.js'
import { type Field, locate, type Path } from '../yaml/node.js'
import type { ParamDefinition } from '../pipeline.js'
import type { Problems } from '../yaml/problems.js'
import { listing, suggestion } from '../schema/schema-problems.js'

/** What is known of one instance of a step when its `with` is checked. */
export interface StepContext {
  /** `with` in the file; its holder's place when there is none. */
  readonly field: Field
  readonly config: Json
  readonly into: Table | undefined
  readonly tables: ReadonlyMap<string, Table>
  readonly params: ReadonlyMap<string, ParamDefinition>
  readonly matrix: Readonly<Record<string, string>>
  readonly chain: ChainInfo | undefined
  readonly files: Files
}

/** Whether a `with` that fits its schema also makes sense: every `$name` stands for something, and its step type finds nothing wrong. */
export function checkWith(definition: StepDefinition, context: StepContext, problems: Problems): boolean {
  let sound = true
  const say = (path: Path, message: string, hint: string | undefined): void => {
    sound = false
    problems.error(whereIn(context.field, path), message, hint)
  }
  const given = checkContext(context, namesOf(context))
  try {
    for (const { path, message, hint } of undefinedNames(definition, given)) say(path, message, hint)
    for (const { path, message, hint } of definition.check?.(given, context.files) ?? []) say(path, message, hint)
  } catch (error) {
    say(
      [],
      `the check of step type \`${definition.type}\` failed: ${reason(error)}`,
      'this is a mistake in the step type, not in this file',
    )
  }
  return sound
}

/** The tables that a step is computed from. */
export function inputsOf(definition: StepDefinition, context: StepContext, problems: Problems): readonly StepInput[] {
  try {
    const inputs = definition.inputs?.(checkContext(context, namesOf(context))) ?? []
    const valueOf = constantOf(context)
    return inputs.map((input) => ({
      ...input,
      constants: Object.fromEntries(Object.entries(input.constants ?? {}).map(([column, text]) => [column, valueOf(text)])),
    }))
  } catch (error) {
    problems.error(context.field, `the inputs of step type \`${definition.type}\` can't be told: ${reason(error)}`)
    return []
  }
}

/** Where a step's rows go, with `$chain` and the matrix put into what is constant in them. */
export function outputsOf(definition: StepDefinition, context: StepContext, problems: Problems): readonly Output[] {
  if (!definition.outputs) return defaultOutputs(context.into)
  let outputs: readonly Output[]
  try {
    outputs = definition.outputs(checkContext(context, namesOf(context)))
  } catch (error) {
    problems.error(context.field, `the outputs of step type \`${definition.type}\` can't be told: ${reason(error)}`)
    return []
  }
  const valueOf = constantOf(context)
  return outputs
    .filter((output) => checkOutput(output, context, problems))
    .map((output) => ({
      ...output,
      constants: Object.fromEntries(
        Object.entries(output.constants).map(([column, text]) => {
          const value = valueOf(text)
          if (value.startsWith('$'))
            problems.error(
              context.field,
              `column \`${column}\` is a constant, and \`${text.slice(0, 60)}\` is none`,
              'a constant is a text, an axis of the matrix or a fact of the chain: $chain.name',
            )
          return [column, value]
        }),
      ),
    }))
}

/** A text with a fact of the chain or a value of the matrix in its place; as it is where it is neither. */
function constantOf({ chain, matrix }: StepContext): (text: string) => string {
  const facts = chain ? chainNames(chain) : new Map<string, Json>()
  return (text) => {
    const name = text.startsWith('$') ? text.slice(1) : undefined
    const value = name === undefined ? undefined : Object.hasOwn(matrix, name) ? matrix[name] : facts.get(name)
    return value === undefined || value === null || typeof value === 'object' ? text : String(value)
  }
}

function checkOutput(output: Output, { tables, field }: StepContext, problems: Problems): boolean {
  const table = tables.get(output.table)
  if (!table) {
    problems.error(
      field,
      `table \`${output.table.slice(0, 60)}\` is not declared`,
      suggestion(output.table, tables.keys()) ?? 'declare it in `tables`',
    )
    return false
  }
  const names = table.columns.map((column) => column.name)
  const filled = new Set([...output.columns, ...Object.keys(output.compute), ...Object.keys(output.constants)])
  for (const column of filled) {
    if (!names.includes(column))
      problems.error(
        field,
        `table \`${table.name}\` has no column \`${column.slice(0, 60)}\``,
        suggestion(column, names) ?? listing('it has', names),
      )
  }
  const empty = table.columns.filter((column) => !column.nullable && !filled.has(column.name)).map((column) => column.name)
  if (empty.length > 0) {
    problems.error(
      field,
      `nothing fills ${empty.map((column) => `\`${column}\``).join(', ')} of table \`${table.name}\``,
      'fill it, or put a ? after its type when it may be null',
    )
  }
  return true
}

function checkContext({ config, into, tables, chain }: StepContext, names: ReadonlySet<string>): CheckContext<unknown> {
  return { config, into, tables, names, chain }
}

/** What `$` may name whatever the step type: params, the axes of the matrix, `now`, the facts of the chain. */
function namesOf({ params, matrix, chain }: StepContext): ReadonlySet<string> {
  return new Set([...params.keys(), ...Object.keys(matrix), 'now', ...(chain ? chainNames(chain).keys() : [])])
}

/** The place of a path below `with`, or of what is there of it. */
function whereIn(field: Field, path: Path): { readonly place: Field['place']; readonly path: Path } {
  const whole = [...field.path, ...path]
  return { place: field.node && path.length > 0 ? locate(field.node, path).place : field.place, path: whole }
}

function reason(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
