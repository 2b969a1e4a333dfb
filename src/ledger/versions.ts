import { keptName, type Making, type Move, PipeError, shadowName, type Swap, type Table, type VersionRow } from '../sdk/index.js'

/** What a rollback would put back is not there. Nothing was changed. */
export class NoOldVersionError extends PipeError {
  readonly code = 'NO_OLD_VERSION'
  override readonly hint =
    'there is nothing to go back to: `keep` of the step says how many versions are kept, and an empty table that no swap made is none'
  constructor(step: string, tables: readonly string[], version: number) {
    super(`step ${step}: ${tables.join(', ')} ${tables.length === 1 ? 'has' : 'have'} no version before ${version}`)
  }
}

interface Of {
  readonly pipeline: string
  readonly step: string
  /** All rows of `_pipe_versions` of the step. */
  readonly versions: readonly VersionRow[]
  /** Microseconds UTC. */
  readonly at: bigint
}

/** The version that a step's tables are in; 0 before its first swap. */
export function currentVersion(versions: readonly VersionRow[]): number {
  return versions.find(({ state }) => state === 'current')?.version ?? 0
}

/** Makes the shadows of tables anew. Those that a killed build left are dropped. */
export function beginBuild({ pipeline, step, versions, at }: Of, tables: readonly Table[]): Making {
  const { drops, rest } = withoutShadows(versions)
  const version = nextVersion(versions)
  return {
    pipeline,
    step,
    drops,
    tables: tables.map((table) => ({ table, name: shadowName(table.name) })),
    versions: [
      ...rest,
      ...tables.map(({ name }): VersionRow => ({ step, table: name, version, name: shadowName(name), state: 'shadow', at })),
    ],
  }
}

/** Drops what a build that came to no end left; undefined where there is nothing of it. */
export function dropShadows({ pipeline, step, versions }: Omit<Of, 'at'>): Swap | undefined {
  const { drops, rest } = withoutShadows(versions)
  return drops.length === 0 ? undefined : { pipeline, step, moves: [], drops, versions: rest }
}

/**
 * Puts the shadows of tables into their place. The `keep` versions before stay under names of their own; what a rollback put away
 * goes. `bare`: no version before the first is worth keeping, since all tables are empty.
 */
export function swapIn(
  { pipeline, step, versions, at }: Of,
  tables: readonly Table[],
  { keep, bare }: { readonly keep: number; readonly bare: boolean },
): Swap {
  const now = currentVersion(versions)
  const version = nextVersion(versions)
  const moves = tables.map((table): Move => ({ table, comes: shadowName(table.name), goes: keptName(table.name, now, at) }))
  const left = moves.map(({ table, goes }): VersionRow => ({ step, table: table.name, version: now, name: goes, state: 'old', at }))
  const old = [...(bare && now === 0 ? [] : left), ...versions.filter(({ state }) => state === 'old')]
  const numbers = [...new Set(old.map((row) => row.version))].sort((a, b) => b - a).slice(0, keep)
  const kept = old.filter((row) => numbers.includes(row.version))
  const known = [...left, ...versions.filter(({ state }) => state === 'old' || state === 'undone')]
  const current = tables.map(({ name }): VersionRow => ({ step, table: name, version, name, state: 'current', at }))
  return {
    pipeline,
    step,
    moves,
    drops: known.filter((row) => !kept.includes(row)).map(({ name }) => name),
    versions: [...kept, ...current],
  }
}

/**
 * Puts the version before into its place again. What was there is kept until the next swap, and is nothing to go back to.
 *
 * @throws {NoOldVersionError}
 */
export function rollBack(
  { pipeline, step, versions, at }: Of,
  tables: readonly Table[],
): Swap & { readonly from: number; readonly to: number } {
  const from = currentVersion(versions)
  const old = versions.filter(({ state, version }) => state === 'old' && version < from)
  const to = old.reduce((highest, { version }) => Math.max(highest, version), -1)
  const moves = tables.map((table): Move => {
    const comes = old.find((row) => row.version === to && row.table === table.name)?.name ?? ''
    return { table, comes, goes: keptName(table.name, from, at) }
  })
  const lacking = moves.filter(({ comes }) => comes === '').map(({ table }) => table.name)
  if (lacking.length > 0 || moves.length === 0) throw new NoOldVersionError(step, lacking, from)
  const gone = new Set(moves.map(({ comes }) => comes))
  return {
    pipeline,
    step,
    from,
    to,
    moves,
    drops: [],
    versions: [
      ...versions.filter(({ name, state }) => state !== 'current' && !gone.has(name)),
      ...moves.map(({ table, goes }): VersionRow => ({ step, table: table.name, version: from, name: goes, state: 'undone', at })),
      ...moves.map(({ table }): VersionRow => ({ step, table: table.name, version: to, name: table.name, state: 'current', at })),
    ],
  }
}

/** What is said of a step whose tables were rolled back to a version. */
export const rolledBack = (version: number): string => `rolled back to version ${version} by hand: \`pipe reset\` has it built again`

/** The number of the version that a swap makes now. */
export const nextVersion = (versions: readonly VersionRow[]): number =>
  versions.reduce((highest, { version, state }) => (state === 'shadow' ? highest : Math.max(highest, version)), 0) + 1

function withoutShadows(versions: readonly VersionRow[]) {
  const rest = versions.filter(({ state }) => state !== 'shadow')
  return { drops: versions.filter(({ state }) => state === 'shadow').map(({ name }) => name), rest }
}
