import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createRedactor } from '../../src/session/redact.js'
import { systemClock } from '../../src/cli/system-clock.js'
import { openSources } from '../../src/session/sources.js'
import type { Pipeline } from '../../src/pipeline/pipeline.js'
import { readPipeline } from '../../src/pipeline/read.js'
import { run, type RunResult } from '../../src/run/run.js'
import { type Clock, PipeError, type RunFact, type Warehouse } from '../../src/sdk/index.js'
import { fakeIo } from '../cli/fake-io.js'
import { temporaryFolder } from './folder.js'

/** Ways to page through the lists of the sandbox: path, query and `cursor` of the step. */
const WAYS: Readonly<
  Record<string, { readonly path: string; readonly query: string; readonly cursor: string; readonly records?: string }>
> = {
  next: { path: '/lists/next', query: 'cursor: $cursor', cursor: 'next: next' },
  url: { path: '/lists/url', query: '', cursor: 'next: next' },
  link: { path: '/lists/link', query: '', cursor: 'link: next', records: '.' },
  time: { path: '/lists/time', query: 'before: $cursor', cursor: 'time: s' },
  ties: { path: '/lists/time', query: 'before: $cursor, offset: $offset', cursor: 'time: s, ties: offset' },
  offset: { path: '/lists/offset', query: 'offset: $offset', cursor: 'offset: true' },
  page: { path: '/lists/page', query: 'page: $page', cursor: 'page: true' },
  key: { path: '/lists/key', query: 'after: $cursor', cursor: 'key: id' },
  window: { path: '/lists/window', query: 'start: $start, end: $end', cursor: 'window: 1h, time: s' },
  windows: { path: '/lists/window', query: 'start: $start, end: $end, offset: $offset', cursor: 'window: 1h, time: s, offset: true' },
}

export interface ApiPipelineOptions {
  readonly way: string
  readonly limit: number
  /** YAML inside the braces; undefined reads the whole list. */
  readonly cover: string | undefined
  /** More of `with`, one field a line. */
  readonly more?: string
  readonly query?: string
  readonly source?: string
}

/** A pipeline of one step that reads a list of the sandbox into the table `t`. */
export function apiYaml({ way, limit, cover, more = '', query = '', source = '' }: ApiPipelineOptions): string {
  const found = WAYS[way]
  if (!found) throw new Error(`no way ${way}`)
  const parts = [`limit: ${limit}`, found.query, query].filter((part) => part !== '')
  return `name: p
warehouse: duckdb:p.duckdb
sources:
  api:
    url: \${URL}
    retry: { attempts: 3, wait: 1ms, max_wait: 5ms }
${source === '' ? '' : `    ${source}\n`}tables: { t: { columns: { id: hash, time: timestamp, sender: text, fee: bigint }, key: [id], range: time } }
steps:
  - id: t
    type: paginate-cursor
    source: api
    into: t
    retry: { attempts: 2, wait: 1ms, max_wait: 5ms }
    with:
${cover === undefined ? '' : `      cover: { ${cover}, time: time }\n`}      request: { path: ${found.path}, query: { ${parts.join(', ')} } }
      records: ${found.records ?? 'items'}
      cursor: { ${found.cursor} }
      row: { id: id, ${cover === undefined ? '' : 'time: time, '}sender: sender, fee: fee }
${more
  .split('\n')
  .filter((line) => line.trim() !== '')
  .map((line) => `      ${line.trim()}\n`)
  .join('')}`.replace('time: timestamp,', cover === undefined ? 'time: timestamp?,' : 'time: timestamp,')
}

/** Reads a pipeline from text. Throws with all its problems. */
export async function readYaml(yaml: string, env: Readonly<Record<string, string>>): Promise<Pipeline> {
  const cwd = temporaryFolder()
  const file = join(cwd, 'p.yaml')
  writeFileSync(file, yaml)
  const { pipeline, problems } = await readPipeline(file, { cwd, env, environment: 'require' })
  if (!pipeline) throw new Error(problems.map(({ message, hint }) => `${message} (${hint ?? ''})`).join('\n'))
  return pipeline
}

export interface RunAtOptions {
  /** When the round begins, seconds since 1970. */
  readonly now: number
  /** The process is gone after so many commits: nothing that follows is written. */
  readonly diesAfter?: number
  readonly limit?: number
  readonly clock?: Clock
}

export interface RunAt {
  readonly outcome: RunResult['outcome']
  /** What each step said at its end. */
  readonly reasons: readonly string[]
  readonly facts: readonly RunFact[]
}

/** One run of a pipeline on an open warehouse, at a moment of the test's own. */
export async function runAt(
  pipeline: Pipeline,
  warehouse: Warehouse,
  { now, diesAfter = Infinity, limit, clock = systemClock }: RunAtOptions,
): Promise<RunAt> {
  const io = fakeIo({ random: () => 0, clock })
  const facts: RunFact[] = []
  const emit = (fact: RunFact) => void facts.push(fact)
  const sources = openSources({ pipeline, surroundings: io, emit })
  try {
    const { outcome, steps } = await run({
      pipeline,
      warehouse: mortal(warehouse, diesAfter),
      moment: { now: BigInt(now) * 1_000_000n, head: () => Promise.reject(new Error('no chain')) },
      clock,
      random: () => 0,
      emit,
      signal: io.signal,
      given: {},
      select: undefined,
      limit,
      rpc: () => ({
        batch: never,
        request: never,
        logs: never as never,
        turns: never as never,
        prove: never,
        ready: () => Promise.resolve(),
      }),
      http: (step) => sources.client(step),
      redact: createRedactor(pipeline.secrets),
      onCheck: () => undefined,
    })
    const failures = facts.flatMap((fact) =>
      fact.type === 'unit:failed' || fact.type === 'key:failed' ? [`${fact.code}: ${fact.error}`] : [],
    )
    return { outcome, reasons: [...[...steps.values()].flatMap(({ reason }) => reason ?? []), ...failures], facts }
  } finally {
    await sources.close()
  }
}

class GoneError extends PipeError {
  readonly code = 'GONE'
  override readonly blame = 'outage'
  constructor() {
    super('the process is gone')
  }
}

/** The warehouse as a process sees it that dies after some commits: the rest of what it does reaches nothing. */
function mortal(warehouse: Warehouse, diesAfter: number): Warehouse {
  let left = diesAfter
  return new Proxy(warehouse, {
    get(target, name) {
      if (name === 'commit')
        return (writes: Parameters<Warehouse['commit']>[0]) => (left-- > 0 ? target.commit(writes) : Promise.reject(new GoneError()))
      const value: unknown = Reflect.get(target, name)
      return typeof value === 'function' ? (value.bind(target) as unknown) : value
    },
  })
}

const never = () => Promise.reject(new Error('no chain'))
