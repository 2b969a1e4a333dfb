import { type About, type Axis, command, type Wanted } from '../sdk/index.js'

/** The commands that mend what was found in one step. */
export interface Advice {
  /** Has the unit, or a stretch of numbers, done again. Undefined: everything of the step. */
  reset(unit?: string): readonly string[]
  run(): string
  retry(): string
}

/** Commands as people type them: with the params that the last run had, since another range would not mend it. */
export function createAdvice(
  about: About,
  step: string,
  /** Of its units, where they lie on one. */
  axis: Axis | undefined,
): Advice {
  const run = command('run', about)
  return {
    reset: (unit) => [command('reset', about, '--step', step, ...(unit === undefined ? [] : ['--range', rangeOf(unit, axis?.of)])), run],
    run: () => run,
    retry: () => command('retry', about, '--step', step),
  }
}

/** What `--range` calls a unit. */
function rangeOf(unit: string, of: Axis['of'] | undefined): string {
  if (unit.includes('..')) return unit
  const numbers = of === 'numbers' ? /^(-?\d+)-(-?\d+)$/.exec(unit) : null
  return numbers ? `${numbers[1]}..${numbers[2]}` : `${unit}..${unit}`
}

/** Whether a run asks for a number again after a reset: what lies outside of its range stays as it is. */
export function isWanted(wanted: Wanted, place: bigint): boolean {
  if (wanted.kind !== 'stretches' || wanted.axis.of !== 'numbers' || wanted.domain === 'inputs') return true
  return wanted.domain[0] <= place && place <= wanted.domain[1]
}
