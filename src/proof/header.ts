import { type FieldForm, HEADER_FORMS } from '../sdk/index.js'
import { keccak } from './keccak.js'
import { bytes, fieldsOf, hex, quantity, says } from './read.js'
import { notRebuildable, type Rebuilt } from './rebuilt.js'
import { encode } from './trie.js'

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
  const names = Object.keys(HEADER_FORMS)
  const last = names.findLastIndex((name) => header[name] != null)
  const ours = names.slice(0, Math.max(last + 1, ofEvery))
  const lacking = ours.filter((name) => header[name] == null)
  if (lacking.length > 0) return notRebuildable(`it has no ${lacking.join(', ')}, which a header of Ethereum would have`)
  const hash = hex(keccak(encode(ours.map((name) => valueOf(header[name], name, HEADER_FORMS[name])))))
  if (says(header.hash, hash)) return hash
  const unknown = Object.keys(header).filter((name) => header[name] != null && !(Object.hasOwn(HEADER_FORMS, name) || beside.has(name)))
  if (unknown.length === 0) return hash
  return notRebuildable(`it has ${unknown.join(', ')}, which no header of Ethereum has, and another hash than one without would have`)
}

function valueOf(value: unknown, name: string, form: FieldForm | undefined): Uint8Array {
  if (form === 'number') return quantity(value, name)
  return bytes(value, name, typeof form === 'number' ? form : undefined)
}
