import type { PostgresSession, TextRow } from '../../postgres/session.js'
import { type Move, quoteIdentifier, type Table } from '../../sdk/index.js'
import { NotSwappableError, ShadowTakenError } from '../errors.js'
import { run as runStatement } from './statements.js'
import { BLOCKERS, CARRIED, INDEXES } from './carried.js'

/** Makes an empty table like one that is there, with its keys, indexes, checks and defaults. @throws {ShadowTakenError} @throws {NotSwappableError} */
export async function makeLike(session: PostgresSession, { name: like }: Table, name: string): Promise<void> {
  await refuseBlocked(session, like)
  const [taken] = await ask(session, 'SELECT to_regclass($1) IS NOT NULL AS there', [quoteIdentifier(name)])
  if (taken?.there === 't') throw new ShadowTakenError(name, undefined)
  await run(session, `CREATE TABLE ${quoteIdentifier(name)} (LIKE ${quoteIdentifier(like)} INCLUDING ALL)`)
}

/**
 * Exchanges tables. Readers wait for the few renames only: what takes longer is looked up before. Whatever belongs to a table by
 * its name is carried over: names of indexes, owner, rights, policies, triggers, foreign keys, comments, sequences, views.
 */
export async function move(session: PostgresSession, moves: readonly Move[]): Promise<void> {
  for (const { table } of moves) await refuseBlocked(session, table.name)
  const names = moves.map(({ table }) => quoteIdentifier(table.name)).sort()
  await run(session, `LOCK TABLE ${names.join(', ')} IN ACCESS EXCLUSIVE MODE`)
  const carried = new Map<string, number>()
  const indexes: (() => Promise<void>)[] = []
  for (const { table, comes } of moves) {
    const both = [quoteIdentifier(table.name), quoteIdentifier(comes)]
    for (const { phase, statement } of await ask(session, CARRIED, both)) carried.set(statement ?? '', Number(phase))
    indexes.push(await indexNames(session, await ask(session, INDEXES, both)))
  }
  const inOrder = [...carried].sort(([, a], [, b]) => a - b)
  for (const [statement, phase] of inOrder) if (phase < AFTER) await run(session, statement)
  for (const { table, comes, goes } of moves) {
    await run(session, `ALTER TABLE ${quoteIdentifier(table.name)} RENAME TO ${quoteIdentifier(goes)}`)
    await run(session, `ALTER TABLE ${quoteIdentifier(comes)} RENAME TO ${quoteIdentifier(table.name)}`)
  }
  for (const rename of indexes) await rename()
  for (const [statement, phase] of inOrder) if (phase >= AFTER) await run(session, statement)
}

/** Statements of a phase from here on run after the renames. */
const AFTER = 10

/**
 * Gives the new table the indexes that only the old one has, and pairs the others. Calling the result exchanges the names of
 * each pair, and with them those of their constraints.
 */
async function indexNames(session: PostgresSession, rows: readonly TextRow[]): Promise<() => Promise<void>> {
  const next = rows.filter(({ old }) => old !== 't')
  const pairs: (readonly [old: string, next: string])[] = []
  for (const [i, index] of rows.filter(({ old }) => old === 't').entries()) {
    const at = next.findIndex(({ what }) => what === index.what)
    const [found] = at < 0 ? [] : next.splice(at, 1)
    const name = `_pipe_${index.oid}_${i}`
    if (!found)
      await run(
        session,
        (index.create ?? '').replace('{name}', () => name),
      )
    pairs.push([index.name ?? '', found?.name ?? name])
  }
  return async () => {
    const rename = (from: string, to: string) => run(session, `ALTER INDEX ${quoteIdentifier(from)} RENAME TO ${quoteIdentifier(to)}`)
    for (const [old, other] of pairs) {
      await rename(old, `_pipe_${old}`.slice(0, 50))
      await rename(other, old)
      await rename(`_pipe_${old}`.slice(0, 50), other)
    }
  }
}

async function refuseBlocked(session: PostgresSession, name: string): Promise<void> {
  const [blocker] = await ask(session, BLOCKERS, [quoteIdentifier(name)])
  if (!blocker) return
  throw new NotSwappableError(name, blocker.problem ?? '', blocker.hint ?? '')
}

async function run(session: PostgresSession, text: string): Promise<void> {
  await runStatement(session, { parts: [text], params: [] })
}

async function ask(session: PostgresSession, text: string, params: readonly string[]): Promise<TextRow[]> {
  return (await session.query(text, [...params])).rows
}
