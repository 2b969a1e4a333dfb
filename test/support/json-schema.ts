import { readFileSync } from 'node:fs'
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js'

const compiled = new Map<string, ValidateFunction>()

/** What is wrong with a value by a committed schema (`validate` for schemas/validate.schema.json), in words; empty when it fits. */
export function schemaErrors(name: string, value: unknown): readonly string[] {
  let check = compiled.get(name)
  if (!check) {
    const schema = JSON.parse(readFileSync(new URL(`../../schemas/${name}.schema.json`, import.meta.url), 'utf8')) as object
    compiled.set(name, (check = new Ajv2020({ allErrors: true, strict: false }).compile(schema)))
  }
  check(value)
  return (check.errors ?? []).map(({ instancePath, message }) => `${instancePath} ${message}`)
}
