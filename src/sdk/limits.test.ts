import { expect, it } from 'vitest'
import { limitFault } from './limits.js'

it('a library that finds no room for itself is told as the limit that it met', () => {
  const error = new Error('libduckdb.so: failed to map segment from shared object')
  expect(limitFault(error)?.problem).toBe('this process may not have more memory (`ulimit -v`, or the machine has no more)')
  expect(limitFault(new Error('of another kind'))).toBeUndefined()
})
