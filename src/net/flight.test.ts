import { expect, test } from 'vitest'
import { Flight, type Flying, Pieces } from './flight.js'

/** A body that writes down what is asked of it. */
function body(name: string, log: string[], flight: () => Flight): Flying {
  const self: Flying = {
    hold: () => void log.push(`${name} held`),
    goOn: () => void log.push(`${name} goes on`),
    crowdOut: () => {
      log.push(`${name} dropped`)
      flight().ended(self)
    },
  }
  return self
}

test('beyond half of the bytes only the oldest body is read on; it drops the newest ones when it needs more', () => {
  const flight = new Flight(100)
  const log: string[] = []
  const [a, b, c] = ['a', 'b', 'c'].map((name) => body(name, log, () => flight)) as [Flying, Flying, Flying]
  flight.took(a, 20)
  flight.took(b, 20)
  expect([flight.full, log.splice(0)]).toEqual([false, []])
  flight.took(c, 20)
  flight.took(b, 10)
  flight.took(a, 30)
  expect([flight.full, log.splice(0)]).toEqual([true, ['c held', 'b held']])
  flight.took(a, 10)
  expect(log.splice(0)).toEqual(['c dropped'])
  flight.ended(a)
  expect([flight.full, log.splice(0)]).toEqual([false, ['b goes on']])
  flight.ended(b)
  flight.ended(b)
  expect(flight.full).toBe(false)
})

test('a request waits for room, and the wait ends with its signal', async () => {
  const flight = new Flight(100)
  const log: string[] = []
  const a = body('a', log, () => flight)
  const stop = new AbortController()
  await flight.room(stop.signal)
  flight.took(a, 60)
  const waits = flight.room(stop.signal).then(() => log.push('went'))
  const stopped = flight.room(AbortSignal.abort(new Error('stopped')))
  await expect(stopped).rejects.toThrow('stopped')
  expect(log).toEqual([])
  flight.ended(a)
  await waits
  expect(log).toEqual(['went'])
})

test('works that take much memory are done one after the other', () => {
  const flight = new Flight()
  const begun: (() => void)[] = []
  for (let i = 0; i < 3; i++) flight.alone((ended) => begun.push(ended))
  expect(begun.length).toBe(1)
  begun[0]?.()
  expect(begun.length).toBe(2)
  begun[1]?.()
  begun[2]?.()
  expect(begun.length).toBe(3)
})

test('the pieces of a body are one whole, whatever their sizes', () => {
  for (const sizes of [[], [5], [1, 2, 3], [70_000, 1, 16_384, 7], Array.from({ length: 70_000 }, (_, i) => i % 3)]) {
    const pieces = new Pieces()
    const all = sizes.map((size, i) => Buffer.alloc(size, i % 256))
    for (const piece of all) pieces.add(piece)
    expect(pieces.take().equals(Buffer.concat(all))).toBe(true)
    expect(pieces.take().length).toBe(0)
  }
})
