import { errorLines, escapeText } from '../report/escape.js'
import { type Clock, isPipeError } from '../sdk/index.js'

/** What goes on is said again after so long. */
const AGAIN_MS = 60_000

/**
 * Tells who runs the server what nobody asked for and failed: an outage that we know of in one line, a mistake with its stack. What is
 * met again and again, as by everybody who listens while a database is away, is told once a minute.
 */
export function troubles(write: (text: string) => void, clock: Clock): (error: unknown) => void {
  let last = { text: '', at: -Infinity }
  return (error) => {
    const text = isPipeError(error)
      ? `error: ${[error.message, error.hint]
          .filter((part) => part !== undefined)
          .map(escapeText)
          .join('; ')} (${error.code})`
      : `internal error: ${errorLines(error)}`
    const at = clock.monotonic()
    if (text === last.text && at - last.at < AGAIN_MS) return
    last = { text, at }
    write(`${text}\n`)
  }
}
