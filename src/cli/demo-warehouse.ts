import type { Pipeline } from '../pipeline/pipeline.js'
import { warehouseUrl } from '../session/places.js'
import type { Io } from './io.js'

/** The pipeline with the params of its demo, and the warehouse: one of its own, unless WAREHOUSE_URL is set. */
export function inDemo(pipeline: Pipeline, io: Io): Pipeline {
  const params = new Map([...pipeline.params].map(([name, param]) => [name, { ...param, default: param.demo ?? param.default }]))
  const own = { ...pipeline, params }
  return io.env.WAREHOUSE_URL ? own : { ...own, warehouse: `duckdb:${demoFile(pipeline)}` }
}

/** The demo's warehouse as runs name it; undefined where it is that of other runs, too. */
export function demoDisplay(pipeline: Pipeline, io: Io): string | undefined {
  const { warehouse } = inDemo(pipeline, io)
  return io.env.WAREHOUSE_URL ? undefined : warehouseUrl(warehouse, io)
}

/** Where a demo fills its tables, relative to the working folder. */
export const demoFile = ({ name }: Pipeline) => `data/${name}-demo.duckdb`
