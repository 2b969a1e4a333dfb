import type { Counted, Output, Table } from '../../sdk/index.js'
import type { Pipeline, Step } from '../pipeline.js'

/** Rows that are counted, with the steps that bring them. */
export interface CountedBy {
  readonly counted: Counted
  readonly table: Table
  readonly steps: readonly Step[]
}

/**
 * The tables of which commits keep count: those that REST sources fill. Units of their steps meet and read the same rows, so
 * what a unit brought says nothing of what a table must hold. Left out: what SQL fills, too, and a key that SQL computes, since
 * nobody knows then which rows are overwritten.
 */
export function countedOf({ name, steps, tables }: Pick<Pipeline, 'name' | 'steps' | 'tables'>): readonly CountedBy[] {
  const found = new Map<string, { table: Table; outputs: Output[]; steps: Step[] }>()
  for (const step of steps.filter(({ source }) => source !== undefined)) {
    for (const output of step.outputs) {
      const table = tables.get(output.table)
      if (!table || steps.some((other) => bySql(other) && other.outputs.some((filled) => filled.table === output.table))) continue
      const own = JSON.stringify([output.table, Object.entries(output.constants).sort(([a], [b]) => (a < b ? -1 : 1))])
      const known = found.get(own)
      if (!known) found.set(own, { table, outputs: [output], steps: [step] })
      else {
        known.outputs.push(output)
        if (!known.steps.includes(step)) known.steps.push(step)
      }
    }
  }
  return [...found.values()].flatMap(({ table, outputs, steps: by }): CountedBy[] => {
    const [first] = outputs
    if (!first || !outputs.every(({ compute }) => table.key.every((column) => !(column in compute)))) return []
    const { constants } = first
    return [{ counted: { pipeline: name, table: table.name, constants, column: dayColumn(table, outputs) }, table, steps: by }]
  })
}

/** The column that tells the day of a row, where every output brings it. */
function dayColumn(table: Table, outputs: readonly Output[]): string | undefined {
  const names = new Set(outputs.map(({ range }) => range ?? table.range))
  const column = names.size === 1 ? table.columns.find(({ name }) => names.has(name)) : undefined
  const timed = column?.type.kind === 'timestamp' || column?.type.kind === 'date'
  return column && timed && outputs.every(({ columns }) => columns.includes(column.name)) ? column.name : undefined
}

const bySql = ({ source, chain, inputs }: Step) => inputs.length > 0 || (source === undefined && chain === undefined)
