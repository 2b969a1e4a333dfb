import {
  type Batch,
  formatInstant,
  type Interval,
  type Output,
  type OwnRows,
  PipeError,
  type SelectWrite,
  type Stretch,
} from '../sdk/index.js'
import type { Clearing } from '../ledger/coverage.js'
import { intersect, mod, subtract } from '../ledger/intervals.js'
import { DAY_US, isTimed, rangeOf } from './places.js'
import type { UnitTask } from './services.js'

/** A unit is done again, and nothing tells which rows of its table it wrote before. */
export class RedoColumnError extends PipeError {
  readonly code = 'REDO_COLUMN'
  override readonly hint = 'name the column that holds its place: `range:` of the table'
  constructor(step: string, unit: string, table: string) {
    super(`step ${step} does unit ${unit} again, and table ${table} has no column by which the rows of before can be found`)
  }
}

/** A part of a day is done again, and rows that say only their day were read with the other part, too. */
export class RedoDayError extends PipeError {
  readonly code = 'REDO_DAY'
  override readonly hint: string
  constructor(step: string, unit: string, table: string, [from, to]: Interval) {
    super(`step ${step} does unit ${unit} again, which is a part of a day, and rows of table ${table} say only their day`)
    this.hint = `\`pipe reset FILE --step ${step} --range ${formatInstant(from).slice(0, 10)}..${formatInstant(to).slice(0, 10)}\` has whole days done again; rows that hold their time can be replaced for any part`
  }
}

/** Which older rows of a unit that is redone go, and how they are found in its tables. */
export class Deletes {
  readonly clearing: Clearing
  readonly #task: UnitTask

  constructor(task: UnitTask) {
    this.#task = task
    this.clearing = task.unit.redo ? clearingOf(task) : 'none'
  }

  /**
   * The rows of stretches of the unit. `numbers`: those that a unit of time holds.
   *
   * @throws {RedoColumnError} @throws {RedoDayError}
   */
  of(stretches: readonly Interval[], numbers: Interval | undefined): Stretch[] {
    if (stretches.length === 0) return []
    const { plan, services } = this.#task
    return plan.outputs.flatMap((output) => {
      const { column, type } = rangeOf(output, services.pipeline.tables)
      // Where rows say a number instead of their time, all of the unit's go at once.
      const places = isTimed(type) === (plan.axis?.of === 'time') ? stretches : [numbers as Interval]
      return places.map(([from, to]) => {
        const problem = this.#unplaced(output, [from, to], numbers)
        if (problem) throw problem
        // `#unplaced` refuses an output without one.
        return { table: output.table, column: column as string, from, to, constants: output.constants }
      })
    })
  }

  /** Whether the rows of a stretch can be found in the tables of all outputs. */
  canFind(stretch: Interval, numbers: Interval | undefined): boolean {
    return this.#task.plan.outputs.every((output) => this.#unplaced(output, stretch, numbers) === undefined)
  }

  /** All rows of a task's outputs. Those of a batch that runs SQL are left to it: it replaces them by itself. */
  all({ sql = [] }: Batch, selects: readonly SelectWrite[]): OwnRows[] {
    if (sql.length > 0) return []
    const replaced = new Set(selects.map(({ output }) => output.table))
    return this.#task.plan.outputs.filter(({ table }) => !replaced.has(table))
  }

  /** Why the rows of a stretch can't be found in the table of an output. */
  #unplaced(output: Output, [from, to]: Interval, numbers: Interval | undefined): RedoColumnError | RedoDayError | undefined {
    const { plan, unit, services } = this.#task
    const { column, type } = rangeOf(output, services.pipeline.tables)
    if (column === undefined || (isTimed(type) !== (plan.axis?.of === 'time') && (isTimed(type) || !numbers)))
      return new RedoColumnError(plan.step.id, unit.key, output.table)
    return type === 'date' && this.#sharesDays([from, to]) ? new RedoDayError(plan.step.id, unit.key, output.table, [from, to]) : undefined
  }

  /** Whether a part of the days of a stretch of time belongs to other units. */
  #sharesDays([from, to]: Interval): boolean {
    const { wanted } = this.#task.plan
    if (wanted.kind !== 'stretches' || wanted.domain === 'inputs') return false
    const days: Interval = [from - mod(from, DAY_US), to - mod(to, DAY_US) + DAY_US - 1n]
    return subtract(intersect([wanted.domain], [days]), [[from, to]]).length > 0
  }
}

/**
 * A date column can't tell which part of its day a row was read with, and of a unit of time a number can't, so the first batch of a
 * redo deletes all of the unit's rows.
 */
function clearingOf({ plan, services }: UnitTask): Clearing {
  const byUnit = plan.outputs.some((output) => {
    const { column, type } = rangeOf(output, services.pipeline.tables)
    return type === 'date' || (column !== undefined && plan.axis?.of === 'time' && !isTimed(type))
  })
  return byUnit ? 'whole' : 'said'
}
