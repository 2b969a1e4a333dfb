import { useState } from 'preact/hooks'
import { pipelinePath } from '../api.js'
import { useAnswer } from '../answer.js'
import { Trouble } from '../trouble.js'
import { count } from '../words.js'
import { type LedgerLine, Row } from './ledger-line.js'
import type { StepAnswer } from './scale.js'

interface NamedProps {
  readonly pipeline: string
  readonly steps: readonly StepAnswer[]
  readonly turn: string
}

/** Steps whose units lie on no line, each with what the ledger says of them: also what a program said. */
export function Named({ pipeline, steps, turn }: NamedProps) {
  const [open, setOpen] = useState<string>()
  if (steps.length === 0) return null
  return (
    <div class="named">
      <h3>By name</h3>
      <ul class="row wrap">
        {steps.map(({ step, units }) => (
          <li key={step}>
            <button aria-expanded={open === step} onClick={() => setOpen(open === step ? undefined : step)}>
              {step} <span class="dim small">{inWords(units)}</span>
            </button>
          </li>
        ))}
      </ul>
      {open === undefined ? null : <Units key={open} pipeline={pipeline} step={open} turn={turn} />}
    </div>
  )
}

const MOST = 50

function Units({ pipeline, step, turn }: { pipeline: string; step: string; turn: string }) {
  const path = pipelinePath(pipeline, `/units?step=${encodeURIComponent(step)}&limit=${MOST}`)
  const { value, error } = useAnswer<{ units: LedgerLine[]; next: string | null }>(path, turn)
  return (
    <section class="line" aria-label={`Units of ${step}`}>
      {error ? <Trouble error={error} /> : null}
      {!value && !error ? <p class="dim">Reading the ledger…</p> : null}
      {(value?.units ?? []).map((line) => (
        <Row key={line.unit} line={line} />
      ))}
      {value?.next == null ? null : <p class="dim small">and more, which GET …/units?step={step} lists in pages</p>}
    </section>
  )
}

const inWords = (units: Readonly<Record<string, number>>): string =>
  Object.entries(units)
    .map(([state, number]) => `${count(number)} ${state}`)
    .join(', ')
