import type { Amendments, LedgerRow, LedgerStep } from '../sdk/index.js'
import { blockEnds } from './hashes.js'

/** So many rows are left apart, so that they are not gathered in every round. */
const APART = 64

/**
 * Units of rows of a query that are known by their names alone: the table says what is read, and each of them only under which
 * definition, by which endpoints and how many. Done ones that no reorg reaches become one row, which says the same of all: a step
 * that follows a head would leave a row for every round. While rows of another definition are read again, names say how far that is.
 * `horizon`: a reorg may reach what lies above.
 */
export function gathered(rows: readonly LedgerRow[], step: LedgerStep, horizon: bigint | undefined): Amendments {
  if (rows.some((row) => row.fingerprint !== step.fingerprint || row.coverage?.redo !== undefined)) return { put: [], drop: [] }
  const settled = rows.filter((row) => {
    const ends = blockEnds(row)
    return row.state === 'done' && row.evidence === undefined && (!ends || horizon === undefined || ends[1] < horizon)
  })
  const [first, ...others] = settled.toSorted((a, b) => (a.unit < b.unit ? -1 : 1))
  if (!first || settled.length <= APART) return { put: [], drop: [] }
  const tables = new Set(settled.flatMap((row) => Object.keys(row.rows)))
  const sum = (table: string) => settled.reduce((all, row) => all + (row.rows[table] ?? 0), 0)
  const hosts = new Set(settled.flatMap(({ endpoint }) => endpoint?.split(', ') ?? []))
  const whole = {
    step,
    unit: first.unit,
    state: 'done' as const,
    coverage: null,
    rows: Object.fromEntries([...tables].map((table) => [table, sum(table)])),
    endpoint: hosts.size > 0 ? [...hosts].sort().join(', ') : undefined,
  }
  return { put: [whole], drop: others.map(({ unit }) => ({ step: step.step, unit })) }
}
