import type { Wanted } from '../sdk/index.js'
import { parseIntervalKey } from '../plan/intervals.js'

/** The commands that mend what was found in one step. */
export interface Advice {
  /** Has the unit, or a stretch of numbers, done again. Undefined: everything of the step. */
  reset(unit?: string): readonly string[]
  run(): string
  retry(): string
}

/** Commands as people type them: with the params that the last run had, since another range would not mend it. */
export function createAdvice(file: string, step: string, params: Readonly<Record<string, string>>, demo = false): Advice {
  const name = `${quote(file)}${demo ? ' --demo' : ''}`
  const given = Object.entries(params).map(([name, value]) => ` --param ${quote(`${name}=${value}`)}`)
  const run = `pipe run ${name}${given.join('')}`
  return {
    reset: (unit) => [`pipe reset ${name} --step ${quote(step)}${unit === undefined ? '' : ` --range ${quote(rangeOf(unit))}`}`, run],
    run: () => run,
    retry: () => `pipe retry ${name} --step ${quote(step)}`,
  }
}

/** What `--range` calls a unit. */
function rangeOf(unit: string): string {
  if (unit.includes('..')) return unit
  const numbers = parseIntervalKey(unit)
  return numbers ? `${numbers[0]}..${numbers[1]}` : `${unit}..${unit}`
}

/** Whether a run asks for a number again after a reset: what lies outside of its range stays as it is. */
export function isWanted(wanted: Wanted, place: bigint): boolean {
  return wanted.kind !== 'range' || (wanted.from <= place && place <= wanted.to)
}

function quote(text: string): string {
  return /^[\w@%+=:,./[\]-]+$/.test(text) && !/[[\]]/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`
}
