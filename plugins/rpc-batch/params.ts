import {
  compilePath,
  type ConfigProblem,
  type Getter,
  type Json,
  lookUp,
  PipeError,
  type Records,
  referenceName,
  type Scope,
} from '../../src/sdk/authors.js'

/** A number in a call can't be sent as what the method takes there. */
export class ParamNumberError extends PipeError {
  readonly code = 'PARAM_NUMBER'
  constructor(
    where: string,
    problem: string,
    override readonly hint: string,
  ) {
    super(`${where}: ${problem}`)
  }
}

/** How the numbers in a parameter are sent: as quantities (`0x63`) or as JSON numbers (`99`). */
type Sent = 'quantity' | 'number'

/** How a parameter's numbers are sent; `but`: its fields that hold the other kind. */
interface Kind {
  readonly numbers: Sent
  readonly but?: readonly string[]
}

const QUANTITY: Kind = { numbers: 'quantity' }
const NUMBER: Kind = { numbers: 'number' }
/** `reexec`, `limit` and what a tracer takes; overrides are of blocks and accounts, so quantities. */
const TRACE: Kind = { numbers: 'number', but: ['stateOverrides', 'blockOverrides', 'txIndex'] }

/** Parameters of methods whose numbers are JSON numbers, by their place. All others are quantities. */
const KINDS: Readonly<Record<string, Readonly<Record<number, Kind>>>> = {
  eth_feeHistory: { 2: NUMBER },
  debug_traceTransaction: { 1: TRACE },
  debug_traceBlock: { 1: TRACE },
  debug_traceBlockByNumber: { 1: TRACE },
  debug_traceBlockByHash: { 1: TRACE },
  debug_traceBadBlock: { 1: TRACE },
  debug_traceCall: { 2: TRACE },
  debug_traceCallMany: { 2: TRACE },
  debug_intermediateRoots: { 1: TRACE },
  debug_storageRangeAt: { 1: NUMBER, 4: NUMBER },
  debug_accountRange: { 2: NUMBER },
  debug_getModifiedAccountsByNumber: { 0: NUMBER, 1: NUMBER },
  trace_filter: { 0: { numbers: 'quantity', but: ['after', 'count'] } },
  ots_getBlockTransactions: { 1: NUMBER, 2: NUMBER },
  ots_getTransactionBySenderAndNonce: { 1: NUMBER },
  ots_searchTransactionsAfter: { 1: NUMBER, 2: NUMBER },
  ots_searchTransactionsBefore: { 1: NUMBER, 2: NUMBER },
}

/** A parameter of a method, ready for many items: what is sent. @throws {ParamNumberError} */
export function compileParam(method: string, i: number, value: Json, scope: Scope): Getter {
  return compile(value, KINDS[method]?.[i] ?? QUANTITY, scope, `params.${i}`)
}

/** What can be said of the numbers of a parameter before any item is known. `path` leads to it. */
export function* paramProblems(
  method: string,
  i: number,
  value: Json,
  path: readonly (string | number)[],
): Iterable<Required<ConfigProblem>> {
  yield* problems(value, KINDS[method]?.[i] ?? QUANTITY, path)
}

/** An integer as a quantity, with all that lies in a list or an object; other values as they are. @throws {ParamNumberError} */
export function toQuantity(value: unknown, where: string): unknown {
  return sent(value, 'quantity', where)
}

/** `{ number: 25 }`: a JSON number, whatever the method takes there. */
function jsonNumber(value: Json): Json | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value) || Object.keys(value).length !== 1) return undefined
  const { number } = value as { readonly number?: Json }
  return typeof number === 'number' || referenceName(number) !== undefined ? number : undefined
}

function compile(value: Json, kind: Kind, scope: Scope, where: string): Getter {
  const explicit = kind === BLOCK_OVERRIDES ? undefined : jsonNumber(value)
  if (explicit !== undefined) return compile(explicit, NUMBER, scope, where)
  const name = referenceName(value)
  if (name !== undefined) {
    const get = reference(name, scope)
    return (records) => sent(get(records), kind.numbers, where)
  }
  if (Array.isArray(value)) {
    const items = value.map((item: Json, i) => compile(item, kind, scope, `${where}.${i}`))
    return (records) => items.map((get) => get(records))
  }
  if (typeof value === 'object' && value !== null) {
    const entries = Object.entries(value).map(([key, item]) => [key, compile(item, kindOf(kind, key), scope, `${where}.${key}`)] as const)
    return (records) => Object.fromEntries(entries.map(([key, get]) => [key, get(records)]))
  }
  const constant = sent(value, kind.numbers, where)
  return () => constant
}

/** The value of a name: of the item or an earlier call, else of the scope. The innermost wins: a field of the row hides a param. */
export function reference(name: string, scope: Scope): Getter {
  const fixed = lookUp(scope, name)
  const path = compilePath(name)
  return (records: Records) => path(records) ?? fixed?.value
}

/** `{ number: … }` in it is the number of a block. */
const BLOCK_OVERRIDES: Kind = { numbers: 'quantity' }

function kindOf(kind: Kind, key: string): Kind {
  if (key === 'blockOverrides') return BLOCK_OVERRIDES
  if (kind.but === undefined) return kind
  const other: Sent = kind.numbers === 'number' ? 'quantity' : 'number'
  return { numbers: kind.but.includes(key) ? other : kind.numbers }
}

function sent(value: unknown, as: Sent, where: string): unknown {
  if (typeof value === 'bigint' || typeof value === 'number') {
    const problem = numberProblem(value, as)
    if (problem) throw new ParamNumberError(where, problem.message, problem.hint)
    return as === 'number' ? Number(value) : `0x${value.toString(16)}`
  }
  if (Array.isArray(value)) return value.map((item) => sent(item, as, where))
  if (typeof value === 'object' && value !== null)
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, sent(item, as, where)]))
  return value
}

function* problems(value: Json, kind: Kind, path: readonly (string | number)[]): Iterable<Required<ConfigProblem>> {
  const explicit = kind === BLOCK_OVERRIDES ? undefined : jsonNumber(value)
  if (explicit !== undefined) return
  if (typeof value === 'number') {
    const problem = numberProblem(value, kind.numbers)
    if (problem) yield { path, ...problem }
  } else if (Array.isArray(value)) {
    for (const [i, item] of value.entries()) yield* problems(item as Json, kind, [...path, i])
  } else if (typeof value === 'object' && value !== null) {
    for (const [key, item] of Object.entries(value)) yield* problems(item, kindOf(kind, key), [...path, key])
  }
}

/** Why a number can't be sent. */
export function numberProblem(value: number | bigint, as: Sent): { readonly message: string; readonly hint: string } | undefined {
  if (as === 'number') {
    const number = Number(value)
    if (Number.isFinite(number) && (typeof value === 'number' || BigInt(Math.trunc(number)) === value)) return undefined
    return { message: `${value} does not fit into a JSON number`, hint: 'JSON numbers are exact up to 2^53' }
  }
  if (typeof value === 'number' && !Number.isInteger(value))
    return { message: `${value} is no whole number, and a quantity is one`, hint: `a JSON number is written { number: ${value} }` }
  if (typeof value === 'number' && !Number.isSafeInteger(value))
    return {
      message: `${value} is beyond 2^53, and may have been rounded`,
      hint: 'use a column of exact numbers, or write the quantity as text: "0x…"',
    }
  if (value < 0) return { message: `${value} is negative, and a quantity is not`, hint: `a JSON number is written { number: ${value} }` }
  return undefined
}
