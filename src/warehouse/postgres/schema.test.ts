import { afterEach, describe, expect, test } from 'vitest'
import { type Output, sqlText, type Table, type Warehouse } from '../../sdk/index.js'
import { postgresEngine } from '../../../test/support/postgres.js'
import { all, output, step, table, write } from '../../../test/support/warehouse.js'

const open: Warehouse[] = []
afterEach(async () => {
  for (const warehouse of open.splice(0)) await warehouse.close()
})

async function opened(tables: readonly Table[] = [], ...statements: readonly string[]): Promise<Warehouse> {
  const warehouse = await (await postgresEngine.place())()
  open.push(warehouse)
  await warehouse.prepare(tables)
  await run(warehouse, statements)
  return warehouse
}

async function run(warehouse: Warehouse, statements: readonly string[]): Promise<void> {
  await warehouse.open(step, ['u'], 1n)
  const [unit] = await warehouse.units('p')
  await warehouse.commit([write([], { epoch: unit?.epoch ?? 0n, sql: statements.map(sqlText) })])
}

test('preparing creates tables with key, required columns, borders and indexes, and is content with what is there', async () => {
  const t = table('T "x"', { k: 'bigint', u: 'uint256?', s: 'int256?', v: 'decimal(38,6)', n: 'json?', at: 'timestamp?' }, ['k'], {
    indexes: { 'by v': ['v', 'k'] },
  })
  const warehouse = await opened([t])
  await warehouse.prepare([t])
  expect(
    await all(
      warehouse,
      `SELECT attname AS name, format_type(atttypid, atttypmod) AS type, attnotnull AS required FROM pg_attribute WHERE attrelid = '"T ""x"""'::regclass AND attnum > 0 ORDER BY attnum`,
    ),
  ).toEqual([
    { name: 'k', type: 'bigint', required: true },
    { name: 'u', type: 'numeric(78,0)', required: false },
    { name: 's', type: 'numeric(78,0)', required: false },
    { name: 'v', type: 'numeric(38,6)', required: true },
    { name: 'n', type: 'jsonb', required: false },
    { name: 'at', type: 'timestamp without time zone', required: false },
  ])
  for (const [column, value] of [
    ['u', -1n],
    ['u', 2n ** 256n],
    ['s', 2n ** 255n],
    ['s', -(2n ** 255n) - 1n],
  ] as const)
    await expect(run(warehouse, [`INSERT INTO "T ""x""" (k, v, ${column}) VALUES (1, 1, ${value})`])).rejects.toThrow(
      'violates check constraint',
    )
  expect(await all(warehouse, "SELECT indexname FROM pg_indexes WHERE schemaname = current_schema() AND indexname = 'by v'")).toEqual([
    { indexname: 'by v' },
  ])
  expect(await warehouse.drift([t])).toEqual([])
})

