import {
  type LedgerReader,
  type LedgerRow,
  noun,
  type Output,
  type Row,
  type Statement,
  type Table,
  timeAxis,
  type Wanted,
} from '../sdk/index.js'
import type { Pipeline, Step } from '../pipeline/pipeline.js'
import { nameOf } from '../ledger/axis.js'
import { type Interval, intersect, mod } from '../ledger/intervals.js'
import type { StepPlan } from '../plan/plan.js'
import type { Advice } from './advice.js'
import type { Check, Difference, Finding } from './report.js'
import { type Line, lineOf, stretchOf } from './stretches.js'

/** One step as it is looked at: what it would do, what it did, and where its rows lie. */
export interface StepLook {
  readonly pipeline: Pipeline
  readonly step: Step
  readonly warehouse: LedgerReader
  readonly plan: StepPlan
  /** Of this step, all states. */
  readonly ledger: readonly LedgerRow[]
  /** Done under the definition that counts now. */
  readonly done: readonly LedgerRow[]
  /** Outputs of which a unit replaces all rows at once: what its SQL no longer gives is gone. */
  readonly replaced: ReadonlySet<string>
  readonly advice: Advice
  /** Microseconds UTC. */
  readonly now: bigint
}

/** What was found in one step; of each kind at most so many, the others are counted. */
export class Findings {
  readonly list: Finding[] = []
  readonly notes = new Set<string>()
  more = 0
  readonly #step: string
  readonly #counts = new Map<Check, number>()

  constructor(step: string) {
    this.#step = step
  }

  add(
    check: Check,
    problem: string,
    fix: readonly string[],
    about: {
      readonly table?: string | undefined
      readonly unit?: string | undefined
      readonly key?: string | undefined
      readonly difference?: Difference | undefined
    } = {},
  ): void {
    const { table = null, unit = null, key = null, difference = null } = about
    this.#push({ check, step: this.#step, table, unit, key, problem, fix, difference })
  }

  /** Takes over what was found in a part of the step. */
  take({ list, more }: Findings): void {
    for (const finding of list) this.#push(finding)
    this.more += more
  }

  #push(finding: Finding): void {
    const known = (this.#counts.get(finding.check) ?? 0) + 1
    this.#counts.set(finding.check, known)
    if (known > MOST) this.more++
    else this.list.push(finding)
  }
}

const DAY_US = 86_400_000_000n

/** Findings of one kind in one step. What they have in common is seen in so many. */
export const MOST = 100

/** The outputs of the step with their tables. */
export function outputsOf({ pipeline, step }: Pick<StepLook, 'pipeline' | 'step'>): { readonly output: Output; readonly table: Table }[] {
  return step.outputs.flatMap((output) => {
    const table = pipeline.tables.get(output.table)
    return table ? [{ output, table }] : []
  })
}

/** Rows of one table by the outputs that fill them. */
export interface FilledLine {
  readonly line: Line
  readonly outputs: readonly Output[]
}

/** Each stretch of a table that is the step's own, once. `lineIn`: where the rows of an output lie. */
export function linesOf(look: StepLook, lineIn = lineOf): FilledLine[] {
  const lines = new Map<string, { line: Line; outputs: Output[] }>()
  for (const { output, table } of outputsOf(look)) {
    const line = lineIn(output, table, look.plan.wanted)
    if (!line) continue
    const name = JSON.stringify([table.name, line.column, Object.entries(line.constants).sort()])
    const known = lines.get(name)
    if (known) known.outputs.push(output)
    else lines.set(name, { line, outputs: [output] })
  }
  return [...lines.values()]
}

/**
 * The unit that holds a place of a line, or undefined. Of numbers just that one, of a lane through time what of its day is in the
 * unit, unless all of the unit is asked for.
 */
export function unitAt({ plan, ledger }: StepLook, place: bigint, whole: boolean): string | undefined {
  const found = ledger.find((row) => {
    const stretch = stretchOf(plan.wanted, row)
    return stretch !== undefined && stretch[0] <= place && place <= stretch[1]
  })
  const stretch = found && stretchOf(plan.wanted, found)
  if (!found || !stretch) return undefined
  if (whole || !plan.axis) return found.unit
  if (plan.axis.of === 'numbers') return nameOf(plan.axis, [place, place])
  if (plan.axis.names !== 'ends') return found.unit
  const day = place - mod(place, DAY_US)
  return intersect([stretch], [[day, day + DAY_US - 1n]]).map((at) => nameOf(timeAxis(), at))[0]
}

export async function all(warehouse: StepLook['warehouse'], statement: Statement): Promise<Row[]> {
  const rows: Row[] = []
  for await (const page of warehouse.query(statement)) for (const row of page) rows.push(row)
  return rows
}

/** `1 row`, `12 rows`. */
export function rowsWord(n: bigint | number): string {
  return `${n} ${noun(n, 'rows')}`
}

/** A stretch of numbers in words: one number, or `first-last`. */
export const named = ([from, to]: Interval) => (from === to ? String(from) : `${from}-${to}`)

/** Whether SQL makes the rows from what is in the warehouse. */
export function isComputed(wanted: Wanted): boolean {
  return wanted.kind === 'stretches' ? wanted.domain === 'inputs' : wanted.kind === 'task' && wanted.due !== 'once'
}

/** The domain of stretches of numbers; undefined for other units. */
export function numbersOf(wanted: Wanted): Interval | undefined {
  return wanted.kind === 'stretches' && wanted.axis.of === 'numbers' && wanted.domain !== 'inputs' ? wanted.domain : undefined
}
