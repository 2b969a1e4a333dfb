import type { Pipeline } from '../pipeline/pipeline.js'
import { PipeError, type Warehouse } from '../sdk/index.js'
import type { Surroundings } from './surroundings.js'

/** Rows of a demo and of the real world would be in one table, with nothing to tell them apart. Nothing was fetched. */
export class WorldsMixedError extends PipeError {
  readonly code = 'WORLDS_MIXED'
  override readonly hint: string
  constructor(display: string, pipeline: string, demo: boolean) {
    super(
      demo
        ? `${display} holds what pipeline ${pipeline} read from its own sources, and a demo would add what is made up`
        : `${display} holds what a demo made up, and pipeline ${pipeline} would add what it reads from its own sources`,
    )
    this.hint = demo
      ? 'leave WAREHOUSE_URL unset, so that the demo has a file of its own, or give it a database of its own'
      : 'give the pipeline another database, or drop the tables that the demo filled, and those of the ledger (_pipe_…)'
  }
}

/** Sources have no genesis by which one is told from another: what is kept for them has a number that no chain has. */
const SOURCES = 0
const DEMO = 'demo'

/**
 * Writes down that a database holds what a demo made up of sources, and keeps the two apart. Nodes are told apart by the hash of
 * their first block. @throws {WorldsMixedError}
 */
export async function refuseMixed(
  warehouse: Warehouse,
  { name, steps }: Pipeline,
  demo: boolean,
  { env }: Pick<Surroundings, 'env'>,
): Promise<void> {
  const reading = steps.filter(({ source }) => source !== undefined)
  if (reading.length === 0) return
  await warehouse.prepare([])
  const isOfDemo = (await warehouse.genesis(SOURCES)) === DEMO
  if (isOfDemo === demo) return
  if (isOfDemo) throw new WorldsMixedError(warehouse.display, name, false)
  // A file of its own holds nothing else.
  for (const { id } of env.WAREHOUSE_URL ? reading : [])
    if ((await warehouse.units(name, id)).length > 0) throw new WorldsMixedError(warehouse.display, name, true)
  await warehouse.rememberGenesis(SOURCES, DEMO)
}
