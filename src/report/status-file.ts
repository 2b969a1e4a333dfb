import { rename, rm, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { Clock, RunEvent, TimeCoverage } from '../sdk/index.js'
import { makeFolders } from '../sdk/folders.js'
import { tidy } from '../plan/tidy.js'
import { lagsOf } from './lag.js'
import type { Reporter } from './reporter.js'
import { sum } from './rates.js'
import type { RunView, StepView } from './view.js'

/** What the status file holds, as JSON. `null` where it is not known. */
export interface StatusFile {
  /**
   * `starting` until the first plan, `in_progress` until the run ends; then `complete`, `failed` (something is missing, also
   * after a stop: run again), or `error` (it could not go on).
   */
  readonly status: 'starting' | 'in_progress' | 'complete' | 'failed' | 'error'
  /**
   * Rows of the table that is covered, as `SELECT count(*), min(time), max(time)` gave them last; of a pipeline that covers no
   * time, of all tables that its chains and sources fill.
   */
  readonly rows: number | null
  readonly oldest: string | null
  readonly newest: string | null
  /** Rows that this run wrote, into all tables: one that was read twice counts twice. */
  readonly rows_written: number | null
  readonly days_coverage: number | null
  readonly target_days: number | null
  readonly complete: boolean
  /** Nothing is begun until somebody resumes it; the run lives. */
  readonly paused: boolean
  /** When this was written. */
  readonly timestamp: string
  readonly pipeline: string
  readonly run: string
  readonly exit_code: number | null
  /** When following: of each chain its head, the blocks up to it that are not read, and for how many seconds the oldest of these is known. */
  readonly head_lag: readonly { readonly chain: string; readonly head: number; readonly blocks: number; readonly seconds: number | null }[]
  readonly steps: readonly {
    readonly id: string
    readonly state: StepView['state']
    /** What done and total count in this run. */
    readonly word: StepView['word']
    readonly done: number
    readonly total: number | null
    readonly rows: number
    readonly missing: number
    readonly quarantined: number
  }[]
}

/** What a table holds. Times are milliseconds UTC. */
export interface TableFigures {
  readonly rows: number
  readonly oldest: number | null
  readonly newest: number | null
}

export interface StatusFileOptions {
  readonly path: string
  readonly view: RunView
  readonly clock: Clock
  /** Reads what the table of a step holds; undefined: of the only one. Left out: there is none. */
  readonly table?: (step: string | undefined) => Promise<TableFigures>
  /** Told once for each way in which the file can't be written. The run goes on. */
  readonly warn: (message: string) => void
  /** Keeps apart the temporary files of two runs that were given one path. */
  readonly pid: number
}

/**
 * Keeps a small JSON file up to date: at every stage of the run, once a second while something happens, and every ten seconds
 * while nothing does, so that an old `timestamp` means a dead process. The table is read as the run begins, when it has ended, and
 * between at a pace that takes a fiftieth of the time. A reader never sees half of a file.
 */
export function statusFileReporter({ path, view, clock, table, warn, pid }: StatusFileOptions): Reporter {
  const warned = new Set<string>()
  let wanted = false
  let writing: Promise<void> | undefined
  let writtenAt = -Infinity
  let figures: TableFigures | undefined
  let readAt = -Infinity
  let reading: Promise<void> | undefined
  /** The end is told with what the table holds then. */
  let last = false

  const read = async (from: NonNullable<typeof table>) => {
    const began = clock.monotonic()
    // What can't be read just now is told as it was read before.
    figures = await from(leastCovered(view)?.step).catch(() => figures)
    const now = clock.monotonic()
    readAt = now + Math.max(betweenMs, 50 * (now - began))
    reading = undefined
  }
  /** A large table takes longer to read than the file may be old, so nobody waits for it before the end. */
  const look = async () => {
    if (!table || view.startedAt === null) return
    if (last) {
      last = false
      await reading
      await read(table)
    } else if (!reading && clock.monotonic() >= readAt) reading = read(table).then(want)
  }
  const write = async () => {
    while (wanted) {
      wanted = false
      await look()
      writtenAt = clock.monotonic()
      try {
        await writeWhole(path, `${path}.${pid}.part`, `${JSON.stringify(statusOf(view, clock.now(), figures), undefined, 2)}\n`)
      } catch (error) {
        const code = error instanceof Error && 'code' in error ? String(error.code) : String(error)
        if (!warned.has(code)) warn(`the status file ${path} can not be written (${problems[code] ?? code}); the run goes on without it`)
        warned.add(code)
      }
    }
    writing = undefined
  }
  const want = () => {
    wanted = true
    writing ??= write()
  }
  const stop = new AbortController()
  const ticking = (async () => {
    for (;;) {
      await clock.sleep(quietMs, stop.signal)
      if (view.at !== null) want()
    }
  })().catch(() => undefined)
  return {
    onEvent(event) {
      if (event.type === 'run:ended') last = true
      // Nothing else is read or written in the wait between two rounds, but when following there is one every few seconds.
      const hurried = view.follow && (view.round?.number ?? 0) > 1 && event.type !== 'run:ended' && event.type !== 'run:stopping'
      if (event.type === 'round:ended' && !view.follow) readAt = -Infinity
      if ((isStage(event) && !hurried) || clock.monotonic() - writtenAt >= betweenMs) want()
    },
    async close() {
      stop.abort()
      await ticking
      last = true
      if (view.at !== null) want()
      await writing
    },
  }
}

/** The status of a run as the file shows it at `now`. */
export function statusOf(view: RunView, now: number, figures?: TableFigures): StatusFile {
  const time = leastCovered(view)?.time
  return {
    status: stageOf(view),
    rows: figures?.rows ?? null,
    oldest: iso(figures?.oldest),
    newest: iso(figures?.newest),
    rows_written: view.startedAt === null ? null : view.steps.reduce((total, step) => total + sum(step.rows), 0),
    days_coverage: time ? rounded(Math.min(time.coveredDays, time.targetDays)) : null,
    target_days: time ? rounded(time.targetDays) : null,
    complete: view.outcome === 'done',
    paused: view.state === 'pausing' || view.state === 'paused',
    timestamp: new Date(now).toISOString(),
    pipeline: view.pipeline,
    run: view.run,
    exit_code: view.exitCode,
    head_lag: (view.follow ? lagsOf(view, now) : []).map(({ chain, head, behind, ms }) => ({
      chain,
      head,
      blocks: behind,
      seconds: ms === null ? null : Math.round(ms / 100) / 10,
    })),
    steps: view.steps.map((step) => ({
      id: step.id,
      state: step.state,
      word: step.word,
      done: tidy(step.done),
      total: step.total === null ? null : tidy(step.total),
      rows: sum(step.rows),
      missing: tidy(step.missing),
      quarantined: step.quarantined,
    })),
  }
}

/** Of several steps that walk through time, the one that has most to do. */
function leastCovered(view: RunView): Covered | undefined {
  const left = ({ time }: Covered) => time.targetDays - time.coveredDays
  return view.steps
    .flatMap(({ id, time }): Covered[] => (time ? [{ step: id, time }] : []))
    .reduce<Covered | undefined>((a, b) => (a && left(a) >= left(b) ? a : b), undefined)
}

interface Covered {
  readonly step: string
  readonly time: TimeCoverage
}

const iso = (ms: number | null | undefined) => (ms === null || ms === undefined ? null : new Date(ms).toISOString())
const rounded = (days: number) => Math.round(days * 100) / 100

const betweenMs = 1_000
const quietMs = 10_000

const problems: Readonly<Record<string, string>> = {
  ENOSPC: 'no space left on the device',
  EDQUOT: 'the disk quota is used up',
  EACCES: 'permission denied',
  EROFS: 'the file system is read-only',
  EISDIR: 'it is a folder',
  ENOTDIR: 'a part of the path is a file',
}

function isStage({ type }: RunEvent): boolean {
  return (
    type === 'run:started' ||
    type === 'round:started' ||
    type === 'round:ended' ||
    type === 'run:pausing' ||
    type === 'run:resumed' ||
    type === 'run:stopping' ||
    type === 'run:ended' ||
    type === 'step:planned' ||
    type === 'step:started' ||
    type === 'step:ended'
  )
}

function stageOf(view: RunView): StatusFile['status'] {
  switch (view.outcome) {
    case 'done':
      return 'complete'
    case 'incomplete':
    case 'stopped':
      return 'failed'
    case 'error':
      return 'error'
    case null:
      return view.state === 'starting' ? 'starting' : 'in_progress'
    default:
      return view.outcome satisfies never
  }
}

async function writeWhole(path: string, temporary: string, text: string): Promise<void> {
  try {
    await makeFolders(dirname(path))
    await writeFile(temporary, text)
    await rename(temporary, path)
  } catch (error) {
    await rm(temporary, { force: true }).catch(() => undefined)
    throw error
  }
}
