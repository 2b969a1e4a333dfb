import { elapsedOf, type Times } from '../report/rates.js'
import type { StepView } from '../report/view.js'
import type { StepRate } from '../state/store.js'

/** What is over in a moment measures its start, and the plan of a long run would go by it. */
const LEAST_SECONDS = 1

/** Pieces a second that the steps of a run reached, for the next plan. */
export function measuredRates(pipeline: string, steps: readonly (Pick<StepView, 'id' | 'done'> & Times)[], now: number): StepRate[] {
  const at = Math.round(now)
  return steps.flatMap(({ id, done, ...times }) => {
    const seconds = (elapsedOf(times, at) ?? 0) / 1000
    return done > 0 && seconds >= LEAST_SECONDS ? [{ pipeline, step: id, piecesPerSecond: done / seconds, bytesPerPiece: 0, at }] : []
  })
}
