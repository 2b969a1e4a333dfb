import { expect, test } from 'vitest'
import { createMoment } from './moment.js'

test('a moment asks a chain for its head once, and says what it was told before it gives it', async () => {
  const asked: string[] = []
  const said: Record<string, string>[] = []
  const ask = (chain: string) => Promise.resolve(BigInt(asked.push(chain)))
  const moment = createMoment(1_500.7, ask, (heads) => Promise.resolve(void said.push(heads)))
  expect(moment.now).toBe(1_500_000n)
  expect(await Promise.all([moment.head('a'), moment.head('a'), moment.head('b')])).toEqual([1n, 1n, 2n])
  expect([await moment.head('a'), asked, moment.heads()]).toEqual([1n, ['a', 'b'], { a: '1', b: '2' }])
  expect(said.at(-1)).toEqual({ a: '1', b: '2' })
})

test('a chain that could not be reached is asked again', async () => {
  let up = false
  const moment = createMoment(0, () => (up ? Promise.resolve(7n) : Promise.reject(new Error('down'))))
  await expect(moment.head('a')).rejects.toThrow('down')
  expect(moment.heads()).toEqual({})
  up = true
  expect([await moment.head('a'), moment.heads()]).toEqual([7n, { a: '7' }])
})

test('a head that is known is not asked for', async () => {
  const ask = (chain: string) => Promise.resolve(chain === 'b' ? 2n : 0n)
  const moment = createMoment(0, ask, undefined, new Map([['a', 9n]]))
  expect(moment.heads()).toEqual({ a: '9' })
  expect([await moment.head('a'), await moment.head('b'), moment.heads()]).toEqual([9n, 2n, { a: '9', b: '2' }])
})
