import { beginBuild, currentVersion, dropShadows, swapIn } from '../ledger/versions.js'
import type { Pipeline } from '../pipeline/pipeline.js'
import {
  type Batch,
  type Making,
  micros,
  type Output,
  PipeError,
  type Shadow,
  shadowName,
  sql,
  sqlText,
  quoteIdentifier,
  type Swap,
  type Table,
  type Warehouse,
} from '../sdk/index.js'
import type { RunServices, UnitTask } from './services.js'

/** A step asks to exchange tables and has none that it builds. */
export class NothingToSwapError extends PipeError {
  readonly code = 'NOTHING_TO_SWAP'
  override readonly hint = 'an output with `shadow: true` says which tables it builds anew'
  constructor(step: string) {
    super(`step ${step} asks to exchange tables (\`swap\`), and no output of it has a shadow`)
  }
}

/** The shadows of outputs, each once. */
export function shadowsOf(outputs: readonly Output[], tables: ReadonlyMap<string, Table>): readonly Shadow[] {
  const found = new Map<string, Shadow>()
  for (const { table: name, shadow } of outputs) {
    const table = tables.get(name)
    if (shadow && table) found.set(name, { table, name: shadowName(name) })
  }
  return [...found.values()]
}

/** The tables of a pipeline with the shadows that its steps fill. */
export function withShadows({ tables, steps }: Pick<Pipeline, 'tables' | 'steps'>): ReadonlyMap<string, Table> {
  const shadows = shadowsOf(
    steps.flatMap(({ outputs }) => outputs),
    tables,
  )
  return shadows.length === 0 ? tables : new Map([...tables, ...shadows.map(({ table, name }) => [name, { ...table, name }] as const)])
}

/** Where the rows of an output go. */
export const filledBy = (output: Output): Output => (output.shadow ? { ...output, table: shadowName(output.table) } : output)

/** Counts of rows by what is filled, by the declared tables. */
export function byDeclared(counts: Readonly<Record<string, number>>, shadows: readonly Shadow[]): Readonly<Record<string, number>> {
  if (shadows.length === 0) return counts
  const names = new Map(shadows.map(({ table, name }) => [name, table.name]))
  return Object.fromEntries(Object.entries(counts).map(([name, n]) => [names.get(name) ?? name, n]))
}

/** Makes the shadows of a unit anew; undefined where it has none. */
export async function making(task: UnitTask): Promise<Making | undefined> {
  const shadows = shadowsOf(task.plan.outputs, task.services.pipeline.tables)
  if (shadows.length === 0) return undefined
  return beginBuild(
    await about(task),
    shadows.map(({ table }) => table),
  )
}

/** What became of the shadows of a unit that failed before they took their tables' places; undefined where it has none. */
export function leftInShadows({ plan, services }: UnitTask): string | undefined {
  const shadows = shadowsOf(plan.outputs, services.pipeline.tables)
  if (shadows.length === 0) return undefined
  const names = shadows.map(({ name }) => name).join(', ')
  const tables = shadows.map(({ table }) => table.name).join(', ')
  return `nothing was swapped: ${tables} ${shadows.length === 1 ? 'is as it was' : 'are as they were'}; the next run drops ${names} and builds ${shadows.length === 1 ? 'it' : 'all of them'} anew`
}

/** Whether a stop came before or after the shadows of a unit took their tables' places; undefined where it has none. */
export function swapAtStop(task: UnitTask, isSwapped: boolean): string | undefined {
  if (!isSwapped) return leftInShadows(task)
  const tables = shadowsOf(task.plan.outputs, task.services.pipeline.tables).map(({ table }) => table.name)
  return tables.length === 0 ? undefined : `the swap was done before the stop: ${tables.join(', ')}; the next run does what comes after it`
}

/** What a batch asks to exchange. @throws {NothingToSwapError} */
export async function swapping(task: UnitTask, { swap }: Batch): Promise<Swap | undefined> {
  if (!swap) return undefined
  const { services, plan } = task
  const tables = shadowsOf(plan.outputs, services.pipeline.tables).map(({ table }) => table)
  if (tables.length === 0) throw new NothingToSwapError(plan.step.id)
  const of = await about(task)
  const bare = currentVersion(of.versions) === 0 && (await areEmpty(tables, services.warehouse))
  return swapIn(of, tables, { keep: swap.keep, bare })
}

/** Drops shadows that a run left which came to no end: nobody may take them for what is published. */
export async function dropLeftovers({ pipeline, warehouse, clock }: Pick<RunServices, 'pipeline' | 'warehouse' | 'clock'>): Promise<void> {
  const versions = await warehouse.versions(pipeline.name)
  for (const step of new Set(versions.map((row) => row.step))) {
    const swap = dropShadows({ pipeline: pipeline.name, step, versions: versions.filter((row) => row.step === step) })
    if (swap) await warehouse.amend(pipeline.name, { swap }, micros(clock))
  }
}

async function about({ services, plan }: UnitTask) {
  const { pipeline, warehouse, clock } = services
  const step = plan.step.id
  return { pipeline: pipeline.name, step, versions: await warehouse.versions(pipeline.name, step), at: micros(clock) }
}

async function areEmpty(tables: readonly Table[], warehouse: Pick<Warehouse, 'query'>): Promise<boolean> {
  for (const { name } of tables)
    for await (const page of warehouse.query(sql`SELECT 1 AS one FROM ${sqlText(quoteIdentifier(name))} LIMIT 1`))
      if (page.length > 0) return false
  return true
}
