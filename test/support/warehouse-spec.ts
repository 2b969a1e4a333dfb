import fc from 'fast-check'
import { afterEach, describe, expect, test } from 'vitest'
import {
  type Claim,
  type DonePlace,
  type Json,
  JsonNumber,
  type LedgerRow,
  type Migration,
  NO_DAY,
  PackedList,
  sql,
  sqlText,
  type Table,
  type UnitWrite,
  type Value,
  type Warehouse,
  type UnitPage,
  type WhichUnits,
} from '../../src/sdk/index.js'
import { recordRule } from '../../src/plan/missing.js'
import { applyMigration, pendingMigrations } from '../../src/warehouse/migrate.js'
import { pageIn } from '../../src/warehouse/ledger-where.js'
import { sqlType } from '../../src/warehouse/types.js'
import { restoreVersion1, type Version1 } from './version-1.js'
import { all, output, step, table, write } from './warehouse.js'

/** A kind of warehouse that the specification is run on. */
export interface Engine {
  readonly kind: Warehouse['kind']
  /** A new empty place for tables. Each call of what it gives opens that same place. */
  place(): Promise<(mode?: 'write' | 'plan') => Promise<Warehouse>>
  /** First and last day that it holds. Default: all of four-digit years. */
  readonly days?: readonly [first: string, last: string]
}

const open: Warehouse[] = []
const closeAll = async () => {
  for (const warehouse of open.splice(0)) await warehouse.close()
}

/** Opens a new place, or the given one, with tables and the unit `u` in its next epoch. */
async function openedIn(engine: Engine, tables: readonly Table[], units: readonly string[], place?: () => Promise<Warehouse>) {
  const warehouse = await (place ?? (await engine.place()))()
  open.push(warehouse)
  await warehouse.prepare(tables)
  await warehouse.open(step, units, 1n)
  return warehouse
}

const blocks = table('blocks', { number: 'bigint', hash: 'hash', ts: 'timestamp', note: 'text?' }, ['number'], {
  indexes: { idx_note: ['note', 'number'] },
})
const balances = table('balances', { number: 'bigint', before: 'uint256', after: 'uint256', gained: 'int256' }, ['number'])
const gained = output(balances, { compute: { gained: 'after - before' } })
const block = (number: number | bigint, note: string | null = null) => ({ number, hash: '0xab', ts: 0n, note })
const notes = (warehouse: Warehouse) => all(warehouse, 'SELECT number, note FROM blocks ORDER BY number')

