import { afterEach, describe, expect, test } from 'vitest'
import { dropShadows, rollBack, swapIn } from '../../src/ledger/versions.js'
import { sqlText, type Warehouse } from '../../src/sdk/index.js'
import { at, content, fillSource, flows, holds, names, of, publish, shadows, source, tables } from './publish.js'
import { all, output, step, write } from './warehouse.js'
import type { Engine } from './warehouse-spec.js'

const open: Warehouse[] = []

/** A new place with a table that others are built from, of three rows. */
export async function built(engine: Engine) {
  const place = await engine.place()
  const opened = async (mode?: 'write' | 'plan') => {
    const warehouse = await place(mode)
    open.push(warehouse)
    return warehouse
  }
  const warehouse = await opened()
  await fillSource(warehouse)
  return { warehouse, opened }
}

export const closeBuilt = async () => {
  for (const warehouse of open.splice(0)) await warehouse.close()
}

/** What every warehouse does with tables that are exchanged. */
export function swapSpec(engine: Engine): void {
  afterEach(closeBuilt)

  describe('tables that are exchanged', () => {
    test('hold the new rows in the commit of the swap, the old ones are kept by version and time, and the oldest of too many go', async () => {
      const { warehouse } = await built(engine)
      expect(await publish(warehouse, 1)).toMatchObject([{ written: true }])
      expect([await content(warehouse), await names(warehouse)]).toEqual([holds(1), ['flows', 'source', 'totals']])
      for (const n of [2, 3, 4]) await publish(warehouse, n)
      expect(await content(warehouse)).toEqual(holds(4))
      expect(await names(warehouse)).toEqual([
        'flows',
        'flows__v2_20231114T221620Z',
        'flows__v3_20231114T221720Z',
        'source',
        'totals',
        'totals__v2_20231114T221620Z',
        'totals__v3_20231114T221720Z',
      ])
      // Rows go into them as before, by their keys.
      const epoch = (await warehouse.open(step, ['u'], 1n)).get('u')?.epoch ?? 0n
      await warehouse.commit([write([{ output: output(flows), rows: [{ k: 3, v: 'x' }] }], { epoch })])
      expect(await all(warehouse, 'SELECT k, v FROM flows ORDER BY k')).toEqual([
        { k: 1n, v: '4' },
        { k: 2n, v: '4' },
        { k: 3n, v: 'x' },
      ])
    })

    test('come back version by version, and after a new swap what was rolled back is gone', async () => {
      const { warehouse } = await built(engine)
      for (const n of [1, 2, 3]) await publish(warehouse, n)
      const back = async (minutes: number) => {
        const { from, to, ...swap } = rollBack(await of(warehouse, minutes), tables)
        await warehouse.amend('p', { swap }, at(minutes))
        return [from, to]
      }
      expect([await back(4), await content(warehouse)]).toEqual([[3, 2], holds(2)])
      expect([await back(5), await content(warehouse)]).toEqual([[2, 1], holds(1)])
      await expect(back(6)).rejects.toMatchObject({
        code: 'NO_OLD_VERSION',
        message: 'step s: flows, totals have no version before 1',
      })
      await publish(warehouse, 7)
      expect([await content(warehouse), (await names(warehouse)).filter((name) => name.startsWith('flows'))]).toEqual([
        holds(7),
        ['flows', 'flows__v1_20231114T222020Z'],
      ])
      expect([await back(8), await content(warehouse)]).toEqual([[4, 1], holds(1)])
    })

    test('stay as they are when an input changed since they were built', async () => {
      const { warehouse } = await built(engine)
      await publish(warehouse, 1)
      warehouse.watch([{ pipeline: 'p', step: 's', table: 'source', interval: 'whole' }])
      await publish(warehouse, 2, { swap: false })
      const epochs = await warehouse.open(step, ['u', 'first'], 1n)
      await warehouse.commit([
        write([{ output: output(source), rows: [{ k: 4 }] }], { unit: 'first', epoch: epochs.get('first')?.epoch ?? 0n }),
      ])
      const swap = swapIn(await of(warehouse, 2), tables, { keep: 2, bare: false })
      const outcomes = await warehouse.commit([
        write([], { epoch: epochs.get('u')?.epoch ?? 0n, shadows, swap, touchedAs: 'all', ledger: { state: 'done' } }),
      ])
      expect([outcomes, await content(warehouse)]).toEqual([[{ written: false, reason: 'changed' }], holds(1)])
      // What was built is dropped by its record, and built anew.
      const leftovers = dropShadows(await of(warehouse, 2))
      await warehouse.amend('p', { swap: leftovers }, at(2))
      expect(await names(warehouse)).toEqual(['flows', 'source', 'totals'])
      await publish(warehouse, 3)
      expect(await content(warehouse)).toEqual(holds(3, 4))
    })

    test('stay as they are when the unit was taken over', async () => {
      const { warehouse } = await built(engine)
      await publish(warehouse, 1)
      expect(await publish(warehouse, 2, { epoch: 1n })).toEqual([{ written: false, reason: 'taken' }])
      expect(await content(warehouse)).toEqual(holds(1))
    })

    test('touch who is computed from them only where their rows differ', async () => {
      const { warehouse } = await built(engine)
      await publish(warehouse, 1)
      warehouse.watch([
        { pipeline: 'p', step: 'after', table: 'flows', interval: 'whole' },
        { pipeline: 'p', step: 'other', table: 'source', interval: 'whole' },
      ])
      await publish(warehouse, 1)
      expect(await warehouse.touched('p', 'after')).toEqual([])
      await publish(warehouse, 2)
      expect((await warehouse.touched('p', 'after')).map(({ unit }) => unit)).toEqual(['all'])
      expect(await warehouse.touched('p', 'other')).toEqual([])
    })

    test('a table of that name which no build made is not dropped', async () => {
      const { warehouse } = await built(engine)
      const create =
        engine.kind === 'clickhouse'
          ? 'CREATE TABLE totals__next (n Int64) ENGINE = MergeTree ORDER BY n'
          : 'CREATE TABLE totals__next (n bigint)'
      await warehouse.execute([sqlText(create)])
      await expect(publish(warehouse, 1)).rejects.toMatchObject({ code: 'SHADOW_TAKEN' })
      expect(await names(warehouse)).toEqual(expect.arrayContaining(['totals__next']))
    })
  })
}
