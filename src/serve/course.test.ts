import { expect, test } from 'vitest'
import { initialView } from '../report/view.js'
import { type Course, goneOn, NO_COURSE } from './course.js'

test('a course of a day has its whole length in some hundred samples, and another run begins another one', () => {
  let course: Course = NO_COURSE
  for (let second = 0; second <= 86_400; second++)
    course = goneOn(course, { ...initialView(), run: 'a', at: second * 1_000, commits: { ...initialView().commits, rows: second } })
  const { samples } = course
  expect(samples.length).toBeGreaterThan(150)
  expect(samples.length).toBeLessThanOrEqual(400)
  expect(samples[0]?.at).toBe(0)
  expect(samples.every(({ at, rows }) => rows * 1_000 === at)).toBe(true)
  expect(86_400_000 - (samples.at(-1)?.at ?? 0)).toBeLessThan(600_000)
  expect(goneOn(course, { ...initialView(), run: 'b', at: 5 }).samples).toEqual([{ at: 5, pieces: 0, rows: 0, requests: {} }])
})
