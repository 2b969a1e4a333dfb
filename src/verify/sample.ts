import {
  type Batch,
  type HttpClient,
  type InputPage,
  isPipeError,
  type Json,
  type Piece,
  type PlanContext,
  type Random,
  type Row,
  type RpcPool,
  sql,
  sqlText,
} from '../sdk/index.js'
import { runContext } from '../sdk/run-context.js'
import type { Step } from '../pipeline/pipeline.js'
import { nameOf, rowStretch } from '../ledger/axis.js'
import { type Interval, mod } from '../ledger/intervals.js'
import { KEY_COLUMN, missingCount, missingPage } from '../plan/missing.js'
import { outputTable, single } from '../plan/rows-units.js'
import type { Moment } from '../plan/scope.js'
import { oldestKept, timedInputs } from '../plan/expired.js'
import { type Again, compareRows } from './compare.js'
import type { VerifiedStep } from './report.js'
import { unexpired } from './rows.js'
import { readAgain } from './sample-pages.js'
import { selectsOf } from './step-selects.js'
import { stretchOf } from './stretches.js'
import { all, type Findings, isComputed, linesOf, numbersOf, type StepLook } from './look.js'

/** One endpoint, asked by itself. */
export interface Fetcher {
  /** As the ledger names it. */
  readonly host: string
  readonly rpc: RpcPool
}

export interface SampleOptions {
  readonly look: StepLook
  readonly number: number
  readonly moment: Moment
  context(): PlanContext<never>
  fetchers(step: Step, config: Json): readonly Fetcher[]
  /** The REST source of a step. */
  http(step: Step): HttpClient
  readonly random: Random
  readonly signal: AbortSignal
}

/** Blocks or rows of a unit that are fetched again: a larger unit is represented by a part of it. */
const PIECES = 1_000
/** Rows that a table lacks which are looked at, so that they are not fetched again. */
const LACKING = 100_000
/** Rows of a table that is made as a whole, at most, that are made again. */
export const WHOLE = 100_000

/** Makes units again and compares what is stored. */
export async function sample(options: SampleOptions, findings: Findings): Promise<VerifiedStep['sampled']> {
  const { wanted } = options.look.plan
  if (options.look.step.outputs.some(({ shadow }) => shadow)) {
    findings.notes.add('what is renewed as a whole is not computed again: `pipe reset` has it built anew')
    return { units: 0, rows: 0 }
  }
  if (isComputed(wanted)) return computeAgain(options, findings)
  if (options.look.step.source !== undefined) return readAgain(options, findings)
  if (numbersOf(wanted) || wanted.kind === 'rows') return fetchAgain(options, findings)
  if (wanted.kind === 'stretches' && options.look.step.chain !== undefined) {
    findings.notes.add('not sampled: its units are stretches of time. `pipe verify FILE --proof` compares blocks of them with the chain')
    return { units: 0, rows: 0 }
  }
  findings.notes.add('not sampled: its rows come neither from a source nor from calls for blocks or rows nor from SQL')
  return { units: 0, rows: 0 }
}

/** What is fetched again as one: a unit, or a part of a large one. */
interface Sample {
  readonly unit: string
  readonly piece: Piece
  readonly size: number
  /** Hosts that the ledger names for it. */
  readonly from: string | undefined
  readonly page: InputPage | undefined
  /** Where its stored rows lie. Undefined: they are looked up by key. */
  readonly within: readonly [bigint, bigint] | undefined
}

/** From an endpoint that did not give the unit where there is one. Where all endpoints gave it, each of them is asked. */
async function fetchAgain(options: SampleOptions, findings: Findings): Promise<VerifiedStep['sampled']> {
  const { look, number, random } = options
  const { step, plan } = look
  const fetchers = options.fetchers(step, plan.config)
  if (fetchers.length === 0) {
    findings.notes.add('not sampled: it has no chain')
    return { units: 0, rows: 0 }
  }
  const samples = plan.wanted.kind === 'stretches' ? await stretchSamples(look, number, random) : await rowsSamples(look, number, random)
  let rows = 0
  for (const chosen of samples) {
    const named = chosen.from?.split(', ') ?? []
    const others = fetchers.filter(({ host }) => !named.includes(host))
    if (others.length === 0 && fetchers.length === 1)
      findings.notes.add(`fetched again from ${fetchers[0]?.host ?? ''}, which gave it: there is no other endpoint`)
    for (const fetcher of others.length > 0 ? pick(others, 1, random) : fetchers) rows += await fetchOne(options, chosen, fetcher, findings)
  }
  return { units: samples.length, rows }
}

