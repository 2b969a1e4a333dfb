import { type Batch, type CheckResult, didYouMean, isPipeError, PackedList, PipeError, type Row, turn, type Value } from '../sdk/index.js'

/** What a step's `run` gave is no batch. Nothing of it is written: a misspelt `rows` would count as "read, and there was nothing". */
export class BatchShapeError extends PipeError {
  readonly code = 'BATCH_SHAPE'
  override readonly hint: string
  constructor(step: string, problem: string, hint = '`run` is an async generator of batches; `Batch` of pipe/sdk says what one may hold') {
    super(`step ${step}: ${problem}`)
    this.hint = hint
  }
}

/** What `run` gave, as the batches that it must be. @throws {BatchShapeError} */
export function asBatches(step: string, given: unknown): AsyncIterable<unknown> {
  if (typeof given === 'object' && given !== null && Symbol.asyncIterator in given) return given as AsyncIterable<unknown>
  throw new BatchShapeError(step, `run gave ${kindOf(given)} and no batches`)
}

/**
 * What a step yielded, as the batch that it must be: a copy, so that what the step does with its lists, rows and cursor later
 * changes nothing of it. Looks at the outside only: values are checked where they are written.
 *
 * @throws {BatchShapeError} @throws the reason of the signal, also in the middle of a batch that is very large.
 */
export async function asBatch(step: string, given: unknown, signal: AbortSignal): Promise<Batch> {
  if (!isRecord(given)) throw new BatchShapeError(step, `run yielded ${kindOf(given)} and no batch`)
  for (const [name, value] of Object.entries(given)) {
    if (value === undefined) continue
    if (!Object.hasOwn(fields, name))
      throw new BatchShapeError(step, `run yielded a batch with \`${name}\`, which no batch has`, didYouMean(name, Object.keys(fields)))
    const [fits, wanted] = fields[name as keyof Batch]
    if (!fits(value)) throw new BatchShapeError(step, `\`${name}\` of a batch must be ${wanted}`)
  }
  return taken(given, signal)
}

/** What a step that closes yielded, as the checks that it must be. @throws {BatchShapeError} */
export async function asChecks(step: string, given: unknown, signal: AbortSignal): Promise<readonly CheckResult[]> {
  const { checks = [], ...more } = await asBatch(step, given, signal)
  const [other] = Object.entries(more).flatMap(([name, value]) => (value === undefined ? [] : [name]))
  if (other !== undefined)
    throw new BatchShapeError(
      step,
      `run yielded \`${other}\`, and a step that closes yields \`checks\` only`,
      'it stores nothing: use two steps',
    )
  return checks
}

/** Rows that are copied in one go, which takes milliseconds. Then signals and timers have their turn. */
const COPIED_AT_ONCE = 20_000

/** A copy of a batch. What is not plain data stays what it is: an error, an object of a class. */
async function taken({ rows, ...more }: Batch, signal: AbortSignal): Promise<Batch> {
  const batch = copied(more)
  if (rows === undefined) return batch
  // The lists first: what is added to one while its rows are copied does not get in.
  const own = Object.entries(rows).map(([output, some]): [string, Row[] | PackedList<Row>] => [
    output,
    some instanceof PackedList ? (some as PackedList<Row>).copy() : [...some],
  ])
  let since = 0
  for (const [, list] of own) {
    // It holds no row that the step could change.
    if (list instanceof PackedList) continue
    for (let i = 0; i < list.length; i++) {
      list[i] = ownRow(list[i] as Row)
      if (++since < COPIED_AT_ONCE) continue
      since = 0
      await turn()
      signal.throwIfAborted()
    }
  }
  return { rows: Object.fromEntries(own), ...batch }
}

/** A row has few values that are objects, so it is copied as a whole, and then those. */
function ownRow(row: Row): Row {
  const own = (isPlain(row) ? { ...row } : Object.assign(Object.create(Object.getPrototypeOf(row) as object) as object, row)) as Record<
    string,
    Value
  >
  for (const name in own) {
    const value = own[name]
    if (typeof value === 'object' && value !== null) own[name] = copied(value)
  }
  return own
}

