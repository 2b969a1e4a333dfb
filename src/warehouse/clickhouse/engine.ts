import { createHash } from 'node:crypto'

/** Values of `{p1:Int64}` placeholders as ClickHouse writes them. Null is NULL. */
export type Params = Readonly<Record<string, string | null>>

export interface ReadOptions {
  readonly params?: Params
  readonly signal?: AbortSignal | undefined
  readonly timeoutMs?: number
  /** Every version of a row, not just the last one: no FINAL. */
  readonly versions?: boolean
  /** SQL of ours, which may read rows that it brings itself. That of a pipeline may read tables and nothing else. */
  readonly own?: boolean
}

export interface WriteOptions {
  readonly params?: Params
  /** Aborted, it is stopped, and the reason is thrown. */
  readonly signal?: AbortSignal | undefined
  readonly timeoutMs?: number
  /** Inserts rows: the same ones are there once, however often they are sent. */
  readonly insert?: boolean
  /** Running it twice is not the same as running it once: it is not tried again when nobody knows whether it ran. */
  readonly once?: boolean
}

/** Rows for a table, in the Native format. */
export interface Block {
  readonly table: string
  readonly columns: readonly { readonly name: string; readonly type: string }[]
  readonly bytes: Uint8Array
}

/** Rows in the Native format for SQL to read, block by block: each is made when it is asked for. */
export interface Laying {
  /** Names and types of the columns, as SQL has them. */
  readonly structure: string
  readonly blocks: Iterable<Uint8Array>
}

/** ClickHouse, on a server or in this process. Errors are those of `statementError`. */
export interface Engine {
  /**
   * Lines of a result as JSONCompactEachRowWithNamesAndTypes: names, types, rows. In pages; a result that ends with an
   * error gives it, never a part of itself.
   */
  read(text: string, options?: ReadOptions): AsyncIterable<readonly string[]>
  /** Runs a statement that gives no rows. Tried again, as it is, while its outcome is not known. */
  write(text: string, options?: WriteOptions): Promise<void>
  /** Adds rows to their table. Sent again, as they are, while the outcome is not known; they are there once. */
  load(block: Block): Promise<void>
  /**
   * Lays rows where SQL of ours can read them any number of times, by the name that it resolves to; other content has another name. Those that
   * were laid there before under this number are gone. Undefined where rows can only be a part of the SQL.
   */
  readonly lay?: (number: number, rows: Laying) => Promise<string>
  close(): Promise<void>
}

export const RESULT_FORMAT = 'JSONCompactEachRowWithNamesAndTypes'

/** What SQL means on the other warehouses: columns go before aliases, unmatched sides of joins are NULL. */
const STANDARD_SQL = {
  session_timezone: 'UTC',
  join_use_nulls: '1',
  prefer_column_name_to_alias: '1',
  union_default_mode: 'DISTINCT',
  aggregate_functions_null_for_empty: '1',
  cast_keep_nullable: '1',
  group_by_use_nulls: '1',
  date_time_overflow_behavior: 'throw',
  // Times are seconds with a fraction, or a date with a time of day.
  date_time_input_format: 'basic',
  precise_float_parsing: '1',
  decimal_check_overflow: '1',
  transform_null_in: '0',
  enable_positional_arguments: '1',
  // A profile of the server that leaves rows out where a limit is reached would do it without a word.
  limit: '0',
  offset: '0',
  read_overflow_mode: 'throw',
  read_overflow_mode_leaf: 'throw',
  group_by_overflow_mode: 'throw',
  sort_overflow_mode: 'throw',
  result_overflow_mode: 'throw',
  timeout_overflow_mode: 'throw',
  timeout_overflow_mode_leaf: 'throw',
  set_overflow_mode: 'throw',
  join_overflow_mode: 'throw',
  transfer_overflow_mode: 'throw',
  distinct_overflow_mode: 'throw',
  skip_unavailable_shards: '0',
} as const

/** Settings of everything that reads. Every table is read with FINAL. */
export const READ_SETTINGS: Readonly<Record<string, string>> = {
  ...STANDARD_SQL,
  final: '1',
  do_not_merge_across_partitions_select_final: '0',
  output_format_json_quote_64bit_integers: '1',
  output_format_json_quote_decimals: '1',
  output_format_json_quote_denormals: '1',
  output_format_decimal_trailing_zeros: '1',
  output_format_json_named_tuples_as_objects: '1',
  date_time_output_format: 'iso',
  // Large texts of keys are part of a query.
  max_query_size: '1000000000',
}

/** Settings of everything that writes. Rows come in blocks that depend on nothing but their content. */
export const WRITE_SETTINGS: Readonly<Record<string, string>> = {
  ...STANDARD_SQL,
  // What a write selects is read as everything is.
  final: '1',
  do_not_merge_across_partitions_select_final: '0',
  insert_allow_materialized_columns: '1',
  // A NULL for a required column is an error, not a zero.
  insert_null_as_default: '0',
  input_format_null_as_default: '0',
  async_insert: '0',
  wait_for_async_insert: '1',
  max_insert_threads: '1',
  max_insert_block_size: '1048576',
  min_insert_block_size_rows: '1048576',
  min_insert_block_size_bytes: '1073741824',
  max_query_size: '1000000000',
  mutations_sync: '2',
}

/** The settings of one write. Two inserts of one token into one table are one: the same text and rows, the same token. */
export function writeSettings({ insert, timeoutMs }: WriteOptions, text: string, rows: Uint8Array | string = ''): Record<string, string> {
  const settings: Record<string, string> = { insert_deduplicate: insert ? '1' : '0' }
  if (insert) settings.insert_deduplication_token = createHash('sha256').update(text).update(rows).digest('hex')
  if (timeoutMs !== undefined) settings.max_execution_time = String(timeoutMs / 1000)
  return settings
}
