/** What was looked for. */
export type Check =
  /** The table is not as `tables` declares it. */
  | 'schema'
  /** Wanted and not done: what a run would do. */
  | 'gap'
  /** Set aside after its attempts. */
  | 'quarantine'
  /** Two neighbours in the ledger that do not belong to one chain. */
  | 'seam'
  /** Done by the ledger, and rows are not there. */
  | 'missing'
  /** Nothing says how many rows there must be: an older version wrote them. */
  | 'uncounted'
  /** More rows than the unit brought. */
  | 'surplus'
  /** Rows that no unit of the step accounts for. */
  | 'orphan'
  /** One key, several rows. */
  | 'duplicate'
  /** A required column that is null. */
  | 'null'
  /** A computed column that is not what its expression gives. */
  | 'computed'
  /** Not what an endpoint says now. */
  | 'sample'
  /** Not what the chain's own hashes prove, or not proved by them. */
  | 'proof'
  /** A gate that would be closed. */
  | 'gate'

/** The result of `pipe verify --json`. */
export interface VerifyReport {
  readonly pipeline: string
  /** No user, no password. */
  readonly warehouse: string
  readonly file: string
  /** Whether nothing was found. */
  readonly ok: boolean
  /** What `--proof` chose its blocks by; `--seed` with it chooses the same again. */
  readonly seed: number | null
  readonly steps: readonly VerifiedStep[]
  readonly findings: readonly Finding[]
}

export interface VerifiedStep {
  readonly id: string
  readonly title: string
  readonly type: string
  /** It judges other steps and has no units of its own to verify. */
  readonly closes: boolean
  /** Units that the ledger says are done. */
  readonly units: number
  /** Units that were fetched again, and the rows of them that were compared. */
  readonly sampled: { readonly units: number; readonly rows: number }
  /** What `--proof` came to, of a step that reads from a chain. */
  readonly proof: StepProof | null
  /** Findings that are left out because there are many of their kind. */
  readonly more: number
  /** What could not be looked at, and why. */
  readonly notes: readonly string[]
}

/** Blocks, or rows of a query, that were chosen by chance and read again with all that proves them. */
export interface StepProof {
  /** What is proved one by one: `blocks`, `rows`. */
  readonly word: string
  /** Done ones, of which they were chosen. */
  readonly total: number
  readonly chosen: number
  /** All that was read of them follows from the hashes of their blocks, and the tables hold just that. */
  readonly proved: number
  /** With a finding. */
  readonly wrong: number
  /** The tables hold what was read, and nothing proves it. */
  readonly unproved: number
  /** Why, and of how many; one may have several reasons. */
  readonly reasons: readonly { readonly reason: string; readonly count: number }[]
  /** Where all chosen are proved or can't be: the share that differs is below this with 95 % confidence; 0 when each one was chosen. */
  readonly differsBelow: number | null
  /** Endpoints of the chain. */
  readonly endpoints: number
  /** How many of the blocks that proofs rest on have the same hash at how many endpoints. */
  readonly agreed: readonly { readonly endpoints: number; readonly blocks: number }[]
  /** Those of them that the next block goes on from, as endpoints give it. */
  readonly linked: number
}

/** One thing that is wrong. */
export interface Finding {
  readonly check: Check
  readonly step: string
  readonly table: string | null
  /** The unit, or the stretch of one. */
  readonly unit: string | null
  /** The row, by the values of its key. */
  readonly key: string | null
  /** In words. */
  readonly problem: string
  /** What to do, in this order: commands, or SQL where no command can. */
  readonly fix: readonly string[]
  /** For `sample` and `proof`: what differs. */
  readonly difference: Difference | null
}

/** A value that is stored, and what was fetched in its place. Null is NULL, or no row at all. */
export interface Difference {
  readonly column: string
  readonly stored: string | null
  readonly fetched: string | null
  /** Hosts that the stored value came from, as the ledger names them. */
  readonly storedFrom: string | null
  readonly fetchedFrom: string
}