/** Deeper than any column or cursor may be. */
const DEEP = 1_000

function copied<T>(value: T, depth = 0): T {
  if (typeof value !== 'object' || value === null || depth > DEEP) return value
  if (Array.isArray(value)) return value.map((item: unknown) => copied(item, depth + 1)) as T
  if (!isPlain(value)) return value
  return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, copied(item as unknown, depth + 1)])) as T
}

function isPlain(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === null
}

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value)
const isText = (value: unknown) => typeof value === 'string'
const isList = (value: unknown, each: (item: unknown) => boolean = () => true) =>
  // `every` passes over holes.
  Array.isArray(value) && value.every(each) && !value.includes(undefined)
const isStretch = (value: unknown) => isList(value, (end) => typeof end === 'bigint') && (value as unknown[]).length === 2
const isLink = (value: unknown) =>
  isRecord(value) && typeof value.number === 'bigint' && [value.hash, value.parentHash].every((hash) => hash === undefined || isText(hash))
const isFailure = (value: unknown) => isRecord(value) && isText(value.key) && isPipeError(value.error)

/** A function has no JSON, a circle and a bigint throw. */
function isJson(value: unknown): boolean {
  try {
    return (JSON.stringify(value) as string | undefined) !== undefined
  } catch {
    return false
  }
}

const isAmount = (value: unknown) => typeof value === 'number' && Number.isFinite(value) && value >= 0
const isCheck = (value: unknown) =>
  isRecord(value) &&
  [value.name, value.expect, value.sql].every(isText) &&
  (value.value === null || isText(value.value)) &&
  typeof value.passed === 'boolean' &&
  (value.severity === 'error' || value.severity === 'warn')

const stretches = [(value: unknown) => isList(value, isStretch), 'a list of [from, to], both bigint'] as const

// Complete by its type: a field of `Batch` that is missing here does not compile.
const fields: { readonly [name in keyof Required<Batch>]: readonly [fits: (value: unknown) => boolean, wanted: string] } = {
  named: [isText, 'text'],
  rows: [
    (value) => isRecord(value) && Object.values(value).every((rows) => rows instanceof PackedList || isList(rows, isRecord)),
    'lists of rows by output',
  ],
  sql: [(value) => isList(value, isRecord), 'a list of statements'],
  readsInputs: [(value) => typeof value === 'boolean', 'true or false'],
  selects: [(value) => isList(value, isRecord), 'a list of { output, sql, replace }'],
  cursor: [isJson, 'JSON'],
  covers: stretches,
  tentative: stretches,
  clears: stretches,
  numbers: [isStretch, '[from, to], both bigint'],
  counts: [(value) => isRecord(value) && Object.values(value).every((count) => typeof count === 'number'), 'numbers by name'],
  progress: [
    (value) => isRecord(value) && isAmount(value.done) && (value.of === undefined || isAmount(value.of)),
    '{ done, of }, both numbers from 0',
  ],
  failed: [(value) => isList(value, isFailure), 'a list of { key, error }, each error a PipeError'],
  endpoints: [(value) => isList(value, isText), 'a list of hosts'],
  parentHash: [isText, 'text'],
  lastHash: [isText, 'text'],
  blocks: [(value) => isList(value, isLink), 'a list of { number, hash, parentHash }, the number a bigint'],
  evidence: [isJson, 'JSON'],
  checks: [(value) => isList(value, isCheck), 'a list of { name, passed, severity, value, expect, sql }'],
  swap: [(value) => isRecord(value) && Number.isInteger(value.keep) && (value.keep as number) >= 0, '{ keep }, a whole number from 0'],
}

function kindOf(value: unknown): string {
  if (value === null || value === undefined) return 'nothing'
  if (value instanceof Promise) return 'a promise'
  return Array.isArray(value) ? 'a list' : typeof value === 'object' ? 'an object' : `a ${typeof value}`
}
