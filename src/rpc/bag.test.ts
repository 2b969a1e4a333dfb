import { array, assert, boolean, nat, property, tuple } from 'fast-check'
import { test, expect } from 'vitest'
import { Bag } from './bag.js'

test('a bag holds what was put in and not taken out, whatever the order', () => {
  assert(
    property(array(tuple(boolean(), nat(20))), (moves) => {
      const bag = new Bag<{ index: number }>()
      const held: { index: number }[] = []
      for (const [put, which] of moves) {
        if (put || held.length === 0) {
          const item = { index: -1 }
          bag.add(item)
          held.push(item)
        } else {
          const [item] = held.splice(which % held.length, 1)
          if (item) bag.delete(item)
        }
        expect(bag.size).toBe(held.length)
        expect(new Set(bag.all())).toEqual(new Set(held))
        bag.all().forEach(({ index }, i) => expect(index).toBe(i))
      }
    }),
  )
})
