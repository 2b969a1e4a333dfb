import type { Writable } from 'node:stream'
import { cutLine, type Part, type Tone, widthOf } from './fit.js'
import { counted } from './words.js'

export interface ScreenOptions {
  /** A terminal, and what else is written to it meanwhile: standard error. */
  readonly out: Writable
  readonly err: Writable
  /** Width where `out` does not say it. */
  readonly columns: number
  readonly color: boolean
  /** Registers what must be undone however the process ends: the cursor is hidden. */
  readonly atExit: (cleanup: () => void) => () => void
}

const tones: Readonly<Record<Tone, number>> = { good: 32, bad: 31, busy: 33, dim: 2 }

/**
 * Lines at the end of a terminal that are drawn again and again. What others write while they are there is shown above them,
 * line by line. A closed terminal ends nothing.
 */
export class Screen {
  readonly #write: (text: string) => void
  readonly #leave: (() => void)[]
  #lines: readonly (readonly Part[])[] = []

  constructor(private readonly options: ScreenOptions) {
    const { out, err, atExit } = options
    const write = out.write.bind(out)
    this.#write = (text) => {
      if (!out.destroyed && !out.writableEnded) write(text)
    }
    const ignore = () => undefined
    out.on('error', ignore)
    this.#leave = [...new Set([out, err])].map((stream) => this.#guard(stream))
    this.#leave.push(
      () => out.off('error', ignore),
      atExit(() => this.#write(showCursor)),
    )
    this.#write(hideCursor)
  }

  /** Columns that a line may take: the last one stays free, since some terminals go on to the next line as soon as it is full. */
  get columns(): number {
    return Math.max(1, this.#size('columns', this.options.columns) - 1)
  }

  /** Draws these lines over those before. More than fit are counted. */
  draw(lines: readonly (readonly Part[])[]): void {
    const most = Math.max(1, this.#size('rows', Infinity) - 1)
    const kept = lines.length > most ? lines.slice(0, Math.max(1, most - 1)) : lines
    const more: readonly Part[] = [{ text: `and ${counted(lines.length - kept.length, 'lines')} more`, tone: 'dim' }]
    const erase = this.#erase()
    this.#lines = kept.length < Math.min(most, lines.length) ? [...kept, cutLine(more, this.columns)] : kept
    this.#write(erase + this.#painted())
  }

  /** Draws these lines for good, and lets go of the terminal. */
  end(lines: readonly (readonly Part[])[]): void {
    const erase = this.#erase()
    this.#lines = lines
    this.#write(`${erase}${this.#painted()}${lines.length > 0 ? '\n' : ''}${showCursor}`)
    this.#lines = []
    for (const leave of this.#leave.splice(0)) leave()
  }

  /**
   * Lines that were drawn when the terminal was wider take several of its rows by now. Each row is erased by itself: some
   * terminals keep a screen that is erased as a whole above it, and would keep each drawing.
   */
  #erase(): string {
    const columns = this.#size('columns', this.options.columns)
    const rows = this.#lines.map((line) => Math.max(1, Math.ceil(line.reduce((all, { text }) => all + widthOf(text), 0) / columns)))
    const above = Math.max(0, rows.reduce((all, each) => all + each, 0) - 1)
    return `\r\x1b[2K${'\x1b[1A\x1b[2K'.repeat(above)}`
  }

  /** The terminal breaks no line meanwhile, whatever it takes a character's width to be. */
  #painted(): string {
    return `\x1b[?7l${this.#lines.map((line) => line.map((part) => this.#toned(part)).join('')).join('\n')}\x1b[?7h`
  }

  #toned({ text, tone }: Part): string {
    return tone === undefined || text === '' || !this.options.color ? text : `\x1b[${tones[tone]}m${text}\x1b[0m`
  }

  #size(name: 'columns' | 'rows', otherwise: number): number {
    // What a terminal has beyond a stream; of others it is undefined.
    const size = (this.options.out as { columns?: unknown; rows?: unknown })[name]
    return typeof size === 'number' && size > 0 ? size : otherwise
  }

  /** Whole lines that others write to a stream are shown at once, the beginning of one when it has ended. */
  #guard(stream: Writable): () => void {
    const write = stream.write.bind(stream)
    const own = Object.getOwnPropertyDescriptor(stream, 'write')
    let held = ''
    const guarded = (chunk: string | Uint8Array, ...rest: readonly unknown[]): boolean => {
      held += typeof chunk === 'string' ? chunk : Buffer.from(chunk).toString()
      const end = held.lastIndexOf('\n') + 1
      if (end > 0) {
        this.#write(this.#erase())
        write(held.slice(0, end))
        held = held.slice(end)
        this.#write(this.#painted())
      }
      for (const done of rest) if (typeof done === 'function') queueMicrotask(() => void done())
      return true
    }
    stream.write = guarded
    return () => {
      if (own) Object.defineProperty(stream, 'write', own)
      // That of its class shows again.
      else delete (stream as Partial<Writable>).write
      if (held !== '') write(held)
    }
  }
}

const hideCursor = '\x1b[?25l'
const showCursor = '\x1b[?25h'
