import type { LedgerRow } from './stores.js'
import { timeUnit } from './time-units.js'

/**
 * Ledger rows with each unit of a joined row (`Coverage.units`) as a row of its own. What a row of a unit's own says counts before what a
 * joined one says of it, and of two joined ones what the later one says: so one of many is opened, marked and done again as if it had
 * never been joined.
 */
export function unitsApart(rows: readonly LedgerRow[]): readonly LedgerRow[] {
  const joined = rows.filter(({ coverage }) => coverage?.units !== undefined)
  if (joined.length === 0) return rows
  const nameOf = (step: string, unit: string) => `${step}\0${unit}`
  const found = new Map<string, LedgerRow>()
  for (const row of rows) if (row.coverage?.units === undefined) found.set(nameOf(row.step, row.unit), row)
  for (const row of joined.toSorted((a, b) => (a.epoch > b.epoch ? -1 : 1)))
    for (const part of partsOf(row)) {
      const name = nameOf(part.step, part.unit)
      const known = found.get(name)
      found.set(name, known ? { ...known, joinedIn: [...(known.joinedIn ?? []), row.unit] } : part)
    }
  return [...found.values()]
}

function partsOf(row: LedgerRow): LedgerRow[] {
  const { units, covered } = row.coverage ?? {}
  const { first, last } = row
  if (!units || first === undefined || last === undefined) return []
  const every = BigInt(units.every)
  const parts: LedgerRow[] = []
  for (let start = first; start <= last; start += every) {
    const end = start + every - 1n
    const i = parts.length
    parts.push({
      ...row,
      unit: timeUnit(start, every),
      first: start,
      last: end,
      coverage: covered && { covered: [[String(start), String(end)]] },
      rows: Object.fromEntries(Object.entries(units.rows).map(([table, counts]) => [table, counts[i] ?? 0])),
      // It was not opened earlier. When it was, a joined row does not say.
      startedAt: start,
      joinedIn: [row.unit],
      isPart: true,
    })
  }
  return parts
}
