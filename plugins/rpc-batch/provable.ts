import {
  type ConfigProblem,
  fieldPath,
  type Json,
  pathRoot,
  provedBy,
  referenceName,
  type RowsConfig,
  type UsedField,
} from '../../src/sdk/authors.js'
import { RECEIPTS } from './agree.js'
import { type CallConfig, type Config, headerCall, isBlocks } from './config.js'

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
  if (config.verify !== 'proof') {
    if (config.unproved)
      yield { path: ['unproved'], message: 'nothing is proved without `verify: proof`', hint: 'remove it, or add `verify: proof`' }
    return
  }
  const proved = provedCalls(config)
  const { header, receipts } = proved
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
  if (header === undefined) return
  for (const rows of all) for (const taken of takenBy(rows)) if (!isExcused(config, taken)) yield* checkTaken(taken, rows, proved)
  const known = new Set(all.flatMap((rows) => [...takenBy(rows)].map(({ written }) => written)))
  for (const [i, name] of (config.unproved ?? []).entries())
    if (!known.has(name))
      yield { path: ['unproved', i], message: `no row takes ${name}`, hint: 'name a field as `row` does: receipt.l1Fee' }
}

function* checkTaken({ place, path, written }: Taken, rows: RowsConfig, proved: Proved): Iterable<ConfigProblem> {
  const used = usedAt(path, proved)
  const by = used && (place[0] === 'each' ? listBy(used) : fieldBy(used, path, proved))
  if (!used || by === 'block' || (by === 'transactions' && proved.whole)) return
  const at = [...rows.path, ...place]
  if (by === 'transactions') {
    const hint = `ask for them whole: ${proved.header}: { method: eth_getBlockByNumber, params: [$number, true] }`
    yield { path: at, message: `${path} is proved by the transaction alone, and the block is read without them`, hint }
    return
  }
  const isWhole = used.field === undefined
  const word = `store it as the node's word: unproved: [${written}]`
  yield {
    path: at,
    message: isWhole ? `${path} is a whole ${used.part}, of which nodes say more than hashes prove` : `no hash of the block proves ${path}`,
    hint: `${isWhole ? 'take its fields one by one' : 'leave it out'}, or ${word}`,
  }
}

/** What proves a list that `each` walks. */
const listBy = ({ part, field }: UsedField) =>
  field === undefined ? (part === 'transaction' ? 'transactions' : 'block') : provedBy(part, field)

/** What proves a column. Of a whole log, answers tell whether all that they say of it is proved. */
function fieldBy({ part, field }: UsedField, path: string, { receipts, whole }: Proved): 'block' | 'transactions' | undefined {
  // As many as there are receipts, of which the root says how many.
  if (path.endsWith('.transactions.length')) return receipts === undefined ? 'transactions' : 'block'
  if (part === 'log' && field === undefined) return 'transactions'
  if (part === 'transaction' && !whole) return 'transactions'
  return field === undefined ? undefined : provedBy(part, field)
}

/** What is stored of blocks and must be proved, each with the path by which a row takes it. */
export function usedFields(config: Config, all: readonly RowsConfig[]): ReadonlyMap<UsedField, string> {
  const proved = provedCalls(config)
  const found = new Map<UsedField, string>()
  for (const rows of all)
    for (const taken of takenBy(rows)) {
      const used = taken.place[0] === 'row' && !isExcused(config, taken) ? usedAt(taken.path, proved) : undefined
      if (used) found.set(used, taken.written)
    }
  return found
}

interface Taken {
  /** Where it stands in the file. */
  readonly place: readonly string[]
  /** Of an element of a list, it begins with its list. */
  readonly path: string
  readonly written: string
  readonly list: string | undefined
}

/** Whether the file says that it is stored as the node's word, or that its list is. */
const isExcused = ({ unproved = [] }: Config, { written, list }: Taken): boolean =>
  unproved.includes(written) || (list !== undefined && unproved.includes(list))

/** The paths that rows take from answers. */
function* takenBy({ row, each = {} }: RowsConfig): Iterable<Taken> {
  for (const [name, list] of Object.entries(each)) yield { place: ['each', name], path: list, written: list, list }
  for (const [column, field] of Object.entries(row)) {
    const written = fieldPath(field)
    if (written === undefined) continue
    const root = pathRoot(written)
    const list = Object.hasOwn(each, root) ? each[root] : undefined
    yield { place: ['row', column], path: list === undefined ? written : `${list}${written.slice(root.length)}`, written, list }
  }
}

/** The part of the block that a path leads to, and its field; none of a whole part. Undefined for what is of no answer that is proved. */
function usedAt(path: string, { header, receipts }: Proved): UsedField | undefined {
  const [root, first, second] = path.split('.').filter((name) => !/^\d+$/.test(name))
  if (root === header) {
    if (first !== 'transactions' || second === 'length') return { part: 'block', field: first }
    return { part: 'transaction', field: second }
  }
  if (root !== receipts || first === 'length') return undefined
  return first === 'logs' && second !== 'length' ? { part: 'log', field: second } : { part: 'receipt', field: first }
}
