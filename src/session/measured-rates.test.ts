import { expect, it } from 'vitest'
import { measuredRates } from './measured-rates.js'

it('a step measures its rate when it took a second or more; pauses do not count, and one that was over in a moment tells nothing of a long run', () => {
  const steps = [
    { id: 'blocks', startedAt: 1_000, endedAt: 65_000, pausedAt: null, pausedMs: 60_000, done: 2_000 },
    { id: 'one-block', startedAt: 5_000, endedAt: 5_200, pausedAt: null, pausedMs: 0, done: 1 },
    { id: 'nothing', startedAt: 5_000, endedAt: 9_000, pausedAt: null, pausedMs: 0, done: 0 },
    { id: 'waits', startedAt: null, endedAt: null, pausedAt: null, pausedMs: 0, done: 0 },
    { id: 'runs', startedAt: 6_000, endedAt: null, pausedAt: null, pausedMs: 0, done: 40 },
  ]
  expect(measuredRates('p', steps, 10_000)).toEqual([
    { pipeline: 'p', step: 'blocks', piecesPerSecond: 500, bytesPerPiece: 0, at: 10_000 },
    { pipeline: 'p', step: 'runs', piecesPerSecond: 10, bytesPerPiece: 0, at: 10_000 },
  ])
})
