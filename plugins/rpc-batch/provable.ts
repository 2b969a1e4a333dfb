import { type ConfigProblem, fieldPath, type Json, pathRoot, referenceName, type RowsConfig } from '../../src/sdk/authors.js'
import { RECEIPTS } from './agree.js'
import { type CallConfig, type Config, headerCall, isBlocks } from './config.js'

/** What a receipt says that its transaction proves, and no root of receipts. */
const OF_TRANSACTION = new Set(['transactionHash', 'to', 'effectiveGasPrice'])

/** Calls that are proved, by name: of the block of each height, and of its receipts. */
interface Proved {
  readonly header: string | undefined
  readonly receipts: string | undefined
  /** Whether transactions come whole with the block. */
  readonly whole: boolean
}

export function provedCalls(config: Config): Proved {
  const header = headerCall(config)
  const call = config.calls[header ?? '']
  const ofBlock = new Set(['number', `${header}.number`, `${header}.hash`])
  const isReceipts = ([, call]: [string, CallConfig]) =>
    'method' in call && call.method === RECEIPTS && ofBlock.has(referenceName((call.params?.[0] ?? null) as Json) ?? '')
  return {
    header,
    receipts: Object.entries(config.calls).find(isReceipts)?.[0],
    whole: call !== undefined && 'method' in call && call.params?.[1] === true,
  }
}

/** What `verify: proof` can't prove of what a step reads. */
export function* checkProof(config: Config, all: readonly RowsConfig[]): Iterable<ConfigProblem> {
  if (config.verify !== 'proof') return
  const { header, receipts, whole } = provedCalls(config)
  const path = ['verify']
  const afterwards = '`pipe verify FILE --proof 300` proves what is stored'
  if (!isBlocks(config.over)) {
    yield { path, message: '`proof` proves the blocks of `over.blocks`, and this step asks for rows of a query', hint: afterwards }
    return
  }
  if (header === undefined)
    yield {
      path,
      message: 'no call reads the block of each height, whose hashes prove the rest',
      hint: 'add a call: block: { method: eth_getBlockByNumber, params: [$number, true] }',
    }
  for (const [name, call] of Object.entries(config.calls)) {
    if (name === header || name === receipts) continue
    const method = 'method' in call ? call.method : 'eth_call'
    yield { path: ['calls', name], message: `no hash of the block proves ${method}`, hint: `give it a step of its own; ${afterwards}` }
  }
  if (header === undefined || whole) return
  for (const rows of all)
    for (const [place, taken] of takenBy(rows)) {
      if (!takesTransaction(taken, header, receipts)) continue
      yield {
        path: [...rows.path, ...place],
        message: `${taken} is proved by the transaction alone, and the block is read without them`,
        hint: `ask for them whole: ${header}: { method: eth_getBlockByNumber, params: [$number, true] }`,
      }
    }
}

/** The paths that rows take from answers, each with its place in the file; those of an element begin with its list. */
function* takenBy({ row, each = {} }: RowsConfig): Iterable<[place: readonly string[], path: string]> {
  for (const [name, list] of Object.entries(each)) yield [['each', name], list]
  for (const [column, field] of Object.entries(row)) {
    const path = fieldPath(field)
    if (path === undefined) continue
    const root = pathRoot(path)
    yield [['row', column], Object.hasOwn(each, root) ? `${each[root]}${path.slice(root.length)}` : path]
  }
}

function takesTransaction(path: string, header: string, receipts: string | undefined): boolean {
  const list = `${header}.transactions`
  // As many as there are receipts, of which the root says how many.
  if (path === `${list}.length`) return receipts === undefined
  if (path === list || path.startsWith(`${list}.`)) return true
  return pathRoot(path) === receipts && OF_TRANSACTION.has(path.split('.').at(-1) ?? '')
}
