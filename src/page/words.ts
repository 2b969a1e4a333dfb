const number = new Intl.NumberFormat('en-US', { maximumFractionDigits: 0 })

/** `12,345`. */
export const count = (value: number): string => number.format(value)

/** `12,345 rows`, `1 row`. */
export function counted(value: number, word: string): string {
  return `${count(value)} ${value === 1 ? word.replace(/s$/, '') : word}`
}

/** `2,910/s`, `8.5/s`. */
export function rate(perSecond: number): string {
  return `${perSecond >= 100 ? count(perSecond) : perSecond.toFixed(1)}/s`
}

/** `0:04`, `2:05:09`, `3 d 04:10`. */
export function duration(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1_000))
  const [days, hours, minutes] = [Math.floor(seconds / 86_400), Math.floor(seconds / 3_600) % 24, Math.floor(seconds / 60) % 60]
  const two = (value: number) => String(value).padStart(2, '0')
  if (days > 0) return `${days} d ${two(hours)}:${two(minutes)}`
  return hours > 0 ? `${hours}:${two(minutes)}:${two(seconds % 60)}` : `${minutes}:${two(seconds % 60)}`
}

/** `4 s ago`, `3 h ago`. */
export function ago(ms: number): string {
  const seconds = Math.max(0, Math.round(ms / 1_000))
  if (seconds < 90) return `${seconds} s ago`
  if (seconds < 5_400) return `${Math.round(seconds / 60)} min ago`
  return seconds < 129_600 ? `${Math.round(seconds / 3_600)} h ago` : `${Math.round(seconds / 86_400)} d ago`
}

/** `in 40 s`, `in 3 h`. */
export function soon(ms: number): string {
  return ms <= 0 ? 'now' : `in ${ago(ms).replace(/ ago$/, '')}`
}

/** `2026-11-22 06:28:01`, in UTC as everything here. */
export function moment(at: string | number): string {
  const text = typeof at === 'number' ? new Date(at).toISOString() : at
  return `${text.slice(0, 10)} ${text.slice(11, 19)}`
}

/** `1.2 MB`. */
export function bytes(value: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB']
  const power = Math.min(units.length - 1, Math.floor(Math.log10(Math.max(1, value)) / 3))
  return `${(value / 1_000 ** power).toFixed(power === 0 ? 0 : 1)} ${units[power]}`
}

/** Whole percent; 100 only when all of it is there. `isShort`: something is missing that was not a part of it. */
export function percent(done: number, total: number, isShort = false): number {
  if (total <= 0) return isShort ? 0 : 100
  return done >= total && !isShort ? 100 : Math.min(99, Math.floor((done / total) * 100))
}

/** `12 of 40 blocks, 30 %`; where a run had nothing to do, that is what it says. */
export function progressInWords(done: number, total: number, isShort: boolean, word = ''): string {
  if (total === 0) return isShort ? 'nothing was left to try' : 'nothing to do'
  return `${pieces(done)} of ${pieces(total)}${word === '' ? '' : ` ${word}`}, ${percent(done, total, isShort)} %`
}

/** A part of a day is not none. */
const pieces = (value: number): string => (Number.isInteger(value) || value >= 100 ? count(value) : value.toFixed(1))

/** Ends at which something is missing, whatever was done. */
const SHORT: ReadonlySet<string> = new Set(['incomplete', 'failed', 'blocked', 'closed', 'error', 'interrupted'])

/** Whether something is missing of what stands so. */
export const isShort = (state: string, quarantined: number): boolean => quarantined > 0 || SHORT.has(state)
