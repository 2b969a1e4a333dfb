import type { Pipeline } from '../pipeline/pipeline.js'
import type { Io } from './io.js'

/** The pipeline with the params of its demo, and the warehouse: one of its own, unless WAREHOUSE_URL is set. */
export function inDemo(pipeline: Pipeline, io: Io): Pipeline {
  const params = new Map([...pipeline.params].map(([name, param]) => [name, { ...param, default: param.demo ?? param.default }]))
  const own = { ...pipeline, params }
  return io.env.WAREHOUSE_URL ? own : { ...own, warehouse: `duckdb:${demoFile(pipeline)}` }
}

/** Where a demo fills its tables, relative to the working folder. */
export const demoFile = ({ name }: Pipeline) => `data/${name}-demo.duckdb`
