import { expect, test } from 'vitest'
import { formatAnnotation, formatJson, formatProblem } from './format.js'
import type { Problem } from '../pipeline.js'

const problem: Problem = {
  file: 'a,b.yaml',
  line: 14,
  column: 11,
  path: 'steps[2].with.batch',
  message: 'must be <= 1000 (is 5000)',
  severity: 'error',
}

test('a problem is a line that an editor can jump to', () => {
  expect(formatProblem(problem)).toBe('a,b.yaml:14:11  steps[2].with.batch: must be <= 1000 (is 5000)')
  expect(formatProblem({ ...problem, path: '', hint: 'lower it', severity: 'warning' })).toBe(
    'a,b.yaml:14:11  warning: must be <= 1000 (is 5000) (lower it)',
  )
})

test('an annotation keeps commas, colons, percents and line ends from being read as its own', () => {
  expect(formatAnnotation({ ...problem, path: 'a: b', message: '5%\nmore', hint: 'a::b' })).toBe(
    '::error file=a%2Cb.yaml,line=14,col=11,title=a%3A b::5%25%0Amore (a::b)',
  )
})

test('problems as JSON are the problems', () => {
  expect(JSON.parse(formatJson([problem]))).toEqual([problem])
})
