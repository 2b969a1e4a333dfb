import type { StepView } from './view.js'

const rateWindowMs = 10_000
const sampleMs = 250

/** Pieces a second of a running step over the ten seconds before `now`, so that it falls when nothing comes. Null until known. */
export function rateOf(step: StepView, now: number): number | null {
  if (step.state !== 'running') return step.perSecond
  const recent = step.samples.filter(([at]) => at >= now - rateWindowMs)
  const [from, done] = recent[0] ?? step.samples.at(-1) ?? [now, step.done]
  return now > from ? ((step.done - done) * 1_000) / (now - from) : step.perSecond
}

/** A silence is one when it is longer than this, and than two of the pauses between batches. */
const silenceMs = 1_000
const halfLifeMs = 2_000

/**
 * Pieces a second of a running step as a live view shows it: that of its last batch while the next one is not late, then halved
 * again and again until nothing is left of it. A step whose batches are far apart is not shown at rest between them.
 */
export function shownRate(step: StepView, now: number): number | null {
  const [first, last] = [step.samples[0], step.samples.at(-1)]
  if (step.state !== 'running' || step.perSecond === null || !first || !last) return step.perSecond
  if (first === last) return null
  const pause = (last[0] - first[0]) / (step.samples.length - 1)
  const late = now - last[0] - Math.max(silenceMs, 2 * pause)
  const share = 0.5 ** (Math.max(0, late) / (halfLifeMs + pause))
  return share < 0.01 ? 0 : step.perSecond * share
}

/** How long a running step still takes at its present rate, or at one that is given; null when nobody can tell. Milliseconds. */
export function etaOf(step: StepView, now: number, rate = rateOf(step, now)): number | null {
  if (step.state !== 'running' || step.total === null || rate === null || rate <= 0) return null
  return (Math.max(0, step.total - step.done) * 1_000) / rate
}

/** When something began and ended, and for how long it was paused meanwhile. A step, or a run. */
export type Times = Pick<StepView, 'startedAt' | 'endedAt' | 'pausedAt' | 'pausedMs'>

/** How long a step or a run was at work, pauses left out. Null before it started. Milliseconds. */
export function elapsedOf({ startedAt, endedAt, pausedAt, pausedMs }: Times, now: number): number | null {
  return startedAt === null ? null : Math.max(0, Math.min(endedAt ?? now, pausedAt ?? Infinity) - startedAt - pausedMs)
}

/** Pieces in open units, and those that nobody has begun. */
export function openPieces(step: StepView): { processing: number; pending: number } {
  const processing = Math.round(step.open.pieces)
  const left = Math.max(0, (step.total ?? 0) - step.done - step.failed)
  return { processing: Math.min(processing, left), pending: Math.max(0, left - processing) }
}

/** All counts of a record added up. */
export function sum(counts: Readonly<Record<string, number>>): number {
  return Object.values(counts).reduce((total, count) => total + count, 0)
}

/** Stops the time. */
export function pauseTime(of: Times, at: number): void {
  of.pausedAt ??= at
}

/** Has the time go on. */
export function resumeTime(of: Times, at: number): void {
  if (of.pausedAt !== null) of.pausedMs += Math.max(0, at - of.pausedAt)
  of.pausedAt = null
}

/** Forgets how quick the step was: a rate over a pause would say something false. */
export function forgetRate(step: StepView, at: number): void {
  step.samples = [[at, step.done]]
  step.perSecond = null
}

/** Keeps how far the step was at this moment, for `rateOf`. */
export function sample(step: StepView, at: number): void {
  const [first] = step.samples
  // The clock was set back, or the step did not say that it started.
  if (!first || at < first[0]) step.samples = [[at, step.done]]
  const last = step.samples.at(-1)
  if (last && at - last[0] >= sampleMs) step.samples.push([at, step.done])
  while (step.samples.length > 2 && (step.samples[1]?.[0] ?? at) <= at - rateWindowMs) step.samples.shift()
  const [from, done] = step.samples[0] ?? [at, step.done]
  if (at > from) step.perSecond = ((step.done - done) * 1_000) / (at - from)
}
