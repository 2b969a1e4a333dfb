import { keccak } from './keccak.js'
import { at, bytes, fieldsOf, hex, listOf, quantity, recipient, typeOf, type Fields } from './read.js'
import { notRebuildable, type NotRebuildable, type Rebuilt } from './rebuilt.js'
import { DEPOSIT } from './receipts.js'
import { withoutStateSync } from './state-sync.js'
import { encode, orderedRoot } from './trie.js'

type Content = readonly Part[]
type Part = Uint8Array | Content

/** A transaction as its block's transactionsRoot holds it, and by the hash of just this. */
export interface EncodedTransaction {
  readonly envelope: Uint8Array
  readonly hash: string
}

/**
 * The transactionsRoot of a block with these transactions, all of them, in their order, as `eth_getBlockByNumber` gives them whole.
 * It holds what was signed, with the signature, and so the hash of each; `from`, and of EIP-1559 the `gasPrice`, follow from it and
 * are not looked at here. A state sync of Polygon behind the block's own transactions is left out.
 *
 * @throws {BlockUnreadableError} also when they are given by hash only
 */
export function transactionsRoot(transactions: unknown): Rebuilt {
  const encoded = encodeTransactions(withoutStateSync(listOf(transactions, 'transactions'), 'transactions'))
  return 'rebuildable' in encoded ? encoded : rootOf(encoded)
}

export const rootOf = (encoded: readonly EncodedTransaction[]): string => hex(orderedRoot(encoded.map(({ envelope }) => envelope)))

/** @throws {BlockUnreadableError} */
export function encodeTransactions(transactions: readonly unknown[]): readonly EncodedTransaction[] | NotRebuildable {
  const encoded: EncodedTransaction[] = []
  for (const [i, transaction] of transactions.entries()) {
    const found = at(`transactions[${i}]`, () => envelopeOf(fieldsOf(transaction, 'transaction')))
    if (typeof found === 'number') return notRebuildable(`its transaction ${i} is of type 0x${found.toString(16)}, whose form is not known`)
    encoded.push({ envelope: found, hash: hex(keccak(found)) })
  }
  return encoded
}

/** The EIP-2718 envelope, or the type when its form is not known. */
function envelopeOf(transaction: Fields): Uint8Array | number {
  const type = typeOf(transaction)
  const content = contentOf(type, transaction)
  if (!content) return type
  const encoded = encode(content)
  return type === 0 ? encoded : Buffer.concat([Buffer.of(type), encoded])
}

/** Fields in the order of: the Yellow Paper, EIP-2930, EIP-1559, EIP-4844 (without blobs), EIP-7702, and the deposits of OP stacks. */
function contentOf(type: number, transaction: Fields): Content | undefined {
  const number = (name: string) => quantity(transaction[name], name)
  const target = () => [recipient(transaction.to, 'to'), number('value'), bytes(transaction.input, 'input')]
  const fees = () => [number('maxPriorityFeePerGas'), number('maxFeePerGas'), number('gas'), ...target()]
  const start = () => [number('chainId'), number('nonce')]
  const access = () =>
    listOf(transaction.accessList, 'accessList').map((one, i) => at(`accessList[${i}]`, () => accessOf(fieldsOf(one, 'entry'))))
  const signature = () => [parity(transaction), number('r'), number('s')]
  switch (type) {
    case 0:
      return [number('nonce'), number('gasPrice'), number('gas'), ...target(), number('v'), number('r'), number('s')]
    case 1:
      return [...start(), number('gasPrice'), number('gas'), ...target(), access(), ...signature()]
    case 2:
      return [...start(), ...fees(), access(), ...signature()]
    case 3:
      return [
        ...start(),
        ...fees(),
        access(),
        number('maxFeePerBlobGas'),
        hashesOf(transaction.blobVersionedHashes, 'blobVersionedHashes'),
        ...signature(),
      ]
    case 4:
      return [...start(), ...fees(), access(), authorizationsOf(transaction), ...signature()]
    case DEPOSIT:
      return depositOf(transaction, number)
    default:
      return undefined
  }
}

function accessOf(entry: Fields): Content {
  return [bytes(entry.address, 'address', 20), hashesOf(entry.storageKeys, 'storageKeys')]
}

function hashesOf(value: unknown, name: string): Content {
  return listOf(value, name).map((one, i) => bytes(one, `${name}[${i}]`, 32))
}

function authorizationsOf(transaction: Fields): Content {
  return listOf(transaction.authorizationList, 'authorizationList').map((one, i) =>
    at(`authorizationList[${i}]`, () => {
      const entry = fieldsOf(one, 'entry')
      const number = (name: string) => quantity(entry[name], name)
      return [number('chainId'), bytes(entry.address, 'address', 20), number('nonce'), parity(entry), number('r'), number('s')]
    }),
  )
}

/** Older nodes know it as `v` only. */
const parity = ({ yParity, v }: Fields): Uint8Array => (yParity == null ? quantity(v, 'v') : quantity(yParity, 'yParity'))

/** specs.optimism.io, deposits. Nodes leave out a `mint` of nothing, and `isSystemTx` where it is false. */
function depositOf(transaction: Fields, number: (name: string) => Uint8Array): Content {
  return [
    bytes(transaction.sourceHash, 'sourceHash', 32),
    bytes(transaction.from, 'from', 20),
    recipient(transaction.to, 'to'),
    transaction.mint == null ? new Uint8Array() : number('mint'),
    number('value'),
    number('gas'),
    transaction.isSystemTx === true ? Uint8Array.of(1) : new Uint8Array(),
    bytes(transaction.input, 'input'),
  ]
}
