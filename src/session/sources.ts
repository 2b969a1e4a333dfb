import type { Source } from '../http/source.js'
import type { Flight } from '../net/flight.js'
import { proxiesOf } from '../net/proxies.js'
import type { Wait } from '../net/waits.js'
import type { Pipeline, Step } from '../pipeline/pipeline.js'
import { type HttpClient, PipeError, type RunFact } from '../sdk/index.js'
import type { Surroundings } from './surroundings.js'

/** A step asks a REST source and names none. */
export class StepWithoutSourceError extends PipeError {
  readonly code = 'STEP_WITHOUT_SOURCE'
  override readonly hint = 'name a source of `sources` in the step: source: NAME'
  constructor(step: string) {
    super(`step ${step} asks a REST source and has none`)
  }
}

/** The REST sources in use, opened with the first request to each. */
export interface Sources {
  /** The source of a step. */
  client(step: Step): HttpClient
  /** What is waited for now, of every source that was opened. */
  waits(): readonly Wait[]
  /** Has logins that were refused tried again. */
  tryLogins(): void
  close(): Promise<void>
}

export interface SourcesOptions {
  readonly pipeline: Pipeline
  readonly surroundings: Pick<Surroundings, 'clock' | 'random' | 'env'>
  readonly emit: (fact: RunFact) => void
  /** URL that stands in for every source. */
  readonly standIn?: string | undefined
  /** What bounds the bytes in flight of all chains and sources of a run. */
  readonly flight?: Flight | undefined
}

export function openSources({ pipeline, surroundings, emit, standIn, flight }: SourcesOptions): Sources {
  const opened = new Map<string, Promise<Source>>()
  const ready: Source[] = []
  const open = (name: string): Promise<Source> => {
    let source = opened.get(name)
    if (!source) opened.set(name, (source = openOne(name)))
    return source
  }
  const openOne = async (name: string): Promise<Source> => {
    const declared = pipeline.sources.get(name)
    if (!declared) throw new Error(`no source ${name}`)
    const { openSource } = await import('../http/source.js')
    // The keys of the real one are not for the one that stands in.
    const config = standIn === undefined ? declared : { ...declared, url: standIn, headers: {}, requestsPerSecond: undefined }
    const { clock, random, env } = surroundings
    const source = openSource({ source: config, clock, random, emit, flight, proxyOf: proxiesOf(env) })
    ready.push(source)
    return source
  }
  return {
    client: (step) => ({
      get: async (request, options) => {
        if (step.source === undefined) throw new StepWithoutSourceError(step.id)
        return (await open(step.source)).get(request, options)
      },
    }),
    waits: () => ready.map((source) => source.waits()),
    tryLogins: () => {
      for (const source of ready) source.tryLogin()
    },
    close: async () => {
      await Promise.all([...opened.values()].map(async (source) => (await source).close()))
    },
  }
}
