import type { LedgerRow, UnitState, UnitWrite, Warehouse } from '../../src/sdk/index.js'
import { ledgerRow } from '../support/ledger-row.js'

/** A warehouse that keeps the ledger in memory and throws the rows away: a run into it is all fetching. */
export function discard(): Warehouse & { readonly rows: number } {
  const units = new Map<string, LedgerRow>()
  let rows = 0
  const set = (
    { step, fingerprint }: UnitWrite['step'],
    unit: string,
    state: UnitState,
    epoch: bigint,
    cursor: LedgerRow['cursor'] = undefined,
  ) => {
    const row = ledgerRow(unit, { step, state, fingerprint, epoch, cursor })
    units.set(unit, row)
    return row
  }
  const none = () => Promise.resolve([])
  const nothing = () => Promise.resolve()
  return {
    kind: 'duckdb',
    transactional: true,
    display: 'nowhere',
    get rows() {
      return rows
    },
    query: async function* () {},
    describe: none,
    drift: none,
    missing: none,
    hold: () => Promise.resolve(undefined),
    renew: nothing,
    prepare: nothing,
    assume: nothing,
    checkOutputs: nothing,
    units: () => Promise.resolve([...units.values()]),
    versions: () => Promise.resolve([]),
    quarantined: none,
    linked: none,
    unitPage: none,
    donePlaces: async function* () {},
    definitions: () => Promise.resolve([]),
    watch: () => undefined,
    count: () => undefined,
    counts: () => Promise.resolve(undefined),
    present: () => Promise.resolve(new Map()),
    recount: nothing,
    touched: none,
    open: (step, keys) => Promise.resolve(new Map(keys.map((key) => [key, set(step, key, 'running', 1n)]))),
    commit: (writes) => {
      for (const write of writes) {
        set(write.step, write.unit, write.ledger.state, write.epoch, write.ledger.cursor)
        for (const part of write.rows) rows += part.rows.length
      }
      return Promise.resolve(writes.map(() => ({ written: true, rows: {} })))
    },
    amend: () => Promise.resolve(0),
    execute: () => Promise.resolve(),
    genesis: () => Promise.resolve(undefined),
    rememberGenesis: nothing,
    hear: () => undefined,
    close: nothing,
  }
}
