import type { Bucket, CoverageState, Stretch } from '../api.js'
import { count } from '../words.js'

/** As many parts of a strip as can be told apart. */
export const PARTS = 500

export type Axis = 'numbers' | 'time'

/** A part of an axis, both ends included: blocks, or microseconds UTC. */
export interface Span {
  readonly from: number
  readonly to: number
}

/** A part of the line with how many of its places are in each state. */
export type Cell = Bucket

/** The answer of the API for a step. */
export interface StepAnswer extends Span {
  readonly step: string
  readonly axis: Axis | null
  readonly units: Readonly<Record<string, number>>
  /** Why what is stale is to be read again. */
  readonly reasons: readonly string[]
  readonly stretches: readonly Stretch[] | null
  readonly buckets: readonly Bucket[] | null
}

export const STATES: readonly CoverageState[] = ['proved', 'done', 'empty', 'running', 'stale', 'quarantined', 'missing']

export const WORDS: Readonly<Record<CoverageState, string>> = {
  proved: 'proved',
  done: 'done',
  empty: 'empty, with evidence',
  running: 'running',
  stale: 'stale, to be read again',
  quarantined: 'in quarantine',
  missing: 'missing',
}

export const sizeOf = ({ from, to }: Span): number => to - from + 1

/** Stretches and buckets in one form. */
export function cellsOf({ stretches, buckets }: Pick<StepAnswer, 'stretches' | 'buckets'>): readonly Cell[] {
  return buckets ?? (stretches ?? []).map(({ from, to, state }) => ({ from, to, places: { [state]: to - from + 1 } }))
}

/** How many places of all cells are in each state. */
export function totals(cells: readonly Cell[]): Partial<Record<CoverageState, number>> {
  const all: Partial<Record<CoverageState, number>> = {}
  for (const { places } of cells) for (const state of STATES) if (places[state]) all[state] = (all[state] ?? 0) + places[state]
  return all
}

const SECOND = 1e6
const DAY = 86_400 * SECOND
/** The least that is shown: some blocks, a minute. */
const LEAST: Readonly<Record<Axis, number>> = { numbers: 12, time: 60 * SECOND }

/** A window `factor` times as long, with `at` where it was, inside of all there is. */
export function zoomed(window: Span, factor: number, at: number, all: Span, axis: Axis): Span {
  const size = Math.min(sizeOf(all), Math.max(LEAST[axis], Math.round(sizeOf(window) * factor)))
  const share = (at - window.from) / sizeOf(window)
  return within(Math.round(at - share * size), size, all)
}

export const panned = (window: Span, by: number, all: Span): Span => within(Math.round(window.from + by), sizeOf(window), all)

/** A window of this size that begins as near to `from` as what there is allows. */
function within(from: number, size: number, all: Span): Span {
  const most = Math.max(all.from, all.to - size + 1)
  const start = Math.min(most, Math.max(all.from, from))
  return { from: start, to: Math.min(all.to, start + size - 1) }
}

/** A place in words, as finely as `size` of what is shown asks for. */
export function placeInWords(place: number, axis: Axis, size: number): string {
  if (axis === 'numbers') return count(place)
  const text = new Date(Math.floor(place / 1_000)).toISOString()
  if (size > 40 * DAY) return text.slice(0, 10)
  return size > 2 * DAY ? text.slice(0, 13).replace('T', ' ') + 'h' : text.slice(0, 19).replace('T', ' ')
}

/** A stretch in words: `18,000,000 to 18,000,999`. A whole day is one day. */
export function spanInWords(span: Span, axis: Axis): string {
  if (span.from === span.to && axis === 'numbers') return count(span.from)
  const size = sizeOf(span)
  const isDays = axis === 'time' && span.from % DAY === 0 && (span.to + 1) % DAY === 0
  const words = (place: number) => placeInWords(place, axis, isDays ? Infinity : size)
  return isDays && size === DAY ? words(span.from) : `${words(span.from)} to ${words(span.to)}`
}

/** How many places: `2,480`, or `3.5 days`. */
export function amount(places: number, axis: Axis): string {
  if (axis === 'numbers') return count(places)
  const units: [number, string][] = [
    [DAY, 'days'],
    [3_600 * SECOND, 'hours'],
    [60 * SECOND, 'minutes'],
  ]
  const [unit, word] = units.find(([length]) => places >= length) ?? [SECOND, 'seconds']
  const value = places / unit
  return `${value % 1 === 0 || value >= 100 ? count(value) : value.toFixed(1)} ${value === 1 ? word.slice(0, -1) : word}`
}

