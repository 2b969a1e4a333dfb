import { useEffect, useRef } from 'preact/hooks'
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
  readonly onOpen: (place: number) => void
  readonly onLeave: (by: -1 | 1) => void
  readonly onFocus: () => void
  readonly onEscape: () => void
}

/** Pixels that a pointer may move and still click. */
const STILL = 4

/** The coverage of one step: a slider whose value is a place, and whose text says what is known of it. */
export function Strip(props: StripProps) {
  const { step, axis, all, window, layers, cursor, isStop, onMove, onZoom, onOpen, onFocus } = props
  const strip = useRef<HTMLDivElement>(null)
  const drag = useRef<{ readonly x: number; readonly window: Span; isMoved: boolean } | undefined>(undefined)
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
      const isMeant = event.ctrlKey || event.metaKey || document.activeElement === element
      if (!isMeant) return
      event.preventDefault()
      const { left = 0, width = 1 } = element?.getBoundingClientRect() ?? {}
      const at = shown.from + ((event.clientX - left) / width) * sizeOf(shown)
      if (Math.abs(event.deltaX) > Math.abs(event.deltaY)) zoom(panned(shown, (event.deltaX / width) * sizeOf(shown), whole))
      else zoom(zoomed(shown, 1.0025 ** event.deltaY, at, whole, of))
    }
    element?.addEventListener('wheel', wheel, { passive: false })
    return () => element?.removeEventListener('wheel', wheel)
  }, [])
  const cell = layers.flatMap((cells) => cells.filter(({ from, to }) => from <= cursor && cursor <= to)).at(-1)
  const share = (cursor - window.from + 0.5) / sizeOf(window)
  const move = (event: PointerEvent) => {
    const from = drag.current
    if (!from) return onMove(placeAt(event.clientX))
    const by = event.clientX - from.x
    if (Math.abs(by) > STILL) from.isMoved = true
    const width = strip.current?.clientWidth ?? 1
    if (from.isMoved) onZoom(panned(from.window, (-by / width) * sizeOf(from.window), all))
  }
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
      onPointerDown={(event) => {
        if (event.button !== 0) return
        strip.current?.setPointerCapture(event.pointerId)
        drag.current = { x: event.clientX, window, isMoved: false }
      }}
      onPointerUp={(event) => {
        const from = drag.current
        drag.current = undefined
        if (!from || from.isMoved) return
        onMove(placeAt(event.clientX))
        onOpen(placeAt(event.clientX))
      }}
      onPointerCancel={() => (drag.current = undefined)}
    >
      <Cells layers={layers} window={window} />
      {share >= 0 && share <= 1 ? <span class="cursor" style={{ left: `${share * 100}%` }} /> : null}
    </div>
  )
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
