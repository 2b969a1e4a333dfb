import { afterEach, expect, it } from 'vitest'
import { sqlText, type Warehouse } from '../src/sdk/index.js'
import { systemClock } from '../src/sandbox/clock.js'
import { openStateStore } from '../src/state/open.js'
import { openPostgres } from '../src/warehouse/postgres/index.js'
import { ask, postgresDatabase, withParams } from './support/postgres.js'
import { all, output, step, table, write } from './support/warehouse.js'

const t = table('t', { k: 'bigint', v: 'text?' }, ['k'], { indexes: { by_v: ['v'] } })
const tables = new Map([['t', t]])

const open: Warehouse[] = []
afterEach(async () => {
  for (const warehouse of open.splice(0)) await warehouse.close()
})

async function opened(url: string): Promise<Warehouse> {
  const warehouse = await openPostgres({ url, mode: 'write' })
  open.push(warehouse)
  return warehouse
}

async function fill(warehouse: Warehouse): Promise<void> {
  await warehouse.prepare([t])
  await warehouse.checkOutputs([output(t)], tables)
  await warehouse.open(step, ['u'], 1n)
  const [unit] = await warehouse.units('p')
  await warehouse.commit([write([{ output: output(t), rows: [{ k: 1n, v: 'x' }] }], { epoch: unit?.epoch ?? 0n })])
  expect(await all(warehouse, 'SELECT k, v FROM t')).toEqual([{ k: 1n, v: 'x' }])
}

it('a user with few rights fills what it may, and each right that lacks is named with what gives it', async () => {
  const admin = await postgresDatabase()
  const database = new URL(admin).pathname.slice(1)
  const role = `${database}_loader`
  await ask(
    admin,
    `CREATE ROLE ${role} LOGIN PASSWORD 'secret'; REVOKE ALL ON SCHEMA public FROM PUBLIC; GRANT USAGE, CREATE ON SCHEMA public TO ${role};
    CREATE SCHEMA own AUTHORIZATION ${role}; CREATE SCHEMA shared; CREATE SCHEMA closed`,
  )
  const loader = new URL(admin)
  loader.username = role
  loader.password = 'secret'
  const at = (schema?: string) => (schema === undefined ? loader.href : withParams(loader.href, { schema }))
  const asAdmin = withParams(admin, { schema: 'shared' })

  // Schemas that are there are not made, whoever has made them.
  await fill(await opened(at()))
  await fill(await opened(at('own')))
  await (await openStateStore(at('own'), { clock: systemClock })).close()

  // So are tables and indexes.
  await fill(await opened(asAdmin))
  await ask(
    asAdmin,
    `GRANT USAGE ON SCHEMA shared TO ${role}; SET search_path = shared; GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA shared TO ${role}`,
  )
  const shared = await opened(at('shared'))
  await fill(shared)

  // A right that lacks is named before anything is fetched.
  const lacking = (grant: string) => ({ hint: expect.stringContaining(grant) as string })
  await ask(admin, `REVOKE INSERT, UPDATE, DELETE ON shared.t FROM ${role}`)
  await expect(shared.checkOutputs([output(t)], tables)).rejects.toMatchObject({
    code: 'RIGHTS_MISSING',
    message: expect.stringMatching(new RegExp(`: the user ${role} may not INSERT, UPDATE on t$`)) as string,
    hint: `have the owner, or a superuser, type:\n    GRANT INSERT, UPDATE ON TABLE shared.t TO ${role}`,
  })
  await ask(admin, `GRANT INSERT (k, v), UPDATE (v) ON shared.t TO ${role}; REVOKE DELETE ON shared._pipe_units FROM ${role}`)
  await shared.checkOutputs([output(t)], tables)
  await ask(admin, `REVOKE DELETE ON shared._pipe_quarantine FROM ${role}; REVOKE SELECT, INSERT ON shared._pipe_chains FROM ${role}`)
  await expect(opened(at('shared'))).rejects.toMatchObject({
    code: 'RIGHTS_MISSING',
    hint: `have the owner, or a superuser, type:\n    GRANT DELETE ON TABLE shared._pipe_units, shared._pipe_quarantine TO ${role};\n    GRANT SELECT, INSERT ON TABLE shared._pipe_chains TO ${role}`,
  })
  await ask(admin, `GRANT SELECT, INSERT, DELETE ON ALL TABLES IN SCHEMA shared TO ${role}`)

  // So is one that the server finds missing.
  await expect((await opened(at('missing'))).prepare([t])).rejects.toMatchObject(lacking(`GRANT CREATE ON DATABASE ${database} TO ${role}`))
  await expect(opened(at('closed'))).rejects.toMatchObject(lacking(`GRANT USAGE, CREATE ON SCHEMA closed TO ${role}`))
  await expect(openStateStore(at(), { clock: systemClock })).rejects.toMatchObject(
    lacking(`GRANT CREATE ON DATABASE ${database} TO ${role}`),
  )
  await ask(admin, `CREATE TABLE shared.secret (k int); ALTER TABLE shared.t ENABLE ROW LEVEL SECURITY`)
  await expect(all(shared, 'SELECT * FROM secret')).rejects.toMatchObject(lacking(`GRANT SELECT ON TABLE secret TO ${role}`))

  await expect(shared.execute([sqlText('CREATE VIEW s AS SELECT 1')])).rejects.toMatchObject({
    code: 'STATEMENT_FAILED',
    message: expect.stringContaining(`type: GRANT USAGE, CREATE ON SCHEMA shared TO ${role}`) as string,
  })

  // Rows that a policy hides are an error and never missing in silence.
  expect(await shared.drift([t])).toEqual([
    {
      table: 't',
      problem: 'has row security, which hides or refuses rows for the user of the warehouse',
      fix: 'ALTER TABLE t DISABLE ROW LEVEL SECURITY',
    },
  ])
  await expect(all(shared, 'SELECT * FROM t')).rejects.toMatchObject(lacking('ALTER TABLE t DISABLE ROW LEVEL SECURITY'))
  await ask(admin, `ALTER TABLE shared.t DISABLE ROW LEVEL SECURITY; REVOKE TEMPORARY ON DATABASE ${database} FROM PUBLIC`)
  const again = await opened(at('shared'))
  await again.checkOutputs([output(t)], tables)
  await expect(again.commit([write([{ output: output(t), rows: [{ k: 2n, v: 'y' }] }])])).rejects.toMatchObject(
    lacking(`GRANT TEMPORARY ON DATABASE ${database} TO ${role}`),
  )
})
