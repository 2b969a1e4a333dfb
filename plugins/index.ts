import type { StepDefinition } from '../src/sdk/index.js'
import { exec } from './exec/exec.js'
import { gate } from './gate/gate.js'
import { paginateCursor } from './paginate-cursor/paginate-cursor.js'
import { rebuild } from './rebuild/rebuild.js'
import { rpcBatch } from './rpc-batch/rpc-batch.js'
import { shardDays } from './shard-days/shard-days.js'
import { sqlUpsert } from './sql-upsert/sql-upsert.js'

/** The step types that come with pipe. A new one is a folder here and a line in this list. */
export const builtIn = [rpcBatch, shardDays, paginateCursor, sqlUpsert, gate, rebuild, exec] as unknown as readonly StepDefinition[]
