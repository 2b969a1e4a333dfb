import { type Batch, compilePath, type Json } from '../../src/sdk/authors.js'
import type { Config } from './config.js'

/** Progress is told so often and no more: each time is a commit. */
const EVERY_MS = 250

/** Values by name that a line says; undefined where it says none. */
type Reader = (line: string) => Readonly<Record<string, unknown>> | undefined

/** What a program said of how far it is and of what it found. */
export class Heard {
  readonly #progress: Reader
  readonly #results: readonly Reader[]
  readonly #found = new Map<string, string>()
  /** The part that it is at. */
  #part = { done: 0, total: 0 }
  /** What parts before that one came to. */
  #before = 0
  #told = { done: 0, of: 0, ms: -Infinity }

  constructor({ progress, result }: Pick<Config, 'progress' | 'result'>) {
    this.#progress = readerOf(progress)
    this.#results = Array.isArray(result) ? result.map(readerOf) : [readerOf(result)]
  }

  add(line: string): void {
    for (const read of this.#results)
      for (const [name, value] of Object.entries(read(line) ?? {})) if (isPlain(value)) this.#found.set(name, String(value))
    const said = this.#progress(line)
    const done = numberOf(said?.['done'])
    if (done === undefined) return
    const total = Math.max(done, numberOf(said?.['total']) ?? 0)
    if (done < this.#part.done) this.#before += this.#part.done
    this.#part = { done, total }
  }

  /** What has come since it was told last; undefined when that is nothing, or was a moment ago. */
  progress(ms: number): Batch['progress'] {
    const done = this.#before + this.#part.done
    const of = this.#before + this.#part.total
    if (ms - this.#told.ms < EVERY_MS || (done === this.#told.done && of === this.#told.of)) return undefined
    const more = done - this.#told.done
    this.#told = { done, of, ms }
    return { done: more, of }
  }

  /** By name, without secrets. */
  results(masked: (text: string) => string): Readonly<Record<string, string>> {
    return Object.fromEntries([...this.#found].map(([name, text]) => [name, masked(text)]))
  }
}

/** Those that are numbers, for the report. */
export function numbersOf(results: Readonly<Record<string, string>>): Readonly<Record<string, number>> {
  return Object.fromEntries(
    Object.entries(results).flatMap(([name, text]) => {
      const number = numberOf(text)
      return number === undefined ? [] : [[name, number]]
    }),
  )
}

function readerOf(how: string | Readonly<Record<string, string | undefined>> | undefined): Reader {
  if (how === undefined) return () => undefined
  if (typeof how === 'string') {
    const pattern = new RegExp(how)
    return (line) => pattern.exec(line)?.groups
  }
  const paths = Object.entries(how).map(([name, path]) => [name, compilePath(path ?? '')] as const)
  return (line) => {
    const record = recordOf(line)
    return record && Object.fromEntries(paths.map(([name, get]) => [name, get(record)]))
  }
}

function recordOf(line: string): Readonly<Record<string, Json>> | undefined {
  if (!line.trimStart().startsWith('{')) return undefined
  try {
    // A text that begins so is an object or no JSON.
    return JSON.parse(line) as Readonly<Record<string, Json>>
  } catch {
    return undefined
  }
}

const isPlain = (value: unknown) => ['string', 'number', 'boolean'].includes(typeof value)

/** `5,000` and `5_000` are numbers, too. */
function numberOf(value: unknown): number | undefined {
  if (!isPlain(value)) return undefined
  const text = String(value).replace(/(?<=\d)[,_](?=\d{3})/g, '')
  return /^\d+(\.\d+)?$/.test(text) ? Number(text) : undefined
}
