import type { Output, ResultColumn, Row, Statement, Table } from '../sdk/index.js'
import type { Catalog, Existing } from './drift.js'
import type { LoadError, Transaction } from './transaction.js'

export interface QueryOptions {
  readonly signal?: AbortSignal
  readonly timeoutMs?: number
}

/** A database with transactions, as a warehouse needs it. */
export interface TransactionalEngine<Loader = unknown> {
  readonly kind: 'duckdb' | 'postgres'
  /** For people: no user, no password. */
  readonly display: string
  readonly catalog: Catalog
  query<R extends Row>(statement: Statement, options?: QueryOptions): AsyncIterable<readonly R[]>
  describe(statement: Statement): Promise<readonly ResultColumn[]>
  /** Statements that every connection that reads runs first. They replace those of before. */
  setup(statements: readonly string[]): void | Promise<void>
  /** The tables and views that are there, by the name that the catalog gives them. */
  existing(): Promise<ReadonlyMap<string, Existing>>
  /** SQL of a ledger table that is really there, never of one that is only assumed. Undefined: there is none. */
  ledgerTable(table: Table): Promise<string | undefined>
  /**
   * Runs work alone and in one transaction: all of it is committed, or nothing when it throws. It may be run again from
   * its beginning when another writer or the loss of the connection came in its way.
   */
  transaction<T>(work: (tx: Transaction<Loader>) => Promise<T>, outputs?: ReadonlyMap<Output, Table>): Promise<T>
  /** The first in a transaction that makes tables: of those who start at once one does, and the others wait. Gives the names that are there. */
  alone(tx: Transaction<Loader>): Promise<ReadonlySet<string>>
  /** The names of the indexes that are there, inside of the same transaction. */
  indexes(tx: Transaction<Loader>): Promise<ReadonlySet<string>>
  /**
   * Looks whether the user of the warehouse may fill tables that are there. Nothing is written.
   *
   * @param whole All rights on all columns, as the ledger's own tables take them.
   * @throws {RightsError}
   */
  mayFill(tables: readonly Table[], whole: boolean): Promise<void>
  /** What was wrong with rows that SQL refused, by name where that can be found. Changes nothing. */
  explain(error: LoadError<Loader>): Promise<Error>
  /** Waits for the transaction that is under way, and ends all connections. */
  close(): Promise<void>
}