describe('a table that differs', () => {
  const declared = table('t', { k: 'bigint', v: 'text', n: 'int?', d: 'decimal(20,6)?', at: 'timestamp?', u: 'uint256?' }, ['k'])
  const rest = 'at timestamp, u numeric(78,0)'
  const drift = async (...statements: readonly string[]) =>
    (await (await opened([], ...statements)).drift([declared])).map(({ problem, fix }) => [problem, fix])

  test.each([
    [`CREATE TABLE t (k bigint PRIMARY KEY, v text, n integer, d numeric(20,6), ${rest})`, []],
    [
      'CREATE TABLE t (k bigint NOT NULL, v varchar NOT NULL, n bigint, d numeric(38,10), at timestamptz, u numeric, more int, auto int GENERATED ALWAYS AS IDENTITY, UNIQUE (k))',
      [
        ['column n is bigint, wider than integer: declare the type that it has', undefined],
        ['column d is numeric(38,10), wider than numeric(20,6): declare the type that it has', undefined],
      ],
    ],
    [
      `CREATE TABLE t (k bigint PRIMARY KEY, v text, d numeric(20,6), ${rest})`,
      [['has no column n (integer)', 'ALTER TABLE "t" ADD COLUMN "n" integer']],
    ],
    [
      `CREATE TABLE t (k bigint PRIMARY KEY, "V" text, n integer, d numeric(20,6), ${rest})`,
      [['has no column v (text)', 'ALTER TABLE "t" ADD COLUMN "v" text; -- fill it, then:\nALTER TABLE "t" ALTER COLUMN "v" SET NOT NULL']],
    ],
    [
      'CREATE TABLE t (k bigint PRIMARY KEY, v varchar(10), n smallint, d numeric(20,8), at date, u numeric(77,0))',
      [
        ['column v is character varying(10), not text', 'ALTER TABLE "t" ALTER COLUMN "v" SET DATA TYPE text USING "v"::text'],
        ['column n is smallint, not integer', 'ALTER TABLE "t" ALTER COLUMN "n" SET DATA TYPE integer USING "n"::integer'],
        [
          'column d is numeric(20,8), not numeric(20,6)',
          'ALTER TABLE "t" ALTER COLUMN "d" SET DATA TYPE numeric(20,6) USING "d"::numeric(20,6)',
        ],
        ['column at is date, not timestamp', 'ALTER TABLE "t" ALTER COLUMN "at" SET DATA TYPE timestamp USING "at"::timestamp'],
        [
          'column u is numeric(77,0), not numeric(78,0)',
          'ALTER TABLE "t" ALTER COLUMN "u" SET DATA TYPE numeric(78,0) USING "u"::numeric(78,0)',
        ],
      ],
    ],
    [
      `CREATE TABLE t (k bigint PRIMARY KEY, v text, n integer NOT NULL, d numeric(20,6), ${rest}, extra int NOT NULL, fine int NOT NULL DEFAULT 1)`,
      [
        ['column n is NOT NULL and may be null in the pipeline', 'ALTER TABLE "t" ALTER COLUMN "n" DROP NOT NULL'],
        ['column extra is NOT NULL and nothing fills it', 'ALTER TABLE "t" ALTER COLUMN "extra" DROP NOT NULL'],
      ],
    ],
    [
      `CREATE TABLE t (k bigint, v text, n integer, d numeric(20,6), ${rest})`,
      [['has no key (k)', 'ALTER TABLE "t" ADD PRIMARY KEY ("k")']],
    ],
    [
      `CREATE TABLE t (k bigint, v text, n integer, d numeric(20,6), ${rest}, PRIMARY KEY (k, v))`,
      [['its key is (k, v), not (k)', undefined]],
    ],
    ["CREATE VIEW t AS SELECT 1::bigint AS k, 'x' AS v", [['is a view, not a table', undefined]]],
  ])('%s', async (statement, wanted) => {
    expect(await drift(statement)).toEqual(wanted)
  })

  test('is as declared once its ALTERs were run', async () => {
    const warehouse = await opened(
      [],
      'CREATE TABLE t (k bigint, n smallint NOT NULL, d varchar, u text, at timestamp, extra int NOT NULL)',
    )
    const fixes = (await warehouse.drift([declared])).flatMap(({ fix }) => (fix ?? '').split(/; -- fill it, then:\n/))
    for (const fix of fixes) await run(warehouse, [fix])
    expect(await warehouse.drift([declared])).toEqual([])
    await warehouse.prepare([declared])
    await run(warehouse, ["INSERT INTO t (k, v) VALUES (1, 'x') ON CONFLICT (k) DO UPDATE SET v = excluded.v"])
  })

  test('that is missing is no drift, nor is one of another schema', async () => {
    await opened([declared])
    expect(await (await opened()).drift([declared])).toEqual([])
  })
})

