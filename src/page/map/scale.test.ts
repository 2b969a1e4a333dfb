import { expect, test } from 'vitest'
import { amount, nextTrouble, panned, spanInWords, ticks, zoomed } from './scale.js'

const DAY = 86_400e6
const all = { from: 0, to: 999_999 }

test('a window keeps the place under the pointer when it is zoomed, and stays inside of all there is', () => {
  const near = zoomed(all, 0.1, 500_000, all, 'numbers')
  expect(near).toEqual({ from: 450_000, to: 549_999 })
  expect(zoomed(near, 100, 500_000, all, 'numbers')).toEqual(all)
  expect(zoomed(near, 1e-9, 450_000, all, 'numbers')).toEqual({ from: 450_000, to: 450_011 })
  expect(panned(near, -1e9, all)).toEqual({ from: 0, to: 99_999 })
  expect(panned(near, 1e9, all)).toEqual({ from: 900_000, to: 999_999 })
})

test('places are named as finely as what is shown asks for', () => {
  const day = Date.UTC(2024, 1, 29) * 1_000
  expect(spanInWords({ from: day, to: day + DAY - 1 }, 'time')).toBe('2024-02-29')
  expect(spanInWords({ from: day, to: day + 2 * DAY - 1 }, 'time')).toBe('2024-02-29 to 2024-03-01')
  expect(spanInWords({ from: 7, to: 7 }, 'numbers')).toBe('7')
  expect([amount(DAY, 'time'), amount(1.5 * DAY, 'time'), amount(2_480, 'numbers')]).toEqual(['1 day', '1.5 days', '2,480'])
  const years = { from: Date.UTC(2021, 5, 1) * 1_000, to: Date.UTC(2024, 5, 1) * 1_000 }
  expect(ticks(years, 'time', 5).map(({ text }) => text)).toEqual(['2022', '2023', '2024'])
  expect(ticks({ from: day, to: day + DAY - 1 }, 'time', 5).map(({ text }) => text)).toEqual(['02-29', '06:00', '12:00', '18:00'])
  expect(ticks({ from: 3, to: 27 }, 'numbers', 6).map(({ text }) => text)).toEqual(['5', '10', '15', '20', '25'])
})

test('the next gap is that of the window, else one of all there is, else the first again', () => {
  const done = { from: 0, to: 9, places: { done: 10 } }
  const [near, far] = [
    { from: 10, to: 19, places: { done: 9, missing: 1 } },
    { from: 500, to: 599, places: { quarantined: 100 } },
  ]
  expect(
    nextTrouble(
      [
        [done, near, far],
        [done, near],
      ],
      5,
    ),
  ).toBe(near)
  expect(
    nextTrouble(
      [
        [done, near, far],
        [done, near],
      ],
      15,
    ),
  ).toBe(far)
  expect(
    nextTrouble(
      [
        [done, near, far],
        [done, near],
      ],
      600,
    ),
  ).toBe(near)
  expect(nextTrouble([[done]], 5)).toBeUndefined()
})
