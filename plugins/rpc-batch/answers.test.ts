import { describe, expect, test } from 'vitest'
import type { RpcCall } from '../../src/sdk/authors.js'
import { Answers } from './answers.js'

const call = (n: number): RpcCall => ({ method: 'eth_getBalance', params: [`0x${n}`, '0x1'] })

/** Takes a call for each number and answers those that are asked. Resolves to the numbers that were. */
async function asked(answers: Answers, numbers: readonly number[], value: (n: number) => unknown): Promise<number[]> {
  const calls: RpcCall[] = []
  for (const n of numbers) answers.take(call(n), calls)
  const found = calls.map(({ params }) => Number((params as string[])[0]?.slice(2)))
  await answers.ask(calls, () => Promise.resolve({ values: found.map(value), errors: undefined, endpoints: [] }))
  return found
}

const upTo = (count: number) => Array.from({ length: count }, (_, i) => i)

describe('the answers of a unit', () => {
  test('are asked for once by items that are near each other', async () => {
    const answers = new Answers(true)
    expect(await asked(answers, [1, 2, 2, 3], String)).toEqual([1, 2, 3])
    expect(await asked(answers, [3, 4], String)).toEqual([4])
  })

  test('are forgotten behind the latest 512, and one that is used again is the latest', async () => {
    const answers = new Answers(true)
    await asked(answers, upTo(512), String)
    expect(await asked(answers, [0], String)).toEqual([])
    await asked(answers, [600, 601], String)
    expect(await asked(answers, [0, 1, 2, 511], String)).toEqual([1, 2])
  })

  test('are forgotten with their group where they are long, no text or an error', async () => {
    const answers = new Answers(true)
    for (const value of ['x'.repeat(257), { number: '0x1' }, undefined]) {
      expect(await asked(answers, [1], () => value)).toEqual([1])
      expect(await asked(answers, [1], () => value)).toEqual([1])
    }
  })
})
