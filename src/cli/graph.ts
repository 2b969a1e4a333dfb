import { toDot, toMermaid } from '../report/render-graph.js'
import { toSvg } from '../report/render-graph-svg.js'
import { openPipeline } from './open-pipeline.js'
import { Exit, type Io } from './io.js'
import type { GraphOptions } from './options.js'

const FORMATS = { mermaid: toMermaid, dot: toDot, svg: toSvg }

/** Prints the steps of a pipeline as a diagram. Works without the environment that a run needs. */
export async function graphCommand(file: string, options: GraphOptions, io: Io): Promise<number> {
  const pipeline = await openPipeline(file, { environment: 'warn' }, io)
  if (!pipeline) return Exit.notStarted
  io.stdout.write(FORMATS[options.format](pipeline))
  return Exit.done
}
