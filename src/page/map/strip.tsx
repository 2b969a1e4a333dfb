import { useEffect, useRef, useState } from 'preact/hooks'
import { Cells } from './canvas.js'
import { amount, type Axis, type Cell, cellInWords, nextTrouble, panned, sizeOf, type Span, spanInWords, zoomed } from './scale.js'

export interface StripProps {
  readonly step: string
  readonly axis: Axis
  /** All there is of the axis, and the part of it that is shown. */
  readonly all: Span
  readonly window: Span
  /** Of all there is, and of the window. */
  readonly layers: readonly (readonly Cell[])[]
  /** The place that the keys stand on. */
  readonly cursor: number
  /** Whether the tab key comes here; the arrows go from one strip to the next. */
  readonly isStop: boolean
  readonly onMove: (cursor: number) => void
  readonly onZoom: (window: Span) => void
  /** A part that is chosen. */
  readonly picked: Span | undefined
  readonly onOpen: (place: number) => void
  readonly onPick: (span: Span) => void
  readonly onLeave: (by: -1 | 1) => void
  readonly onFocus: () => void
  readonly onEscape: () => void
}

/** Pixels that a pointer may move and still click. */
const STILL = 4

interface Drag {
  readonly x: number
  readonly window: Span
  /** Pixels between two fingers when the second one came; undefined: there is one. */
  readonly apart: number | undefined
  /** Where a choice begins; undefined: the line is moved. */
  readonly choice: number | undefined
  isMoved: boolean
}

/** The coverage of one step: a slider whose value is a place, and whose text says what is known of it. */
export function Strip(props: StripProps) {
  const { step, axis, all, window, layers, cursor, isStop, onMove, onZoom, onOpen, onPick, onFocus } = props
  const strip = useRef<HTMLDivElement>(null)
  const drag = useRef<Drag | undefined>(undefined)
  const [choice, setChoice] = useState<Span>()
  const fingers = useRef(new Map<number, number>())
  // A pointer that was moved here means the strip; one under which the page was scrolled means the page.
  const isMeant = useRef(false)
  const newest = useRef(props)
  newest.current = props
  const placeAt = (x: number): number => {
    const { left, width } = strip.current?.getBoundingClientRect() ?? { left: 0, width: 1 }
    const share = Math.min(1, Math.max(0, (x - left) / Math.max(1, width)))
    return Math.min(window.to, Math.floor(window.from + share * sizeOf(window)))
  }
  useEffect(() => {
    const element = strip.current
    // Preact listens passively, and then the page would scroll as well.
    const wheel = (event: WheelEvent) => {
      const { window: shown, all: whole, axis: of, onZoom: zoom } = newest.current
      if (!isMeant.current && !event.ctrlKey && !event.metaKey && document.activeElement !== element) return
      event.preventDefault()
      const { left = 0, width = 1 } = element?.getBoundingClientRect() ?? {}
      const at = shown.from + ((event.clientX - left) / width) * sizeOf(shown)
      if (Math.abs(event.deltaX) > Math.abs(event.deltaY)) zoom(panned(shown, (event.deltaX / width) * sizeOf(shown), whole))
      else zoom(zoomed(shown, 1.0025 ** event.deltaY, at, whole, of))
    }
    const scrolled = () => (isMeant.current = false)
    element?.addEventListener('wheel', wheel, { passive: false })
    addEventListener('scroll', scrolled, { passive: true })
    return () => {
      element?.removeEventListener('wheel', wheel)
      removeEventListener('scroll', scrolled)
    }
  }, [])
  const cell = layers.flatMap((cells) => cells.filter(({ from, to }) => from <= cursor && cursor <= to)).at(-1)
  const share = (cursor - window.from + 0.5) / sizeOf(window)
  const move = (event: PointerEvent) => {
    if (event.movementX !== 0 || event.movementY !== 0) isMeant.current = true
    if (fingers.current.has(event.pointerId)) fingers.current.set(event.pointerId, event.clientX)
    const from = drag.current
    if (!from) return onMove(placeAt(event.clientX))
    const width = strip.current?.clientWidth ?? 1
    if (from.apart !== undefined) {
      const { apart, middle } = between(fingers.current)
      const { left = 0 } = strip.current?.getBoundingClientRect() ?? {}
      const at = from.window.from + ((middle - left) / width) * sizeOf(from.window)
      return onZoom(zoomed(from.window, from.apart / Math.max(1, apart), at, all, axis))
    }
    const by = event.clientX - from.x
    if (Math.abs(by) > STILL) from.isMoved = true
    if (!from.isMoved) return
    if (from.choice === undefined) onZoom(panned(from.window, (-by / width) * sizeOf(from.window), all))
    else setChoice(spanOf(from.choice, placeAt(event.clientX)))
  }
  const press = (event: PointerEvent) => {
    if (event.button !== 0) return
    strip.current?.setPointerCapture(event.pointerId)
    fingers.current.set(event.pointerId, event.clientX)
    const isPair = fingers.current.size > 1
    drag.current = {
      x: event.clientX,
      window,
      apart: isPair ? between(fingers.current).apart : undefined,
      choice: event.shiftKey ? placeAt(event.clientX) : undefined,
      isMoved: isPair,
    }
  }
  const release = (event: PointerEvent) => {
    fingers.current.delete(event.pointerId)
    const from = drag.current
    // The finger that stays goes on from where it is, and is no click.
    const [left] = fingers.current.values()
    drag.current = left === undefined ? undefined : { x: left, window, apart: undefined, choice: undefined, isMoved: true }
    setChoice(undefined)
    if (from?.choice !== undefined && from.isMoved) onPick(spanOf(from.choice, placeAt(event.clientX)))
    if (!from || from.isMoved) return
    onMove(placeAt(event.clientX))
    onOpen(placeAt(event.clientX))
  }
  const picked = choice ?? props.picked
  const shareOf = (place: number) => `${((place - window.from) / sizeOf(window)) * 100}%`
  return (
    <div
      ref={strip}
      class="strip"
      role="slider"
      tabIndex={isStop ? 0 : -1}
      aria-label={`Coverage of ${step}`}
      aria-orientation="horizontal"
      aria-valuemin={all.from}
      aria-valuemax={all.to}
      aria-valuenow={cursor}
      aria-valuetext={cell ? `${spanInWords(cell, axis)}: ${cellInWords(cell, axis)}` : amount(0, axis)}
      data-step={step}
      onFocus={onFocus}
      onKeyDown={(event) => pressed(event, props)}
      onPointerMove={move}
      onPointerLeave={() => (isMeant.current = false)}
      onPointerDown={press}
      onPointerUp={release}
      onPointerCancel={() => {
        drag.current = undefined
        setChoice(undefined)
        fingers.current.clear()
      }}
    >
      <Cells layers={layers} window={window} />
      {picked ? <span class="picked" style={{ left: shareOf(picked.from), right: `calc(100% - ${shareOf(picked.to + 1)})` }} /> : null}
      {share >= 0 && share <= 1 ? <span class="cursor" style={{ left: `${share * 100}%` }} /> : null}
    </div>
  )
}

