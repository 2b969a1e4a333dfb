import {
  type CheckResult,
  formatInstant,
  identifier,
  type Json,
  type RunContext,
  type Scope,
  shadowName,
  sql,
  substituteText,
} from '../../src/sdk/authors.js'
import { type Config, type cursor, isTable } from './config.js'
import type { Static } from '../../src/sdk/authors.js'

type Context = Pick<RunContext<Config, Static<typeof cursor>>, 'pipeline' | 'step' | 'config' | 'unit' | 'warehouse' | 'signal'>

/** Tables of so few rows are told whole: figures that people look for. */
const FEW = 100

/**
 * Where the snapshot goes, when the build was begun at a time of microseconds UTC: `$now` is that, which no other build of the step
 * has, while those of one run share its moment. Signs that no file name may have are left out of what `$name`s stand for.
 */
export const snapshotPath = (path: string, scope: Scope, begun: bigint): string =>
  substituteText(path, new Map([...scope, ['now', { type: { kind: 'timestamp' }, value: begun }]]), (text) => text.replace(/[^\w.+-]/g, ''))

/** When the build was begun that is not swapped in yet, microseconds UTC. */
export async function buildBegun(ctx: Context): Promise<bigint> {
  const [row] = await rows(ctx, sql`SELECT min(${identifier('at')}) AS began FROM _pipe_versions WHERE ${own(ctx)} AND state = 'shadow'`)
  return BigInt(String(row?.began))
}

/** What is known before the swap: of the tables that were built, of the checks, and how far the steps are that filled the inputs. */
export async function snapshotBefore(
  ctx: Context,
  begun: bigint,
  checks: readonly { readonly part: string; readonly result: CheckResult }[],
): Promise<Json> {
  const tables: Record<string, Json> = {}
  for (const { into, id } of ctx.config.parts.filter(isTable)) {
    const shadow = identifier(shadowName(into))
    const [count] = await rows(ctx, sql`SELECT count(*) AS n FROM ${shadow}`)
    const n = Number(count?.n ?? 0)
    tables[into] = n > FEW ? { part: id, rows: n } : { part: id, rows: n, content: await rows(ctx, sql`SELECT * FROM ${shadow}`) }
  }
  const coverage = await rows(
    ctx,
    sql`SELECT step, count(*) AS units, sum(CASE WHEN state = 'done' THEN 1 ELSE 0 END) AS done, min(first) AS first, max(last) AS last,
      min(unit) AS unit FROM _pipe_units WHERE pipeline = ${text(ctx.pipeline)} AND step <> ${text(ctx.step)} GROUP BY step ORDER BY step`,
  )
  return {
    began: String(begun),
    tables,
    coverage: coverage.map(({ unit, first = null, last = null, ...row }) => ({
      ...row,
      first: place(unit, first),
      last: place(unit, last),
    })),
    checks: checks.map(({ part, result: { name, passed, severity, value, expect, problem } }) => ({
      part,
      name,
      passed,
      severity,
      value,
      expect,
      problem: problem ?? null,
    })),
  }
}

/** The whole snapshot, with what the swap made of it: which version it is, when, and which are kept. */
export async function snapshotText(before: unknown, ctx: Context): Promise<string> {
  // It is what `snapshotBefore` gave, by way of the ledger.
  const { began, tables, ...known } = before as { readonly began: string | null; readonly tables: Readonly<Record<string, object>> }
  const versions = await rows(
    ctx,
    sql`SELECT table_name, name, state, version, ${identifier('at')} AS since FROM _pipe_versions WHERE ${own(ctx)} ORDER BY version DESC, name`,
  )
  const current = versions.find(({ state }) => state === 'current')
  const kept = (table: string) =>
    versions
      .filter(({ table_name, state }) => table_name === table && state === 'old')
      .map(({ name, version, since }) => ({ name, version, since }))
  const report = {
    pipeline: ctx.pipeline,
    step: ctx.step,
    version: current?.version ?? null,
    inputs_commit: ctx.unit.key,
    started_at: instant(began),
    published_at: instant(current?.since),
    duration_seconds: began !== null && current ? Number(BigInt(String(current.since)) - BigInt(began)) / 1e6 : null,
    tables: Object.fromEntries(
      Object.entries(tables).map(([name, about]) => [
        name,
        { ...about, kept: kept(name).map((row) => ({ ...row, since: instant(row.since) })) },
      ]),
    ),
    ...known,
  }
  return `${JSON.stringify(report, undefined, 2)}\n`
}

const own = ({ pipeline, step }: Context) => sql`pipeline = ${text(pipeline)} AND step = ${text(step)}`
const text = (value: string) => ({ type: { kind: 'text' }, value }) as const
/** A place on the axis of a step, as its units say it: a number, or a time. `unit`: the name of one of them. */
const place = (unit: Json | undefined, value: Json): Json =>
  value === null || /^-?\d+--?\d+$/.test(String(unit)) ? value : formatInstant(BigInt(value as string | number))
const instant = (value: Json | undefined) => (typeof value === 'string' ? formatInstant(BigInt(value)) : null)

/** Rows as JSON: integers are text where JSON has no number for them, small counts are numbers. */
async function rows(ctx: Context, statement: ReturnType<typeof sql>): Promise<Record<string, Json>[]> {
  const found: Record<string, Json>[] = []
  for await (const page of ctx.warehouse.query(statement, { signal: ctx.signal }))
    for (const row of page) found.push(Object.fromEntries(Object.entries(row).map(([name, value]) => [name, jsonOf(value as unknown)])))
  return found
}

const SAFE = 2n ** 31n

function jsonOf(value: unknown): Json {
  if (typeof value === 'bigint') return value < SAFE && value > -SAFE ? Number(value) : String(value)
  if (value === null || typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean') return value
  return JSON.parse(JSON.stringify(value)) as Json
}