async function stretchSamples(look: StepLook, number: number, random: Random): Promise<Sample[]> {
  const { done, plan } = look
  const { wanted, axis } = plan
  if (wanted.kind !== 'stretches' || !axis) return []
  const alive: bigint[] = []
  for (const { line } of linesOf(look)) {
    const from = await unexpired(look, line)
    if (from === undefined) return []
    alive.push(from)
  }
  const whole = done.flatMap((row) => {
    const stretch = rowStretch(axis, row)
    return stretch && alive.every((from) => from <= stretch[0]) ? [{ stretch, from: row.endpoint }] : []
  })
  return pickCells(whole, axis.cut ?? 1n, number, random).map(({ cell, from: host }) => {
    const size = Number(cell[1] - cell[0] + 1n)
    const start = cell[0] + BigInt(Math.floor(random() * Math.max(1, size - PIECES + 1)))
    const [from, to] = size <= PIECES ? cell : [start, start + BigInt(PIECES) - 1n]
    return {
      unit: nameOf(axis, cell),
      piece: { kind: 'stretch', axis, from, to, order: wanted.order },
      size: Number(to - from + 1n),
      from: host,
      page: undefined,
      within: [from, to],
    }
  })
}

/** So many units of done stretches, each at most once, by chance: what is joined in the ledger is cut again. */
export function pickCells(
  stretches: readonly { readonly stretch: Interval; readonly from: string | undefined }[],
  cut: bigint,
  number: number,
  random: Random,
): { readonly cell: Interval; readonly from: string | undefined }[] {
  const counts = stretches.map(({ stretch: [from, to] }) => Number((to - mod(to, cut) - (from - mod(from, cut))) / cut) + 1)
  const total = counts.reduce((sum, n) => sum + n, 0)
  const chosen = new Set<number>()
  while (chosen.size < Math.min(number, total)) {
    let index = Math.floor(random() * total)
    // One that is chosen already gives way to the next that is not.
    while (chosen.has(index)) index = (index + 1) % total
    chosen.add(index)
  }
  return [...chosen].map((nth) => {
    let rest = nth
    const index = counts.findIndex((n) => (rest < n ? true : ((rest -= n), false)))
    const { stretch, from } = stretches[index] as (typeof stretches)[number]
    const start = stretch[0] - mod(stretch[0], cut) + BigInt(rest) * cut
    const end = start + cut - 1n
    return { cell: [start > stretch[0] ? start : stretch[0], end < stretch[1] ? end : stretch[1]], from }
  })
}

/** Parts of the query: of random units where their names say what they hold, else of random places in all of it. */
async function rowsSamples({ done, plan, pipeline, warehouse, ledger }: StepLook, number: number, random: Random): Promise<Sample[]> {
  const { wanted, axis } = plan
  if (wanted.kind !== 'rows') return []
  const into = outputTable(pipeline, plan.outputs, wanted)
  const hosts = [...new Set(ledger.flatMap(({ endpoint }) => endpoint?.split(', ') ?? []))].join(', ')
  const cells = done.flatMap((row) => {
    const keys = axis && rowStretch(axis, row)
    return keys ? [{ unit: row.unit, from: row.endpoint, keys }] : []
  })
  const places =
    cells.length > 0
      ? pick(cells, number, random)
      : Array.from({ length: done.length > 0 ? number : 0 }, () => ({ unit: undefined, from: hosts, keys: undefined }))
  const samples: Sample[] = []
  for (const { unit, from, keys } of places) {
    const filter = keys ? { keys, redo: true } : { redo: true }
    const total = Number(await single(warehouse, missingCount(wanted, into, filter)))
    const skip = Math.floor(random() * Math.max(1, total - PIECES + 1))
    const page = await all(warehouse, sql`${missingPage(wanted, into, filter, PIECES)} OFFSET ${sqlText(String(skip))}`)
    // What the table lacks is a gap, and said there.
    const lacking = await all(warehouse, missingPage(wanted, into, keys ? { keys } : {}, LACKING))
    const gone = new Set(lacking.map((row) => row[KEY_COLUMN]))
    const rows = page.filter((row) => !gone.has(row[KEY_COLUMN] ?? null))
    if (rows.length === 0) continue
    const names = rows.map((row) => String(row[KEY_COLUMN]))
    samples.push({
      unit: unit ?? `${names[0] ?? ''}..${names.at(-1) ?? ''}`,
      piece: keys ? { kind: 'rows', order: wanted.order, keys, redo: true } : { kind: 'rows', order: wanted.order, redo: true },
      size: rows.length,
      from,
      page: { keys: names, rows },
      within: undefined,
    })
  }
  return samples
}

