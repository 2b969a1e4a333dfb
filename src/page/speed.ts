import type { Course, Sample } from '../serve/course.js'

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
  return new Map(Object.entries(last.requests).map(([key, requests]) => [key, (requests - (first.requests[key] ?? 0)) / seconds]))
}

/** What the server saw of a run before this page did, and what this page saw since. */
export function joined(before: Course | undefined, since: Course): Course {
  if (before?.run !== since.run) return since
  const first = since.samples[0]?.at ?? Infinity
  return { run: since.run, samples: [...before.samples.filter(({ at }) => at < first), ...since.samples] }
}
