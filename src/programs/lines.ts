import { StringDecoder } from 'node:string_decoder'
import { stripVTControlCharacters } from 'node:util'

/** The longest line that is read; of a longer one the rest is left out, whatever its length. */
const LONGEST = 16_384

/**
 * Bytes to lines, with at most one line in memory. A progress bar that redraws itself ends a line with `\r`. Bytes that are no
 * UTF-8 become U+FFFD, colours are taken out.
 */
export class Lines {
  readonly #decoder = new StringDecoder('utf8')
  #open = ''
  /** Characters of the open line that were left out. */
  #left = 0

  /** The lines that these bytes end. */
  add(bytes: Buffer): string[] {
    return this.#read(this.#decoder.write(bytes))
  }

  /** What is left when no more bytes come. */
  end(): string[] {
    const lines = this.#read(this.#decoder.end())
    if (this.#open !== '') lines.push(this.#line())
    return lines
  }

  #read(text: string): string[] {
    const [first = '', ...parts] = text.includes('\r') ? text.split(/[\r\n]+/) : text.split('\n')
    this.#append(first)
    const last = parts.pop()
    if (last === undefined) return []
    const lines = this.#open === '' ? [] : [this.#line()]
    for (const part of parts) {
      if (part === '') continue
      // The usual way: a whole line.
      if (part.length <= LONGEST) {
        lines.push(plain(part))
      } else {
        this.#append(part)
        lines.push(this.#line())
      }
    }
    this.#append(last)
    return lines
  }

  #append(part: string): void {
    const room = LONGEST - this.#open.length
    this.#open += part.slice(0, room)
    this.#left += Math.max(0, part.length - room)
  }

  /** Ends the open line. */
  #line(): string {
    const line = plain(this.#open)
    const whole = this.#left === 0 ? line : `${line} … (${this.#left} characters more)`
    this.#open = ''
    this.#left = 0
    return whole
  }
}

const plain = (line: string): string => (line.includes('\u001b') ? stripVTControlCharacters(line) : line)