/** Runs the step for a sample and compares. Resolves to how many rows were. */
async function fetchOne(options: SampleOptions, chosen: Sample, { host, rpc }: Fetcher, findings: Findings): Promise<number> {
  const { look, moment, signal } = options
  const { step, advice } = look
  const context = runContext({
    step: options.context(),
    unit: { key: chosen.unit, piece: chosen.piece, size: chosen.size },
    ports: { input: () => pages(chosen.page), rpc, head: () => moment.head(step.chain ?? '') },
    signal,
    user: `step ${step.id}, fetched again by verify,`,
  })
  const { unit, within, from } = chosen
  try {
    const rows = new Map<string, Row[]>()
    for await (const batch of step.definition.run(context)) {
      signal.throwIfAborted()
      collect(batch as Batch, rows)
      for (const { key, error } of batch.failed ?? [])
        findings.add('sample', `could not be fetched again from ${host}: ${error.message}`, [advice.run()], { unit, key })
    }
    // What the table lacks is found where the ledger, or the query, is compared with it.
    const lackIsTold = (outputs: StepLook['plan']['outputs']) => !within || outputs.every(({ oneEach }) => oneEach === true)
    return (await compareRows(look, { unit, rows, within, lackIsTold, by: host, from }, findings)).rows
  } catch (error) {
    signal.throwIfAborted()
    if (!isPipeError(error)) throw error
    findings.add(
      'sample',
      `could not be fetched again from ${host}: ${error.message}`,
      error.hint === undefined ? [] : [`# ${error.hint}`],
      { unit },
    )
    return 0
  }
}

/** Units that SQL makes: their queries run again, and what they give is compared. */
async function computeAgain(options: SampleOptions, findings: Findings): Promise<VerifiedStep['sampled']> {
  const { look, number, random, signal } = options
  const { plan, done, warehouse, pipeline, step } = look
  const { wanted } = plan
  if (wanted.kind !== 'rows' && wanted.due === 'always') {
    findings.notes.add('not computed again: it uses $now')
    return { units: 0, rows: 0 }
  }
  const inputs = timedInputs(step)
  const oldest = oldestKept(inputs, pipeline, look.now)
  const due = new Set(plan.units.map(({ key }) => key))
  const current = done.filter((row) => {
    const { unit, rows } = row
    const stretch = stretchOf(wanted, row)
    const gone = oldest !== undefined && (stretch === undefined || stretch[0] < oldest)
    const large = wanted.kind === 'task' && Object.values(rows).some((n) => n > WHOLE)
    if (gone) findings.notes.add('what is computed from expired inputs is not computed again')
    if (large) findings.notes.add(`not computed again: it has more than ${WHOLE} rows`)
    return !gone && !large && !due.has(unit)
  })
  let compared = 0
  const chosen = pick(current, number, random)
  for (const row of chosen) {
    const { unit } = row
    const rows = new Map<string, Row[]>()
    const stretch = stretchOf(wanted, row)
    const selects = await selectsOf(look, options.context(), row, signal)
    for (const select of selects) rows.set(select.output, [...(rows.get(select.output) ?? []), ...(await all(warehouse, select.sql))])
    const within = selects.every(({ replace }) => replace) ? (stretch ?? 'all') : undefined
    const again: Again = { unit, rows, within, lackIsTold: () => false, made: true, by: 'its SQL', from: undefined }
    compared += (await compareRows(look, again, findings)).rows
  }
  return { units: chosen.length, rows: compared }
}

export function collect(batch: Batch, fetched: Map<string, Row[]>): void {
  for (const [id, rows] of Object.entries(batch.rows ?? {})) {
    const known = fetched.get(id)
    if (known) for (const row of rows) known.push(row)
    else fetched.set(id, [...rows])
  }
}

/** So many of a list, each at most once, by chance. */
function pick<T>(list: readonly T[], number: number, random: Random): T[] {
  const rest = [...list]
  return Array.from({ length: Math.min(number, rest.length) }, () => rest.splice(Math.floor(random() * rest.length), 1)[0] as T)
}

export async function* pages(page: InputPage | undefined): AsyncIterable<InputPage> {
  await Promise.resolve()
  if (!page) throw new Error('this unit has no input')
  yield page
}