/** What every warehouse does with rows: the same tests on each. */
export function warehouseSpec(engine: Engine): void {
  const opened = (tables: readonly Table[] = [blocks, balances], place?: () => Promise<Warehouse>) => openedIn(engine, tables, ['u'], place)
  const text = sqlType({ kind: 'text' }, engine.kind)
  const uint256 = sqlType({ kind: 'uint256' }, engine.kind)
  const [firstDay, lastDay] = engine.days ?? ['0001-01-01', '9999-12-31']
  afterEach(closeAll)

  describe('statements of a migration', () => {
    const pending = async (warehouse: Warehouse, ...of: readonly Migration[]) =>
      (await pendingMigrations(warehouse, 'p', of)).map(({ name }) => name)
    const migration = (name: string, ...statements: readonly string[]): Migration => ({
      name,
      checksum: `sum of ${name}`,
      statements: statements.map((statement, i) => ({ text: statement, line: i + 1 })),
    })

    test('are applied once and recorded with their file, beside tables and views that are there', async () => {
      const warehouse = await opened()
      const first = migration(
        '0001-a.sql',
        'CREATE VIEW numbers AS SELECT number FROM blocks',
        'CREATE VIEW more AS SELECT number + 1 AS n FROM numbers',
      )
      const second = migration('0002-b.sql', `CREATE VIEW notes AS SELECT 'a;b' AS note`)
      expect(await pending(warehouse, first, second)).toEqual(['0001-a.sql', '0002-b.sql'])
      await applyMigration(warehouse, 'p', first, () => 7n)
      expect(await pending(warehouse, first, second)).toEqual(['0002-b.sql'])
      await warehouse.commit([write([{ output: output(blocks), rows: [block(4)] }])])
      expect(await all(warehouse, 'SELECT n FROM more')).toEqual([{ n: 5n }])
      // Another pipeline has its own.
      expect((await pendingMigrations(warehouse, 'q', [first])).length).toBe(1)
      await expect(pendingMigrations(warehouse, 'p', [{ ...first, checksum: 'other' }])).rejects.toMatchObject({
        code: 'MIGRATION_HISTORY',
      })
      await expect(pendingMigrations(warehouse, 'p', [second])).rejects.toMatchObject({ code: 'MIGRATION_HISTORY' })
    })

    test('that fail are named by their line, and what is there of them is applied once they are mended', async () => {
      const warehouse = await opened()
      const broken = migration('0001-a.sql', 'CREATE VIEW one AS SELECT 1 AS n', 'CREATE VIEW two AS SELECT n FROM nowhere')
      await expect(applyMigration(warehouse, 'p', broken, () => 7n)).rejects.toMatchObject({
        code: 'MIGRATION_FAILED',
        message: expect.stringMatching(/^0001-a\.sql:2: .*nowhere/s) as string,
      })
      const there = await all(warehouse, 'SELECT n FROM one').then(
        () => true,
        () => false,
      )
      expect(there).toBe(!warehouse.transactional)
      const create = warehouse.transactional ? 'CREATE VIEW' : 'CREATE VIEW IF NOT EXISTS'
      const mended = {
        ...migration('0001-a.sql', `${create} one AS SELECT 1 AS n`, 'CREATE VIEW two AS SELECT n FROM one'),
        checksum: 'mended',
      }
      await applyMigration(warehouse, 'p', mended, () => 8n)
      expect([await pending(warehouse, mended), (await all(warehouse, 'SELECT n FROM two')).length]).toEqual([[], 1])
    })
  })

  describe('a commit', () => {
    test('stores very many rows that come packed, with what is computed of them, and counts their texts that were replaced', async () => {
      const warehouse = await opened()
      const packed = <T>(count: number, make: (i: number) => T): PackedList<T> => {
        const list = new PackedList<T>()
        for (let i = 0; i < count; i++) list.push(make(i))
        return list
      }
      const rows = (from: number) =>
        packed(12_000, (i) => ({ number: BigInt(from + i), before: BigInt(i), after: BigInt(from) * 2n ** 200n }))
      expect(await warehouse.commit([write([{ output: gained, rows: rows(0) }])])).toMatchObject([{ written: true }])
      expect(await warehouse.commit([write([{ output: gained, rows: rows(12_000) }])])).toMatchObject([{ written: true }])
      const [sums] = await all(warehouse, 'SELECT count(*) AS n, sum(gained - after + before) AS none, max(gained) AS most FROM balances')
      expect(sums).toMatchObject({ n: 24_000n, most: 12_000n * 2n ** 200n })
      expect(String(sums?.none)).toBe('0')
      const texts = packed(12_000, (i) => block(i, i % 4_000 === 7 ? 'a\u0000' : null))
      expect(await warehouse.commit([write([{ output: output(blocks), rows: texts }])])).toMatchObject([{ written: true, replaced: 3 }])
      expect(await all(warehouse, 'SELECT number FROM blocks WHERE note IS NOT NULL ORDER BY number')).toEqual(
        [7n, 4_007n, 8_007n].map((number) => ({ number })),
      )
    })

    test('stores rows and checkpoint together, with computed columns exact', async () => {
      const warehouse = await opened()
      const max = 2n ** 255n - 1n
      const outcome = await warehouse.commit([
        write(
          [
            {
              output: gained,
              rows: [
                { number: 1n, before: '0x0', after: `0x${max.toString(16)}` },
                { number: '2', before: 2n ** 255n, after: 0n },
              ],
            },
            { output: output(blocks), rows: [{ number: 5, hash: '0xAB', ts: '0x65e11f80' }] },
          ],
          { ledger: { state: 'done', rows: { balances: 2, blocks: 1 }, cursor: { at: 7 } } },
        ),
      ])
      expect(outcome).toEqual([{ written: true, rows: { balances: 2, blocks: 1 } }])
      expect(await all(warehouse, 'SELECT * FROM balances ORDER BY number')).toEqual([
        { number: 1n, before: 0n, after: max, gained: max },
        { number: 2n, before: 2n ** 255n, after: 0n, gained: -(2n ** 255n) },
      ])
      expect(await all(warehouse, 'SELECT * FROM blocks')).toEqual([{ number: 5n, hash: '0xab', ts: 1709252480000000n, note: null }])
      expect(await warehouse.units('p')).toEqual([
        {
          step: 's',
          unit: 'u',
          state: 'done',
          fingerprint: 'f',
          epoch: 1n,
          cursor: { at: 7 },
          rows: { balances: 2, blocks: 1 },
          attempts: 0,
          endpoint: undefined,
          parentHash: undefined,
          lastHash: undefined,
          evidence: undefined,
          error: undefined,
          startedAt: 1n,
          updatedAt: 1000n,
        },
      ])
    })

    test('says where whole units lie that are done, joined where they are alike, and under which definition; gives all others whole, and those of one place', async () => {
      const warehouse = await opened()
      const done = (unit: string, first: bigint, given: Partial<UnitWrite['ledger']> = {}) =>
        write([], { unit, ledger: { state: 'done', first, last: first + 9n, ...given } })
      const units = ['20-29', '10-19', '0-9', '30-39', '40-49', '50-59', 'once']
      await warehouse.open({ ...step, fingerprint: 'older' }, ['60-69', '70-79'], 1n)
      await warehouse.open(step, units, 1n)
      const opening = new Map((await warehouse.units('p')).map(({ unit, epoch }) => [unit, epoch]))
      const writes = [
        done('20-29', 20n, { rows: { blocks: 0, s10: 0 }, evidence: [{ bloom: 'none' }] }),
        done('10-19', 10n, { rows: { blocks: 0, s10: 7 }, evidence: [{ bloom: 'none' }] }),
        done('0-9', 0n, { rows: { blocks: 0 }, coverage: { covered: [['0', '9']] } }),
        done('30-39', 30n, { coverage: { covered: [['30', '39']], tentative: 'no node is asked twice' } }),
        done('40-49', 40n, { state: 'quarantined', error: 'torn' }),
        write([], { unit: 'once', ledger: { state: 'done' } }),
        ...[60n, 70n]
          .map((first) => done(`${first}-${first + 9n}`, first, { evidence: [{ logs: 1, verified: 'proof' }] }))
          .map((each) => ({ ...each, step: { ...step, fingerprint: 'older' } })),
      ]
      await warehouse.commit(writes.map((each) => ({ ...each, epoch: opening.get(each.unit) ?? 0n })))
      const places: DonePlace[] = []
      for await (const page of warehouse.donePlaces(step)) places.push(...page)
      expect(places).toEqual([
        { first: 0n, last: 19n, axis: 'numbers', isEmpty: false, isCurrent: true, isProved: undefined },
        { first: 20n, last: 29n, axis: 'numbers', isEmpty: true, isCurrent: true, isProved: undefined },
        { first: 60n, last: 79n, axis: 'numbers', isEmpty: false, isCurrent: false, isProved: true },
      ])
      expect(await warehouse.definitions('p', 's')).toEqual(['f', 'older'])
      const names = async (which: WhichUnits) => (await warehouse.units('p', 's', which)).map(({ unit }) => unit).sort()
      expect(await names({ besidesDonePlaces: true })).toEqual(['30-39', '40-49', '50-59', 'once', 'u'])
      expect(await names({ at: 25n })).toEqual(['20-29'])
      expect(await names({ at: 45n })).toEqual(['40-49'])
      const page = async (of: UnitPage) => (await warehouse.unitPage('p', 's', of)).map(({ unit, first }) => ({ unit, first }))
      const placed = (unit: string, first?: bigint) => ({ unit, first })
      const first = await page({ limit: 3 })
      expect(first).toEqual([placed('0-9', 0n), placed('10-19', 10n), placed('20-29', 20n)])
      const second = await page({ limit: 3, after: first[2] })
      expect(second).toEqual([placed('30-39', 30n), placed('40-49', 40n), placed('60-69', 60n)])
      const third = await page({ limit: 3, after: second[2] })
      expect(third).toEqual([placed('70-79', 70n), placed('50-59'), placed('once')])
      expect(await page({ limit: 3, after: third[2] })).toEqual([placed('u')])
      expect(await page({ limit: 2, after: placed('45', 45n) })).toEqual([placed('60-69', 60n), placed('70-79', 70n)])
      expect(await page({ limit: 9, states: ['quarantined', 'running'] })).toEqual([placed('40-49', 40n), placed('50-59'), placed('u')])
      expect([...(await warehouse.units('p', 's'))].length).toBe(10)
      for (const of of [
        { limit: 3 },
        { limit: 3, after: first[2] },
        { limit: 3, after: second[2] },
        { limit: 9, states: ['done'] as const },
      ])
        expect(pageIn(await warehouse.units('p', 's'), of).map(({ unit, first: at }) => placed(unit, at))).toEqual(await page(of))
    })

    test('leaves out the write of a unit that was taken over, and only that', async () => {
      const warehouse = await opened()
      await warehouse.open(step, ['u', 'v'], 2n)
      const outcomes = await warehouse.commit([
        write([{ output: output(blocks), rows: [block(1)] }], {
          epoch: 1n,
          deletes: [{ table: 'blocks', column: 'number', from: 0n, to: 9n, constants: {} }],
        }),
        write([{ output: output(blocks), rows: [block(2)] }], { epoch: 2n, ledger: { state: 'done' } }),
        write([{ output: output(blocks), rows: [block(3)] }], { unit: 'v', epoch: 2n }),
        write([{ output: output(blocks), rows: [block(4)] }], { unit: 'never opened' }),
      ])
      expect(outcomes.map(({ written }) => written)).toEqual([false, true, true, false])
      expect(await notes(warehouse)).toEqual([
        { number: 2n, note: null },
        { number: 3n, note: null },
      ])
      expect((await warehouse.units('p', 's')).map(({ unit, epoch, state }) => [unit, epoch, state])).toEqual([
        ['u', 2n, 'done'],
        ['v', 2n, 'running'],
      ])
    })

    test('overwrites the same key, and a column that nothing fills becomes null', async () => {
      const warehouse = await opened()
      await warehouse.commit([write([{ output: output(blocks), rows: [block(1, 'old'), block(2, 'kept')] }])])
      await warehouse.commit([
        write([{ output: output(blocks, { columns: ['number', 'hash', 'ts'] }), rows: [{ number: 1n, hash: '0xcd', ts: 5n }] }]),
      ])
      expect(await all(warehouse, 'SELECT * FROM blocks ORDER BY number')).toEqual([
        { number: 1n, hash: '0xcd', ts: 5n, note: null },
        { number: 2n, hash: '0xab', ts: 0n, note: 'kept' },
      ])
    })

    test('deletes the stretch of a redone unit before its new rows, again and again beside an open reader', async () => {
      const warehouse = await opened()
      const rows = Array.from({ length: 3000 }, (_, i) => block(i, 'first'))
      await warehouse.commit([write([{ output: output(blocks), rows }])])
      const reader = warehouse.query(sqlText('SELECT number FROM blocks'))[Symbol.asyncIterator]()
      await reader.next()
      for (const note of ['second', 'third', 'fourth']) {
        await warehouse.commit([
          write([{ output: output(blocks), rows: [block(1000, note), block(1999, note)] }], {
            deletes: [{ table: 'blocks', column: 'number', from: 1000n, to: 1999n, constants: {} }],
          }),
        ])
      }
      expect(await all(warehouse, 'SELECT note, count(*) AS n FROM blocks GROUP BY note ORDER BY note')).toEqual([
        { note: 'first', n: 2000n },
        { note: 'fourth', n: 2n },
      ])
    })

    test('deletes within constants only, and by time where the range is a time or a day', async () => {
      const prices = table('prices', { chain: 'text', at: 'timestamp', day: 'date' }, ['chain', 'at'])
      const warehouse = await opened([prices])
      const constant = (chain: string) => output(prices, { constants: { chain } })
      const rows = [
        { at: '2024-03-01T00:00:00Z', day: '2024-03-01' },
        { at: '2024-03-02T00:00:00Z', day: '2024-03-02' },
      ]
      await warehouse.commit([
        write([
          { output: constant('base'), rows },
          { output: constant("o'pt"), rows },
        ]),
      ])
      const day = 1709251200000000n
      const constants = { chain: "o'pt" }
      await warehouse.commit([write([], { deletes: [{ table: 'prices', column: 'at', from: day, to: day + 1n, constants }] })])
      expect(await all(warehouse, 'SELECT chain, day FROM prices ORDER BY 1, 2')).toEqual([
        { chain: 'base', day: '2024-03-01' },
        { chain: 'base', day: '2024-03-02' },
        { chain: "o'pt", day: '2024-03-02' },
      ])
      await warehouse.commit([
        write([], { deletes: [{ table: 'prices', column: 'day', from: day, to: day + 86_400_000_000n - 1n, constants: {} }] }),
      ])
      expect(await all(warehouse, 'SELECT chain, day FROM prices ORDER BY 1, 2')).toEqual([
        { chain: 'base', day: '2024-03-02' },
        { chain: "o'pt", day: '2024-03-02' },
      ])
    })

    test('deletes all of a step before its new rows, also what has no place in the range', async () => {
      const shared = table('shared', { chain: 'text', id: 'bigint', time: 'timestamp?' }, ['chain', 'id'], { range: 'time' })
      const warehouse = await opened([shared])
      const of = (chain: string) => output(shared, { constants: { chain } })
      const rows = [
        { id: 1n, time: null },
        { id: 2n, time: 5n },
      ]
      await warehouse.commit([
        write([
          { output: of('base'), rows },
          { output: of("o'pt"), rows },
        ]),
      ])
      const held = () => all(warehouse, 'SELECT chain, id, time FROM shared ORDER BY chain, id')
      warehouse.watch([{ pipeline: 'p', step: 'reads', table: 'shared', interval: 'whole' }])
      const touched = async () => (await warehouse.touched('p', 'reads')).map(({ unit }) => unit)
      await warehouse.commit([write([], { deletes: [{ table: 'shared', constants: { chain: 'none' } }] })])
      expect([await touched(), (await held()).length]).toEqual([[], 4])
      const base = [
        { chain: 'base', id: 1n, time: null },
        { chain: 'base', id: 2n, time: 5n },
      ]
      await warehouse.commit([
        write([{ output: of("o'pt"), rows: [{ id: 2n, time: 7n }] }], { deletes: [{ table: 'shared', constants: { chain: "o'pt" } }] }),
      ])
      expect([await touched(), await held()]).toEqual([['all'], [...base, { chain: "o'pt", id: 2n, time: 7n }]])
      await warehouse.commit([write([], { deletes: [{ table: 'shared', constants: {} }] })])
      expect(await held()).toEqual([])
    })

    test('keeps count of rows by day: each once, where it is now', async () => {
      const lists = table('lists', { api: 'text', id: 'text', n: 'bigint', time: 'timestamp?', fee: 'bigint' }, ['id', 'n'], {
        range: 'time',
      })
      const warehouse = await opened([lists])
      const counted = { pipeline: 'p', table: 'lists', constants: { api: "it's" }, column: 'time' }
      const own = output(lists, { constants: counted.constants })
      const day = (days: number) => BigInt(days) * 86_400_000_000n
      const row = (id: string, days: number | null, fee = 1n) => ({ id, n: 1n, time: days === null ? null : day(days) + 5n, fee })
      const commit = (rows: readonly ReturnType<typeof row>[], deletes: UnitWrite['deletes'] = []) =>
        warehouse.commit([write([{ output: own, rows }], { deletes })])
      const counts = async () => {
        const known = await warehouse.counts(counted)
        return (
          known &&
          Object.fromEntries([...known].filter(([, n]) => n !== 0n).map(([at, n]) => [at === NO_DAY ? 'none' : at / day(1), Number(n)]))
        )
      }
      const agrees = async () =>
        expect(new Map([...((await warehouse.counts(counted)) ?? [])].filter(([, n]) => n !== 0n))).toEqual(
          await warehouse.present(counted, lists),
        )
      await commit([row('before', 1)])
      expect(await counts()).toBeUndefined()
      await warehouse.recount(counted, lists)
      warehouse.count([counted])
      expect(await counts()).toEqual({ 1: 1 })
      await commit([row('a', 1), row('b', -1), row("c'\\", 2), row('d', null)])
      expect(await counts()).toEqual({ '-1': 1, 1: 2, 2: 1, none: 1 })
      // Read again as they were, changed, and moved to another day.
      await commit([row('a', 1), row('b', -1, 7n), row("c'\\", 3), row('d', 3)])
      expect(await counts()).toEqual({ '-1': 1, 1: 2, 3: 2 })
      await agrees()
      // Rows of others in the table are no part of it.
      await warehouse.commit([write([{ output: output(lists, { constants: { api: 'other' } }), rows: [row('z', 1)] }])])
      await commit([row('e', 3)], [{ table: 'lists', column: 'time', from: day(3), to: day(3) + 4n, constants: counted.constants }])
      expect(await counts()).toEqual({ '-1': 1, 1: 2, 3: 3 })
      await commit([row('f', 1)], [{ table: 'lists', column: 'time', from: day(1), to: day(4), constants: counted.constants }])
      expect(await counts()).toEqual({ '-1': 1, 1: 1 })
      await agrees()
      await warehouse.execute([sqlText(`DELETE FROM lists WHERE id IN ('b', 'f')`)])
      expect(await counts()).toEqual({ '-1': 1, 1: 1 })
      await warehouse.recount(counted, lists, [[day(1), day(2) - 1n]])
      expect(await counts()).toEqual({ '-1': 1 })
      await commit([], [{ table: 'lists', constants: counted.constants }])
      expect(await counts()).toEqual({ '-1': 1 })
      await warehouse.recount(counted, lists)
      expect(await counts()).toEqual({})
    })

    test('that fails writes nothing at all, and the next one is not affected', async () => {
      const warehouse = await opened()
      await warehouse.commit([write([{ output: output(blocks), rows: [block(1, 'before')] }])])
      const good = { output: output(blocks), rows: [block(1, 'half'), block(2, 'half')] }
      const before = await warehouse.units('p')
      const failing = [
        write([good], { sql: [sqlText('SELECT nope')] }),
        write([good, { output: output(balances), rows: [{ number: 1n, before: 'x', after: 0n, gained: 0n }] }]),
        write([good], { sql: [sqlText('COMMIT')] }),
        write([good], { sql: [sqlText("INSERT INTO blocks VALUES (9, '0x', NULL, NULL)")] }),
      ]
      for (const each of failing) await expect(warehouse.commit([each])).rejects.toThrow()
      expect([await notes(warehouse), await warehouse.units('p')]).toEqual([[{ number: 1n, note: 'before' }], before])
      await warehouse.commit([write([good])])
      expect(await notes(warehouse)).toHaveLength(2)
    })

    test('runs the SQL of a step with its values bound, after the rows', async () => {
      const warehouse = await opened()
      const big = 2n ** 256n - 1n
      await warehouse.commit([
        write([{ output: output(blocks), rows: [block(1, "it's")] }], {
          sql: [
            sql`INSERT INTO balances SELECT number, ${{ type: { kind: 'uint256' }, value: big }}, 0, ${{ type: { kind: 'int256' }, value: '-5' }} FROM blocks WHERE note = ${{ type: { kind: 'text' }, value: "it's" }}`,
          ],
        }),
      ])
      expect(await all(warehouse, 'SELECT * FROM balances')).toEqual([{ number: 1n, before: big, after: 0n, gained: -5n }])
    })

    test('keeps the last row of a key that SQL computes', async () => {
      const last = table('last', { sender: 'text', id: 'bigint' }, ['sender'])
      const warehouse = await opened([last])
      const lower = output(last, { columns: ['id'], compute: { sender: `'s' || CAST(id % 10 AS ${text})` } })
      const rows = Array.from({ length: 5000 }, (_, i) => ({ id: BigInt(i) }))
      await warehouse.commit([write([{ output: lower, rows }])])
      expect(await all(warehouse, 'SELECT * FROM last ORDER BY sender')).toEqual(
        Array.from({ length: 10 }, (_, i) => ({ sender: `s${i}`, id: BigInt(4990 + i) })),
      )
    })

    // ClickHouse has no transaction to leave: what was begun is written, then taken back.
    if (engine.kind !== 'clickhouse')
      test('of very many rows is left when their unit is stopped, and nothing of it is written', async () => {
        const warehouse = await opened()
        const rows = Array.from({ length: 100_000 }, (_, i) => block(i))
        const stop = new AbortController()
        const many = warehouse.commit([write([{ output: output(blocks), rows }], { signal: stop.signal })])
        setTimeout(() => stop.abort(new Error('stopped')), 20)
        await expect(many).rejects.toThrow('stopped')
        expect(await notes(warehouse)).toEqual([])
        // A small one goes to its end: nothing of it is lost.
        await warehouse.commit([write([{ output: output(blocks), rows: [block(1)] }], { signal: stop.signal })])
        expect(await notes(warehouse)).toEqual([{ number: 1n, note: null }])
      })

    test('refuses two rows of one key, which the database would drop in silence', async () => {
      const warehouse = await opened()
      await expect(warehouse.commit([write([{ output: output(blocks), rows: [block(1), block(1)] }])])).rejects.toThrow(
        '1 rows for blocks share a key',
      )
      expect(await notes(warehouse)).toEqual([])
    })

    describe('rows of one key', () => {
      const txs = table('txs', { hash: 'hash', block: 'bigint', i: 'int?' }, ['hash'], { range: 'block' })
      const tx = (block: number, i: number | null = 0, hash = '0xaa') => ({ hash, block: BigInt(block), i: i === null ? null : BigInt(i) })
      const there = (warehouse: Warehouse) => all(warehouse, 'SELECT hash, block, i FROM txs ORDER BY hash')
      const owner: UnitWrite['owner'] = (_, { there: place }) => (place === 20n ? '0-49' : undefined)
      const put = (warehouse: Warehouse, rows: ReturnType<typeof tx>[], more: Partial<UnitWrite> = { owner }) =>
        warehouse.commit([write([{ output: output(txs), rows }], { ...more, ledger: { state: 'running', first: 50n, last: 99n } })])

      test('a different one does not take the place of one that belongs to what is done, and both are named', async () => {
        const warehouse = await opened([txs])
        await put(warehouse, [tx(20)])
        await expect(put(warehouse, [tx(81, 7, '0xbb'), tx(80)])).rejects.toMatchObject({
          code: 'KEY_CONFLICT',
          message:
            'txs (hash="0xaa"): two different rows have this key: block 20 and 80 (of unit 0-49, which is in the table, and of unit u)',
        })
        await expect(put(warehouse, [tx(20, null)])).rejects.toMatchObject({ message: expect.stringContaining('i 0 and null') as string })
        expect(await there(warehouse)).toEqual([tx(20)])
      })

      test('an equal one is no conflict, one that nobody owns is replaced, and both are counted as being there', async () => {
        const warehouse = await opened([txs])
        await put(warehouse, [tx(20), tx(21, 1, '0xcc')])
        expect(await put(warehouse, [tx(20), tx(80, 2, '0xcc'), tx(80, 3, '0xdd')])).toMatchObject([
          { written: true, there: { txs: 2 }, overwritten: { txs: 1 } },
        ])
        expect(await there(warehouse)).toEqual([tx(20), tx(80, 2, '0xcc'), tx(80, 3, '0xdd')])
      })

      test('what the table had before is counted in a commit of several writes with as many as each brought', async () => {
        const warehouse = await opened([txs])
        const epoch = (await warehouse.open(step, ['v'], 1n)).get('v')?.epoch ?? 0n
        const rows = (...hashes: string[]) => [{ output: output(txs), rows: hashes.map((hash) => tx(60, 0, hash)) }]
        await warehouse.commit([write(rows('0xaa', '0xbb'))])
        const outcomes = await warehouse.commit([
          write(rows('0xcc'), { rereads: true }),
          write(rows('0xaa', '0xbb', '0xdd'), { unit: 'v', epoch, rereads: true }),
        ])
        // One row of the first write makes room for no more than one that was there.
        expect(outcomes).toMatchObject([{ there: { txs: 1 } }, { there: { txs: 1 } }])
        expect((await there(warehouse)).length).toBe(4)
      })

      test('a newer reading, and the last one where the table says so, take the place of the one that is there', async () => {
        const last = { ...txs, name: 'last', onConflict: 'last' as const }
        const warehouse = await opened([txs, last])
        for (const [of, more] of [
          [txs, { rereads: true }],
          [last, { owner }],
        ] as const) {
          const [first] = await warehouse.commit([write([{ output: output(of), rows: [tx(20)] }], more)])
          const [second] = await warehouse.commit([write([{ output: output(of), rows: [tx(80), tx(81, 1, '0xbb')] }], more)])
          expect([first, second]).toMatchObject([{ written: true }, { there: { [of.name]: 1 }, overwritten: { [of.name]: 1 } }])
          expect(await all(warehouse, `SELECT hash, block, i FROM ${of.name} ORDER BY hash`)).toEqual([tx(80), tx(81, 1, '0xbb')])
        }
      })

      test('one that was read for another record of a query stays as long as the query has that record', async () => {
        const warehouse = await opened([blocks, txs])
        const query = sqlText('SELECT number FROM blocks')
        const wanted = { sql: query, key: ['number'], output: 'txs', copied: { block: 'number' }, constants: {} } as const
        const rule = { kind: 'rows', ...wanted, chunk: 10, order: 'oldest-first' } as const
        const records = recordRule(rule, new Map([['txs', txs]]))
        await warehouse.commit([write([{ output: output(blocks), rows: [block(20), block(80), block(81)] }])])
        await put(warehouse, [tx(20), tx(19, 0, '0xcc'), tx(80, 0, '0xdd')], { records })
        await expect(put(warehouse, [tx(81, 7, '0xbb'), tx(80)], { records })).rejects.toMatchObject({
          code: 'KEY_CONFLICT',
          message:
            'txs (hash="0xaa"): two different rows have this key: block 20 and 80 (of row 20 of the query, which is in the table, and of row 80)',
        })
        // Block 19 is no record any more, and a record may be read again.
        expect(await put(warehouse, [tx(80, 1, '0xcc'), tx(80, 1, '0xdd')], { records })).toMatchObject([{ overwritten: { txs: 2 } }])
        expect(await there(warehouse)).toEqual([tx(20), tx(80, 1, '0xcc'), tx(80, 1, '0xdd')])
      })

      test('that SQL computes are compared, too', async () => {
        const warehouse = await opened([txs])
        const computed = output(txs, { columns: ['block', 'i'], compute: { hash: `concat('0x0', CAST(i AS ${text}))` } })
        const given = (...rows: readonly [number, number][]) => rows.map(([block, i]) => ({ block: BigInt(block), i: BigInt(i) }))
        await expect(
          warehouse.commit([write([{ output: computed, rows: given([1, 1], [2, 2], [3, 1]) }], { owner })]),
        ).rejects.toMatchObject({
          code: 'KEY_CONFLICT',
          message: 'txs (hash="0x01"): two different rows have this key: block 1 and 3, computed in one commit',
        })
        await warehouse.commit([write([{ output: computed, rows: given([20, 1], [20, 1]) }], { owner })])
        await expect(warehouse.commit([write([{ output: computed, rows: given([80, 1]) }], { owner })])).rejects.toMatchObject({
          code: 'KEY_CONFLICT',
        })
        expect(await there(warehouse)).toEqual([tx(20, 1, '0x01')])
      })
    })

    test('takes a table whose columns are all key', async () => {
      const pairs = table('pairs', { a: 'bigint', b: 'text' }, ['a', 'b'])
      const warehouse = await opened([pairs])
      for (let i = 0; i < 2; i++)
        await warehouse.commit([
          write([
            {
              output: output(pairs),
              rows: [
                { a: 1n, b: 'x' },
                { a: 1n, b: 'y' },
              ],
            },
          ]),
        ])
      expect(await all(warehouse, 'SELECT * FROM pairs ORDER BY b')).toEqual([
        { a: 1n, b: 'x' },
        { a: 1n, b: 'y' },
      ])
    })

    test('goes on when a table was dropped and made anew under it', async () => {
      const warehouse = await opened()
      await warehouse.commit([write([{ output: output(blocks), rows: [block(1)] }])])
      await warehouse.commit([
        write([], {
          sql: [
            sqlText(engine.kind === 'clickhouse' ? 'RENAME TABLE balances TO old_balances' : 'ALTER TABLE balances RENAME TO old_balances'),
            sqlText('DROP TABLE blocks'),
          ],
        }),
      ])
      await warehouse.prepare([blocks, balances])
      await warehouse.commit([
        write([
          { output: output(blocks), rows: [block(2)] },
          { output: gained, rows: [{ number: 1n, before: 1n, after: 1n }] },
        ]),
      ])
      expect(await notes(warehouse)).toEqual([{ number: 2n, note: null }])
    })

    test('waits for the one before it, in the order of the calls', async () => {
      const warehouse = await opened()
      await Promise.all(
        Array.from({ length: 20 }, (_, i) => warehouse.commit([write([{ output: output(blocks), rows: [block(1, `note ${i}`)] }])])),
      )
      expect(await notes(warehouse)).toEqual([{ number: 1n, note: 'note 19' }])
    })
  })

  describe('a value that does not fit', () => {
    test('is refused with table, key, column and value', async () => {
      const warehouse = await opened()
      const commit = (rows: Record<string, never>[] | unknown[]) =>
        warehouse.commit([write([{ output: output(blocks), rows: rows as never }])])
      await expect(commit([{ ...block(7), hash: '0xabc' }])).rejects.toThrow('blocks (number=7), column hash: "0xabc" is no hash')
      await expect(commit([{ ...block(8), hash: null }])).rejects.toThrow(
        'blocks (number=8), column hash: is null, and the column is required',
      )
      await expect(commit([{ number: 9, hash: '0xab' }])).rejects.toThrow('blocks (number=9), column ts: is missing')
      await expect(commit([{ ...block(10), colour: 'red' }])).rejects.toThrow(
        'blocks (number=10), column colour: no such column; rows bring number, hash, ts, note',
      )
      await expect(commit([{ ...block(12), number: 2 ** 53 }])).rejects.toThrow('is a JSON number above 2^53')
    })

    test('is named with its key also when SQL computed it', async () => {
      const warehouse = await opened()
      const compute = (expression: string, rows = [{ number: 3n, before: 6n, after: 5n }]) =>
        warehouse.commit([
          write([
            {
              output: output(balances, {
                columns: ['number', 'before', 'after'].filter((name) => name !== 'after'),
                compute: { after: expression, gained: '0' },
              }),
              rows: rows.map(({ number, before }) => ({ number, before })),
            },
          ]),
        ])
      await expect(compute('before - 7')).rejects.toThrow(
        'balances (number=3), column after: is computed as -1, which does not fit uint256 (0 to 2^256-1)',
      )
      await expect(compute(`CAST(CAST(before AS ${text}) || 'x' AS ${uint256})`)).rejects.toThrow(
        'balances (number=3), column after: is computed as null or not at all',
      )
      await expect(compute(`CAST(before AS ${text}) || '.5'`)).rejects.toThrow(
        'balances (number=3), column after: is computed as 6.5, which does not fit uint256 (0 to 2^256-1)',
      )
      await expect(compute('CASE WHEN before = 0 THEN before END')).rejects.toThrow(
        'balances (number=3), column after: is computed as null or not at all',
      )
      expect(await all(warehouse, 'SELECT * FROM balances')).toEqual([])
    })

    test('is a computed text with more fraction digits than its column has', async () => {
      const prices = table('prices', { id: 'bigint', price: 'decimal(20,2)' }, ['id'])
      const warehouse = await opened([prices])
      const compute = (price: string) =>
        warehouse.commit([write([{ output: output(prices, { columns: ['id'], compute: { price } }), rows: [{ id: 1n }] }])])
      await expect(compute("'1.239'")).rejects.toThrow(
        'prices (id=1), column price: is computed as 1.239, which does not fit decimal(20,2)',
      )
      await compute(`CAST(id AS ${text}) || '239e-2'`)
      expect(await all(warehouse, `SELECT CAST(price AS ${text}) AS price FROM prices`)).toEqual([{ price: '12.39' }])
      await compute("'1.2300'")
      expect(await all(warehouse, `SELECT CAST(price AS ${text}) AS price FROM prices`)).toEqual([{ price: '1.23' }])
    })
  })

  describe('every type', () => {
    const columns = {
      k: 'bigint',
      b: 'bool?',
      i: 'int?',
      u: 'uint256?',
      s: 'int256?',
      d: 'decimal(38,18)?',
      f: 'float?',
      t: 'text?',
      a: 'address?',
      h: 'hash?',
      y: 'bytes?',
      j: 'json?',
      at: 'timestamp?',
      day: 'date?',
    }
    const everything = table('everything', columns, ['k'])

    test('comes back as it went in, at its borders', async () => {
      const warehouse = await opened([everything])
      const rows = [
        {
          k: 0n,
          b: true,
          i: 2n ** 31n - 1n,
          u: 2n ** 256n - 1n,
          s: -(2n ** 255n),
          d: '-99999999999999999999.999999999999999999',
          f: 1.5e300,
          t: 'quote \' " tab \t line \n\r back \\ \\N 🦄',
          a: `0x${'ab'.repeat(20)}`,
          h: '0x00',
          y: '0x',
          j: { a: [1, '2', null] },
          at: -1n,
          day: firstDay,
        },
        {
          k: -(2n ** 63n),
          b: false,
          i: -(2n ** 31n),
          u: 0n,
          s: 2n ** 255n - 1n,
          d: '0.000000000000000001',
          f: -0.1,
          t: '',
          a: `0x${'00'.repeat(20)}`,
          h: `0x${'ff'.repeat(32)}`,
          y: `0x${'c0de'.repeat(5000)}`,
          j: 'text',
          at: 2n ** 53n + 1n,
          day: lastDay,
        },
        {
          k: 2n ** 63n - 1n,
          b: null,
          i: null,
          u: null,
          s: null,
          d: null,
          f: null,
          t: null,
          a: null,
          h: null,
          y: null,
          j: null,
          at: null,
          day: null,
        },
      ]
      await warehouse.commit([write([{ output: output(everything), rows }])])
      expect(await all(warehouse, 'SELECT * FROM everything ORDER BY k')).toEqual([rows[1], rows[0], rows[2]])
    })

    const edge = (k: bigint, more: Record<string, Value>) => ({
      ...Object.fromEntries(Object.keys(columns).map((name) => [name, null])),
      k,
      ...more,
    })

    test('comes back as it went in where others round, cut or give up', async () => {
      const warehouse = await opened([everything])
      const rows = [
        edge(-1n, { i: -1n, u: 0n, s: -1n, d: '-1.000000000000000000' }),
        edge(0n, { i: 0n, u: 2n ** 128n, s: -(2n ** 128n), d: '0.000000000000000000' }),
        edge(2n ** 53n + 1n, { u: 2n ** 53n + 1n, s: 2n ** 53n + 1n, d: '9007199254740993.000000000000000001' }),
        edge(2n ** 63n - 1n, { u: 2n ** 63n, s: 2n ** 63n }),
        edge(11n, { at: -1_999_999_999_999_999n }),
        edge(12n, { at: 9_300_000_000_000_001n, day: '2262-04-12' }),
        edge(13n, { t: 'x🦄'.repeat(350_000) }),
        edge(14n, { j: { deep: [[[{ 'a"\\\n': 'b"\\\n\t🦄', n: [1e-7, -0.5, 2 ** 53 - 1, false] }]]], empty: [{}, [], ''] } }),
        edge(15n, { y: `0x${Array.from({ length: 256 }, (_, i) => i.toString(16).padStart(2, '0')).join('')}` }),
      ]
      await warehouse.commit([write([{ output: output(everything), rows }])])
      const inOrder = [...rows].sort((a, b) => (a.k < b.k ? -1 : 1))
      expect(await all(warehouse, 'SELECT * FROM everything ORDER BY k')).toEqual(inOrder)
    })

    test('of text holds U+FFFD in place of NUL and half a character, and the write says how often', async () => {
      const warehouse = await opened([everything])
      const columns = ['k', 't', 'j']
      const rows = [
        { k: 1, t: 'a\0b\ud800', j: null },
        { k: 2, t: '\udfff\ud83e', j: { 'n\0': ['\0', 'fine 🦄'] } },
        { k: 3, t: 'fine', j: 'fine' },
      ]
      const outcomes = await warehouse.commit([
        write([{ output: output(everything, { columns }), rows }]),
        write([{ output: output(everything, { columns }), rows: [{ k: 4, t: 'fine', j: null }] }]),
      ])
      expect(outcomes).toEqual([
        { written: true, rows: { everything: 3 }, replaced: 4 },
        { written: true, rows: { everything: 1 } },
      ])
      expect(await all(warehouse, 'SELECT k, t, j FROM everything ORDER BY k')).toEqual([
        { k: 1n, t: 'a\ufffdb\ufffd', j: null },
        { k: 2n, t: '\ufffd\ufffd', j: { 'n\ufffd': ['\ufffd', 'fine 🦄'] } },
        { k: 3n, t: 'fine', j: 'fine' },
        { k: 4n, t: 'fine', j: null },
      ])
    })

    test('of JSON keeps the digits of its numbers', async () => {
      const warehouse = await opened([everything])
      const digits = ['12345678901234567890', '0.1234567890123456789', '-1.10']
      const j = { n: digits.map((each) => new JsonNumber(each)), plain: [1, 'x'] } as unknown as Json
      await warehouse.commit([write([{ output: output(everything, { columns: ['k', 'j'] }), rows: [{ k: 1, j }] }])])
      const [row] = await all(warehouse, `SELECT CAST(j AS ${text}) AS j FROM everything`)
      expect(String(row?.j as string).replaceAll(' ', '')).toBe(`{"n":[${digits.join(',')}],"plain":[1,"x"]}`)
    })

    test.each([
      ['i', 2n ** 31n],
      ['k', 2n ** 63n],
      ['u', 2n ** 256n],
      ['u', -1n],
      ['s', 2n ** 255n],
      ['s', -(2n ** 255n) - 1n],
      ['d', '100000000000000000000.0'],
      ['d', '0.0000000000000000001'],
    ])('of %s refuses %s before the write, naming row, column and value', async (column, value) => {
      const warehouse = await opened([everything])
      const rows = [edge(1n, {}), { ...edge(2n, {}), [column]: value }]
      const error = await warehouse.commit([write([{ output: output(everything), rows }])]).catch((thrown: unknown) => thrown)
      expect(error).toMatchObject({ code: 'VALUE_REFUSED' })
      expect(String(error)).toContain(`everything (k=${column === 'k' ? value : 2}), column ${column}: `)
      expect(String(error)).toContain(String(value))
      expect(await all(warehouse, 'SELECT * FROM everything')).toEqual([])
    })

    test('any 256-bit value comes back digit for digit, also as a bound value', async () => {
      const warehouse = await opened([everything])
      let k = 0n
      await fc.assert(
        fc.asyncProperty(fc.bigInt(0n, 2n ** 256n - 1n), fc.bigInt(-(2n ** 255n), 2n ** 255n - 1n), async (u, s) => {
          k++
          await warehouse.commit([write([{ output: output(everything, { columns: ['k', 'u', 's'] }), rows: [{ k, u, s: String(s) }] }])])
          const [row] = await all(
            warehouse,
            sql`SELECT u, s, u = ${{ type: { kind: 'uint256' }, value: u }} AS same FROM everything WHERE k = ${{ type: { kind: 'bigint' }, value: k }}`,
          )
          // ClickHouse has no truth of its own: a comparison gives 1.
          expect(row).toEqual({ u, s, same: engine.kind === 'clickhouse' ? 1n : true })
        }),
        { numRuns: 40 },
      )
    })
  })

  describe('a query', () => {
    test('sees the state at its start while commits go on, and many run at once', async () => {
      const warehouse = await opened()
      await warehouse.commit([write([{ output: output(blocks), rows: Array.from({ length: 5000 }, (_, i) => block(i)) }])])
      const pages = warehouse.query(sqlText('SELECT number FROM blocks'))[Symbol.asyncIterator]()
      const first = await pages.next()
      await warehouse.commit([write([], { deletes: [{ table: 'blocks', column: 'number', from: 0n, to: 9999n, constants: {} }] })])
      let seen = first.done ? 0 : first.value.length
      for (let page = await pages.next(); !page.done; page = await pages.next()) seen += page.value.length
      const counts = await Promise.all(Array.from({ length: 8 }, () => all(warehouse, 'SELECT count(*) AS n FROM blocks')))
      expect([seen, counts.flat()]).toEqual([5000, Array.from({ length: 8 }, () => ({ n: 0n }))])
    })
  })

  describe('two warehouses in one place', () => {
    test('see each other, and the one that lost its unit writes nothing', async () => {
      const place = await engine.place()
      const first = await opened([blocks], place)
      const second = await opened([blocks], place)
      const outcomes = await Promise.all([
        first.commit([write([{ output: output(blocks), rows: [block(1, 'zombie')] }])]),
        second.commit([write([{ output: output(blocks), rows: [block(1, 'owner')] }], { epoch: 2n })]),
      ])
      expect(outcomes).toEqual([[{ written: false, reason: 'taken' }], [{ written: true, rows: { blocks: 1 } }]])
      expect(await notes(first)).toEqual([{ number: 1n, note: 'owner' }])
    })
  })
}

