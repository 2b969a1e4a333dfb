import type { CoverageState } from '../api.js'
import { type Cell, isTrouble, type Span, sizeOf, STATES } from './scale.js'

/** How a state is filled, in the colours of the scheme that holds now: each by a pattern of its own, for who sees no colour. */
export type Palette = Readonly<Record<CoverageState, CanvasPattern | string>>

/** A part of this many pixels is drawn of what is rare, so that one block of a million is seen. */
const LEAST_WIDTH = 2
const LEAST_HEIGHT = 4

export function paletteOf(element: Element, context: CanvasRenderingContext2D): Palette {
  const style = getComputedStyle(element)
  const of = (name: string) => style.getPropertyValue(`--map-${name}`).trim()
  const tile = (back: string, draw: (tile: CanvasRenderingContext2D) => void): CanvasPattern | string => {
    const canvas = document.createElement('canvas')
    canvas.width = canvas.height = 8
    const inner = canvas.getContext('2d')
    if (!inner) return back
    inner.fillStyle = back
    inner.fillRect(0, 0, 8, 8)
    draw(inner)
    return context.createPattern(canvas, 'repeat') ?? back
  }
  const lines =
    (colour: string, width: number, isCrossed = false) =>
    (inner: CanvasRenderingContext2D) => {
      inner.strokeStyle = colour
      inner.lineWidth = width
      inner.beginPath()
      for (const shift of [-8, 0, 8]) {
        inner.moveTo(shift - 1, 9)
        inner.lineTo(shift + 9, -1)
        if (isCrossed) {
          inner.moveTo(shift - 1, -1)
          inner.lineTo(shift + 9, 9)
        }
      }
      inner.stroke()
    }
  const bars = (colour: string) => (inner: CanvasRenderingContext2D) => {
    inner.fillStyle = colour
    inner.fillRect(0, 1, 8, 2)
    inner.fillRect(0, 5, 8, 2)
  }
  const dots = (colour: string, size: number) => (inner: CanvasRenderingContext2D) => {
    inner.fillStyle = colour
    inner.fillRect(2, 2, size, size)
    inner.fillRect(6, 6, size, size)
  }
  return {
    done: of('done'),
    proved: tile(of('proved'), dots(of('proved-mark'), 2)),
    empty: tile(of('empty'), lines(of('empty-mark'), 1.2)),
    running: tile(of('running'), lines(of('running-mark'), 2.6)),
    stale: tile(of('stale'), bars(of('stale-mark'))),
    quarantined: tile(of('quarantined'), lines(of('quarantined-mark'), 1.4, true)),
    missing: tile(of('missing'), dots(of('missing-mark'), 1)),
  }
}

/** Draws cells over a window. A cell of several states is filled from below by their shares; none of them is left out. */
export function paint(context: CanvasRenderingContext2D, cells: readonly Cell[], window: Span, palette: Palette): void {
  const { width, height } = context.canvas
  const perPlace = width / sizeOf(window)
  const small: Cell[] = []
  for (const cell of cells) {
    if (cell.to < window.from || cell.from > window.to) continue
    const left = (cell.from - window.from) * perPlace
    const right = (cell.to + 1 - window.from) * perPlace
    if (right - left < LEAST_WIDTH && !isWhole(cell)) small.push(cell)
    else fill(context, cell, Math.floor(left), Math.max(1, Math.ceil(right) - Math.floor(left)), height, palette)
  }
  // Above the others, which would hide them.
  for (const cell of small) {
    const left = Math.floor((cell.from - window.from) * perPlace)
    fill(context, cell, Math.min(left, width - LEAST_WIDTH), LEAST_WIDTH, height, palette)
  }
}

const isWhole = (cell: Cell) => !isTrouble(cell) && (cell.places.running ?? 0) === 0

function fill(context: CanvasRenderingContext2D, { places }: Cell, left: number, width: number, height: number, palette: Palette): void {
  const found = STATES.filter((state) => (places[state] ?? 0) > 0)
  const all = found.reduce((sum, state) => sum + (places[state] ?? 0), 0)
  const spare = height - found.length * LEAST_HEIGHT
  let bottom = height
  for (const state of found) {
    const part = Math.round(LEAST_HEIGHT + (spare * (places[state] ?? 0)) / all)
    const top = state === found.at(-1) ? 0 : bottom - part
    context.fillStyle = palette[state]
    context.fillRect(left, top, width, bottom - top)
    bottom = top
  }
}
