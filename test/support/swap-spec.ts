import { afterEach, describe, expect, test } from 'vitest'
import { dropShadows, rollBack, swapIn } from '../../src/ledger/versions.js'
import { type Row, sqlText, turn, type Warehouse } from '../../src/sdk/index.js'
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

const closeBuilt = async () => {
  for (const warehouse of open.splice(0)) await warehouse.close()
}

/** What readers see who look at both tables, by one query each time, while work is done. */
async function polled(warehouse: Warehouse, work: () => Promise<unknown>): Promise<readonly Row[]> {
  const seen: Row[] = []
  let done = false
  const polling = (async () => {
    while (!done) {
      seen.push(...(await all(warehouse, 'SELECT min(v) AS least, max(v) AS most, (SELECT min(name) FROM totals) AS name FROM flows')))
      await turn()
    }
  })()
  await work()
  done = true
  await polling
  return seen
}

/** What every warehouse does with tables that are exchanged. */
export function swapSpec(engine: Engine): void {
  afterEach(closeBuilt)

  describe('tables that are exchanged', () => {
    test('hold the new rows in the commit of the swap; versions of before are kept by number and time, and come back one by one', async () => {
      const { warehouse } = await built(engine)
      const back = async (minutes: number) => {
        const { from, to, ...swap } = rollBack(await of(warehouse, minutes), tables)
        await warehouse.amend('p', { swap }, at(minutes))
        return [from, to]
      }
      expect(await publish(warehouse, 1)).toMatchObject([{ written: true }])
      // Nobody wants empty tables back.
      expect([await content(warehouse), await names(warehouse)]).toEqual([holds(1), ['flows', 'source', 'totals']])
      const seen = await polled(warehouse, async () => {
        for (const n of [2, 3, 4]) await publish(warehouse, n)
      })
      // Each look at both tables shows one version of both.
      expect(seen.filter(({ least, most, name }) => least !== most || most !== name)).toEqual([])
      expect(seen.length).toBeGreaterThan(3)
      expect([await content(warehouse), await names(warehouse)]).toEqual([
        holds(4),
        [
          'flows',
          'flows__v2_20231114T221620Z',
          'flows__v3_20231114T221720Z',
          'source',
          'totals',
          'totals__v2_20231114T221620Z',
          'totals__v3_20231114T221720Z',
        ],
      ])
      expect([await back(5), await content(warehouse)]).toEqual([[4, 3], holds(3)])
      expect([await back(6), await content(warehouse)]).toEqual([[3, 2], holds(2)])
      await expect(back(7)).rejects.toMatchObject({ code: 'NO_OLD_VERSION', message: 'step s: flows, totals have no version before 2' })
      // Rows go into them as before, by their keys.
      const epoch = (await warehouse.open(step, ['u'], 1n)).get('u')?.epoch ?? 0n
      await warehouse.commit([write([{ output: output(flows), rows: [{ k: 3, v: 'x' }] }], { epoch })])
      expect(await all(warehouse, 'SELECT k, v FROM flows ORDER BY k')).toEqual([
        { k: 1n, v: '2' },
        { k: 2n, v: '2' },
        { k: 3n, v: 'x' },
      ])
      // What was rolled back goes with the next swap, and is nothing to go back to.
      await publish(warehouse, 8)
      expect([await content(warehouse), (await names(warehouse)).filter((name) => name.startsWith('flows'))]).toEqual([
        holds(8),
        ['flows', 'flows__v2_20231114T222120Z'],
      ])
    })

    test('stay as they are when an input changed since they were built, or the unit was taken over', async () => {
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
      expect(await publish(warehouse, 2, { epoch: 1n })).toEqual([{ written: false, reason: 'taken' }])
      expect(await content(warehouse)).toEqual(holds(1))
      await publish(warehouse, 3)
      expect(await content(warehouse)).toEqual(holds(3, 4))
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
