import {
  type CheckContext,
  type Getter,
  type Json,
  PipeError,
  type Records,
  referenceName,
  type RpcCall,
  type Scope,
  textFault,
} from '../../src/sdk/authors.js'
import { inOrder, isHeader, isListOfBlock, RECEIPTS } from './agree.js'
import type { CallConfig } from './config.js'
import { compileParam, reference, toQuantity } from './params.js'
import type { Near } from './pin.js'

/** A contract answered with something that its ABI text does not describe. */
export class DecodeError extends PipeError {
  readonly code = 'ABI_DECODE'
  override readonly hint =
    'compare `function` with the contract, and see that there is a contract at this block; where it may answer nothing: `on_revert: null`'
  constructor(call: string, problem: string, cause: unknown) {
    super(`${call}: ${problem}`, { cause })
  }
}

/** `null`: nothing is the answer. `skip`: the item gives no rows. */
export type OnNothing = 'error' | 'null' | 'skip'

/** One call of the config, ready for many items. */
export interface CompiledCall {
  readonly name: string
  readonly method: string
  /** Calls whose results it uses. */
  readonly after: readonly string[]
  /** What becomes of an item for which the answer is `null`, and of one for which the contract refuses the call. */
  readonly onNull: OnNothing
  readonly onRevert: OnNothing
  /** The call for one item. Raises `highest` to the block that its answer depends on, where it says one. */
  build(records: Records, highest: Highest): RpcCall
  /** The result as `row` and later calls see it. @throws {DecodeError} */
  decode(result: unknown): unknown
}

/** The highest block of several calls, as far as they say one. */
export interface Highest {
  block: bigint | undefined
  /** Where those near the head are noted. */
  near?: Near | undefined
}

function raise(highest: Highest, block: bigint): void {
  if (highest.block === undefined || block > highest.block) highest.block = block
  if (highest.near && block > highest.near.floor) highest.near.blocks.add(block)
}

/** Where a method's block parameter stands. */
const BLOCK_PARAMETER: Readonly<Record<string, number>> = {
  eth_getBlockByNumber: 0,
  eth_getBlockReceipts: 0,
  eth_getBlockTransactionCountByNumber: 0,
  eth_getTransactionByBlockNumberAndIndex: 0,
  trace_block: 0,
  trace_replayBlockTransactions: 0,
  debug_traceBlockByNumber: 0,
  eth_feeHistory: 1,
  eth_getBalance: 1,
  eth_getCode: 1,
  eth_getTransactionCount: 1,
  eth_call: 1,
  eth_getStorageAt: 2,
  eth_getProof: 2,
}

/**
 * @param defaultBlock Block of an eth_call without `block`: a number, or `$number` for the unit's.
 * @param keep What of an element of a long list is looked at; undefined: everything.
 */
export async function compileCalls(
  calls: Readonly<Record<string, CallConfig>>,
  scope: Scope,
  defaultBlock: bigint | '$number',
  maySkip: boolean,
  keep: RpcCall['keep'],
): Promise<CompiledCall[]> {
  const names = Object.keys(calls)
  const beside = maySkip || Object.values(calls).some((call) => 'method' in call && isHeader(call.method))
  const nullable = (call: CallConfig): boolean => {
    if (maySkip || nothing(call.on_null) !== 'error') return true
    // Whether it has transactions is known beside the block.
    return beside && 'method' in call && isListOfBlock(call.method)
  }
  return Promise.all(
    Object.entries(calls).map(([name, call]) =>
      'method' in call
        ? Promise.resolve(compileMethod(name, call, { names, scope, nullable: nullable(call), keep }))
        : compileFunction(name, call, names, scope, defaultBlock),
    ),
  )
}

/** The blocks at the ends of a filter for logs, where it names them by number. */
function endsOf(filter: unknown): bigint[] {
  const { fromBlock, toBlock } = (filter ?? {}) as { readonly fromBlock?: unknown; readonly toBlock?: unknown }
  return [fromBlock, toBlock].flatMap((end) => (typeof end === 'string' && /^0x[0-9a-f]+$/i.test(end) ? [BigInt(end)] : []))
}

/** Names that say which block a call is asked for. */
export function blockNames(call: CallConfig): string[] {
  const value = 'method' in call ? call.params?.[BLOCK_PARAMETER[call.method] ?? -1] : call.block
  const name = typeof value === 'string' ? referenceName(value) : undefined
  return name === undefined ? [] : [name]
}

/** Names that the params of a call mention, outermost first segment only. */
export function mentionedNames(call: CallConfig): string[] {
  const found: string[] = []
  const visit = (value: unknown): void => {
    const name = typeof value === 'string' ? referenceName(value) : undefined
    if (name !== undefined) found.push(name)
    else if (Array.isArray(value)) value.forEach(visit)
    else if (typeof value === 'object' && value !== null) Object.values(value).forEach(visit)
  }
  visit('method' in call ? (call.params ?? []) : [call.to, call.args ?? [], call.from, call.block])
  return found
}

/** What is wrong with a call's ABI text, or undefined. */
export async function abiProblem(text: string): Promise<string | undefined> {
  try {
    const { parseAbiItem } = await import('abitype')
    const item = parseAbiItem(`function ${text}` as 'function f()') as { readonly type: string; readonly outputs: readonly unknown[] }
    return item.outputs.length === 0 ? 'says nothing about what it `returns`' : undefined
  } catch (error) {
    const fault = textFault(text, 'function')
    if (fault) return fault.hint === undefined ? fault.problem : `${fault.problem}; ${fault.hint}`
    return error instanceof Error ? (error.message.split('\n', 1)[0] ?? 'is no ABI text') : 'is no ABI text'
  }
}

