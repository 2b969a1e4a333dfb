import { useEffect, useMemo, useRef, useState } from 'preact/hooks'
import type { StepAnswer, StepView } from './api.js'
import { Bar } from './bar.js'
import { drawn } from './layout.js'
import { Mark, toneOf } from './mark.js'
import { count, isShort } from './words.js'

interface GraphProps {
  readonly steps: readonly StepAnswer[]
  readonly views: ReadonlyMap<string, StepView>
}

/** The steps and what each needs, with how they stand. */
export function Graph({ steps, views }: GraphProps) {
  const isNarrow = useNarrow()
  // Where they stand changes with the file only.
  const shape = JSON.stringify(steps.map(({ id, title, needs }) => ({ id, title, needs })))
  const drawing = useMemo(() => drawn(JSON.parse(shape) as StepAnswer[], isNarrow), [shape, isNarrow])
  const of = new Map(steps.map((step) => [step.id, step]))
  const group = useRef<HTMLDivElement>(null)
  // What is wider than a phone begins where the first step stands.
  useEffect(() => {
    const [first] = drawing.boxes.filter(({ id }) => of.get(id)?.needs.length === 0)
    if (isNarrow) group.current?.scrollTo({ left: (first?.x ?? 0) - 16 })
  }, [drawing, isNarrow])
  return (
    <div ref={group} class="scroll graph" tabIndex={0} role="group" aria-label="Graph of the steps">
      <div class="canvas" style={{ width: `${drawing.width}px`, height: `${drawing.height}px` }}>
        <svg width={drawing.width} height={drawing.height} aria-hidden="true">
          <defs>
            <marker id="arrow" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="6" markerHeight="6" orient="auto-start-reverse">
              <path d="M0,0.5L7,4L0,7.5z" />
            </marker>
          </defs>
          {drawing.edges.map(({ from, to, path }) => (
            <path
              key={`${from} ${to}`}
              d={path}
              marker-end="url(#arrow)"
              class={views.get(to)?.state === 'running' ? 'flows' : undefined}
            />
          ))}
        </svg>
        <ul>
          {drawing.boxes.map(({ id, x, y }) => {
            const step = of.get(id)
            const place = { transform: `translate(${x}px, ${y}px)`, width: `${drawing.size.width}px`, height: `${drawing.size.height}px` }
            return step ? (
              <li key={id} style={place}>
                <Node step={step} view={views.get(id)} />
              </li>
            ) : null
          })}
        </ul>
      </div>
    </div>
  )
}

function Node({ step, view }: { step: StepAnswer; view: StepView | undefined }) {
  const state = view?.state ?? 'waiting'
  const jump = (event: MouseEvent) => {
    event.preventDefault()
    const row = document.getElementById(rowId(step.id))
    row?.scrollIntoView({ block: 'center', behavior: 'smooth' })
    row?.focus({ preventScroll: true })
  }
  return (
    <a class={`node edge ${toneOf(state)}`} href={`#${rowId(step.id)}`} onClick={jump} title={`${step.title} (${step.id}, ${step.type})`}>
      <span class="row">
        <Mark state={state} isQuiet />
        <strong class="name">{broken(step.title)}</strong>
      </span>
      <Bar
        done={view?.done ?? 0}
        total={view?.total ?? null}
        isShort={isShort(state, view?.quarantined ?? 0)}
        tone={toneOf(state)}
        label={`Progress of ${step.id}`}
      />
      <span class="small dim cut">{view?.total == null ? step.type : `${count(view.done)}/${count(view.total)} ${view.word ?? ''}`}</span>
    </a>
  )
}

/** A name that goes on in the next line behind a part of it. */
const broken = (name: string) => name.split(/(?<=[_[.-])/).flatMap((part, i) => (i === 0 ? [part] : [<wbr key={i} />, part]))

/** The id of the row that tells more of a step. */
export const rowId = (step: string): string => `step-${step.replace(/[^\w-]/g, '_')}`

function useNarrow(): boolean {
  const query = '(max-width: 640px)'
  const [isNarrow, setNarrow] = useState(() => matchMedia(query).matches)
  useEffect(() => {
    const list = matchMedia(query)
    const changed = () => setNarrow(list.matches)
    list.addEventListener('change', changed)
    return () => list.removeEventListener('change', changed)
  }, [])
  return isNarrow
}
