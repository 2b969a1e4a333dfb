import { type CheckContext, type ConfigProblem, isNamed, type StepDefinition } from '../../sdk/index.js'
import { mentions } from '../schema/mentions.js'
import { listing, suggestion } from '../schema/schema-problems.js'

/** Every `$name` in a `with` that stands for nothing: neither for what is known everywhere nor for what the step type knows there. */
export function* undefinedNames(definition: StepDefinition, context: CheckContext<unknown>): Iterable<ConfigProblem> {
  // What is checked here is what the file said: JSON.
  const open = mentions(definition.config, context.config as Parameters<typeof mentions>[1]).filter(
    ({ name }) => !isNamed(name, context.names),
  )
  if (open.length === 0) return
  const parts = [...(definition.names?.(context) ?? [])]
  for (const { name, path } of open) {
    const around = parts.filter((part) => part.path.every((key, i) => String(key) === String(path[i])))
    if (around.some(({ names }) => names === 'any')) continue
    const known = new Set([...context.names, ...around.flatMap(({ names }) => names)])
    if (isNamed(name, known)) continue
    const hint = around.map((part) => part.hint?.(name)).find((each) => each !== undefined)
    yield { path, message: `\`$${name}\` is not defined`, hint: hint ?? suggestName(name, known) }
  }
}

function suggestName(name: string, names: ReadonlySet<string>): string | undefined {
  const near = suggestion(name, names)
  return (
    near?.replace('`', '`$') ??
    listing(
      'known here',
      [...names].map((each) => `$${each}`),
    )
  )
}
