import {
  type Amendments,
  type Json,
  type LedgerChange,
  type LedgerStep,
  type Row,
  storable,
  type UnitState,
  type UnitWrite,
} from '../sdk/index.js'

/**
 * What a change does to a row: `open` takes it over, `change` is a writer's checkpoint, `mark` is by hand, `whole`
 * replaces all of it, `drop` takes it away.
 */
type Mode = 'open' | 'change' | 'mark' | 'whole' | 'drop'

/** Fields of a row that a change may leave as they are. */
interface Fields {
  first?: bigint
  last?: bigint
  coverage?: string | null
  cursor?: string | null
  rows?: string
  attempts?: number
  endpoint?: string
  parent_hash?: string
  last_hash?: string
  evidence?: string
  error?: string | null
}

interface Change {
  mode: Mode
  readonly pipeline: string
  readonly step: string
  readonly unit: string
  state: UnitState
  fingerprint: string
  epoch: bigint | undefined
  at: bigint
  readonly fields: Fields
}

/** Rows of `_pipe_units` to write and to drop. */
export interface ResolvedChanges {
  readonly put: readonly Row[]
  readonly drop: readonly Row[]
}

/** The changes of one transaction, one a unit: later ones are folded into earlier ones. */
export class LedgerChanges {
  readonly #units = new Map<string, Change>()
  readonly #quarantine = new Map<string, Row>()

