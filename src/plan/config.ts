import type { ErrorObject, ValidateFunction } from 'ajv'
import { type Json, PipeError } from '../sdk/index.js'
import type { Step } from '../pipeline/pipeline.js'

/** A field of `with` has a wrong value once its params are put in. */
export class ConfigError extends PipeError {
  readonly code = 'CONFIG_REFUSED'
  override readonly hint = 'look at the params that this field uses'
  constructor(step: string, problems: readonly string[]) {
    super(`step ${step}: ${problems.join('; ')}`)
  }
}

/** Compiled schemas by the schema object: compiling costs more than planning, and a step is planned several times a run. */
const compiled = new WeakMap<object, ValidateFunction>()

/** Checks `with` again, now with the values of its params, and fills defaults in. @throws {ConfigError} */
export async function checkConfig(step: Step, config: Json): Promise<Json> {
  const copy = structuredClone(config)
  const validate = await compile(step.definition.config)
  if (!validate(copy)) throw new ConfigError(step.id, (validate.errors ?? []).map(describe))
  return copy
}

/** A stored cursor that fits the schema of its step; undefined for one that no longer does, and where the step has none. */
export async function fittingCursor({ definition }: Step, stored: Json | undefined): Promise<Json | undefined> {
  if (definition.cursor === undefined || stored === undefined) return undefined
  const copy = structuredClone(stored)
  return (await compile(definition.cursor))(copy) ? copy : undefined
}

async function compile(schema: object): Promise<ValidateFunction> {
  const known = compiled.get(schema)
  if (known) return known
  const { Ajv2020 } = await import('../registry/ajv.js')
  // The schema of a plugin was validated when it was loaded, ours by a test.
  const validate = new Ajv2020({ allErrors: true, useDefaults: true, strict: false, validateSchema: false, meta: false }).compile(schema)
  compiled.set(schema, validate)
  return validate
}

function describe({ instancePath, message }: ErrorObject): string {
  return `with${instancePath.replaceAll('/', '.')} ${message ?? 'is wrong'}`
}
