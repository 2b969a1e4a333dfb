import { expect, test } from 'vitest'
import { PipeError } from '../sdk/index.js'
import { troubles } from './troubles.js'

class Away extends PipeError {
  readonly code = 'AWAY'
  override readonly hint = 'start it'
}

test('an outage that goes on is one line a minute, a mistake has its stack, and neither forges a line', () => {
  let ms = 0
  const said: string[] = []
  const tell = troubles((text) => said.push(text), { now: () => 0, monotonic: () => ms, sleep: async () => {} })
  for (const at of [0, 500, 59_000, 60_000]) {
    ms = at
    tell(new Away('the store\nis away'))
  }
  tell(new Error('odd'))
  expect(said.slice(0, 2)).toEqual(Array(2).fill('error: the store\\nis away; start it (AWAY)\n'))
  expect([said.length, said[2]]).toEqual([3, expect.stringMatching(/^internal error: Error: odd\n    at .*\n/)])
})
