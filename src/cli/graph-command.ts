import { toDot, toMermaid } from '../pipeline/graph.js'
import { openPipeline } from './open-pipeline.js'
import { Exit, type Io } from './io.js'
import type { GraphOptions } from './options.js'

/** Prints the steps of a pipeline as a diagram. Works without the environment that a run needs. */
export async function graphCommand(file: string, options: GraphOptions, io: Io): Promise<number> {
  const pipeline = await openPipeline(file, { environment: 'warn' }, io)
  if (!pipeline) return Exit.notStarted
  const text = options.format === 'dot' ? toDot(pipeline) : toMermaid(pipeline)
  io.stdout.write(text.endsWith('\n') ? text : `${text}\n`)
  return Exit.done
}
