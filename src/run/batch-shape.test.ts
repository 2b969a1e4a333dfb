import { expect, it } from 'vitest'
import { asBatch } from './batch-shape.js'

it('a signal that comes while a very large batch is copied ends it; what is added to its list meanwhile does not get in', async () => {
  const rows = Array.from({ length: 100_000 }, (_, n) => ({ n }))
  const whole = asBatch('s', { rows: { t: rows } }, new AbortController().signal)
  rows.push({ n: -1 })
  expect((await whole).rows?.t?.length).toBe(100_000)
  const stop = new AbortController()
  const copying = asBatch('s', { rows: { t: rows } }, stop.signal)
  setImmediate(() => stop.abort(new Error('stopped')))
  await expect(copying).rejects.toThrow('stopped')
})

it('a list of rows with a hole in it is no list of rows', async () => {
  const rows: object[] = []
  rows[2] = { n: 1n }
  await expect(asBatch('s', { rows: { t: rows } }, new AbortController().signal)).rejects.toThrow(
    'step s: `rows` of a batch must be lists of rows by output',
  )
})
