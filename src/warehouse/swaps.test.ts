import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { chdbMissing } from '../../test/support/clickhouse-server.js'
import { temporaryFolder } from '../../test/support/folder.js'
import { postgresDatabase } from '../../test/support/postgres.js'
import { claim, content, holds, names, of } from '../../test/support/publish.js'
import { dropShadows } from '../ledger/versions.js'
import type { Warehouse } from '../sdk/index.js'
import { openWarehouse } from './open.js'

const script = fileURLToPath(new URL('../../test/support/publish-until-killed.ts', import.meta.url))
/** Kills a process that publishes, so many milliseconds after it began its second swap. Resolves to the version that it came to. */
async function killed(url: string, afterMs: number, first: number): Promise<number> {
  const child = spawn(process.execPath, ['--import', 'tsx', script, url, String(first)], { stdio: ['ignore', 'pipe', 'inherit'] })
  let last = 0
  const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  let due = false
  child.stdout.on('data', (data) => {
    for (const [, n] of String(data).matchAll(/swapping (\d+)/g)) last = Number(n)
    if (last <= first || due) return
    due = true
    setTimeout(() => child.kill('SIGKILL'), afterMs)
  })
  await gone
  return last
}

/** What the next start finds: all of one version, and which tables there are. */
async function found(warehouse: Warehouse, last: number): Promise<{ kept: string[] }> {
  await warehouse.hold(claim)
  const [{ most } = {}] = (await content(warehouse)) as { most?: string }[]
  const version = Number(most)
  expect([last, last - 1]).toContain(version)
  expect(await content(warehouse)).toEqual(holds(version))
  const leftovers = dropShadows(await of(warehouse, last))
  await warehouse.amend('p', { swap: leftovers }, 1n)
  return { kept: (await names(warehouse)).map((name) => name.replace(/_\d{8}T\d{6}Z$/, '')) }
}

const places: readonly (readonly [string, () => Promise<string>, string | undefined])[] = [
  ['DuckDB', () => Promise.resolve(`duckdb:${join(temporaryFolder(), 'a.duckdb')}`), undefined],
  ['Postgres', postgresDatabase, undefined],
  ['ClickHouse', () => Promise.resolve(`chdb:${join(temporaryFolder(), 'ch')}`), chdbMissing()],
]

describe.each(places)('a process that is killed in the middle of a swap leaves on %s', (_, place, missing) => {
  test.skipIf(missing !== undefined)(
    'all old tables or all new ones, and nothing beside them that the next start does not clear',
    async () => {
      const url = await place()
      const last = await killed(url, Math.random() * 20, 1)
      const warehouse = await openWarehouse(url, { mode: 'write' })
      try {
        const { kept } = await found(warehouse, last)
        const old = (await warehouse.versions('p', 's')).filter(({ state, table }) => state === 'old' && table === 'flows')
        const beside = old.flatMap(({ version: n }) => [`flows__v${n}`, `totals__v${n}`])
        expect(kept).toEqual(['flows', 'source', 'totals', ...beside].sort())
      } finally {
        await warehouse.close()
      }
    },
    60_000,
  )
})