  /** Names of all units that are changed. */
  get keys(): readonly Row[] {
    return [...this.#units.values()].map(nameOf)
  }

  /** Names of the units whose rows stay: a row that is dropped need not be read. */
  get staying(): readonly Row[] {
    return [...this.#units.values()].filter(({ mode }) => mode !== 'drop').map(nameOf)
  }

  get quarantine(): readonly Row[] {
    return [...this.#quarantine.values()]
  }

  /** All that a commit says about its unit and those beside it. */
  write({ step, unit, epoch, ledger, split = [], replaces = [], quarantine = [], at }: UnitWrite): void {
    this.#put('change', step, unit, at, ledger, epoch)
    for (const other of replaces) this.drop(step.pipeline, step.step, other, at)
    for (const part of split) this.#put('whole', step, part.unit, at, part)
    for (const { key, error, attempts } of quarantine) {
      const row = { pipeline: step.pipeline, step: step.step, key: storable(key), error: storable(error), attempts, at }
      this.#quarantine.set(unitKey(row.pipeline, row.step, row.key), row)
    }
  }

  /** Takes a unit over: a new one is running, a known one keeps all but its epoch. */
  open(step: LedgerStep, unit: string, at: bigint): void {
    this.#put('open', step, unit, at, { state: 'running' })
  }

  /** A change by hand: kept fields are kept, whoever holds the unit is fenced off. */
  mark(step: LedgerStep, unit: string, change: LedgerChange, at: bigint): void {
    this.#put('mark', step, unit, at, change)
  }

  drop(pipeline: string, step: string, unit: string, at: bigint): void {
    const none = { state: 'pending' as const, fingerprint: '', epoch: undefined, fields: {} }
    this.#units.set(unitKey(pipeline, step, unit), { mode: 'drop', pipeline, step, unit, at, ...none })
  }

  /** The row of a unit as it will be, given those that are there; of one that gets a new epoch, nobody knows yet. */
  row(key: string, there: ReadonlyMap<string, Row>): Row | undefined {
    const change = this.#units.get(key)
    return change && change.mode !== 'drop' && change.epoch !== undefined ? resolved(change, there.get(key), undefined) : undefined
  }

  /**
   * Puts rows in the place of others of this transaction. They get the epoch of those: it was given for these stretches, and
   * nobody ever held a unit of the new name with it.
   */
  join({ put, drop }: Amendments, pipeline: string, epoch: bigint, at: bigint): void {
    for (const { step, unit } of drop) this.drop(pipeline, step, unit, at)
    for (const { step, unit, ...change } of put) this.#put('whole', step, unit, at, change, epoch)
  }

  /** Whether `resolve` needs an epoch: all but a writer's own checkpoints and dropped rows do. */
  get raises(): boolean {
    for (const { mode, epoch } of this.#units.values()) if (mode !== 'drop' && epoch === undefined) return true
    return false
  }

  /** Whether rows are to be taken away. */
  get drops(): boolean {
    for (const { mode } of this.#units.values()) if (mode === 'drop') return true
    return false
  }

  /**
   * The rows as they will be, given those that are there by `unitKey`, and the names of those that are dropped, whether they
   * are there or not.
   *
   * @param raised An epoch that was never given before in this database. Every row of this transaction that is taken from
   * whoever held it gets this one. It may be undefined when nothing `raises`.
   */
  resolve(there: ReadonlyMap<string, Row>, raised: bigint | undefined): ResolvedChanges {
    const put: Row[] = []
    const drop: Row[] = []
    for (const [key, change] of this.#units) {
      if (change.mode === 'drop') drop.push(nameOf(change))
      else put.push(resolved(change, there.get(key), raised))
    }
    return { put, drop }
  }

  #put(mode: Mode, step: LedgerStep, unit: string, at: bigint, given: LedgerChange, epoch?: bigint): void {
    const key = unitKey(step.pipeline, step.step, unit)
    const before = mode === 'whole' ? undefined : this.#units.get(key)
    let change = before?.mode === 'drop' ? undefined : before
    if (!change) {
      // After a drop nothing of the row is left to keep.
      change = {
        mode: before ? 'whole' : mode,
        pipeline: step.pipeline,
        step: step.step,
        unit,
        state: given.state,
        fingerprint: step.fingerprint,
        epoch,
        at,
        fields: {},
      }
      this.#units.set(key, change)
    }
    change.state = given.state
    change.fingerprint = step.fingerprint
    change.epoch = epoch ?? change.epoch
    change.at = at
    const { fields } = change
    if (given.first !== undefined) fields.first = given.first
    if (given.last !== undefined) fields.last = given.last
    if (given.coverage !== undefined) fields.coverage = given.coverage === null ? null : jsonText(given.coverage as Json)
    if (given.cursor !== undefined) fields.cursor = given.cursor === null ? null : jsonText(given.cursor)
    if (given.rows !== undefined) fields.rows = jsonText(given.rows)
    if (given.attempts !== undefined) fields.attempts = given.attempts
    if (given.endpoint !== undefined) fields.endpoint = storable(given.endpoint)
    if (given.parentHash !== undefined) fields.parent_hash = given.parentHash
    if (given.lastHash !== undefined) fields.last_hash = given.lastHash
    if (given.evidence !== undefined) fields.evidence = jsonText(given.evidence)
    if (given.error !== undefined) fields.error = given.error === null ? null : storable(given.error)
  }
}

const nameOf = ({ pipeline, step, unit }: Change): Row => ({ pipeline, step, unit })

/** The name of a unit in the whole ledger. */
export function unitKey(pipeline: string, step: string, unit: string): string {
  return `${pipeline}\0${step}\0${unit}`
}

/** The epoch that a unit's row has, or undefined when there is none. */
export function epochOf(row: Row | undefined): bigint | undefined {
  return row === undefined ? undefined : BigInt(row.epoch as bigint)
}

/**
 * A row as a change leaves it. Under another fingerprint a checkpoint keeps nothing of the old one: its cursor and
 * hashes speak of rows that are made anew. All but a writer's own checkpoint get a new epoch, so whoever held the unit
 * can no longer commit. The new one is never counted from the old row: a row that was dropped and comes back would get
 * the epoch that its earlier writer still holds.
 */
function resolved(
  { mode, pipeline, step, unit, state, fingerprint, epoch, at, fields }: Change,
  old: Row | undefined,
  raised: bigint | undefined,
): Row {
  const opened = mode === 'open' ? old : undefined
  const kept = mode === 'whole' || (mode === 'change' && old?.fingerprint !== fingerprint) ? undefined : old
  return {
    pipeline,
    step,
    unit,
    state: opened?.state ?? state,
    fingerprint: opened?.fingerprint ?? fingerprint,
    epoch: epoch ?? given(raised),
    first: fields.first ?? kept?.first ?? null,
    last: fields.last ?? kept?.last ?? null,
    coverage: fields.coverage === undefined ? (kept?.coverage ?? null) : fields.coverage,
    cursor: fields.cursor === undefined ? (kept?.cursor ?? null) : fields.cursor,
    rows: fields.rows ?? kept?.rows ?? '{}',
    attempts: fields.attempts ?? kept?.attempts ?? 0,
    endpoint: fields.endpoint ?? kept?.endpoint ?? null,
    parent_hash: fields.parent_hash ?? kept?.parent_hash ?? null,
    last_hash: fields.last_hash ?? kept?.last_hash ?? null,
    evidence: fields.evidence ?? kept?.evidence ?? null,
    error: fields.error === undefined ? (kept?.error ?? null) : fields.error,
    started_at: kept?.started_at ?? at,
    updated_at: at,
    is_new: old === undefined,
  }
}

function given(raised: bigint | undefined): bigint {
  if (raised === undefined) throw new Error('a unit is taken over without an epoch for it')
  return raised
}

function jsonText(value: Json): string {
  const text = JSON.stringify(value, bigintText)
  // JSON.stringify escapes half characters, which no database takes as JSON.
  return text.includes('\\u')
    ? text.replace(/(\\\\)|\\u(?:d[89a-f][0-9a-f]{2}|0000)/g, (_, backslash: string | undefined) => backslash ?? '\ufffd')
    : text
}

const bigintText = (_: string, item: unknown): unknown => (typeof item === 'bigint' ? String(item) : item)
