import { writeFile } from 'node:fs/promises'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { createRequire } from 'node:module'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { buffer } from 'node:stream/consumers'
import { atEnd } from './cleanup.js'
import { temporaryFolder } from './folder.js'

/** A request as a fault sees it. */
export interface ServerRequest {
  readonly query: string
  readonly settings: Readonly<Record<string, string>>
}

/** What happens to a request instead of, or after, being done. */
export interface ServerFault {
  /** Which requests it is about. */
  readonly when: (request: ServerRequest) => boolean
  /** How often. */
  readonly times: number
  /**
   * `refuse`: nothing is done, the connection is cut. `cut`: it is done, and the connection is cut before an answer.
   * `error`: nothing is done, and an error is answered; `late`: the error comes behind a status that says all is well.
   */
  readonly kind: 'refuse' | 'cut' | 'error' | 'late'
  /** `Code: 252. DB::Exception: …` */
  readonly error?: string
}

export interface ClickhouseServer {
  /** The URL of a new, empty database. */
  database(): Promise<string>
  readonly user: { readonly name: string; readonly password: string }
  readonly port: number
  /** Every request, in order. */
  readonly log: ServerRequest[]
  fault(fault: ServerFault): void
  /** Runs a statement as an administrator would, on no database. */
  admin(sql: string, database?: string): Promise<string>
  close(): void
}

interface Session {
  queryAsync(text: string, options: { readonly format: string }): Promise<{ bytes(): Uint8Array }>
  queryBindAsync(text: string, params: object, options: { readonly format: string }): Promise<{ bytes(): Uint8Array }>
  close(): void
}

/** Why ClickHouse can't run in this process, in words, or undefined when it can. */
export function chdbMissing(): string | undefined {
  try {
    createRequire(import.meta.url)('chdb')
    return undefined
  } catch (error) {
    return error instanceof Error ? (error.message.split('\n')[0] ?? 'it does not load') : String(error)
  }
}

/** Settings of the HTTP interface itself, which the engine behind it does not know. */
const HTTP_ONLY =
  /^(?:query|query_id|database|default_format|session_.*|role|wait_end_of_query|enable_http_.*|http_.*|send_progress_.*|param_.*)$/

