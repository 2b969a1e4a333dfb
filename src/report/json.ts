import type { Writable } from 'node:stream'
import { jsonLine } from './escape.js'
import { quietWriter, type Reporter } from './reporter.js'

/** Every event as one line of JSON, as it is in `RunEvent`. */
export function jsonReporter(options: { readonly out: Writable }): Reporter {
  const write = quietWriter(options.out)
  return {
    onEvent: (event) => write(`${jsonLine(event)}\n`),
    close: () => Promise.resolve(),
  }
}