const spanOf = (a: number, b: number): Span => ({ from: Math.min(a, b), to: Math.max(a, b) })

function between(fingers: ReadonlyMap<number, number>): { readonly apart: number; readonly middle: number } {
  const [a = 0, b = a] = fingers.values()
  return { apart: Math.abs(a - b), middle: (a + b) / 2 }
}

/** Parts of the window by which an arrow moves. */
const FINE = 200

function pressed(event: KeyboardEvent, props: StripProps): void {
  const { axis, all, window, layers, cursor, onMove, onZoom, onOpen, onLeave, onEscape } = props
  if (event.ctrlKey || event.metaKey || event.altKey) return
  const one = Math.max(1, Math.floor(sizeOf(window) / FINE)) * (event.shiftKey ? 10 : 1)
  const to = (place: number) => {
    const at = Math.min(all.to, Math.max(all.from, place))
    onMove(at)
    if (at < window.from || at > window.to) onZoom(panned(window, at - (window.from + window.to) / 2, all))
  }
  const acts: Readonly<Record<string, () => void>> = {
    ArrowLeft: () => to(cursor - one),
    ArrowRight: () => to(cursor + one),
    PageUp: () => to(cursor - sizeOf(window)),
    PageDown: () => to(cursor + sizeOf(window)),
    Home: () => to(all.from),
    End: () => to(all.to),
    ArrowUp: () => onLeave(-1),
    ArrowDown: () => onLeave(1),
    '+': () => onZoom(zoomed(window, 0.5, cursor, all, axis)),
    '=': () => onZoom(zoomed(window, 0.5, cursor, all, axis)),
    '-': () => onZoom(zoomed(window, 2, cursor, all, axis)),
    '0': () => onZoom(all),
    n: () => to(nextTrouble(layers, cursor)?.from ?? cursor),
    Enter: () => onOpen(cursor),
    ' ': () => onOpen(cursor),
    Escape: onEscape,
  }
  const act = acts[event.key]
  if (!act) return
  event.preventDefault()
  act()
}
