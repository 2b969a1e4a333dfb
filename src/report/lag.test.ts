import { expect, test } from 'vitest'
import type { RunFact } from '../sdk/index.js'
import { lagsOf } from './lag.js'
import { reduce } from './reduce.js'
import { initialView } from './view.js'
import { lagLine } from './words.js'

function following() {
  const view = initialView()
  const tell = (at: number, fact: RunFact) => reduce(view, { run: 'r', at, ...fact })
  tell(0, { type: 'run:started', pipeline: 'p', warehouse: 'w', pid: 1, host: 'h', steps: [], follow: true })
  const head = (at: number, number: number) => tell(at, { type: 'run:resolved', heads: { base: String(number) }, params: {} })
  const plan = (at: number, last: number, pieces: number) =>
    tell(at, {
      ...{ type: 'step:planned', step: 's', units: 1, pieces, done: 0, requests: 0, reasons: {}, word: 'blocks' },
      blocks: { chain: 'base', last: String(last) },
    })
  const commit = (at: number, pieces: number) => tell(at, { type: 'batch:committed', step: 's', unit: 'u', pieces, rows: {}, doubles: 0 })
  return { view, head, plan, commit }
}

test('the lag counts blocks that are missing and those that are left to a reorg, and the age of the oldest one', () => {
  const { view, head, plan, commit } = following()
  head(1_000, 100)
  plan(1_100, 98, 5)
  // 99 and 100 wait for confirmations, five below are missing; how long they have been there nobody knows.
  expect(lagsOf(view, 2_000)).toEqual([{ chain: 'base', head: 100, behind: 7, ms: null }])
  commit(2_000, 5)
  expect(lagsOf(view, 2_500)).toEqual([{ chain: 'base', head: 100, behind: 2, ms: null }])
  head(3_000, 101)
  head(5_000, 102)
  plan(5_000, 100, 2)
  commit(5_100, 2)
  // 101 was first seen at 3 s.
  expect(lagsOf(view, 6_100)).toEqual([{ chain: 'base', head: 102, behind: 2, ms: 3_100 }])
  expect(lagsOf(view, 6_100).map(lagLine)).toEqual(['base: head 102, 2 blocks behind, 3.1 s'])
  plan(6_200, 102, 2)
  commit(6_300, 2)
  expect(lagsOf(view, 6_400).map(lagLine)).toEqual(['base: at the head, 102'])
})

test('what is kept of heads stays small over a day', () => {
  const { view, head, plan, commit } = following()
  for (let i = 0; i < 43_200; i++) {
    head(i * 2_000, 100 + i)
    plan(i * 2_000, 90 + i, 1)
    commit(i * 2_000 + 500, 1)
  }
  expect(view.seen.base?.length).toBeLessThan(300)
  expect(lagsOf(view, 43_199 * 2_000 + 1_000)).toEqual([{ chain: 'base', head: 43_299, behind: 10, ms: 9 * 2_000 + 1_000 }])
})
