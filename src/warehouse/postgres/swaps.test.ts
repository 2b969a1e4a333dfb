import { afterEach, expect, test } from 'vitest'
import { ask, postgresDatabase, postgresEngine } from '../../../test/support/postgres.js'
import { fillSource, of, publish, tables } from '../../../test/support/publish.js'
import { swapSpec } from '../../../test/support/swap-spec.js'
import { rollBack } from '../../ledger/versions.js'
import type { Warehouse } from '../../sdk/index.js'
import { openPostgres } from './index.js'

swapSpec(postgresEngine)

const open: Warehouse[] = []
afterEach(async () => {
  for (const warehouse of open.splice(0)) await warehouse.close()
})

async function published() {
  const url = await postgresDatabase()
  const warehouse = await openPostgres({ url, mode: 'write' })
  open.push(warehouse)
  await fillSource(warehouse)
  await publish(warehouse, 1)
  return { url, warehouse }
}

/** All that belongs to `flows` by its name, in words of the catalog. */
const BELONGINGS = `
SELECT indexdef AS what FROM pg_indexes WHERE tablename = 'flows'
UNION ALL SELECT conname || ' ' || conrelid::regclass || ' ' || pg_get_constraintdef(oid) FROM pg_constraint
  WHERE 'flows'::regclass IN (conrelid, confrelid) AND contype <> 'n'
UNION ALL SELECT 'owner ' || pg_get_userbyid(relowner) || ' ' || relacl::text || reloptions::text || relrowsecurity FROM pg_class WHERE oid = 'flows'::regclass
UNION ALL SELECT attname || ' ' || attacl::text || coalesce(col_description(attrelid, attnum), '') FROM pg_attribute WHERE attrelid = 'flows'::regclass AND attacl IS NOT NULL
UNION ALL SELECT 'comment ' || obj_description('flows'::regclass, 'pg_class')
UNION ALL SELECT pg_get_triggerdef(oid) || tgenabled::text FROM pg_trigger WHERE tgrelid = 'flows'::regclass AND NOT tgisinternal
UNION ALL SELECT 'policy ' || polname || pg_get_expr(polqual, polrelid) || polroles::regrole[]::text FROM pg_policy WHERE polrelid = 'flows'::regclass
UNION ALL SELECT 'default ' || pg_get_expr(adbin, adrelid) FROM pg_attrdef WHERE adrelid = 'flows'::regclass
UNION ALL SELECT 'sequence ' || pg_get_serial_sequence('flows', 'id')
UNION ALL SELECT viewname || ' ' || definition FROM pg_views WHERE schemaname = 'public'
UNION ALL SELECT relname || reloptions::text || relacl::text FROM pg_class WHERE relkind = 'v' AND relnamespace = 'public'::regnamespace
ORDER BY what`

test('a table keeps all that belongs to it by its name when it is exchanged, and when it comes back', async () => {
  const { url, warehouse } = await published()
  await ask(
    url,
    `DROP ROLE IF EXISTS reader; CREATE ROLE reader; DROP ROLE IF EXISTS other; CREATE ROLE other;
    ALTER TABLE flows ADD COLUMN id serial, ADD CONSTRAINT sane CHECK (k > 0), ADD CONSTRAINT once UNIQUE (v, k);
    CREATE UNIQUE INDEX part ON flows (k) INCLUDE (v) WHERE k > 1; CREATE INDEX "An Index" ON flows (lower(v) DESC);
    CREATE TABLE kinds (v text PRIMARY KEY); INSERT INTO kinds SELECT n::text FROM generate_series(0, 9) AS n;
    ALTER TABLE flows ADD CONSTRAINT kind FOREIGN KEY (v) REFERENCES kinds;
    CREATE TABLE notes (k bigint REFERENCES flows ON DELETE CASCADE DEFERRABLE, text text); INSERT INTO notes VALUES (2, 'two');
    GRANT SELECT ON flows TO reader WITH GRANT OPTION; GRANT UPDATE (v) ON flows TO other; COMMENT ON TABLE flows IS 'what''s moved';
    COMMENT ON COLUMN flows.v IS 'how'; ALTER TABLE flows SET (fillfactor = 70);
    CREATE FUNCTION told() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
    CREATE TRIGGER tells AFTER INSERT ON flows FOR EACH STATEMENT EXECUTE FUNCTION told(); ALTER TABLE flows DISABLE TRIGGER tells;
    CREATE POLICY few ON flows FOR SELECT TO reader USING (k < 3); ALTER TABLE flows ENABLE ROW LEVEL SECURITY;
    CREATE VIEW seen (number, word) WITH (security_barrier) AS SELECT f.k, t.name FROM flows f, totals t;
    CREATE VIEW over AS SELECT count(*) AS n FROM seen; GRANT SELECT ON seen TO reader; CREATE VIEW cut AS SELECT k FROM flows WHERE k > 1 WITH CASCADED CHECK OPTION;`,
  )
  const before = await ask(url, BELONGINGS)
  expect(before.length).toBeGreaterThan(18)
  await publish(warehouse, 2)
  expect(await ask(url, BELONGINGS)).toEqual(before)
  expect(await ask(url, 'SELECT DISTINCT word, n FROM seen, over')).toEqual([{ word: '2', n: '3' }])
  // The sequence goes on, and what is dropped takes nothing of it along.
  await publish(warehouse, 3)
  await publish(warehouse, 4)
  const { from, to, ...swap } = rollBack(await of(warehouse, 5), tables)
  await warehouse.amend('p', { swap }, 5n)
  expect([from, to, await ask(url, BELONGINGS)]).toEqual([4, 3, before])
  expect(await ask(url, 'SELECT min(word) AS word, count(DISTINCT id) AS ids FROM seen, flows')).toEqual([{ word: '3', ids: '3' }])
})

test('what would go on with the old table is refused by name before anything is built', async () => {
  const { url, warehouse } = await published()
  const refusals = [
    ['CREATE MATERIALIZED VIEW m AS SELECT * FROM flows', 'DROP MATERIALIZED VIEW m', 'materialized view m would go on with the old one'],
    ['CREATE PUBLICATION news FOR TABLE flows', 'DROP PUBLICATION news', 'publication news would go on with the old one'],
    [
      'CREATE FUNCTION f() RETURNS bigint LANGUAGE sql BEGIN ATOMIC SELECT max(k) FROM flows; END',
      'DROP FUNCTION f',
      'function f() would go on with the old one',
    ],
    ['CREATE TABLE heir () INHERITS (flows)', 'DROP TABLE heir', 'tables inherit from it or it from others'],
  ] as const
  await ask(
    url,
    `DROP ROLE IF EXISTS weak; CREATE ROLE weak LOGIN PASSWORD 'weak'; GRANT ALL ON SCHEMA public TO weak; GRANT ALL ON ALL TABLES IN SCHEMA public TO weak`,
  )
  const weak = new URL(url)
  weak.username = weak.password = 'weak'
  const other = await openPostgres({ url: weak.href, mode: 'write' })
  open.push(other)
  await expect(publish(other, 2, { swap: false })).rejects.toMatchObject({
    message: expect.stringMatching(/^table flows can't be exchanged: it belongs to \w+, and weak may not change it$/) as string,
  })
  for (const [create, drop, problem] of refusals) {
    await ask(url, create)
    await expect(publish(warehouse, 2, { swap: false })).rejects.toMatchObject({ message: `table flows can't be exchanged: ${problem}` })
    await ask(url, drop)
  }
  expect(await ask(url, 'SELECT max(v) AS v FROM flows')).toEqual([{ v: '1' }])
})
