import { useEffect, useMemo, useRef, useState } from 'preact/hooks'
import { pipelinePath, type StepView } from '../api.js'
import { useAnswer } from '../answer.js'
import { percent } from '../words.js'
import { LedgerLine } from './ledger-line.js'
import { type Picked, ReadAgain } from './read-again.js'
import {
  amount,
  type Axis,
  cellInWords,
  cellsOf,
  panned,
  PARTS,
  placeInWords,
  sizeOf,
  type Span,
  spanInWords,
  type StepAnswer,
  ticks,
  totals,
  zoomed,
} from './scale.js'
import { Strip } from './strip.js'

interface GroupProps {
  readonly pipeline: string
  readonly axis: Axis
  readonly answers: readonly StepAnswer[]
  readonly all: Span
  readonly views: ReadonlyMap<string, StepView>
  readonly isRunning: boolean
  readonly version: string
  /** Changes when a run began or ended, or something was done by hand. */
  readonly turn: string
  readonly onDone: () => void
}

const SETTLE_MS = 90

/** Strips that are zoomed together. */
export function Group({ pipeline, axis, answers, all, views, isRunning, version, turn, onDone }: GroupProps) {
  const [zoom, setZoom] = useState<Span>()
  // What is not zoomed shows all there is, also when that grows.
  const window = zoom ?? all
  const [cursor, setCursor] = useState(all.from)
  const [stop, setStop] = useState(answers[0]?.step ?? '')
  const [open, setOpen] = useState<{ readonly step: string; readonly place: number }>()
  const [picked, setPicked] = useState<Picked>()
  const settled = useSettled(window)
  const isWhole = settled.from === all.from && settled.to === all.to
  const query = [
    `from=${settled.from}`,
    `to=${settled.to}`,
    `buckets=${PARTS}`,
    ...answers.map(({ step }) => `step=${encodeURIComponent(step)}`),
  ]
  const asked = isWhole && answers.every(({ from, to }) => from === all.from && to === all.to)
  const near = useAnswer<{ steps: readonly StepAnswer[] }>(asked ? null : pipelinePath(pipeline, `/coverage?${query.join('&')}`), version)
  const layers = useMemo(() => {
    const fine = new Map((asked ? [] : (near.value?.steps ?? [])).map((answer) => [answer.step, cellsOf(answer)]))
    return new Map(
      answers.map((answer) => [answer.step, [cellsOf(answer), fine.get(answer.step) ?? []].filter(({ length }) => length > 0)]),
    )
  }, [answers, near.value, asked])
  const strips = useRef<HTMLDivElement>(null)
  const leave = (by: -1 | 1) => {
    const at = answers.findIndex(({ step }) => step === stop) + by
    const next = answers[at]?.step
    if (next === undefined) return
    setStop(next)
    strips.current?.querySelector<HTMLElement>(`[data-step="${CSS.escape(next)}"]`)?.focus()
  }
  const zoomTo = (span: Span) => setZoom(span.from === all.from && span.to === all.to ? undefined : span)
  const pick = (step: string, span: Span) => {
    setOpen(undefined)
    setPicked({ step, from: span.from, to: span.to })
  }
  const close = () => {
    setOpen(undefined)
    setPicked(undefined)
    strips.current?.querySelector<HTMLElement>(`[data-step="${CSS.escape(stop)}"]`)?.focus()
  }
  const middle = (window.from + window.to) / 2
  const cellAt = (step: string, place: number) =>
    layers
      .get(step)
      ?.flatMap((cells) => cells.filter(({ from, to }) => from <= place && place <= to))
      .at(-1)
  const under = cellAt(stop, cursor)
  const opened = open && cellAt(open.step, open.place)
  return (
    <div class="group">
      <div class="row wrap tools">
        <span class="small">
          {spanInWords(window, axis)} <span class="dim">({amount(sizeOf(window), axis)})</span>
        </span>
        <span class="grow" />
        <button aria-label="Zoom in" onClick={() => zoomTo(zoomed(window, 0.5, middle, all, axis))}>
          +
        </button>
        <button aria-label="Zoom out" onClick={() => zoomTo(zoomed(window, 2, middle, all, axis))} disabled={!zoom}>
          −
        </button>
        <button aria-label="Earlier" onClick={() => zoomTo(panned(window, -sizeOf(window) / 2, all))} disabled={!zoom}>
          ‹
        </button>
        <button aria-label="Later" onClick={() => zoomTo(panned(window, sizeOf(window) / 2, all))} disabled={!zoom}>
          ›
        </button>
        <button onClick={() => setZoom(undefined)} disabled={!zoom}>
          All
        </button>
        <button onClick={() => pick(stop, overlap(window, answers.find(({ step }) => step === stop) ?? all))}>Read again…</button>
      </div>
      <div class="strips" ref={strips}>
        {answers.map((answer) => (
          <div class="lane" key={answer.step}>
            <span class="small name">
              <strong class="cut">{answer.step}</strong> <span class="dim">{covered(answer, views.get(answer.step)?.word === 'rows')}</span>
            </span>
            <Strip
              step={answer.step}
              axis={axis}
              all={all}
              window={window}
              layers={layers.get(answer.step) ?? []}
              cursor={cursor}
              isStop={stop === answer.step}
              onMove={(place) => {
                setCursor(place)
                setStop(answer.step)
              }}
              onZoom={zoomTo}
              picked={picked?.step === answer.step ? picked : undefined}
              onOpen={(place) => {
                setPicked(undefined)
                setOpen({ step: answer.step, place })
              }}
              onPick={(span) => pick(answer.step, span)}
              onLeave={leave}
              onFocus={() => setStop(answer.step)}
              onEscape={() => (open || picked ? close() : setZoom(undefined))}
            />
          </div>
        ))}
        <Scale window={window} axis={axis} />
      </div>
      <p class="small dim under">
        {under ? (
          <>
            {stop}, {spanInWords(under, axis)}: {cellInWords(under, axis)}
          </>
        ) : (
          <>{placeInWords(cursor, axis, sizeOf(window))}: nothing is wanted there</>
        )}
      </p>
      {answers.map(({ step, reasons }) =>
        reasons.length === 0 ? null : (
          <p class="small warn under" key={step}>
            {step} is to be read again in part: {reasons.join('; ')}
          </p>
        ),
      )}
      {open ? (
        <LedgerLine
          pipeline={pipeline}
          axis={axis}
          {...open}
          known={opened ? `${spanInWords(opened, axis)}: ${cellInWords(opened, axis)}` : 'Nothing is wanted there'}
          failures={views.get(open.step)?.failures ?? []}
          turn={turn}
          onClose={close}
          onAgain={(span) => pick(open.step, span)}
        />
      ) : null}
      {picked ? (
        <ReadAgain
          key={`${picked.step} ${picked.from} ${picked.to}`}
          pipeline={pipeline}
          axis={axis}
          picked={picked}
          cells={layers.get(picked.step)?.at(-1) ?? []}
          isRunning={isRunning}
          onClose={close}
          onDone={onDone}
        />
      ) : null}
    </div>
  )
}

