import type { RunView } from '../report/view.js'

/** How far a run was at a moment. */
export interface Sample {
  readonly at: number
  /** Blocks, rows and days that were done. */
  readonly pieces: number
  /** Rows that were committed. */
  readonly rows: number
  /** Requests that ended, by `chain endpoint`. */
  readonly requests: Readonly<Record<string, number>>
}

/** How a run went on: what its speed is drawn from. */
export interface Course {
  readonly run: string
  /** The oldest first. */
  readonly samples: readonly Sample[]
}

export const NO_COURSE: Course = { run: '', samples: [] }

const LEAST_MS = 500
/** When there are more, every other one goes, so that those of a long run are further apart. */
const MOST = 400

/** The course with where the view is now. Another run begins another one. */
export function goneOn(course: Course, view: RunView): Course {
  if (view.at === null || view.run === '') return course
  const samples = course.run === view.run ? course.samples : []
  const last = samples.at(-1)
  // What came long ago, in a long run, is far apart; what comes now is as far.
  const apart = Math.max(LEAST_MS, ((last?.at ?? 0) - (samples[0]?.at ?? 0)) / MOST)
  if (last && view.at - last.at < apart) return course
  const all = [...samples, sampleOf(view, view.at)]
  return { run: view.run, samples: all.length > MOST ? all.filter((_, i) => i % 2 === 0) : all }
}

function sampleOf({ steps, endpoints, commits }: RunView, at: number): Sample {
  return {
    at,
    pieces: steps.filter(({ word }) => word !== 'checks').reduce((sum, { done }) => sum + done, 0),
    rows: commits.rows,
    requests: Object.fromEntries(endpoints.map(({ chain, endpoint, requests }) => [`${chain} ${endpoint}`, requests])),
  }
}
