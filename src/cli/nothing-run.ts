import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import type { Pipeline } from '../pipeline/pipeline.js'
import { command, localPlace } from '../sdk/index.js'
import { warehouseUrl } from '../session/places.js'
import { demoFile } from './demo-warehouse.js'
import type { Io } from './io.js'
import { UsageError } from './usage-error.js'

/** A command that looks at what a run made, and there was none. Names the demo's file where that is all there is. */
export function nothingRun(pipeline: Pipeline, display: string, verb: string, io: Io): UsageError {
  const demo = demoFile(pipeline)
  const own = localPlace(pipeline.warehouse)?.path === demo
  const beside = !own && existsSync(resolve(io.cwd, demo)) ? `; a demo was run into ${demo}: ${verb} it with --demo` : ''
  return new UsageError(
    `nothing was run into ${display} yet, so there is nothing to ${verb}`,
    `${command('run', { file: pipeline.file, demo: own })} fills it${beside}`,
  )
}

/** @throws {UsageError} when the warehouse is a file or folder of this machine that is not there. */
export function refuseMissing(pipeline: Pipeline, verb: string, io: Io): void {
  const url = warehouseUrl(pipeline.warehouse, io)
  const place = localPlace(url)
  if (place && place.path !== ':memory:' && !existsSync(place.path)) throw nothingRun(pipeline, `${place.scheme}:${place.path}`, verb, io)
}
