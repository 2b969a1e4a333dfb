import { useEffect, useRef } from 'preact/hooks'
import { pipelinePath } from '../api.js'
import { useAnswer } from '../answer.js'
import { Trouble } from '../app.js'
import { count, moment } from '../words.js'
import { type Axis, placeInWords } from './scale.js'

/** A row of the ledger as the API gives it: integers as text. */
interface LedgerLine {
  readonly unit: string
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
  readonly onClose: () => void
}

/** What the ledger says of a place. */
export function LedgerLine({ pipeline, step, place, axis, onClose }: LineProps) {
  const close = useRef<HTMLButtonElement>(null)
  const path = pipelinePath(pipeline, `/units?step=${encodeURIComponent(step)}&at=${place}`)
  const { value, error } = useAnswer<{ units: LedgerLine[] }>(path)
  useEffect(() => close.current?.focus(), [path])
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
      {error ? <Trouble error={error} /> : null}
      {!value && !error ? <p class="dim">Reading the ledger…</p> : null}
      {value?.units.length === 0 ? <p>Missing: the ledger says nothing of it. No run has come to it yet.</p> : null}
      {(value?.units ?? []).map((line) => (
        <Row key={line.unit} line={line} />
      ))}
    </section>
  )
}

function Row({ line }: { line: LedgerLine }) {
  const { unit, state, attempts, rows, endpoint, parentHash, lastHash, evidence, error, fingerprint, updatedAt } = line
  const tables = Object.entries(rows).map(([table, number]) => `${count(number)} into ${table}`)
  const fields: [string, string | undefined][] = [
    ['Unit', unit],
    ['State', state],
    ['Rows', tables.join(', ') || 'not counted'],
    ['Attempts', String(attempts)],
    ['Endpoint', endpoint],
    ['Hash before it', parentHash],
    ['Hash at its end', lastHash],
    ['Evidence', evidence == null ? undefined : JSON.stringify(evidence)],
    ['Definition', fingerprint],
    ['Committed', moment(Number(updatedAt) / 1_000)],
    ['Error', error],
  ]
  return (
    <dl class="fields">
      {fields.flatMap(([term, value]) =>
        value === undefined || value === null ? [] : [<dt key={term}>{term}</dt>, <dd key={`${term} is`}>{value}</dd>],
      )}
    </dl>
  )
}
