import { expect, test } from 'vitest'
import { PackedList } from '../sdk/index.js'
import { sieve } from './sieve-thread.js'

test('a body that comes faster than the thread works is to wait, may go on later, and is given whole', async () => {
  const receipts = Array.from({ length: 60_000 }, (_, i) => ({ index: i, bloom: '0'.repeat(200) }))
  const body = Buffer.from(JSON.stringify({ result: receipts }))
  const list = new PackedList()
  let goOn = (): void => undefined
  let waited = 0
  const whole = new Promise<string>((resolve, reject) => {
    const sieving = sieve(
      { fields: ['index'], blooms: 'all' },
      {
        page: (_, { bytes, count }) => list.addPage(bytes, count),
        rest: (rest, lists) => resolve(`${rest.toString()} ${JSON.stringify(lists)}`),
        ready: () => goOn(),
        failed: reject,
      },
    )
    void (async () => {
      for (let from = 0; from < body.length; from += 65_536) {
        const ready = new Promise<void>((done) => (goOn = done))
        if (sieving.add(body.subarray(from, from + 65_536))) continue
        waited++
        await ready
      }
      sieving.end()
    })()
  })
  expect(await whole).toBe('{"result":[]} [{"path":["result"],"list":0,"isWhole":true}]')
  expect([...list]).toEqual(receipts.map(({ index }) => ({ index })))
  // 14 MB come at once, of which 4 may wait.
  expect(waited).toBeGreaterThan(0)
})
