import stringWidth from 'string-width'

/** Columns of a terminal that a text takes. */
export function widthOf(text: string): number {
  return narrow.test(text) ? text.length : stringWidth(text)
}

/** What takes one column a character: nearly all that is ever shown, so that most lines need no Unicode tables. */
const narrow = /^[ -~─━╸…·✔✖\u2800-\u28ff]*$/

const graphemes = new Intl.Segmenter()

/** The beginning of a text that fits, with `…` where it was cut. A character of two columns is never halved. */
export function cut(text: string, columns: number): string {
  if (columns <= 0) return ''
  if (narrow.test(text)) return text.length <= columns ? text : `${text.slice(0, columns - 1)}…`
  let kept = 0
  let taken = 0
  // No further than it fits: what a provider says may be long.
  for (const { segment, index } of graphemes.segment(text)) {
    if (taken < columns) kept = index
    taken += widthOf(segment)
    if (taken > columns) return `${text.slice(0, kept)}…`
  }
  return text
}

/** A text in exactly so many columns: cut, or followed by blanks. */
export function padded(text: string, columns: number): string {
  const fitting = cut(text, columns)
  return fitting + ' '.repeat(columns - widthOf(fitting))
}

export type Tone = 'good' | 'bad' | 'busy' | 'dim'

/** A piece of a line of one tone. */
export interface Part {
  readonly text: string
  readonly tone?: Tone
}

/** The beginning of a line that fits. */
export function cutLine(line: readonly Part[], columns: number): Part[] {
  const parts: Part[] = []
  let left = columns
  for (const [i, part] of line.entries()) {
    const more = line.slice(i + 1).some(({ text }) => text !== '')
    const whole = more ? `${part.text}…` : part.text
    const text = cut(whole, left)
    if (text !== whole || !more) return [...parts, { ...part, text }]
    parts.push(part)
    left -= widthOf(part.text)
  }
  return parts
}