/** A ledger row without the fields that nothing set, and without its epoch: which number it is is the warehouse's affair. */
function set(row: LedgerRow | undefined): Partial<LedgerRow> {
  const apart = ['step', 'unit', 'epoch', 'startedAt', 'updatedAt']
  return Object.fromEntries(Object.entries(row ?? {}).filter(([name, value]) => value !== undefined && !apart.includes(name)))
}

const taken = { written: false, reason: 'taken' }

const unit = async (warehouse: Warehouse, key = 'u') => (await warehouse.units('p', 's')).find((row) => row.unit === key)

/** What every warehouse does with its ledger: the same tests on each. */
export function ledgerSpec(engine: Engine): void {
  const opened = (units: readonly string[] = ['u']) => openedIn(engine, [], units)
  afterEach(closeAll)

  describe('a pipeline that is held', () => {
    const claim = (id: string, pid: number, told: string[] = []): Claim => ({
      pipeline: 'p',
      id,
      self: { pid, host: 'there', since: 1_700_000_000_000 + pid },
      alive: () => false,
      taken: ({ message }) => void told.push(message),
    })
    const held = async (place: () => Promise<Warehouse>, of: Claim) => {
      const warehouse = await place()
      open.push(warehouse)
      expect(await warehouse.hold(of)).toBe(undefined)
      await warehouse.prepare([blocks])
      return warehouse
    }

    test('takes no row, checkpoint, opening, change by hand or migration of the one before, whatever became of its ledger', async () => {
      const place = await engine.place()
      const told: string[] = []
      const first = await held(place, { ...claim('first', 1, told), self: { pid: 1, host: 'here', since: 1 } })
      await first.open(step, ['u', 'v'], 1n)
      const late = write([{ output: output(blocks), rows: [block(1, 'first')] }])
      expect(await first.commit([late])).toMatchObject([{ written: true }])
      await first.renew()
      expect(told).toEqual([])

      const second = await held(place, {
        ...claim('second', 2),
        alive: () => false,
        self: { pid: 2, host: 'here', since: 1_700_000_000_000 },
      })
      // All that the first one knew is gone: its numbers may come again.
      await second.amend(
        'p',
        {
          drop: [
            { step: 's', unit: 'u' },
            { step: 's', unit: 'v' },
          ],
        },
        2n,
      )
      await second.open(step, ['u'], 2n)
      const [row] = await second.units('p')
      const mine = { ...write([{ output: output(blocks), rows: [block(1, 'second')] }]), epoch: row?.epoch ?? 0n }
      expect(await second.commit([mine])).toMatchObject([{ written: true }])

      const before = [await notes(second), await second.units('p'), await second.quarantined('p')]
      const message = 'another run took pipeline p: pid 2 on here, since 2023-11-14T22:13:20.000Z; this one stopped and writes nothing more'
      const tries = [
        () => first.commit([late]),
        // Even with the epoch of the new owner.
        () => first.commit([{ ...mine, rows: [{ output: output(blocks), rows: [block(1, 'zombie'), block(2, 'zombie')] }] }]),
        () => first.open(step, ['u', 'w'], 3n),
        () => first.amend('p', { drop: [{ step: 's', unit: 'u' }] }, 3n),
        () => first.execute([sqlText('DELETE FROM blocks WHERE number > 0')]),
        () => first.renew(),
      ]
      for (const each of tries) await expect(each()).rejects.toMatchObject({ code: 'PIPELINE_TAKEN', message })
      expect(new Set(told)).toEqual(new Set([message]))
      expect([await notes(second), await second.units('p'), await second.quarantined('p')]).toEqual(before)
      await second.renew()
    })

    test('is another one than that of a second pipeline in the same place', async () => {
      const place = await engine.place()
      const first = await held(place, claim('first', 1))
      await held(place, { ...claim('other', 2), pipeline: 'q' })
      await first.open(step, ['u'], 1n)
      expect(await first.commit([write([])])).toMatchObject([{ written: true }])
    })

    test('is taken from a run that ended, whose name stays until then', async () => {
      const place = await engine.place()
      const first = await held(place, claim('first', 1))
      await first.close()
      const second = await held(place, { ...claim('second', 2), alive: () => true })
      expect(await all(second, 'SELECT holder, pid FROM _pipe_holders')).toEqual([{ holder: 'second', pid: 2n }])
    })
  })

  test('a commit that is told who makes it keeps one row a worker, the last one, beside the ledger', async () => {
    const warehouse = await opened()
    const worker = { worker: 'p@here', pipeline: 'p', host: 'here', pid: 7, step: 's', unit: 'u', startedAt: 1n, heartbeatAt: 2n }
    const shown = () => all(warehouse, 'SELECT * FROM _pipe_workers ORDER BY worker')
    await warehouse.commit([write([])])
    expect(await shown()).toEqual([])
    await warehouse.commit([write([])], worker)
    await warehouse.commit([write([])], { ...worker, worker: 'q@here', step: undefined, unit: undefined })
    await warehouse.commit([write([])], { ...worker, pid: 8, unit: "it's", startedAt: 3n, heartbeatAt: 10_000_002n })
    await warehouse.commit([write([])])
    const row = { pipeline: 'p', host: 'here', pid: 7n, step: null, unit: null, started_at: 1n, heartbeat_at: 2n }
    expect(await shown()).toEqual([
      { ...row, worker: 'p@here', pid: 8n, step: 's', unit: "it's", started_at: 3n, heartbeat_at: 10_000_002n },
      { ...row, worker: 'q@here' },
    ])
  })

  describe('opening units', () => {
    test('makes new ones running, gives known ones a new epoch and changes nothing else of them', async () => {
      const warehouse = await opened()
      await warehouse.commit([write([], { ledger: { state: 'failed', cursor: [1], attempts: 2, error: 'oh' } })])
      const rows = await warehouse.open({ ...step, fingerprint: 'other' }, ['u', 'new'], 9n)
      expect([...rows].map(([key, row]) => [key, set(row)]).sort()).toEqual([
        ['new', { state: 'running', fingerprint: 'other', rows: {}, attempts: 0 }],
        ['u', { state: 'failed', fingerprint: 'f', cursor: [1], rows: {}, attempts: 2, error: 'oh' }],
      ])
      expect(await warehouse.commit([write([], { unit: 'u', epoch: 1n })])).toEqual([taken])
      expect([...rows.values()].map(({ startedAt, updatedAt }) => [startedAt, updatedAt]).sort()).toEqual([
        [1n, 9n],
        [9n, 9n],
      ])
    })

    test('of 100,000, with a checkpoint each in groups, takes seconds and not minutes', async () => {
      const warehouse = await opened([])
      const keys = Array.from({ length: 100_000 }, (_, i) => `${i}000-${i}999`)
      const started = process.cpuUsage()
      for (let i = 0; i < keys.length; i += 10_000) {
        const group = keys.slice(i, i + 10_000)
        const rows = await warehouse.open(step, group, 1n)
        await warehouse.commit(
          group.map((key): UnitWrite => write([], { unit: key, epoch: rows.get(key)?.epoch ?? 0n, ledger: { state: 'done' } })),
        )
      }
      const { user, system } = process.cpuUsage(started)
      expect(await all(warehouse, 'SELECT state, count(*) AS n FROM _pipe_units GROUP BY state')).toEqual([{ state: 'done', n: 100_000n }])
      expect((await warehouse.units('p')).length).toBe(100_000)
      expect((user + system) / 1e6).toBeLessThan(10)
    }, 120_000)
  })

  describe('a checkpoint', () => {
    test('keeps what it does not speak of', async () => {
      const warehouse = await opened()
      await warehouse.commit([
        write([], {
          ledger: {
            first: -5n,
            last: 2n ** 63n - 1n,
            coverage: { covered: [['-5', '7']], redo: 'changed: url', tentative: '1700000000000000' },
            cursor: { at: 1 },
            rows: { t: 5 },
            attempts: 1,
            endpoint: 'a',
            parentHash: '0x1',
            lastHash: '0x2',
            evidence: { logs: 0 },
            error: 'x',
          },
        }),
      ])
      await warehouse.commit([write([], { ledger: { last: 9n, lastHash: '0x3' } })])
      expect(set(await unit(warehouse))).toEqual({
        state: 'running',
        fingerprint: 'f',
        first: -5n,
        last: 9n,
        coverage: { covered: [['-5', '7']], redo: 'changed: url', tentative: '1700000000000000' },
        cursor: { at: 1 },
        rows: { t: 5 },
        attempts: 1,
        endpoint: 'a',
        parentHash: '0x1',
        lastHash: '0x3',
        evidence: { logs: 0 },
        error: 'x',
      })
      await warehouse.commit([write([], { ledger: { state: 'done', coverage: null, cursor: null, error: null } })])
      expect(await unit(warehouse)).toMatchObject({
        state: 'done',
        first: -5n,
        rows: { t: 5 },
        coverage: undefined,
        cursor: undefined,
        error: undefined,
      })
    })

    test('under another fingerprint keeps nothing of the old one', async () => {
      const placed = { first: 1n, last: 2n, coverage: { covered: [['1', '2']] } } as const
      const warehouse = await opened()
      await warehouse.commit([
        write([], { ledger: { ...placed, state: 'done', cursor: { at: 1 }, rows: { t: 5 }, parentHash: '0x1', error: 'x', attempts: 3 } }),
      ])
      await warehouse.commit([write([], { step: { ...step, fingerprint: 'g' }, ledger: { rows: { t: 1 } } })])
      expect(set(await unit(warehouse))).toEqual({ state: 'running', fingerprint: 'g', rows: { t: 1 }, attempts: 0 })
    })

    test('of several batches of one unit in one commit is the last one, with what the earlier ones said', async () => {
      const warehouse = await opened()
      await warehouse.commit([
        write([], { ledger: { cursor: 1, parentHash: '0x1', error: 'x' } }),
        write([], { ledger: { cursor: 2, error: null } }),
        write([], { ledger: { state: 'done', lastHash: '0x2' }, at: 5n }),
      ])
      expect(set(await unit(warehouse))).toEqual({
        state: 'done',
        fingerprint: 'f',
        cursor: 2,
        rows: {},
        attempts: 0,
        parentHash: '0x1',
        lastHash: '0x2',
      })
    })

    test('may quote what no database stores', async () => {
      const warehouse = await opened()
      await warehouse.commit([
        write([], {
          ledger: { error: 'a\ud800\0b', cursor: { c: '\udfff \\ud800 \u0000', n: 2n ** 64n } as never },
          quarantine: [{ key: 'k\ud800', error: '\0', attempts: 1 }],
        }),
      ])
      expect(set(await unit(warehouse))).toMatchObject({
        error: 'a\ufffd\ufffdb',
        cursor: { c: '\ufffd \\ud800 \ufffd', n: '18446744073709551616' },
      })
      expect(await warehouse.quarantined('p')).toEqual([{ step: 's', key: 'k\ufffd', error: '\ufffd', attempts: 1, at: 1000n }])
    })
  })

  describe('a unit that falls into parts', () => {
    test('is replaced by them, and whoever held a part can no longer commit', async () => {
      const warehouse = await opened(['0-9', '5-5'])
      await warehouse.commit([
        write([], {
          unit: '0-9',
          ledger: { state: 'done', cursor: 3 },
          replaces: ['0-9'],
          split: [
            { unit: '0-4', state: 'done', first: 0n, last: 4n, coverage: { covered: [['0', '4']] }, rows: { t: 5 } },
            { unit: '5-5', state: 'quarantined', attempts: 5, error: 'no' },
          ],
        }),
      ])
      expect((await warehouse.units('p')).map((row) => [row.unit, set(row)]).sort()).toEqual([
        ['0-4', { state: 'done', fingerprint: 'f', first: 0n, last: 4n, coverage: { covered: [['0', '4']] }, rows: { t: 5 }, attempts: 0 }],
        ['5-5', { state: 'quarantined', fingerprint: 'f', rows: {}, attempts: 5, error: 'no' }],
      ])
      expect(await warehouse.commit([write([], { unit: '5-5' }), write([], { unit: '0-9' })])).toEqual([
        { written: false, reason: 'taken' },
        { written: false, reason: 'taken' },
      ])
    })

    test('may be one of its own parts', async () => {
      const warehouse = await opened()
      await warehouse.commit([write([], { ledger: { state: 'done', cursor: 3 }, replaces: ['u'], split: [{ unit: 'u', state: 'done' }] })])
      expect(set(await unit(warehouse))).toEqual({ state: 'done', fingerprint: 'f', rows: {}, attempts: 0 })
    })
  })

  describe('done units of one commit that may be joined', () => {
    // `0-1` and `2-3` make `0-3`; it says itself what its rows are, so nothing of theirs is looked up.
    const join: NonNullable<UnitWrite['join']> = (done) =>
      done.length < 2
        ? { put: [], drop: [] }
        : {
            put: [
              { step, unit: '0-3', first: 0n, last: 3n, state: 'done', rows: { t: done.reduce((n, { rows }) => n + (rows.t ?? 0), 0) } },
            ],
            drop: done.map(({ unit: key }) => ({ step: 's', unit: key })),
          }
    const done = (key: string, first: bigint) =>
      write([], { unit: key, ledger: { state: 'done', first, last: first + 1n, rows: { t: 2 }, error: null }, join })
    const stretches = async (warehouse: Warehouse) => {
      const rows = (await warehouse.units('p')).filter(({ state }) => state === 'done')
      const pieces = rows.flatMap(({ first = 0n, last = -1n }) =>
        Array.from({ length: Number(last - first) + 1 }, (_, i) => Number(first) + i),
      )
      return { pieces: pieces.sort(), rows: rows.reduce((n, row) => n + (row.rows.t ?? 0), 0) }
    }

    test('cover what they covered and count what they counted, and nobody who holds one of them can commit', async () => {
      const warehouse = await opened(['0-1', '2-3', 'other'])
      const writes = [done('0-1', 0n), write([], { unit: 'other', join }), done('2-3', 2n)]
      expect(await warehouse.commit(writes)).toMatchObject([{ written: true }, { written: true }, { written: true }])
      expect(await stretches(warehouse)).toEqual({ pieces: [0, 1, 2, 3], rows: 4 })
      expect((await warehouse.units('p')).find(({ unit: key }) => key === 'other')?.state).toBe('running')
      if (warehouse.transactional) {
        expect((await warehouse.units('p')).map(({ unit: key }) => key).sort()).toEqual(['0-3', 'other'])
        expect(await warehouse.commit([write([], { unit: '0-1' })])).toEqual([taken])
      }
    })

    test('leave out a unit that was taken over, and stay apart beside a row of the new name', async () => {
      const warehouse = await opened(['0-1', '2-3'])
      await warehouse.open(step, ['2-3'], 2n)
      expect(await warehouse.commit([done('0-1', 0n), done('2-3', 2n)])).toEqual([{ written: true, rows: {} }, taken])
      expect(await stretches(warehouse)).toEqual({ pieces: [0, 1], rows: 2 })
      const epochs = await warehouse.open(step, ['0-1', '2-3', '0-3'], 3n)
      const epoch = epochs.get('0-1')?.epoch ?? 0n
      await warehouse.commit([
        { ...done('0-1', 0n), epoch },
        { ...done('2-3', 2n), epoch: epochs.get('2-3')?.epoch ?? 0n },
      ])
      expect((await warehouse.units('p')).map(({ unit: key, state }) => `${key} ${state}`).sort()).toEqual([
        '0-1 done',
        '0-3 running',
        '2-3 done',
      ])
    })
  })

  describe('an epoch never comes twice', () => {
    const epochOf = async (warehouse: Warehouse, key: string) => (await warehouse.open(step, [key], 3n)).get(key)?.epoch ?? 0n

    test('for a unit whose row was dropped and made again: who held it before can no longer commit', async () => {
      const warehouse = await opened()
      const before = await epochOf(warehouse, 'u')
      await warehouse.amend('p', { drop: [{ step: 's', unit: 'u' }] }, 2n)
      const after = await epochOf(warehouse, 'u')
      expect(after).toBeGreaterThan(before)
      expect(await warehouse.commit([write([], { epoch: before, ledger: { state: 'done' } })])).toEqual([taken])
      expect(await warehouse.commit([write([], { epoch: after })])).toMatchObject([{ written: true }])
    })

    test('for a unit that was renamed, and got its name back', async () => {
      const warehouse = await opened(['0-9'])
      const before = await epochOf(warehouse, '0-9')
      await warehouse.amend('p', { drop: [{ step: 's', unit: '0-9' }], put: [{ step, unit: '0-4', state: 'pending' }] }, 2n)
      await warehouse.amend('p', { drop: [{ step: 's', unit: '0-4' }], put: [{ step, unit: '0-9', state: 'pending' }] }, 2n)
      expect(await warehouse.commit([write([], { unit: '0-9', epoch: before })])).toEqual([taken])
    })

    test('for a unit that fell into parts and was opened again, and for its parts', async () => {
      const warehouse = await opened([])
      const part = await epochOf(warehouse, '0-4')
      await warehouse.amend('p', { drop: [{ step: 's', unit: '0-4' }] }, 2n)
      const whole = await epochOf(warehouse, '0-9')
      const parts = { replaces: ['0-9'], split: [{ unit: '0-4', state: 'done' }] } as const
      await warehouse.commit([write([], { unit: '0-9', epoch: whole, ...parts })])
      await epochOf(warehouse, '0-9')
      const late = [write([], { unit: '0-4', epoch: part }), write([], { unit: '0-9', epoch: whole })]
      expect(await warehouse.commit(late)).toEqual([taken, taken])
    })

    test('for one that another process opens', async () => {
      const place = await engine.place()
      const first = await openedIn(engine, [], ['u'], place)
      const before = await epochOf(first, 'u')
      await first.amend('p', { drop: [{ step: 's', unit: 'u' }] }, 2n)
      const second = await openedIn(engine, [], ['u'], place)
      expect(await epochOf(second, 'u')).toBeGreaterThan(before)
      expect(await first.commit([write([], { epoch: before })])).toEqual([taken])
    })
  })

  describe('changes by hand', () => {
    test('mark, drop and release, count what changed, and fence off whoever works on it', async () => {
      const warehouse = await opened(['a', 'b', 'c'])
      const quarantine = ['k1', 'k2', 'k3'].map((key) => ({ key, error: 'e', attempts: 5 }))
      await warehouse.commit([write([], { unit: 'a', ledger: { state: 'done', cursor: 1, rows: { t: 1 } }, quarantine })])
      const changed = await warehouse.amend(
        'p',
        {
          put: [
            { step: { ...step, fingerprint: 'marked' }, unit: 'a', state: 'done' },
            { step, unit: 'new', state: 'pending', error: 'why' },
          ],
          drop: [
            { step: 's', unit: 'b' },
            { step: 's', unit: 'not there' },
          ],
          release: [{ step: 's', keys: ['k1', 'k2', 'k9'] }],
        },
        7n,
      )
      expect(changed).toBe(5)
      expect((await warehouse.units('p')).map((row) => [row.unit, set(row)]).sort()).toEqual([
        ['a', { state: 'done', fingerprint: 'marked', cursor: 1, rows: { t: 1 }, attempts: 0 }],
        ['c', { state: 'running', fingerprint: 'f', rows: {}, attempts: 0 }],
        ['new', { state: 'pending', fingerprint: 'f', rows: {}, attempts: 0, error: 'why' }],
      ])
      expect(await warehouse.commit([write([], { unit: 'a' }), write([], { unit: 'b' })])).toEqual(
        Array.from({ length: 2 }, () => ({ written: false, reason: 'taken' })),
      )
      expect(await warehouse.amend('p', { release: [{ step: 's' }, { step: 'other' }] }, 8n)).toBe(1)
      expect(await warehouse.quarantined('p')).toEqual([])
    })

    test('drop a unit and write it anew in one go', async () => {
      const warehouse = await opened()
      await warehouse.commit([write([], { ledger: { cursor: 1 } })])
      await warehouse.amend('p', { drop: [{ step: 's', unit: 'u' }], put: [{ step, unit: 'u', state: 'done' }] }, 2n)
      expect(set(await unit(warehouse))).toEqual({ state: 'done', fingerprint: 'f', rows: {}, attempts: 0 })
    })
  })

  describe('a ledger of version 1', () => {
    const restored = async (name: Version1) => {
      const place = await engine.place()
      const old = await place()
      await restoreVersion1(old, name)
      await old.close()
      const use = async <T>(mode: 'write' | 'plan', work: (warehouse: Warehouse) => Promise<T>) => {
        const warehouse = await place(mode)
        return work(warehouse).finally(() => warehouse.close())
      }
      return use
    }
    const shown = ({ step: of, unit: key, state, first, last, coverage, cursor, error }: LedgerRow) => ({
      unit: `${of} ${key} ${state}`,
      ...(first === undefined && last === undefined ? {} : { on: [first, last] }),
      ...(coverage ? { coverage } : {}),
      ...(cursor === undefined ? {} : { cursor: typeof cursor }),
      ...(error === undefined ? {} : { error: true }),
    })
    const counted = (unit: string, first: bigint, last: bigint) => ({
      unit,
      on: [first, last],
      coverage: { covered: [[String(first), String(last)]] },
    })
    const DAY = 1_709_740_800_000_000n

    test.each<[Version1, string, readonly object[]]>([
      [
        'chained',
        'chained',
        [
          counted('balances 0-15 done', 0n, 15n),
          counted('balances 16-31 done', 16n, 31n),
          counted('balances 32-47 done', 32n, 47n),
          ...['13', '14', '15', '16', '17', '18'].map((day) => ({ unit: `daily 2020-09-${day} done` })),
          ...[0n, 24n, 48n, 72n, 96n, 120n].map((from) => counted(`headers ${from}-${from + 23n} done`, from, from + 23n)),
        ],
      ],
      [
        'quarantined',
        'chained',
        [
          counted('headers 0-23 done', 0n, 23n),
          counted('headers 24-47 done', 24n, 47n),
          counted('headers 48-71 done', 48n, 71n),
          counted('headers 72-95 done', 72n, 95n),
          { unit: 'headers 96-99 done', on: [96n, 99n] },
          { unit: 'headers 100-100 quarantined', on: [100n, 100n], error: true },
          { unit: 'headers 101-119 done', on: [101n, 119n] },
          counted('headers 120-143 done', 120n, 143n),
        ],
      ],
      ['killed', 'chained', [{ unit: 'headers 0-1199 running', on: [0n, 1199n], coverage: { covered: [['0', '199']] } }]],
      [
        'paged',
        'p',
        [
          {
            unit: 't 2024-03-07T16:00:00Z..2024-03-09T08:25:39.999999Z done',
            on: [DAY + 86_400_000_000n, 1_709_972_739_999_999n],
            coverage: { covered: [['1709827200000000', '1709972739999999']] },
            cursor: 'object',
          },
          {
            unit: 't 2024-03-09T08:25:40Z..2024-03-09T16:15:00Z done',
            on: [1_709_972_740_000_000n, 1_710_000_900_000_000n],
            coverage: { covered: [], tentative: '1710000900000000' },
          },
        ],
      ],
      [
        'paged-killed',
        'p',
        [
          {
            unit: 't 2024-03-06T16:00:00Z..2024-03-08T15:45:39.999999Z done',
            on: [DAY, 1_709_912_739_999_999n],
            coverage: { covered: [['1709740800000000', '1709912739999999']] },
            cursor: 'object',
          },
          {
            unit: 't 2024-03-08T15:45:40Z..2024-03-09T16:00:00Z running',
            on: [1_709_912_740_000_000n, 1_710_000_000_000_000n],
            coverage: { covered: [['1709932800000001', '1709972739999999']] },
            cursor: 'object',
          },
        ],
      ],
    ])('(%s) is read by a plan as what it is after the upgrade, and the upgrade may be done again', async (name, pipeline, expected) => {
      const use = await restored(name)
      const units = async (warehouse: Warehouse) => {
        const rows = await warehouse.units(pipeline)
        const at = ({ first, unit: key }: LedgerRow) => first ?? BigInt(key.replace(/\D/g, ''))
        return [...rows].sort((a, b) => (a.step === b.step ? (at(a) < at(b) ? -1 : 1) : a.step < b.step ? -1 : 1))
      }
      const planned = await use('plan', units)
      expect(planned.map(shown)).toEqual(expected)
      const upgraded = await use('write', async (warehouse) => {
        await warehouse.prepare([])
        return units(warehouse)
      })
      expect(upgraded).toEqual(planned)
      expect(await use('plan', units)).toEqual(planned)
      // As a kill leaves it where nothing rolls back: the rows are upgraded, and the version does not say so yet.
      await use('write', (warehouse) => warehouse.execute([sqlText(asVersion1(engine.kind))]))
      const again = await use('write', async (warehouse) => {
        await warehouse.prepare([])
        return units(warehouse)
      })
      expect(again).toEqual(planned)
      const [version] = await use('write', (warehouse) => all(warehouse, 'SELECT version FROM _pipe_ledger'))
      expect(version).toEqual({ version: 3n })
    })

    test('gives epochs above all that it has', async () => {
      const use = await restored('paged')
      const [before, after] = await use('write', async (warehouse) => {
        await warehouse.prepare([])
        const highest = (await warehouse.units('p')).reduce((most, { epoch }) => (epoch > most ? epoch : most), 0n)
        return [highest, (await warehouse.open(step, ['u'], 1n)).get('u')?.epoch ?? 0n]
      })
      expect([before, after > before]).toEqual([2n, true])
    })
  })

  test('quarantined keys are counted once, with their last error', async () => {
    const warehouse = await opened()
    const entry = (error: string) => ({ key: '7', error, attempts: 5 })
    await warehouse.commit([write([], { quarantine: [entry('first'), entry('second')] })])
    await warehouse.commit([write([], { quarantine: [entry('third')], at: 9n })])
    expect(await warehouse.quarantined('p', 's')).toEqual([{ step: 's', key: '7', error: 'third', attempts: 5, at: 9n }])
    expect(await warehouse.quarantined('other')).toEqual([])
  })

  test('the genesis of a chain is remembered', async () => {
    const warehouse = await opened()
    expect(await warehouse.genesis(1)).toBeUndefined()
    await warehouse.rememberGenesis(1, '0xab')
    await warehouse.rememberGenesis(1, '0xcd')
    expect([await warehouse.genesis(1), await warehouse.genesis(2)]).toEqual(['0xcd', undefined])
  })

  test('steps and pipelines do not see each other', async () => {
    const warehouse = await opened()
    const held = await warehouse.open({ ...step, step: 't' }, ['u'], 1n)
    await warehouse.open({ ...step, pipeline: 'q' }, ['u'], 1n)
    await warehouse.commit([write([], { step: { ...step, step: 't' }, epoch: held.get('u')?.epoch ?? 0n, ledger: { state: 'done' } })])
    expect(await all(warehouse, 'SELECT pipeline, step, state FROM _pipe_units ORDER BY 1, 2')).toEqual([
      { pipeline: 'p', step: 's', state: 'running' },
      { pipeline: 'p', step: 't', state: 'done' },
      { pipeline: 'q', step: 's', state: 'running' },
    ])
    expect((await warehouse.units('p')).length).toBe(2)
    expect(await all(warehouse, sqlText('SELECT rows FROM _pipe_units LIMIT 1'))).toEqual([{ rows: {} }])
  })
}

/** Makes the ledger say that it is of version 1. */
function asVersion1(kind: Warehouse['kind']): string {
  return kind === 'clickhouse'
    ? 'INSERT INTO _pipe_ledger (id, version, epoch, _pipe_version) SELECT id, 1, epoch, _pipe_version FROM _pipe_ledger'
    : 'UPDATE _pipe_ledger SET version = 1'
}
