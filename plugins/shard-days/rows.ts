import {
  blockTimes,
  compilePath,
  fieldPath,
  formatDay,
  type Getter,
  pathRoot,
  type Records,
  type Row,
  rowMakers,
  type RowsConfig,
  type RpcLog,
  type RunContext,
  type Scope,
  type TimeRule,
  USUAL_TIMES,
} from '../../src/sdk/authors.js'
import { type Config, isDays } from './config.js'
import { LogForkedError } from './errors.js'
import { type Asked, askedOf, isAskedBy } from './filters.js'
import type { Header } from './times.js'

/** Whether rows are made of the headers of their blocks, too. */
export function readsHeaders(config: Config): boolean {
  const paths = rowsOf(config).flatMap(({ row, each = {} }) => [...Object.values(row).map(fieldPath), ...Object.values(each)])
  const roots = new Set(paths.map((path) => pathRoot(path ?? '')))
  return roots.has('block') || (roots.has('day') && !isDays(config.over))
}

type RowMaker = ReturnType<typeof rowMakers>[number]

/** Every table that logs become rows of: those of the events, and the one of the misfits behind them. */
export function rowsOf({ events, misfits }: Pick<Config, 'events' | 'misfits'>): RowsConfig[] {
  const ofEvents = events.map(({ into, each, row, compute }, i) => ({
    into,
    row,
    path: ['events', i],
    each,
    compute,
  }))
  return misfits ? [...ofEvents, { ...misfits, path: ['misfits'] }] : ofEvents
}

/** Logs that were kept aside, by event and reason: how many, and where the first of them is. */
export type KeptAside = Readonly<Record<string, Readonly<Record<string, { readonly logs: number; readonly example: string }>>>>

/** What logs became. */
export interface Made {
  /** By output. */
  readonly rows: Readonly<Record<string, readonly Row[]>>
  /** Logs that were kept aside. */
  readonly misfits: number
  readonly aside: KeptAside
}

/** Makes rows of logs. */
export class RowsOfLogs {
  readonly asked: readonly Asked[]
  /** Whether rows need the headers of the logs' blocks. */
  readonly needsHeaders: boolean
  readonly #makers: readonly RowMaker[]
  readonly #misfits: RowMaker | undefined
  readonly #outputs: readonly string[]
  readonly #lists: readonly (readonly { readonly path: string; readonly get: Getter }[])[]

  /** @throws {AbiTextError} @throws {FilterValueError} */
  constructor({ config, outputs, tables, scope }: Pick<RunContext<Config, never>, 'config' | 'outputs' | 'tables' | 'scope'>) {
    const all = rowsOf(config)
    const makers = rowMakers(all, outputs, tables, scope, timesOf(scope))
    this.asked = config.events.map(askedOf)
    this.#outputs = outputs.map(({ id }) => id)
    this.#makers = makers.slice(0, config.events.length)
    this.#misfits = config.misfits && makers.at(-1)
    this.#lists = all.map(({ each = {} }) => Object.values(each).map((path) => ({ path, get: compilePath(path) })))
    this.needsHeaders = readsHeaders(config)
  }

  /**
   * @param headers Of the blocks of the logs, where they are needed.
   * @param day Of all logs; undefined: each is of the day of its block.
   * @throws {ValueError} @throws {LogForkedError}
   */
  make(logs: readonly RpcLog[], headers: ReadonlyMap<bigint, Header>, day: string | undefined): Made {
    // A table that gets no row is one that the ledger knows to have none.
    const rows: Record<string, Row[]> = Object.fromEntries(this.#outputs.map((id) => [id, []]))
    const aside: Record<string, Record<string, { logs: number; example: string }>> = {}
    let misfits = 0
    const to = ({ id }: RowMaker) => (rows[id] ??= [])
    for (const log of logs) {
      const header = headers.get(log.blockNumber)
      if (header && header.hash !== log.blockHash) throw new LogForkedError(log.blockNumber, log.blockHash, header.hash)
      const about: Records = { day: day ?? (header && dayOf(header.time)), log, block: header?.fields }
      const unfit: { event: string; reason: string }[] = []
      let fits = false
      for (const [i, asked] of this.asked.entries()) {
        if (!isAskedBy(log, asked)) continue
        const { args, misfit } = asked.decoder.decode(log.topics, log.data)
        // Only what it holds says that a log is of an anonymous event.
        if (misfit !== undefined && asked.decoder.topic0 === undefined) continue
        const maker = this.#makers[i] as RowMaker
        const records = { ...about, args }
        const reason = misfit ?? this.#unequal(i, records)
        if (reason === undefined) maker.make(records, to(maker))
        else unfit.push({ event: asked.text, reason })
        fits ||= reason === undefined
      }
      // Two standards may share a first topic: a log that one of the events fits is kept aside for none.
      if (fits || unfit.length === 0) continue
      misfits++
      for (const { event, reason } of unfit) {
        const known = ((aside[event] ??= {})[reason] ??= { logs: 0, example: `${log.transactionHash} log ${log.logIndex}` })
        known.logs++
        this.#misfits?.make({ ...about, event, reason }, to(this.#misfits))
      }
    }
    return { rows, misfits, aside }
  }

  /** Lists that are walked side by side and are not: nothing says which element belongs to which. */
  #unequal(i: number, records: Records): string | undefined {
    const lists = (this.#lists[i] ?? []).map(({ path, get }) => ({ path, list: get(records) as readonly unknown[] }))
    const other = lists.find(({ list }) => list.length !== lists[0]?.list.length)
    return other && `${lists[0]?.path} has ${lists[0]?.list.length} elements and ${other.path} has ${other.list.length}`
  }
}

const DAY_US = 86_400_000_000n

export const dayOf = (us: bigint): string => formatDay(Number(us / DAY_US))

/** Times of blocks, but for block 0, which many chains give none. */
function timesOf(scope: Scope): TimeRule {
  const now = scope.get('now')?.value
  const range = typeof now === 'bigint' ? blockTimes(now) : USUAL_TIMES
  return {
    range,
    holdsFor: (path) => pathRoot(path) === 'block',
    except: ({ log }, instant) => instant < range.from && (log as RpcLog).blockNumber === 0n,
  }
}
