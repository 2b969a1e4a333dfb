import { PipeError, type ProgramEnd } from '../../src/sdk/authors.js'

/** A program ended in a way that the file does not call done. */
export class ProgramFailedError extends PipeError {
  readonly code = 'PROGRAM_FAILED'
  override readonly hint: string
  override readonly detail: string | undefined
  constructor(
    command: string,
    { code, signal }: ProgramEnd,
    said: readonly string[],
    override readonly retryable: boolean,
  ) {
    const last = said.length === 0 ? ', and it said nothing' : `; it said last: ${reasonIn(said).join(' | ')}`
    super(`${command} ${signal === undefined ? `ended with exit code ${code}` : `was ended by ${signal}`}${last}`)
    this.detail = said.length === 0 ? undefined : said.slice(-MOST_LINES).join('\n')
    this.hint =
      signal === 'SIGKILL'
        ? 'the system kills so what takes more memory than there is'
        : 'an exit code that means done belongs into `exit.ok`, one that may pass into `exit.retry`'
  }
}

/** Lines of output that are told below the error. More of them are the evidence of the unit. */
const MOST_LINES = 20

/** Lines of output that stand in the error: two before the one that names it, and two behind. */
const AROUND = 2

/** What tells most of why it failed: a program that throws says that above its stack, and most others last. */
function reasonIn(said: readonly string[]): readonly string[] {
  const at = said.findLastIndex((line) => /error|exception|fatal|panic/i.test(line) && !/^\s*at /.test(line))
  return at < 0 ? said.slice(-2 * AROUND - 1) : said.slice(Math.max(0, at - AROUND), at + AROUND + 1)
}
