import type { Pipeline } from '../pipeline/pipeline.js'
import type { Io } from './io.js'

/** The pipeline with the warehouse of its demo: one of its own, unless WAREHOUSE_URL is set. */
export function inDemo(pipeline: Pipeline, io: Io): Pipeline {
  return io.env.WAREHOUSE_URL ? pipeline : { ...pipeline, warehouse: `duckdb:${demoFile(pipeline)}` }
}

/** Where a demo fills its tables, relative to the working folder. */
export const demoFile = ({ name }: Pipeline) => `data/${name}-demo.duckdb`