test('what refuses every row, or changes, hides or swallows some, is refused by name with what mends it', async () => {
  const columns = { k: 'bigint', v: 'text?', n: 'bigint?' }
  const names = ['calm', 'ruled', 'odd', 'split', 'empty', 'parent', 'triggered', 'follows']
  const own = 'k bigint PRIMARY KEY, v text, n bigint'
  const trigger = (name: string, when: string, on: string) => `CREATE TRIGGER ${name} ${when} ON ${on} EXECUTE FUNCTION f()`
  const warehouse = await opened(
    [],
    'CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$',
    "CREATE COLLATION nocase (provider = icu, locale = 'und-u-ks-level2', deterministic = false)",
    // What tells a row by an error, or comes after it, may stay.
    `CREATE TABLE calm (${own}, CHECK (n < 10), auto int GENERATED ALWAYS AS IDENTITY, twice bigint GENERATED ALWAYS AS (n * 2) STORED)`,
    'CREATE TABLE other (k bigint PRIMARY KEY REFERENCES calm)',
    // Of what the pipeline does not fill, nothing is replaced.
    'ALTER TABLE calm ADD FOREIGN KEY (k) REFERENCES other ON DELETE CASCADE',
    `CREATE TABLE follows (${own}, CONSTRAINT gone FOREIGN KEY (n) REFERENCES calm ON DELETE CASCADE)`,
    trigger('later', 'AFTER INSERT OR UPDATE', 'calm FOR EACH ROW'),
    trigger('once', 'BEFORE INSERT', 'calm FOR EACH STATEMENT'),
    trigger('off', 'BEFORE INSERT', 'calm FOR EACH ROW'),
    'ALTER TABLE calm DISABLE TRIGGER off',
    `CREATE TABLE triggered (${own})`,
    trigger('"Eats"', 'BEFORE INSERT', 'triggered FOR EACH ROW'),
    trigger('keeps', 'BEFORE DELETE', 'triggered FOR EACH ROW'),
    `CREATE TABLE ruled (${own})`,
    'CREATE RULE elsewhere AS ON INSERT TO ruled DO INSTEAD NOTHING',
    'CREATE UNLOGGED TABLE odd (k bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, v text COLLATE nocase, n bigint GENERATED ALWAYS AS (1) STORED)',
    `CREATE TABLE split (${own}) PARTITION BY RANGE (k)`,
    'CREATE TABLE split_1 PARTITION OF split FOR VALUES FROM (0) TO (9)',
    trigger('eats', 'BEFORE INSERT', 'split_1 FOR EACH ROW'),
    trigger('"all"', 'BEFORE UPDATE', 'split FOR EACH ROW'),
    `CREATE TABLE empty (${own}) PARTITION BY RANGE (k)`,
    `CREATE TABLE parent (${own})`,
    'CREATE TABLE child () INHERITS (parent)',
  )
  const declared = names.map((name) => table(name, columns, ['k']))
  const found = await warehouse.drift(declared)
  const [{ schema } = { schema: '' }] = (await all(warehouse, 'SELECT current_schema() AS schema')) as { schema: string }[]
  const plain = (text: string | undefined) => text?.replaceAll(`"${schema}".`, '')
  expect(found.map(({ table: of, problem, fix }) => [of, plain(problem), plain(fix)])).toEqual([
    ['ruled', 'its rule elsewhere does something else than what is asked for', 'ALTER TABLE ruled DISABLE RULE elsewhere'],
    ['odd', 'column v has a collation that takes different texts for one', 'ALTER TABLE odd ALTER COLUMN v SET DATA TYPE text COLLATE "C"'],
    ['odd', 'column n is generated, so nothing can be written into it', 'ALTER TABLE odd ALTER COLUMN n DROP EXPRESSION'],
    [
      'odd',
      'column k is GENERATED ALWAYS AS IDENTITY, so nothing can be written into it',
      'ALTER TABLE odd ALTER COLUMN k SET GENERATED BY DEFAULT',
    ],
    ['odd', 'is UNLOGGED: a crash of the server empties it', 'ALTER TABLE odd SET LOGGED'],
    [
      'split',
      'its trigger all runs before each row and may change or swallow it; make it one that runs AFTER, whose effect is looked at, or have another table filled and let the trigger copy from there',
      'ALTER TABLE split DISABLE TRIGGER "all"',
    ],
    [
      'split',
      'its trigger eats of split_1 runs before each row and may change or swallow it; make it one that runs AFTER, whose effect is looked at, or have another table filled and let the trigger copy from there',
      'ALTER TABLE split_1 DISABLE TRIGGER eats',
    ],
    ['empty', 'has no partition, so it takes no row', 'CREATE TABLE empty_rest PARTITION OF empty DEFAULT'],
    ['parent', 'other tables inherit from it, so rows of one key may be there more than once', undefined],
    [
      'triggered',
      'its trigger Eats runs before each row and may change or swallow it; make it one that runs AFTER, whose effect is looked at, or have another table filled and let the trigger copy from there',
      'ALTER TABLE triggered DISABLE TRIGGER "Eats"',
    ],
    [
      'triggered',
      'its trigger keeps runs before each row and may change or swallow it; make it one that runs AFTER, whose effect is looked at, or have another table filled and let the trigger copy from there',
      'ALTER TABLE triggered DISABLE TRIGGER keeps',
    ],
    [
      'follows',
      'its foreign key gone changes or deletes its rows when rows of calm are replaced',
      'ALTER TABLE follows DROP CONSTRAINT gone',
    ],
  ])
  await run(
    warehouse,
    found.flatMap(({ fix }) => fix ?? []),
  )
  expect((await warehouse.drift(declared)).map(({ table: of }) => of)).toEqual(['parent'])
})

