import { type Batch, identifier, isPipeError, type Piece, type Row, sql } from '../sdk/index.js'
import { runContext } from '../sdk/run-context.js'
import { nameOf, rowStretch } from '../ledger/axis.js'
import type { Interval } from '../ledger/intervals.js'
import { nearestCursor } from '../plan/stretch-units.js'
import { compareRows } from './compare.js'
import { all, type Findings, outputsOf, type StepLook } from './look.js'
import type { VerifiedStep } from './report.js'
import { collect, pickCells, type SampleOptions, WHOLE } from './sample.js'
import { along } from './stretches.js'

const DAY_US = 86_400_000_000n
/** Pages of one sample: a list that can't be entered anywhere is read down to it. */
const PAGES = 1_000

/** Reads parts of what is done from their source again, a window or a day each, or all of a list that has no time, and compares. */
export async function readAgain(options: SampleOptions, findings: Findings): Promise<VerifiedStep['sampled']> {
  const { look, number, random } = options
  const { plan, done } = look
  const { wanted, axis } = plan
  if (done.length === 0) return { units: 0, rows: 0 }
  if (wanted.kind !== 'stretches' || !axis) {
    if (await isLarge(look)) {
      findings.notes.add(`not sampled: it has more than ${WHOLE} rows, and no time by which a part of them could be read`)
      return { units: 0, rows: 0 }
    }
    return { units: 1, rows: await readOne(options, { unit: 'all', piece: { kind: 'task' }, within: 'all' }, findings) }
  }
  const stretches = done.flatMap((row) => {
    const stretch = row.coverage?.tentative === undefined ? rowStretch(axis, row) : undefined
    return stretch ? [{ stretch, from: undefined }] : []
  })
  const cells = pickCells(stretches, axis.cut ?? DAY_US, number, random)
  let rows = 0
  for (const { cell } of cells) {
    const [from, to] = cell
    const piece: Piece = { kind: 'stretch', axis, from, to, order: wanted.order }
    rows += await readOne(options, { unit: nameOf(axis, cell), piece, within: cell }, findings)
  }
  return { units: cells.length, rows }
}

interface Part {
  readonly unit: string
  readonly piece: Piece
  readonly within: Interval | 'all'
}

/** Runs the step for a part. Resolves to how many rows were compared. */
async function readOne(
  { look, moment, signal, ...options }: SampleOptions,
  { unit, piece, within }: Part,
  findings: Findings,
): Promise<number> {
  const { step, plan, pipeline } = look
  const by = hostOf(pipeline.sources.get(step.source ?? '')?.url) ?? step.source ?? ''
  let pages = 0
  const budget = { take: () => pages++ < PAGES }
  const cursor = within === 'all' || !plan.axis ? undefined : nearestCursor(plan.ledger, plan.axis, 'newest-first', within)?.cursor
  const context = runContext({
    step: options.context(),
    unit: { key: unit, piece, size: 1 },
    cursor,
    ports: { http: options.http(step), head: () => moment.head(step.chain ?? ''), budget },
    signal,
    user: `step ${step.id}, read again by verify,`,
  })
  try {
    const rows = new Map<string, Row[]>()
    for await (const batch of step.definition.run(context)) {
      signal.throwIfAborted()
      collect(batch as Batch, rows)
    }
    if (pages > PAGES) {
      findings.notes.add(`${unit} was not sampled: it takes more than ${PAGES} pages to come to it`)
      return 0
    }
    return (await compareRows(look, { unit, rows, within, lackIsTold: () => false, by, from: undefined }, findings)).rows
  } catch (error) {
    signal.throwIfAborted()
    if (!isPipeError(error)) throw error
    const hint = error.hint === undefined ? [] : [`# ${error.hint}`]
    findings.add('sample', `could not be read again from ${by}: ${error.message}`, hint, { unit })
    return 0
  }
}

async function isLarge(look: StepLook): Promise<boolean> {
  for (const { output, table } of outputsOf(look)) {
    const [row] = await all(
      look.warehouse,
      sql`SELECT count(*) AS n FROM ${identifier(table.name)} WHERE ${along({ constants: output.constants })}`,
    )
    if (BigInt(row?.n as bigint) > WHOLE) return true
  }
  return false
}

function hostOf(url: string | undefined): string | undefined {
  return url !== undefined && URL.canParse(url) ? new URL(url).host : undefined
}
