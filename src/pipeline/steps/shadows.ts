import { isKeptName, KEPT_SUFFIX, type Table } from '../../sdk/index.js'
import type { Field } from '../yaml/node.js'
import type { Step } from '../pipeline.js'
import type { Problems } from '../yaml/problems.js'
import { baseOf } from './writers.js'

/** The most characters of a name of a table. */
const LONGEST = 63

/** Reports what would come in the way of tables that a step renews as a whole: other writers, and names of versions. */
export function checkShadows(
  steps: readonly Step[],
  tables: ReadonlyMap<string, Table>,
  problems: Problems,
  withOf: (step: Step) => Field,
): void {
  for (const step of steps) {
    const renewed = new Set(step.outputs.filter(({ shadow }) => shadow).map(({ table }) => table))
    if (renewed.size === 0) continue
    const say = (message: string, hint: string) => {
      const field = withOf(step)
      problems.error({ place: field.node ? field.place : step.place, path: field.path }, message, hint)
    }
    for (const name of renewed) {
      const other = steps.find((each) => each !== step && each.outputs.some(({ table }) => table === name))
      if (other) {
        const who =
          baseOf(other) === baseOf(step)
            ? `every \`${baseOf(step)}\` of the matrix renews`
            : `steps \`${step.id}\` and \`${other.id}\` both fill`
        say(
          `${who} table \`${name}\`, and what is renewed as a whole is one step's alone`,
          'let the other fill a table of its own, and read both',
        )
      }
      if (name.length + KEPT_SUFFIX > LONGEST)
        say(
          `the name of table \`${name}\` is too long for its versions, which are called ${name.slice(0, 8)}…__v1_20240301T120000Z`,
          `at most ${LONGEST - KEPT_SUFFIX} characters`,
        )
      for (const taken of tables.keys())
        if (isKeptName(taken, name)) say(`table \`${taken}\` has a name that versions of \`${name}\` get`, 'choose another name')
    }
  }
}
