import type { RunView } from './api.js'
import { keyOf } from './endpoints.js'

/** How far a run was at a moment. */
export interface Sample {
  readonly at: number
  readonly pieces: number
  readonly rows: number
  readonly requests: ReadonlyMap<string, number>
}

/** The samples of a run, for a chart. */
export interface Course {
  readonly run: string
  readonly samples: readonly Sample[]
}

const LEAST_MS = 500
/** More are thinned out: then each stands for twice as long. */
const MOST = 400

/** The course with where the view is now. Another run begins another one. */
export function goneOn(course: Course, view: RunView): Course {
  if (view.at === null) return course
  const samples = course.run === view.run ? course.samples : []
  const last = samples.at(-1)
  if (last && view.at - last.at < LEAST_MS) return course
  const all = [...samples, sampleOf(view, view.at)]
  return { run: view.run, samples: all.length > MOST ? all.filter((_, i) => i % 2 === 0 || i === all.length - 1) : all }
}

function sampleOf({ steps, endpoints, commits }: RunView, at: number): Sample {
  return {
    at,
    pieces: steps.reduce((sum, { done }) => sum + done, 0),
    rows: commits.rows,
    requests: new Map(endpoints.map((endpoint) => [keyOf(endpoint), endpoint.requests])),
  }
}

export interface Point {
  readonly at: number
  readonly perSecond: number
}

/** How fast it was, from each sample to the next that is a second away. */
export function speedOf(samples: readonly Sample[], of: (sample: Sample) => number): readonly Point[] {
  const points: Point[] = []
  let from = samples[0]
  for (const to of samples.slice(1)) {
    if (!from || to.at - from.at < 1_000) continue
    points.push({ at: to.at, perSecond: Math.max(0, ((of(to) - of(from)) * 1_000) / (to.at - from.at)) })
    from = to
  }
  return points
}

const WINDOW_MS = 10_000

/** Requests a second of each endpoint over the last ten seconds. */
export function requestSpeeds({ samples }: Course): ReadonlyMap<string, number> {
  const last = samples.at(-1)
  const first = samples.find(({ at }) => at >= (last?.at ?? 0) - WINDOW_MS)
  if (!last || !first || last.at - first.at < 1_000) return new Map()
  const seconds = (last.at - first.at) / 1_000
  return new Map([...last.requests].map(([key, requests]) => [key, (requests - (first.requests.get(key) ?? 0)) / seconds]))
}
