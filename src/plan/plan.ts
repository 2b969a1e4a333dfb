import { type Axis, type Json, type Output, PipeError, type Scope, type TimeCoverage, type Unit, type Wanted } from '../sdk/index.js'
import type { Ledger, Quarantined } from '../ledger/standing.js'
import type { Step } from '../pipeline/pipeline.js'
import type { RowsFilter } from './missing.js'

/** A unit with the reason it is there. */
export interface PlannedUnit extends Unit {
  readonly reason: string
  /** Rows that an earlier unit wrote here are deleted in the transaction that writes new ones. */
  readonly redo: boolean
  /** It is done by the ledger, and computed again all the same: it uses `$now`. */
  readonly recompute?: boolean
  /** For `rows`: which rows of the query. */
  readonly rows?: RowsFilter
  /** How many rows it may take or make, when `--limit` cut it. */
  readonly limit?: number
  /** Of stretches that can't be entered anywhere: the cursor with which the unit begins, when one was stored beside it. */
  readonly resumeFrom?: Json
  /** Of these: days that must be read again to come to it. */
  readonly againDays?: number
}

/** A planned unit as a record of its own: one of a million says from its number what it is. */
export function unitRecord(unit: PlannedUnit): PlannedUnit {
  const { key, piece, size, reason, redo } = unit
  return { ...unit, key, piece, size, reason, redo }
}

/** What one step would do, with nothing left to decide. */
export interface StepPlan {
  readonly step: Step
  /** `with` with every param put in, checked. */
  readonly config: Json
  readonly scope: Scope
  readonly wanted: Wanted
  readonly outputs: readonly Output[]
  readonly fingerprint: string
  /** What the ledger says of the step, as it was looked at for this plan. */
  readonly ledger: Ledger
  /** The axis that the units lie on; undefined for those that are known by name only. */
  readonly axis: Axis | undefined
  /** What is counted, in the plural: `blocks`, `rows`, `days`. */
  readonly word: string
  readonly units: readonly PlannedUnit[]
  /** Blocks, rows or days in `units`. */
  readonly pieces: number
  /** Blocks, rows or days that are done already. */
  readonly done: number
  /** Units and keys that are left out because their attempts are used up. */
  readonly quarantined: readonly Quarantined[]
  /** Units that are due and stay as they are: rows that they are computed from have expired. */
  readonly expired: readonly string[]
  /** Those of them for which rows came that they can't be computed from any more. */
  readonly lost: readonly string[]
  /** Pieces left out by `--limit`. */
  readonly leftOut: number
  /** Calls that `units` take; undefined when nobody knows. */
  readonly requests: number | undefined
  /** Of a step that walks through time. */
  readonly time?: TimeCoverage
  /** Why nothing is to be done, where that is not simply done. */
  readonly note?: string | undefined
  /** What is asked for and not there yet, in words. It is not among `pieces`. */
  readonly later?: string | undefined
  /** Steps that may bring more input before this one runs, with how many pieces. */
  readonly waitsFor: readonly { readonly step: string; readonly pieces: number; readonly word: string }[]
}

/** More units than anyone can follow. */
export class TooManyUnitsError extends PipeError {
  readonly code = 'TOO_MANY_UNITS'
  override readonly hint = 'raise `chunk`, or ask for less at a time'
  constructor(step: string, units: bigint) {
    super(`step ${step} would have ${units} units; ${MAX_UNITS} is the most`)
  }
}

export const MAX_UNITS = 1_000_000n

/** Whether its one unit is done anew in every round. */
export const isEveryRound = ({ wanted }: Pick<StepPlan, 'wanted'>): boolean => wanted.kind === 'task' && wanted.due === 'every-round'
