import { type Claim, type Holder, type Row, sql, sqlText, type Statement } from '../../sdk/index.js'
import { holderOf, holderRow } from '../holders.js'
import { HOLDERS } from '../ledger.js'
import { text } from '../ledger-where.js'
import { createTable, DELETED, type Place, VERSION } from './ddl.js'
import type { Sql } from './sql.js'

/** A holder that was not seen for so long is gone: its machine is off, or it was paused. */
const LEASE_S = 30
/** A holder says so often that it lives, when it is asked to. */
const RENEW_S = 8
/** How often one that does not get a pipeline looks again: of two who ask at once, both let the other go first. */
const TRIES = 4

/** Higher than what a holder gives its row by itself, so that nothing it writes later brings the row back. */
const GONE = 2n ** 62n

/**
 * Who holds a pipeline in ClickHouse, where no session ends with its process and no transaction keeps two apart. Each that asks
 * puts its row there and looks who else is: whoever finds another that lives takes its own away, so never do two stay. All
 * times are the server's.
 */
export class Holders {
  readonly #sql: Sql
  readonly #place: Place
  /** Whether processes of several machines may ask. Of a folder, the lock of its files tells. */
  readonly #shared: boolean

  constructor(sqls: Sql, place: Place, shared: boolean) {
    this.#sql = sqls
    this.#place = place
    this.#shared = shared
  }

  async take(claim: Claim): Promise<Holder | undefined> {
    await this.#sql.write(createTable(HOLDERS, this.#place))
    for (let attempt = 1; ; attempt++) {
      const version = BigInt(2 * attempt - 1)
      await this.#put(claim, version)
      const others = (await this.#rows(claim.pipeline)).filter(({ holder }) => holder !== claim.id)
      const living = this.#shared ? others.find((row) => lives(row, claim)) : undefined
      if (!living) {
        await this.#drop(others, GONE)
        return undefined
      }
      await this.#drop([holderRow(claim)], version + 1n)
      if (attempt === TRIES) return holderOf(living)
      await pause(claim, attempt)
    }
  }

  /** Those that hold it, the last one first. */
  async of({ pipeline }: Claim): Promise<readonly Row[]> {
    return this.#rows(pipeline)
  }

  /** The same, and whether the claim's own says that it lives. */
  async renew(claim: Claim): Promise<readonly Row[]> {
    const rows = await this.#rows(claim.pipeline)
    if (this.#shared && rows.some(({ holder, old }) => holder === claim.id && old === 1n)) await this.#say(claim, sqlText('now64(6)'))
    return rows
  }

  /** Says that it ended. Its row stays: it names who was the last. */
  async release(claim: Claim): Promise<void> {
    if (this.#shared) await this.#say(claim, sqlText('NULL'))
  }

  async #rows(pipeline: string): Promise<readonly Row[]> {
    return this.#sql.select(sql`
      SELECT
        pipeline, holder, host, pid, since,
        toInt64(ifNull(seen_at > now64(6) - INTERVAL ${sqlText(String(LEASE_S))} SECOND, 0)) AS seen,
        toInt64(ifNull(seen_at < now64(6) - INTERVAL ${sqlText(String(RENEW_S))} SECOND, 1)) AS old
      FROM _pipe_holders
      WHERE pipeline = ${text(pipeline)}
      ORDER BY since DESC`)
  }

  #put(claim: Claim, version: bigint): Promise<void> {
    const { pipeline, holder, host, pid, since } = holderRow(claim)
    return this.#write(
      sql`SELECT
        ${text(String(pipeline))}, ${text(String(holder))}, ${text(String(host))}, ${{ type: { kind: 'bigint' }, value: pid as bigint }},
        ${{ type: { kind: 'timestamp' }, value: since as bigint }}, now64(6), ${sqlText(String(version))}, 0`,
    )
  }

  /** Only where its row is there: one that was taken over does not come back. */
  #say({ pipeline, id }: Claim, seenAt: Statement): Promise<void> {
    return this.#write(
      sql`SELECT pipeline, holder, host, pid, since, ${seenAt}, ${sqlText(VERSION)} + 1, 0
        FROM _pipe_holders
        WHERE pipeline = ${text(pipeline)} AND holder = ${text(id)}`,
    )
  }

  #write(select: Statement): Promise<void> {
    return this.#sql.execute(
      sql`INSERT INTO _pipe_holders (pipeline, holder, host, pid, since, seen_at, ${sqlText(VERSION)}, ${sqlText(DELETED)}) ${select}`,
    )
  }

  async #drop(rows: readonly Row[], version: bigint): Promise<void> {
    if (rows.length === 0) return
    const key = HOLDERS.columns.filter(({ name }) => HOLDERS.key.includes(name))
    await this.#sql.insert(
      { ...HOLDERS, columns: key },
      rows.map((row): [Row, bigint] => [row, version]),
      true,
    )
  }
}

/** One of this machine whose process is gone need not be waited for. */
function lives({ seen, host, pid }: Row, { self, alive }: Claim): boolean {
  return seen === 1n && (host !== self.host || alive(Number(pid)))
}

/** Those who met must not meet again: each waits as its name says. */
function pause({ id }: Claim, attempt: number): Promise<void> {
  const ms = 50 + ((Number.parseInt(id.replace(/[^0-9a-f]/gi, '').slice(attempt, attempt + 4), 16) || 0) % 300)
  return new Promise((resolve) => AbortSignal.timeout(ms).addEventListener('abort', () => resolve(), { once: true }))
}
