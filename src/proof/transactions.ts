import { type FieldForm, TRANSACTION_FORMS } from '../sdk/index.js'
import { keccak } from './keccak.js'
import { at, bytes, fieldsOf, hex, listOf, quantity, recipient, typeOf, type Fields } from './read.js'
import { notRebuildable, type NotRebuildable, type Rebuilt } from './rebuilt.js'
import { withoutStateSync } from './state-sync.js'
import { encode, orderedRoot } from './trie.js'

/** By type, as lists. */
const FORMS = new Map(Object.entries(TRANSACTION_FORMS).map(([type, forms]) => [Number(type), Object.entries(forms)]))

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

function contentOf(type: number, transaction: Fields): Content | undefined {
  const forms = FORMS.get(type)
  return forms?.map(([name, form]) => partOf(transaction, name, form))
}

function partOf(transaction: Fields, name: string, form: FieldForm): Part {
  const value = transaction[name]
  switch (form) {
    case 'number':
      return quantity(value, name)
    case 'optional':
      return value == null ? new Uint8Array() : quantity(value, name)
    case 'flag':
      return value === true ? Uint8Array.of(1) : new Uint8Array()
    case 'recipient':
      return recipient(value, name)
    case 'parity':
      return parity(transaction)
    case 'hashes':
      return hashesOf(value, name)
    case 'access':
      return listOf(value, name).map((one, i) => at(`${name}[${i}]`, () => accessOf(fieldsOf(one, 'entry'))))
    case 'authorizations':
      return authorizationsOf(transaction)
    default:
      return bytes(value, name, form === 'bytes' ? undefined : form)
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