export type Names = CheckContext<unknown>['names']

function compileMethod(
  name: string,
  call: Extract<CallConfig, { method: string }>,
  {
    names,
    scope,
    nullable,
    keep,
  }: { readonly names: readonly string[]; readonly scope: Scope; readonly nullable: boolean; readonly keep: RpcCall['keep'] },
): CompiledCall {
  const { method } = call
  const blockAt = BLOCK_PARAMETER[method] ?? -1
  const params = (call.params ?? []).map((param, i) => {
    // A text that names nothing is the same for every item, and sent as it is.
    if (typeof param === 'string' && referenceName(param) === undefined) return param
    return i === blockAt ? compileValue(param as Json, scope) : compileParam(method, i, param as Json, scope)
  })
  return {
    name,
    method,
    after: usedCalls(call, names),
    onNull: nothing(call.on_null),
    onRevert: nothing(call.on_revert),
    build: (records, highest) => {
      // Copied and not pushed to: a list that grows has room for 17, and very many calls wait at once.
      const values: unknown[] = params.slice()
      for (let i = 0; i < values.length; i++) {
        const param = params[i]
        if (typeof param !== 'function') continue
        const value = param(records)
        if (i !== blockAt) {
          values[i] = value
          if (method === 'eth_getLogs') for (const block of endsOf(value)) raise(highest, block)
          continue
        }
        if (typeof value === 'bigint') raise(highest, value)
        values[i] = toQuantity(value, `params.${i}`)
      }
      return nullable ? { method, params: values, nullable, keep } : { method, params: values, keep }
    },
    decode: method === RECEIPTS ? inOrder : (result) => result,
  }
}

async function compileFunction(
  name: string,
  call: Extract<CallConfig, { function: string }>,
  names: readonly string[],
  scope: Scope,
  defaultBlock: bigint | '$number',
): Promise<CompiledCall> {
  const { decodeFunctionResult, encodeFunctionData, parseAbiItem } = await import('viem')
  const item = parseAbiItem(`function ${call.function}` as 'function f(uint256 x) returns (uint256)')
  const abi = [item]
  const to = compileValue(call.to, scope)
  const from = call.from === undefined ? undefined : compileValue(call.from, scope)
  const args = (call.args ?? []).map((arg) => compileValue(arg as Json, scope))
  const block = compileValue(
    call.block === undefined ? (defaultBlock === '$number' ? '$number' : Number(defaultBlock)) : (call.block as Json),
    scope,
  )
  const outputs = item.outputs as readonly { readonly name?: string }[]
  const unnamed = outputs.length === 1 && !outputs[0]?.name
  return {
    name,
    method: 'eth_call',
    after: usedCalls(call, names),
    onNull: nothing(call.on_null),
    onRevert: nothing(call.on_revert),
    build: (records, highest) => {
      const at = block(records)
      // The ABI text decides what the arguments must be; viem checks them.
      const data = encodeFunctionData({ abi, functionName: item.name, args: args.map((get) => get(records)) as never })
      const target = { to: to(records), ...(from ? { from: from(records) } : {}), data }
      if (typeof at === 'bigint') raise(highest, at)
      return { method: 'eth_call', params: [target, toQuantity(at, 'block')] }
    },
    decode: (result) => {
      let decoded: unknown
      try {
        decoded = decodeFunctionResult({ abi, functionName: item.name, data: result as `0x${string}` })
      } catch (error) {
        throw new DecodeError(
          name,
          `${result === '0x' ? 'an empty answer' : 'the answer'} is not what this calls for: ${call.function}`,
          error,
        )
      }
      if (unnamed) return decoded
      const values = outputs.length === 1 ? [decoded] : (decoded as readonly unknown[])
      return Object.fromEntries(
        outputs.map((output, i) => [output.name === undefined || output.name === '' ? String(i) : output.name, values[i]]),
      )
    },
  }
}

/** `on_null` and `on_revert` as the file has them: left out, nothing is no answer. */
function nothing(field: CallConfig['on_null']): OnNothing {
  return field === null ? 'null' : (field ?? 'error')
}

function usedCalls(call: CallConfig, names: readonly string[]): string[] {
  return mentionedNames(call)
    .map((name) => name.split('.', 1)[0] ?? '')
    .filter((name) => names.includes(name))
}

/** A value of `params` or `args`: `$name` of the item, an earlier call or the scope; lists and objects of such; constants. */
function compileValue(value: Json, scope: Scope): Getter {
  const name = referenceName(value)
  if (name !== undefined) return reference(name, scope)
  if (Array.isArray(value)) {
    const items = value.map((item: Json) => compileValue(item, scope))
    return (records) => items.map((get) => get(records))
  }
  if (typeof value === 'object' && value !== null) {
    const entries = Object.entries(value).map(([key, item]) => [key, compileValue(item, scope)] as const)
    return (records) => Object.fromEntries(entries.map(([key, get]) => [key, get(records)]))
  }
  const constant = typeof value === 'number' && Number.isSafeInteger(value) ? BigInt(value) : value
  return () => constant
}
