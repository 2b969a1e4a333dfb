import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { chdbMissing } from '../../../test/support/clickhouse-server.js'
import { temporaryFolder } from '../../../test/support/folder.js'
import { swapSpec } from '../../../test/support/swap-spec.js'
import { claim, content, fillSource, holds, names, of, publish } from '../../../test/support/publish.js'
import { all } from '../../../test/support/warehouse.js'
import { dropShadows } from '../../ledger/versions.js'
import { embeddedEngine } from './embedded.js'
import type { Engine } from './engine.js'
import { openClickhouse } from './index.js'
import { ClickhouseWarehouse } from './warehouse.js'

const missing = chdbMissing()
if (missing !== undefined) process.stderr.write(`SKIPPED: swaps of ClickHouse, for chdb does not load here: ${missing}\n`)

describe.skipIf(missing !== undefined)('ClickHouse inside of the process', () => {
  swapSpec({
    kind: 'clickhouse',
    place: () => {
      const path = join(temporaryFolder(), 'ch')
      return Promise.resolve((mode: 'write' | 'plan' = 'write') => openClickhouse({ url: `chdb:${path}`, mode }))
    },
  })

  test('a swap that is cut off before any one of its statements is ended, or never began, at the next start; who only reads waits for that', async () => {
    const raw = embeddedEngine({ path: join(temporaryFolder(), 'ch'), display: 'ch', waitsMs: [], threads: 2, presence: undefined })
    const opened = (engine: Engine, mode: 'write' | 'plan' = 'write') =>
      new ClickhouseWarehouse({ engine, display: 'ch', mode, place: { cluster: undefined }, shared: false, waitsMs: [] })
    await fillSource(opened(raw))
    await publish(opened(raw), 1)
    const seen: string[] = []
    let n = 1
    let unfinished = 0
    for (let at = 0; ; at++) {
      n++
      const mortal = dyingAt(raw, at)
      await publish(opened(mortal.engine), n).catch(() => undefined)
      if (!mortal.died()) break
      seen.push(mortal.died() ?? '')
      const cut = (await all(opened(raw), 'SELECT step FROM _pipe_swaps')).length > 0
      if (cut && unfinished++ === 0) await expect(opened(raw, 'plan').units('p')).rejects.toMatchObject({ code: 'SWAP_UNFINISHED' })
      const next = opened(raw)
      await next.hold(claim)
      const now = at === 0 ? n - 1 : n
      expect([at, await content(next)]).toEqual([at, holds(now)])
      expect(await all(next, 'SELECT step FROM _pipe_swaps')).toEqual([])
      await next.amend('p', { swap: dropShadows(await of(next, n)) }, 1n)
      expect((await names(next)).filter((name) => name.endsWith('__next'))).toEqual([])
      const row = (await opened(raw, 'plan').units('p', 's')).find(({ unit }) => unit === 'u')
      expect(row?.state).toBe(at === 0 ? 'running' : 'done')
      if (at === 0) n = 1
    }
    expect(seen.map((text) => text.slice(0, 24))).toEqual([
      'INSERT INTO "_pipe_swaps',
      'EXCHANGE TABLES "flows" ',
      'RENAME TABLE "flows__nex',
      'INSERT INTO "_pipe_units',
      'INSERT INTO _pipe_versio',
      'INSERT INTO "_pipe_versi',
      'DROP TABLE IF EXISTS "fl',
      'DROP TABLE IF EXISTS "to',
      'INSERT INTO "_pipe_swaps',
      'INSERT INTO "_pipe_units',
    ])
    await raw.close()
  }, 120_000)
})

/** The same engine, which does nothing more from its so-and-so-manieth statement of a swap on. */
function dyingAt(engine: Engine, at: number): { engine: Engine; died: () => string | undefined } {
  let died: string | undefined
  let statements = 0
  const alive = () => {
    if (died !== undefined) throw new Error('killed')
  }
  return {
    died: () => died,
    engine: {
      ...engine,
      read(text, options) {
        alive()
        return engine.read(text, options)
      },
      write(text, options) {
        alive()
        if (statements > 0 || /^INSERT INTO "_pipe_swaps/.test(text)) statements++
        if (statements > at) died = text
        return died === undefined ? engine.write(text, options) : Promise.reject(new Error('killed'))
      },
    },
  }
}

test('whether it was tested is said', () => {
  expect([undefined, missing]).toContain(missing)
})