describe('checking outputs', () => {
  const t = table('t', { k: 'bigint', u: 'uint256', d: 'decimal(38,6)?', f: 'float?', n: 'text?', i: 'int?' }, ['k'])
  const check = async (of: Partial<Output>) => {
    const warehouse = await opened([t])
    return warehouse.checkOutputs([output(t, of)], new Map([[t.name, t]]))
  }
  const base = { columns: ['k', 'u'] }

  test('takes what is exact, or is only known when it runs', async () => {
    await check({
      ...base,
      compute: { d: "CAST(CAST(u AS text) || 'e-6' AS decimal(38,6))", f: 'u * 2', n: "'mint' -- a comment", i: 'CAST(k % 7 AS INT)' },
    })
    await check({ columns: ['k'], constants: { n: "o'pt" }, compute: { u: 'CASE WHEN n = $$x$$ THEN k + 1 ELSE 0 END' } })
  })

  test.each([
    ['d', 'u * 0.5::float8', 'compute of t.d: gives double precision, which would be rounded into decimal(38,6)'],
    ['i', 'CAST(k AS real)', 'compute of t.i: gives real, which would be rounded into int'],
    ['i', 'CAST(k AS numeric(20,2))', 'compute of t.i: gives numeric(20,2), which would be rounded into int'],
    ['i', 'k > 5', 'compute of t.i: gives boolean, which is no int'],
    ['d', 'nope + 1', 'compute of t.d: the database refused the SQL: column "nope" does not exist'],
    ['d', '1 +', 'compute of t.d: the database refused the SQL: syntax error'],
    ['d', 'max(k)', 'compute of t.d: the database refused the SQL: column "pipe_row.pipe_one" must appear in the GROUP BY clause'],
    ['d', 'k, u', 'compute of t.d: gives record, which is no decimal(38,6)'],
    ['nope', '1', 'output t: t has no column nope; it has k, u, d, f, n, i'],
    ['u', '1', 'output t: column u of t is filled twice'],
  ])('refuses %s = %s before anything is fetched', async (column, expression, message) => {
    await expect(check({ ...base, compute: { [column]: expression } })).rejects.toThrow(message)
  })
})
