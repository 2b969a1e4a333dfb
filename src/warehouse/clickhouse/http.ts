import { randomUUID } from 'node:crypto'
import { Readable } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { ClickHouseLogLevel, createClient, type ExecParams, parseError } from '@clickhouse/client'
import { quoteIdentifier } from '../../sdk/index.js'
import { identifiers } from '../ddl.js'
import {
  type Block,
  type Engine,
  READ_SETTINGS,
  type ReadOptions,
  RESULT_FORMAT,
  WRITE_SETTINGS,
  type WriteOptions,
  writeSettings,
} from './engine.js'
import { statementError } from './errors.js'
import { retrying } from './retrying.js'
import { killQuery, stoppable } from './stop.js'

export interface HttpOptions {
  /** `http://host:8123` without anything else. */
  readonly url: string
  readonly username: string
  readonly password: string
  readonly database: string
  readonly display: string
  /** Replicated tables: a read sees what was written, whichever replica it asks. */
  readonly replicated: boolean
  readonly waitsMs: readonly number[]
  readonly timeoutMs: number
}

/** A statement that was killed and still runs after so long: its request is cut. */
const CUT_MS = 3_000

/** A server, by its HTTP interface. */
export function httpEngine(options: HttpOptions): Engine {
  const { display, replicated } = options
  const client = createClient({
    url: options.url,
    username: options.username,
    password: options.password,
    database: options.database,
    application: 'pipe',
    request_timeout: options.timeoutMs,
    // Errors come to us as errors; a logger of its own would show URLs.
    log: { level: ClickHouseLogLevel.OFF },
    compression: { request: false, response: false },
  })
  const quorum = replicated ? { insert_quorum: 'auto' } : {}
  const sequential = replicated ? { select_sequential_consistency: '1' } : {}

  /** Sends a statement. One that is stopped is killed on the server; where that has no effect, its request is cut. */
  const stopped = async (signal: AbortSignal | undefined, statement: ExecParams) => {
    if (!signal) return client.exec(statement)
    const name = `pipe-${randomUUID()}`
    const cut = new AbortController()
    signal.addEventListener('abort', () => AbortSignal.timeout(CUT_MS).addEventListener('abort', () => cut.abort(), { once: true }), {
      once: true,
      signal: cut.signal,
    })
    const settings = { ...statement.clickhouse_settings, log_comment: name }
    return stoppable(
      signal,
      () => client.exec({ ...statement, abort_signal: cut.signal, clickhouse_settings: settings }),
      () => client.command({ query: killQuery(name), abort_signal: AbortSignal.timeout(CUT_MS) }),
    )
  }

  async function* read(text: string, { params, signal, timeoutMs, versions, own }: ReadOptions = {}): AsyncGenerator<readonly string[]> {
    try {
      // Not `query`: its rows leave out a last line that does not end, which is where an error is.
      const { stream } = await stopped(signal, {
        query: `${text.replace(/;\s*$/, '')}\nFORMAT ${RESULT_FORMAT}`,
        ...(params ? { query_params: { ...params } } : {}),
        clickhouse_settings: {
          ...READ_SETTINGS,
          cancel_http_readonly_queries_on_client_close: 1,
          ...sequential,
          ...(versions ? { final: 0 as const } : {}),
          ...(timeoutMs === undefined ? {} : { max_execution_time: timeoutMs / 1000 }),
          // The status says whether all of it is there; without, an error comes after rows.
          wait_end_of_query: 1,
          ...(own ? {} : { readonly: '1' as const }),
        },
      })
      yield* lines(stream)
    } catch (error) {
      signal?.throwIfAborted()
      throw statementError(display, error, timeoutMs)
    }
  }

  async function send(text: string, given: WriteOptions, body?: Uint8Array): Promise<void> {
    const { params, timeoutMs, once, signal } = given
    const settings = { ...WRITE_SETTINGS, ...quorum, ...sequential, ...writeSettings(given, text, body), wait_end_of_query: 1 as const }
    const work = async () => {
      const { stream } = await stopped(signal, {
        query: text,
        ...(params ? { query_params: { ...params } } : {}),
        ...(body ? { values: Readable.from([body]) } : {}),
        clickhouse_settings: settings,
      })
      // A write gives nothing: what is there is an error that came after the status.
      const rest = (await buffer(Readable.from(stream))).toString('utf8')
      if (/DB::Exception|__exception__/.test(rest)) throw parseError(rest)
    }
    await retrying(display, once ? [] : options.waitsMs, work, { timeoutMs, signal })
  }

  function load({ table, columns, bytes }: Block): Promise<void> {
    const names = identifiers(columns.map(({ name }) => name))
    return send(`INSERT INTO ${quoteIdentifier(table)} (${names}) FORMAT Native`, { insert: true }, bytes)
  }

  return { read, write: (text, given = {}) => send(text, given), load, close: () => client.close() }
}

/** The lines of an answer, by chunks. @throws what the server says in place of one: an error that came after the first rows. */
async function* lines(stream: AsyncIterable<Uint8Array>): AsyncGenerator<readonly string[]> {
  const decoder = new TextDecoder()
  let rest = ''
  for await (const chunk of stream) {
    const parts = (rest + decoder.decode(chunk, { stream: true })).split('\n')
    rest = parts.pop() ?? ''
    const whole = parts.filter((line) => line !== '')
    const wrong = whole.findIndex((line) => !line.startsWith('['))
    if (wrong >= 0) throw parseError([...whole.slice(wrong), rest].join('\n'))
    if (whole.length > 0) yield whole
  }
  if (rest !== '')
    throw parseError(/DB::Exception/.test(rest) ? rest : `premature close: the answer ends with ${JSON.stringify(rest.slice(0, 80))}`)
}
