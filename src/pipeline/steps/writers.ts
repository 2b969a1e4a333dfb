import type { Output, Table } from '../../sdk/index.js'
import type { Field } from '../yaml/node.js'
import type { Step } from '../pipeline.js'
import type { Problems } from '../yaml/problems.js'

/**
 * Reports tables that several steps fill where nothing tells their rows apart: a unit owns the rows of its stretch, so one
 * step would delete the rows of the other. A key column with another constant in each step tells them apart; steps that
 * never run together (`when`) need none. A step with a matrix that computes what it fills must have one even when the matrix
 * has one value now: the next run may be for another one, and find the rows of this one.
 */
export function checkWriters(
  steps: readonly Step[],
  tables: ReadonlyMap<string, Table>,
  problems: Problems,
  intoOf: (step: Step) => Field,
): void {
  const writers = new Map<string, { readonly step: Step; readonly output: Output }[]>()
  for (const step of steps) {
    for (const output of step.outputs) {
      const list = writers.get(output.table)
      if (list) list.push({ step, output })
      else writers.set(output.table, [{ step, output }])
    }
  }
  for (const [name, list] of writers) {
    const table = tables.get(name)
    const alone =
      table && list.find(({ step, output }) => computes(step) && !table.key.some((column) => output.constants[column] !== undefined))
    const clash = table && (firstClash(list, table.key) ?? (alone && [alone.step, alone.step]))
    if (!clash) continue
    const [a, b] = clash
    const field = intoOf(b)
    const at = { place: field.node ? field.place : b.place, path: field.path }
    const who = baseOf(a) === baseOf(b) ? `every \`${baseOf(a)}\` of the matrix writes` : `steps \`${a.id}\` and \`${b.id}\` both write`
    problems.error(
      at,
      `${who} into table \`${name}\`, and no key column tells their rows apart`,
      'give the key a column that each sets to another constant, such as $chain.name',
    )
  }
}

const computes = (step: Step): boolean => Object.keys(step.matrix).length > 0 && step.definition.inputs !== undefined

/** Two steps whose rows can't be told apart, or undefined. */
function firstClash(
  list: readonly { readonly step: Step; readonly output: Output }[],
  key: readonly string[],
): readonly [Step, Step] | undefined {
  for (const [i, b] of list.entries()) {
    for (const a of list.slice(0, i)) {
      if (a.step === b.step || excludes(a.step, b.step)) continue
      if (!isApart(a.output, b.output, key)) return [a.step, b.step]
    }
  }
  return undefined
}

/** Whether a column of the key tells the rows of two outputs apart. */
export function isApart(a: Output, b: Output, key: readonly string[]): boolean {
  return key.some((column) => {
    const [x, y] = [a.constants[column], b.constants[column]]
    return x !== undefined && y !== undefined && x !== y
  })
}

/** Whether two steps never run in the same run. */
export function excludes(a: Step, b: Step): boolean {
  return Object.keys(a.when).some((param) => Object.hasOwn(b.when, param) && a.when[param] !== b.when[param])
}

/** The id without the values of a matrix. */
export function baseOf({ id }: Pick<Step, 'id'>): string {
  return id.replace(/\[.*$/, '')
}
