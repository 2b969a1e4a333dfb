import pg from 'pg'
import { expect, test } from 'vitest'
import { type Consumer, type Warehouse, type WorkerRow } from '../../sdk/index.js'
import { postgresDatabase } from '../../../test/support/postgres.js'
import { output, step, table, write } from '../../../test/support/warehouse.js'
import { openPostgres } from './index.js'

const DAY = 86_400_000_000n
const moves = table('moves', { id: 'bigint', time: 'timestamp' }, ['id'])
const worker: WorkerRow = {
  worker: 'w',
  pipeline: 'p',
  host: 'h',
  pid: 1,
  step: undefined,
  unit: undefined,
  startedAt: 1n,
  heartbeatAt: 1n,
}
const put = (warehouse: Warehouse, id: bigint) => warehouse.commit([write([{ output: output(moves), rows: [{ id, time: 0n }] }])], worker)

test.each<[string, Consumer['interval'], string]>([
  ['an interval', { column: 'time', everyUs: DAY, lookbackUs: 0n }, '1970-01-01'],
  ['every unit', 'every', 'u'],
])('a consumer that takes away an older mark of %s waits until what touches it again is committed', async (_, interval, unit) => {
  const url = await postgresDatabase()
  const warehouse = await openPostgres({ url, mode: 'write' })
  const [holder, consumer] = [new pg.Client({ connectionString: url }), new pg.Client({ connectionString: url })]
  try {
    await Promise.all([holder.connect(), consumer.connect()])
    await warehouse.prepare([moves])
    await warehouse.open(step, ['u'], 1n)
    warehouse.watch([{ pipeline: step.pipeline, step: step.step, table: 'moves', interval }])
    await put(warehouse, 1n)
    expect((await warehouse.touched(step.pipeline, step.step)).map((row) => row.unit)).toEqual([unit])
    // The row of the worker is what a commit writes last: here it goes on when the holder lets it.
    await holder.query('BEGIN')
    await holder.query('UPDATE _pipe_workers SET pid = pid')
    const writing = put(warehouse, 2n)
    await waits(writing)
    const clearing = consumer.query('DELETE FROM _pipe_touched')
    await waits(clearing)
    await holder.query('COMMIT')
    await Promise.all([writing, clearing])
    expect((await consumer.query('SELECT id FROM moves ORDER BY id')).rows).toEqual([{ id: '1' }, { id: '2' }])
  } finally {
    await Promise.all([holder.end(), consumer.end()])
    await warehouse.close()
  }
})

async function waits(promise: Promise<unknown>): Promise<void> {
  const first = await Promise.race([promise.then(() => 'done'), new Promise((ends) => setTimeout(ends, 300, 'waits'))])
  expect(first).toBe('waits')
}

test('a mark by hand is written over one that is there', async () => {
  const url = await postgresDatabase()
  const warehouse = await openPostgres({ url, mode: 'write' })
  try {
    await warehouse.prepare([moves])
    for (const at of [1n, 2n]) await warehouse.amend('p', { touch: [{ step: 's', units: ['u'] }] }, at)
    expect(await warehouse.touched('p', 's')).toEqual([{ unit: 'u', at: 2n }])
  } finally {
    await warehouse.close()
  }
})
