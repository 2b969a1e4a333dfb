import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { systemClock } from '../../src/cli/system-clock.js'
import { type ApiServer, fakeApi } from '../../src/sandbox/index.js'
import { pipe } from '../../test/support/cli.js'
import { projectFolder, temporaryFolder } from '../../test/support/folder.js'
import { readDuckdb } from '../../test/support/read-duckdb.js'

const file = join(projectFolder, 'examples/prices/prices.yaml')
const now = Date.UTC(2024, 4, 5, 6)
const clock = { ...systemClock, now: () => now }
const key = 'CG-0123456789'
let server: ApiServer

beforeAll(async () => {
  server = await fakeApi({ seed: 4 }).serve({ clock, requires: { header: 'x-cg-demo-api-key', value: key } })
})
afterAll(() => server.close())

test('prices of an hour are read by the day, with the key in a header; a second run asks only for what is still open', async () => {
  const world = {
    cwd: temporaryFolder(),
    env: { COINGECKO_API_URL: server.url, COINGECKO_API_KEY: key, COINGECKO_REQUESTS_PER_SECOND: '100' },
    clock,
  }
  const args = ['run', file, '--param', 'days=3']
  const { code, out } = await pipe(args, world)
  expect({ code, out: code === 0 ? '' : out }).toEqual({ code: 0, out: '' })
  expect(out).not.toContain(key)
  const whole = await fetch(
    `${server.url}/api/v3/coins/ethereum/market_chart/range?vs_currency=usd&from=${now / 1000 - 3 * 86_400}&to=${now / 1000}`,
    { headers: { 'x-cg-demo-api-key': key } },
  )
  const { prices } = (await whole.json()) as { prices: [number, number][] }
  expect(prices.length).toBeGreaterThanOrEqual(72)
  const read = async () => (await readDuckdb(join(world.cwd, 'data/prices.duckdb'), { tables: ['prices'] })).prices!.rows
  expect((await read()).map(({ coin, time, usd }) => [coin, Date.parse(`${time!.replace(' ', 'T')}Z`), Number(usd)])).toEqual(
    prices.map(([ms, usd]) => ['ethereum', ms, usd]),
  )
  const days = server.log.slice(0, -1).map(({ query }) => (Number(query.to) - Number(query.from)) / 86_400)
  // Four days, and requests that show that no page is cut in silence: wider ones, and one for the first second of a day, which has a row.
  expect(days.length).toBeLessThanOrEqual(8)
  expect(Math.max(...days)).toBeLessThan(2.001)

  const before = server.log.length
  expect((await pipe(args, world)).code).toBe(0)
  expect(server.log.length - before).toBeLessThanOrEqual(1)
})

test('without a key it ends at once and names the header that is missing', async () => {
  server.clearLog()
  const { code, out } = await pipe(['run', file, '--param', 'days=3'], {
    cwd: temporaryFolder(),
    env: { COINGECKO_API_URL: server.url },
    clock,
  })
  expect(code).toBe(1)
  expect(out.replaceAll(/\s+/g, ' ')).toContain('check the header x-cg-demo-api-key of sources.coingecko')
  expect(server.log.length).toBeLessThanOrEqual(4)
})
