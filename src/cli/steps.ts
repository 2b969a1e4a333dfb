import { builtIn } from '../../plugins/index.js'
import { registryOf } from '../registry.js'
import { Exit, type Io } from './io.js'
import { stepList, stepReference } from '../report/step-types.js'
import { UsageError } from './usage-error.js'

/**
 * Prints the built-in step types, or everything about one.
 *
 * @throws {UsageError} when there is no such type.
 */
export async function stepsCommand(type: string | undefined, io: Io): Promise<number> {
  const registry = registryOf(builtIn)
  if (type === undefined) {
    io.stdout.write(stepList(registry.all()))
    return Exit.done
  }
  const definition = registry.get(type)
  if (!definition) {
    const meant = registry.suggest(type)
    throw new UsageError(`unknown step type \`${type}\``, meant === undefined ? '`pipe steps` lists them' : `did you mean \`${meant}\`?`)
  }
  io.stdout.write(stepReference(definition))
  return Exit.done
}
