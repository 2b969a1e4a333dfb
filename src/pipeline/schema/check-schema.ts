import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js'
import formats from 'ajv-formats'
import type { StepDefinition } from '../../sdk/index.js'
import { mapScalars, locate, type Node, type ScalarNode, toJson } from '../yaml/node.js'
import { explainErrors, pathOf, type SchemaProblem } from './schema-problems.js'
import { pipelineSchema } from './schema.js'
import { tolerant } from './tolerant.js'

/** Checks whole files against the schema of these step types. */
export interface SchemaChecker {
  /** The file, with texts from the environment turned into the numbers and booleans that are wanted, and what is wrong. */
  check(root: Node): { readonly root: Node; readonly problems: readonly SchemaProblem[] }
}

/** A checker for these definitions. Those whose own schema can't be compiled are left out and given to `refuse`. */
export function schemaChecker(
  definitions: readonly StepDefinition[],
  refuse: (definition: StepDefinition, reason: string) => void,
): SchemaChecker {
  const validate = compile(definitions, refuse)
  return {
    check: (root) => {
      validate(toJson(root))
      const converted = convertFromEnvironment(root, validate.errors ?? [])
      if (converted !== root) validate(toJson(converted))
      return { root: converted, problems: explainErrors(validate.errors ?? [], converted, validate.schema) }
    },
  }
}

// Compiling takes longer than checking, and the files of a `pipe validate` use the same few types.
const compiled = new Map<string, { readonly definitions: readonly StepDefinition[]; readonly validate: ValidateFunction }>()

function compile(definitions: readonly StepDefinition[], refuse: (definition: StepDefinition, reason: string) => void): ValidateFunction {
  const types = definitions.map(({ type }) => type).join(' ')
  const known = compiled.get(types)
  if (known?.definitions.every((definition, i) => definition === definitions[i])) return known.validate
  try {
    const validate = newAjv().compile(pipelineSchema(definitions))
    compiled.set(types, { definitions, validate })
    return validate
  } catch (error) {
    const sound = definitions.filter((definition) => {
      const reason = refusal(definition)
      if (reason !== undefined) refuse(definition, reason)
      return reason === undefined
    })
    // Only our own part is left to be wrong.
    if (sound.length === definitions.length) throw error
    return newAjv().compile(pipelineSchema(sound))
  }
}

function refusal(definition: StepDefinition): string | undefined {
  try {
    // Made of JSON Schema, which ajv takes as an object or a boolean.
    newAjv().compile(tolerant(definition.config) as object)
    return undefined
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}

function newAjv(): Ajv2020 {
  // Schemas of plugins were validated when they were loaded, ours by a test; and a file is checked once, so speed of compiling counts.
  const ajv = new Ajv2020({
    allErrors: true,
    verbose: true,
    strict: false,
    logger: false,
    validateSchema: false,
    meta: false,
    code: { optimize: false },
  })
  formats.default(ajv, { mode: 'fast' })
  return ajv
}

/** Environment is text. Where a number or a boolean is wanted and the whole value came from it, it is read as one. */
function convertFromEnvironment(root: Node, errors: NonNullable<ValidateFunction['errors']>): Node {
  const values = new Map<ScalarNode, number | boolean>()
  for (const error of errors) {
    if (error.keyword !== 'type') continue
    const { node, whole } = locate(root, pathOf(error))
    if (!whole || node.kind !== 'scalar' || !node.filled || typeof node.value !== 'string') continue
    const wanted = [(error.params as { readonly type: unknown }).type].flat()
    if ((wanted.includes('number') || wanted.includes('integer')) && /^-?\d{1,15}(\.\d{1,15})?$/.test(node.value))
      values.set(node, Number(node.value))
    else if (wanted.includes('boolean') && (node.value === 'true' || node.value === 'false')) values.set(node, node.value === 'true')
  }
  if (values.size === 0) return root
  return mapScalars(root, (scalar) => {
    const value = values.get(scalar)
    return value === undefined ? scalar : { ...scalar, value }
  })
}
