import { PipeError } from '../../src/sdk/authors.js'

/** A result is not what `row` expects of it. */
export class RowShapeError extends PipeError {
  readonly code = 'ROW_SHAPE'
  override readonly hint = 'compare `row` and `each` with what the call answers'
  constructor(problem: string, cause: unknown) {
    super(problem, { cause })
  }
}

/** Answers contradict each other, what was asked, or the block's own hashes, at every endpoint. Nothing of the block or row was stored. */
export class BlockInconsistentError extends PipeError {
  readonly code = 'BLOCK_INCONSISTENT'
  override readonly retryable = true
  override readonly blame = 'outage'
  override readonly hint = 'no endpoint gave answers that agree: add another one to `rpc`, or run again later; what is done stays done'
  constructor(
    /** The block or row. */
    readonly where: string,
    readonly problem: string,
  ) {
    super(`${where}: ${problem}`)
  }
}

/** `verify: proof`: a block has another form than Ethereum's, so that nothing its endpoints say of it can be proved. Nothing of it was stored. */
export class BlockUnprovableError extends PipeError {
  readonly code = 'BLOCK_UNPROVABLE'
  override readonly hint =
    'take `verify: none`: answers must agree with each other then; where a transaction is of another form, reading blocks without them (`[$number, false]`) proves the rest'
  constructor(
    readonly chain: string,
    readonly where: string,
    readonly reason: string,
  ) {
    super(`chain ${chain}: ${where} can't be proved: ${reason}`)
  }
}

/** `verify: proof`: a stored field is in no hash of its block in the form in which every endpoint gives it. Nothing of the block was stored. */
export class FieldUnprovableError extends PipeError {
  readonly code = 'FIELD_UNPROVABLE'
  override readonly hint: string
  constructor(
    readonly chain: string,
    readonly where: string,
    readonly reason: string,
    /** As a row takes it. */
    readonly field: string,
  ) {
    super(`chain ${chain}: ${where} can't be proved: ${reason}`)
    this.hint = `leave ${field} out, or store it as the node's word where no hash proves it: unproved: [${field}]`
  }
}

/** Every endpoint answers `null`, and nothing says that this can be the answer. */
export class NullAnswerError extends PipeError {
  readonly code = 'ANSWER_NULL'
  override readonly retryable = true
  override readonly blame = 'outage'
  override readonly hint =
    'the node lags or has pruned this: add an endpoint to `rpc`; where `null` is an answer, say so in the call: `on_null: null` or `skip`'
  constructor(where: string, problem: string) {
    super(`${where}: ${problem}`)
  }
}

/** A node answered with blocks that do not follow each other. */
export class ForkedAnswerError extends PipeError {
  readonly code = 'RPC_FORKED'
  override readonly retryable = true
  override readonly blame = 'outage'
  override readonly hint = 'the chain was reorganized or endpoints differ, and none gave blocks that follow each other; run again'
  constructor(problem: string) {
    super(problem)
  }
}

/** A block was given and the next one was not. What is wrong with the next one is told there. */
export class LooseBlockError extends PipeError {
  readonly code = 'BLOCK_LOOSE'
  override readonly retryable = true
  override readonly blame = 'outage'
  override readonly hint = 'a block is stored when the next one goes on from it: add an endpoint to `rpc` that has both, or run again'
  constructor(block: bigint, cause: PipeError) {
    super(`block ${block}: nothing says that it is of the chain, since the next block is not given: ${cause.message}`)
  }
}

/** The node says that there is no block, and no later block proves it by its `parentHash`. */
export class GapUnprovedError extends PipeError {
  readonly code = 'GAP_UNPROVED'
  override readonly retryable = true
  override readonly blame = 'outage'
  override readonly hint =
    'a later block must go on from the last one before the gap: add an endpoint to `rpc`, or run again when there are later blocks'
  constructor(heights: string, problem: string) {
    super(`no block at ${heights}, and ${problem}`)
  }
}