/** A stretch as `POST …/reset` takes it. */
export function rangeOf({ from, to }: Span, axis: Axis): readonly [from: string, to: string] {
  if (axis === 'numbers') return [String(from), String(to)]
  const isDays = from % DAY === 0 && (to + 1) % DAY === 0
  return isDays ? [instant(from).slice(0, 10), instant(to).slice(0, 10)] : [instant(from), instant(to)]
}

/** Microseconds UTC to the last digit. */
function instant(us: number): string {
  const seconds = Math.floor(us / SECOND)
  const rest = String(us - seconds * SECOND).padStart(6, '0')
  return `${new Date(seconds * 1_000).toISOString().slice(0, 19)}${rest === '000000' ? '' : `.${rest}`}Z`
}

/** What the cells say of a part of the line, as if each were alike all through. */
export function partOf(cells: readonly Cell[], { from, to }: Span): Cell {
  const places: Partial<Record<CoverageState, number>> = {}
  for (const cell of cells) {
    const both = Math.min(to, cell.to) - Math.max(from, cell.from) + 1
    if (both <= 0) continue
    for (const state of STATES) {
      const share = Math.round(((cell.places[state] ?? 0) * both) / sizeOf(cell))
      if (share > 0) places[state] = (places[state] ?? 0) + share
    }
  }
  return { from, to, places }
}

/** What is known of a cell: `done`, or `2,480 done, 20 missing`. */
export function cellInWords({ places }: Cell, axis: Axis): string {
  const found = STATES.filter((state) => (places[state] ?? 0) > 0)
  const [only] = found
  if (found.length === 1 && only) return WORDS[only]
  return found.map((state) => `${amount(places[state] ?? 0, axis)} ${WORDS[state]}`).join(', ')
}

export interface Tick {
  readonly at: number
  readonly text: string
}

const TIMES = [1, 5, 15, 60, 300, 900, 3_600, 10_800, 21_600, 86_400].map((seconds) => seconds * SECOND)

/** Round places of a window, at most so many. */
export function ticks(window: Span, axis: Axis, most: number): readonly Tick[] {
  const size = sizeOf(window)
  if (axis === 'numbers') {
    const step = Math.max(1, round(size / most))
    return every(window, step).map((at) => ({ at, text: count(at) }))
  }
  const step = TIMES.find((length) => size / length <= most)
  if (step === undefined) return dates(window, most)
  const isDay = step === DAY
  return every(window, step).map((at) => {
    const text = new Date(at / 1_000).toISOString()
    return { at, text: isDay || at % DAY === 0 ? text.slice(5, 10) : text.slice(11, step < 60 * SECOND ? 19 : 16) }
  })
}

const every = ({ from, to }: Span, step: number): number[] => {
  const first = Math.ceil(from / step) * step
  return Array.from({ length: Math.max(0, Math.floor((to - first) / step) + 1) }, (_, i) => first + i * step)
}

/** The next of 1, 2, 5, 10, 20, … */
function round(value: number): number {
  const power = 10 ** Math.floor(Math.log10(value))
  return ([1, 2, 5].find((digit) => digit * power >= value) ?? 10) * power
}

/** Days of a month, months, quarters or years. */
function dates({ from, to }: Span, most: number): readonly Tick[] {
  const days = (to - from + 1) / DAY
  const each = [7, 14].find((length) => days / length <= most)
  if (each !== undefined)
    return every({ from, to }, each * DAY).map((at) => ({ at, text: new Date(at / 1_000).toISOString().slice(0, 10) }))
  const months = [1, 3, 6, 12, 24, 60].find((length) => days / 30.4 / length <= most) ?? 120
  const first = new Date(from / 1_000)
  const found: Tick[] = []
  for (let month = Math.ceil((first.getUTCFullYear() * 12 + first.getUTCMonth()) / months) * months; ; month += months) {
    const at = Date.UTC(Math.floor(month / 12), month % 12) * 1_000
    if (at > to) return found
    const text = new Date(at / 1_000).toISOString()
    if (at >= from) found.push({ at, text: months >= 12 ? text.slice(0, 4) : text.slice(0, 7) })
  }
}

/** Whether something of a cell is not there as a run would leave it. */
export const isTrouble = ({ places }: Cell): boolean => (places.missing ?? 0) + (places.quarantined ?? 0) + (places.stale ?? 0) > 0

/** The next cell beyond a place with something that is not there: in the window, else in all there is, else the first. */
export function nextTrouble(layers: readonly (readonly Cell[])[], place: number): Cell | undefined {
  const beyond = layers.map((cells) => cells.find((cell) => cell.from > place && isTrouble(cell)))
  return beyond.findLast((cell) => cell !== undefined) ?? layers[0]?.find(isTrouble)
}
