import { formatInstant, PipeError } from '../../src/sdk/authors.js'

/** What `over` asks for is nothing. */
export class OverError extends PipeError {
  readonly code = 'OVER'
  override readonly hint = 'give a `from` that is not after `to`; days are written as 2024-03-01'
  constructor(problem: string) {
    super(`over: ${problem}`)
  }
}

/** A contract, or the value of a topic, is none, once its params are put in. */
export class FilterValueError extends PipeError {
  readonly code = 'LOG_FILTER'
  override readonly hint = 'write an address as 0x and 40 digits, in quotes; a value as the type of its input takes it'
  constructor(where: string, problem: string) {
    super(`${where} ${problem}`)
  }
}

/** A day that is over by the clock ends beyond what the chain has: its nodes lag, or it stands still. */
export class DayOpenError extends PipeError {
  readonly code = 'DAY_OPEN'
  override readonly blame = 'outage'
  override readonly hint = 'run again when the chain is further; a day is read once a block behind it has all its confirmations'
  constructor(end: bigint, head: bigint, time: bigint) {
    super(
      `${formatInstant(end).slice(0, 10)} is not over on the chain: block ${head}, the head less its confirmations, is of ${formatInstant(time)}`,
    )
  }
}

/** Headers that were given can't all be of one chain. */
export class HeaderRefusedError extends PipeError {
  readonly code = 'HEADER_REFUSED'
  override readonly retryable = true
  override readonly blame = 'outage'
  override readonly hint = 'endpoints differ, or one answers something else than it is asked: add another one to `rpc`, or run again'
}

/** The log of a block is that of another block of this height. */
export class LogForkedError extends PipeError {
  readonly code = 'LOG_FORKED'
  override readonly retryable = true
  override readonly blame = 'outage'
  override readonly hint = 'the chain was reorganized, or endpoints differ; run again'
  constructor(number: bigint, ofLog: string, ofHeader: string) {
    super(`block ${number}: its logs are of block ${ofLog}, and its header is that of ${ofHeader}`)
  }
}
