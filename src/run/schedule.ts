import type { StepOutcome } from '../sdk/index.js'

/** What the scheduler must know of a step. */
export interface ScheduledStep {
  readonly id: string
  readonly needs: readonly string[]
  /** With `continue`, steps that need it run although it failed. */
  readonly onError: 'fail' | 'continue'
  /** Runs although a need did not end well, to say that it stays closed, and why. */
  readonly gate: boolean
}

export type StepState = 'waiting' | 'running' | StepOutcome

/** What to do now: steps that may start, and steps that never will, with the need that stops them. */
export interface Decision {
  readonly start: readonly string[]
  readonly block: readonly { readonly step: string; readonly by: string }[]
}

const OPEN: ReadonlySet<StepState> = new Set(['waiting', 'running'])

/** A step starts when all its needs have ended well, is blocked by one that has not, and waits otherwise. Pure. */
export function decide(steps: readonly ScheduledStep[], states: ReadonlyMap<string, StepState>, limit: number): Decision {
  const start: string[] = []
  const block: { step: string; by: string }[] = []
  const onErrors = new Map(steps.map((step) => [step.id, step.onError]))
  let running = [...states.values()].filter((state) => state === 'running').length
  for (const step of steps) {
    if (states.get(step.id) !== 'waiting') continue
    const needs = step.needs.filter((need) => states.has(need))
    const stopper = needs.find((need) => stops(states.get(need) ?? 'waiting', onErrors.get(need) ?? 'fail', step.gate))
    if (stopper !== undefined) {
      block.push({ step: step.id, by: stopper })
      continue
    }
    if (needs.some((need) => OPEN.has(states.get(need) ?? 'waiting'))) continue
    if (running >= limit) continue
    start.push(step.id)
    running++
  }
  return { start, block }
}

function stops(need: StepState, onError: 'fail' | 'continue', gate: boolean): boolean {
  switch (need) {
    case 'waiting':
    case 'running':
    case 'complete':
    case 'skipped':
    case 'limited':
      return false
    case 'incomplete':
    case 'failed':
    case 'closed':
      return onError === 'fail' && !gate
    case 'blocked':
      return !gate
    case 'stopped':
      return true
  }
}
