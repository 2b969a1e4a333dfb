import { useEffect, useRef } from 'preact/hooks'
import { pipelinePath } from '../api.js'
import { useAnswer } from '../answer.js'
import { Trouble } from '../trouble.js'
import type { FailureView } from '../api.js'
import { count, moment } from '../words.js'
import { type Axis, placeInWords, type Span } from './scale.js'

/** A row of the ledger as the API gives it: integers as text. */
export interface LedgerLine {
  readonly unit: string
  readonly first?: string
  readonly last?: string
  readonly state: string
  readonly attempts: number
  readonly rows: Readonly<Record<string, number>>
  readonly endpoint?: string
  readonly parentHash?: string
  readonly lastHash?: string
  readonly evidence?: unknown
  readonly error?: string
  readonly fingerprint: string
  readonly updatedAt: string
  readonly startedAt: string
}

interface LineProps {
  readonly pipeline: string
  readonly step: string
  readonly place: number
  readonly axis: Axis
  /** What the map says of it. */
  readonly known: string
  /** What failed in the step, as the run has told. */
  readonly failures: readonly FailureView[]
  /** Changes when a run began or ended: then it is read again. */
  readonly turn: string
  readonly onClose: () => void
  readonly onAgain: (span: Span) => void
}

/** While a run has the file of a DuckDB, nobody else reads it. */
const HELD: ReadonlySet<string> = new Set(['WAREHOUSE_HELD', 'RUNS_ALREADY'])

/** What the ledger says of a place. */
export function LedgerLine({ pipeline, step, place, axis, known, failures, turn, onClose, onAgain }: LineProps) {
  const close = useRef<HTMLButtonElement>(null)
  const path = pipelinePath(pipeline, `/units?step=${encodeURIComponent(step)}&at=${place}`)
  const { value, error } = useAnswer<{ units: LedgerLine[] }>(path, turn)
  useEffect(() => close.current?.focus(), [path])
  const isHeld = error !== undefined && HELD.has(error.code)
  const units = isHeld || !value ? [] : value.units
  const key = (event: KeyboardEvent) => {
    if (event.key !== 'Escape') return
    event.stopPropagation()
    onClose()
  }
  return (
    <section class="line" aria-label={`Ledger of ${step}`} onKeyDown={key}>
      <div class="row">
        <h3>
          {step} at {placeInWords(place, axis, 0)}
        </h3>
        <span class="grow" />
        <button ref={close} onClick={onClose}>
          Close
        </button>
      </div>
      {error && !isHeld ? <Trouble error={error} /> : null}
      {isHeld ? <Held known={known} failures={failures.filter(({ unit }) => covers(unit, place, axis))} /> : null}
      {!value && !error ? <p class="dim">Reading the ledger…</p> : null}
      {value?.units.length === 0 && !isHeld ? <p>Missing: the ledger says nothing of it. No run has come to it yet.</p> : null}
      {units.map((line) => (
        <Row key={line.unit} line={line} onAgain={onAgain} />
      ))}
    </section>
  )
}

/** What is known without the ledger. */
function Held({ known, failures }: { known: string; failures: readonly FailureView[] }) {
  return (
    <>
      <p>
        <strong>{known}</strong>, as far as the map knows.
      </p>
      {failures.map(({ unit, error }) => (
        <p key={unit} class="bad">
          {unit} failed: {error}
        </p>
      ))}
      <p class="small dim">
        The run has the database to itself. Rows, endpoint, hashes and evidence of this place are read as soon as it ends; Stop ends it
        after the units that are under way.
      </p>
    </>
  )
}

/** What a program said, which its evidence keeps. */
function saidIn(evidence: unknown): readonly string[] {
  const all = Array.isArray(evidence) ? (evidence as { readonly said?: readonly string[] }[]) : []
  return all.flatMap((each) => each.said ?? [])
}

/** Whether the name of a unit says that a place lies in it. */
function covers(unit: string, place: number, axis: Axis): boolean {
  const [, first, last] = /^(-?\d+)-(-?\d+)$/.exec(unit) ?? []
  if (first !== undefined && last !== undefined) return axis === 'numbers' && Number(first) <= place && place <= Number(last)
  return axis === 'time' && new Date(Math.floor(place / 1_000)).toISOString().startsWith(unit)
}

/** A unit as the ledger has it. */
export function Row({ line, onAgain }: { line: LedgerLine; onAgain?: (span: Span) => void }) {
  const { unit, first, last, state, attempts, rows, endpoint, parentHash, lastHash, evidence, error, fingerprint, updatedAt } = line
  const tables = Object.entries(rows).map(([table, number]) => `${count(number)} into ${table}`)
  const fields: [string, string | undefined][] = [
    ['Unit', unit],
    ['State', state],
    ['Rows', tables.join(', ') || 'not counted'],
    ['Attempts', String(attempts)],
    ['Endpoint', endpoint],
    ['Hash before it', parentHash],
    ['Hash at its end', lastHash],
    ['Evidence', evidence == null ? undefined : JSON.stringify(evidence, (key, value: unknown) => (key === 'said' ? undefined : value))],
    ['Definition', fingerprint],
    ['Committed', moment(Number(updatedAt) / 1_000)],
    ['Error', error],
  ]
  const said = saidIn(evidence)
  const again = first !== undefined && last !== undefined ? { from: Number(first), to: Number(last) } : undefined
  return (
    <>
      <dl class="fields">
        {fields.flatMap(([term, value]) =>
          value === undefined || value === null ? [] : [<dt key={term}>{term}</dt>, <dd key={`${term} is`}>{value}</dd>],
        )}
      </dl>
      {said.length === 0 ? null : <pre aria-label={`What ${unit} said`}>{said.join('\n')}</pre>}
      {again && onAgain ? <button onClick={() => onAgain(again)}>Read this unit again…</button> : null}
    </>
  )
}