/** `99 % of 1,048 days`. Rows are told by their keys, of which not each must be there. */
function covered(answer: StepAnswer, isOfKeys: boolean): string {
  const { done = 0, proved = 0, empty = 0 } = totals(cellsOf(answer))
  return `${percent(done + proved + empty, sizeOf(answer))} % of ${amount(sizeOf(answer), answer.axis ?? 'numbers')}${isOfKeys ? ' keys' : ''}`
}

/** What is shown of a step. */
function overlap(window: Span, all: Span): Span {
  const [from, to] = [Math.max(window.from, all.from), Math.min(window.to, all.to)]
  return from <= to ? { from, to } : { from: all.from, to: all.to }
}

function Scale({ window, axis }: { window: Span; axis: Axis }) {
  const scale = useRef<HTMLDivElement>(null)
  const [width, setWidth] = useState(800)
  useEffect(() => {
    const sizes = new ResizeObserver(([entry]) => setWidth(entry?.contentRect.width ?? 800))
    if (scale.current) sizes.observe(scale.current)
    return () => sizes.disconnect()
  }, [])
  return (
    <div class="lane" aria-hidden="true">
      <span />
      <div class="scale" ref={scale}>
        {ticks(window, axis, Math.max(2, Math.floor(width / 90))).map(({ at, text }) => (
          <span key={at} style={{ left: `${((at - window.from) / sizeOf(window)) * 100}%` }}>
            {text}
          </span>
        ))}
      </div>
    </div>
  )
}

/** A window that has stopped moving. */
function useSettled({ from, to }: Span): Span {
  const [settled, setSettled] = useState({ from, to })
  useEffect(() => {
    if (settled.from === from && settled.to === to) return
    const timer = setTimeout(() => setSettled({ from, to }), SETTLE_MS)
    return () => clearTimeout(timer)
  }, [from, to, settled])
  return settled
}
