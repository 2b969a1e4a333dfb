/** A part of a block of which nodes tell fields. */
export type BlockPart = 'block' | 'transaction' | 'receipt' | 'log'

/** How RLP has a field: as a number, as bytes of any length, as so many bytes, or in a form of its own. */
export type FieldForm =
  | 'number'
  | 'bytes'
  | number
  /** An address, or nothing where a contract is created. */
  | 'recipient'
  | 'hashes'
  | 'access'
  | 'authorizations'
  /** `yParity`, which older nodes know as `v` only. */
  | 'parity'
  /** A number that nodes leave out where it is zero. */
  | 'optional'
  | 'flag'

export type FieldForms = Readonly<Record<string, FieldForm>>

/** The fields of a header in their order: first those of every header (Yellow Paper, 4.3.1), then what forks put behind them. */
export const HEADER_FORMS: FieldForms = {
  parentHash: 32,
  sha3Uncles: 32,
  miner: 20,
  stateRoot: 32,
  transactionsRoot: 32,
  receiptsRoot: 32,
  logsBloom: 256,
  difficulty: 'number',
  number: 'number',
  gasLimit: 'number',
  gasUsed: 'number',
  timestamp: 'number',
  extraData: 'bytes',
  mixHash: 32,
  nonce: 8,
  // London, EIP-1559
  baseFeePerGas: 'number',
  // Shanghai, EIP-4895
  withdrawalsRoot: 32,
  // Cancun, EIP-4844 and EIP-4788
  blobGasUsed: 'number',
  excessBlobGas: 'number',
  parentBeaconBlockRoot: 32,
  // Prague, EIP-7685
  requestsHash: 32,
  // Amsterdam, EIP-7928 and EIP-7843
  blockAccessListHash: 32,
  slotNumber: 'number',
}

const start: FieldForms = { chainId: 'number', nonce: 'number' }
const target: FieldForms = { gas: 'number', to: 'recipient', value: 'number', input: 'bytes' }
const fees: FieldForms = { maxPriorityFeePerGas: 'number', maxFeePerGas: 'number', ...target, accessList: 'access' }
const signature: FieldForms = { yParity: 'parity', r: 'number', s: 'number' }

/** What is hashed of a transaction, by its type and in its order: the Yellow Paper, EIP-2930, 1559, 4844 (without blobs), 7702, deposits of OP stacks. */
export const TRANSACTION_FORMS: Readonly<Record<number, FieldForms>> = {
  0: { nonce: 'number', gasPrice: 'number', ...target, v: 'number', r: 'number', s: 'number' },
  1: { ...start, gasPrice: 'number', ...target, accessList: 'access', ...signature },
  2: { ...start, ...fees, ...signature },
  3: { ...start, ...fees, maxFeePerBlobGas: 'number', blobVersionedHashes: 'hashes', ...signature },
  4: { ...start, ...fees, authorizationList: 'authorizations', ...signature },
  0x7e: { sourceHash: 32, from: 20, to: 'recipient', mint: 'optional', value: 'number', gas: 'number', isSystemTx: 'flag', input: 'bytes' },
}

/** What is hashed of a receipt: of `root` and `status` the one that it has, and what deposits have besides. */
export const RECEIPT_FIELDS = ['type', 'root', 'status', 'cumulativeGasUsed', 'logs', 'depositNonce', 'depositReceiptVersion'] as const

/** What is hashed of a log. */
export const LOG_FIELDS = ['address', 'topics', 'data'] as const

/** What each part says of its place in the block, which is compared with the block. */
export const PLACE_FIELDS = ['blockHash', 'blockNumber', 'blockTimestamp', 'transactionIndex'] as const

/** What follows from what is hashed, by part: of a receipt the last ones from its transaction alone. */
const FOLLOWING: Readonly<Record<BlockPart, readonly string[]>> = {
  block: ['hash', 'transactions'],
  transaction: ['type', 'hash', 'chainId', 'v', 'from', 'gasPrice', ...PLACE_FIELDS],
  receipt: ['gasUsed', 'logsBloom', ...PLACE_FIELDS],
  log: ['logIndex', 'removed', ...PLACE_FIELDS],
}
const OF_TRANSACTION = ['transactionHash', 'from', 'to', 'effectiveGasPrice', 'contractAddress']

const HASHED: Readonly<Record<BlockPart, readonly string[]>> = {
  block: Object.keys(HEADER_FORMS),
  transaction: Object.values(TRANSACTION_FORMS).flatMap((forms) => Object.keys(forms)),
  receipt: RECEIPT_FIELDS,
  log: LOG_FIELDS,
}

/**
 * What proves a field of a part of a block: the hash of the block and the roots in it, or its transactions given whole. Undefined: nothing
 * does, whatever is given. Of a transaction or receipt it may depend on the type (`maxFeePerGas`), which only the answer tells.
 */
export function provedBy(part: BlockPart, field: string): 'block' | 'transactions' | undefined {
  const isProved = HASHED[part].includes(field) || FOLLOWING[part].includes(field)
  if (part === 'transaction') return isProved ? 'transactions' : undefined
  if (isProved) return 'block'
  const isOfTransaction = part === 'receipt' ? OF_TRANSACTION.includes(field) : part === 'log' && field === 'transactionHash'
  return isOfTransaction ? 'transactions' : undefined
}
