import { keccak } from './keccak.js'
import { bytes, fieldsOf, hex, quantity, says } from './read.js'
import { notRebuildable, type Rebuilt } from './rebuilt.js'
import { encode } from './trie.js'

/** How a field is written: as a number, as bytes of any length, or as so many bytes. */
type Form = 'number' | 'bytes' | number

/** The fields of a header in their order: first those of every header (Yellow Paper, 4.3.1), then what forks put behind them. */
const forms: Readonly<Record<string, Form>> = {
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

/** The fields that a header's hash is made of. */
export const HEADER_FIELDS: ReadonlySet<string> = new Set(Object.keys(forms))

/** How many of them every header has. */
const ofEvery = 15

/** What nodes tell of a block besides its header. */
const beside = new Set(['hash', 'transactions', 'uncles', 'withdrawals', 'size', 'totalDifficulty', 'sealFields', 'author'])

/**
 * The hash of a block as its header's fields give it, by the form that Ethereum has (and OP stacks, Polygon, BNB Chain and others
 * with it). It is computed whatever the node says of it, so a header with further fields is believed when its hash is right. One
 * with another hash and further fields, or one that lacks a field, is not rebuildable: the reason names the fields.
 *
 * @throws {BlockUnreadableError}
 */
export function headerHash(block: unknown): Rebuilt {
  const header = fieldsOf(block, 'block')
  const names = Object.keys(forms)
  const last = names.findLastIndex((name) => header[name] != null)
  const ours = names.slice(0, Math.max(last + 1, ofEvery))
  const lacking = ours.filter((name) => header[name] == null)
  if (lacking.length > 0) return notRebuildable(`it has no ${lacking.join(', ')}, which a header of Ethereum would have`)
  const hash = hex(keccak(encode(ours.map((name) => valueOf(header[name], name, forms[name])))))
  if (says(header.hash, hash)) return hash
  const unknown = Object.keys(header).filter((name) => header[name] != null && !(name in forms || beside.has(name)))
  if (unknown.length === 0) return hash
  return notRebuildable(`it has ${unknown.join(', ')}, which no header of Ethereum has, and another hash than one without would have`)
}

function valueOf(value: unknown, name: string, form: Form | undefined): Uint8Array {
  if (form === 'number') return quantity(value, name)
  return bytes(value, name, typeof form === 'number' ? form : undefined)
}