/** ClickHouse's HTTP interface before a real engine inside of this process: login, database, settings and values of a request are its own. */
export async function startClickhouse(): Promise<ClickhouseServer> {
  const { Session: Chdb } = createRequire(import.meta.url)('chdb') as {
    Session: new (path: string, options: { readonly connectionArgs: readonly string[] }) => Session
  }
  const path = temporaryFolder()
  const root = new Chdb(path, { connectionArgs: [] })
  const user = { name: 'miner', password: 'p@ss/word' }
  const log: ServerRequest[] = []
  const faults: { times: number; readonly fault: ServerFault }[] = []
  const text = async (session: Session, sql: string, params: Readonly<Record<string, string | null>> = {}) => {
    const how = { format: 'TabSeparated' }
    const result = await (Object.keys(params).length > 0 ? session.queryBindAsync(sql, params, how) : session.queryAsync(sql, how))
    return Buffer.from(result.bytes())
  }
  let sent = 0
  /** The statement of a request. Rows in a format of bytes, which chdb takes from a file only, are put into one. */
  const runnable = async (query: string, rows: Buffer): Promise<string> => {
    const [, insert] = /^(INSERT INTO .*) FORMAT Native$/s.exec(query) ?? []
    if (insert === undefined) return rows.length === 0 ? query : `${query}\n${rows.toString('utf8')}`
    const file = join(path, `rows_${sent++}`)
    await writeFile(file, rows)
    return `${insert} SELECT * FROM file('${file}', Native)`
  }
  const run = async (request: ServerRequest, { rows, params }: Omit<Statement, 'query'>, database: string): Promise<Buffer> => {
    const known = Object.entries(request.settings).filter(([name]) => !HTTP_ONLY.test(name))
    // A session of its own for each request: settings must not outlive it.
    const session = new Chdb(path, { connectionArgs: [...known.map(([name, value]) => `--${name}=${value}`), '--max_threads=2'] })
    try {
      await text(session, `USE \`${database}\``)
      return await text(session, await runnable(request.query, rows), params)
    } finally {
      session.close()
    }
  }
  const serve = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const url = new URL(request.url ?? '/', 'http://server')
    const settings = Object.fromEntries(url.searchParams)
    const { query, ...values } = await statement(request, url)
    const asked = { query, settings }
    log.push(asked)
    const login = Buffer.from((request.headers.authorization ?? '').replace('Basic ', ''), 'base64').toString('utf8')
    if (login !== `${user.name}:${user.password}`)
      return answer(response, 403, 'Code: 516. DB::Exception: miner: Authentication failed: password is incorrect. (AUTHENTICATION_FAILED)')
    const hit = faults.find(({ times, fault }) => times > 0 && fault.when(asked))
    if (hit) hit.times--
    const fault = hit?.fault
    if (fault?.kind === 'refuse') return void request.socket.resetAndDestroy()
    if (fault?.kind === 'error') return answer(response, 500, fault.error ?? '')
    if (fault?.kind === 'late') return answer(response, 200, fault.error ?? '')
    try {
      const body = await run(asked, values, settings.database ?? 'default')
      if (fault?.kind === 'cut') return void request.socket.resetAndDestroy()
      answer(response, 200, body)
    } catch (error) {
      answer(response, 500, error instanceof Error ? error.message : String(error))
    }
  }
  const server = createServer((request, response) => {
    serve(request, response).catch((error: unknown) => answer(response, 500, String(error)))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as AddressInfo
  let databases = 0
  const close = (): void => {
    server.close()
    server.closeAllConnections()
    root.close()
  }
  atEnd(close)
  return {
    user,
    port,
    log,
    close,
    fault: (fault) => void faults.push({ times: fault.times, fault }),
    admin: async (sql, database = 'default') => {
      await text(root, `USE \`${database}\``)
      return (await text(root, sql)).toString('utf8').trim()
    },
    database: async () => {
      const name = `db${databases++}`
      await text(root, `CREATE DATABASE ${name} ENGINE = Atomic`)
      return `clickhouse://${user.name}:${encodeURIComponent(user.password)}@127.0.0.1:${port}/${name}`
    },
  }
}

function answer(response: ServerResponse, status: number, body: string | Buffer): void {
  const code = typeof body === 'string' ? /^Code: (\d+)/.exec(body)?.[1] : undefined
  if (status !== 200 && code !== undefined) response.setHeader('X-ClickHouse-Exception-Code', code)
  response.writeHead(status).end(body)
}

interface Statement {
  readonly query: string
  /** Rows behind the statement. */
  readonly rows: Buffer
  readonly params: Readonly<Record<string, string | null>>
}

/** The statement of a request and its values, from the URL, the body, or a form. */
async function statement(request: IncomingMessage, url: URL): Promise<Statement> {
  const body = await buffer(request)
  const values = [...url.searchParams].filter(([name]) => name.startsWith('param_'))
  const boundary = /boundary=(\S+)/.exec(request.headers['content-type'] ?? '')?.[1]
  const parts =
    boundary === undefined
      ? []
      : body
          .toString('utf8')
          .split(`--${boundary}`)
          .flatMap((part) => /name="([^"]*)"[^]*?\r\n\r\n([^]*)\r\n$/.exec(part) ?? [])
  const form: [string, string][] = []
  for (let i = 0; i + 2 < parts.length; i += 3) form.push([parts[i + 1] ?? '', parts[i + 2] ?? ''])
  const inUrl = url.searchParams.get('query') ?? ''
  const inBody = boundary === undefined ? body.toString('utf8') : (form.find(([name]) => name === 'query')?.[1] ?? '')
  const params = [...values, ...form.filter(([name]) => name.startsWith('param_'))]
  return {
    query: inUrl === '' ? inBody : inUrl,
    rows: inUrl === '' ? Buffer.alloc(0) : body,
    params: Object.fromEntries(params.map(([name, value]) => [name.slice('param_'.length), unescaped(value)])),
  }
}

/** A value as the interface takes it: with backslashes for what can't stand in it, `\N` for NULL. */
function unescaped(value: string): string | null {
  if (value === '\\N') return null
  const signs: Record<string, string> = { n: '\n', t: '\t', r: '\r', '0': '\0', b: '\b', f: '\f' }
  return value.replace(/\\(.)/gs, (_, sign: string) => signs[sign] ?? sign)
}
