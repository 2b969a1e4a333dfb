import { fromRlp } from 'viem/utils'
import { keccak } from './keccak.js'
import { bytes, fieldsOf, hex, listOf, says, saysNumber } from './read.js'
import { differs, readable, type Difference } from './rebuilt.js'

/** An account as the state of a block holds it. One that does not exist has nothing, and the hashes of nothing. */
export interface ProvedAccount {
  readonly exists: boolean
  /** Wei. */
  readonly balance: bigint
  readonly nonce: bigint
  readonly storageHash: string
  readonly codeHash: string
}

/** Of an empty trie, and of no code. */
const noStorage = '0x56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421'
const noCode = '0xc5d2460186f7233c927e7db2dcc703c0e500b653ca82273b7bfad8045d85a470'
const absent: ProvedAccount = { exists: false, balance: 0n, nonce: 0n, storageHash: noStorage, codeHash: noCode }

/**
 * The account that an answer to `eth_getProof` proves under a block's stateRoot, or what contradicts in it: a proof that does not
 * lead from the root to the account (or to where it would be, if it existed), or a figure beside it that is not the proved one
 * (EIP-1186). Nodes without the state of that block have no proof of it.
 */
export async function accountProof(stateRoot: string, address: string, proof: unknown): Promise<ProvedAccount | Difference> {
  const given = readable(() => {
    const fields = fieldsOf(proof, 'proof')
    const nodes = listOf(fields.accountProof, 'accountProof').map((node, i) => bytes(node, `accountProof[${i}]`))
    return { fields, nodes, root: bytes(stateRoot, 'stateRoot', 32), key: bytes(address, 'address', 20) }
  })
  if ('field' in given) return given
  const { fields } = given
  if (fields.address != null && !says(fields.address, address.toLowerCase()))
    return differs('address', fields.address, address.toLowerCase())
  const account = await walk(given.root, given.key, given.nodes)
  if (!account) return differs('accountProof', `${given.nodes.length} nodes`, `nodes from ${stateRoot} to ${address}`)
  for (const name of ['balance', 'nonce'] as const)
    if (!saysNumber(fields[name], account[name])) return differs(name, fields[name], `0x${account[name].toString(16)}`)
  for (const name of ['storageHash', 'codeHash'] as const)
    if (!says(fields[name], account[name]) && (account.exists || !/^0x0*$/.test(String(fields[name]))))
      return differs(name, fields[name], account[name])
  return account
}

/** Undefined: the nodes do not lead there. */
async function walk(root: Uint8Array, key: Uint8Array, nodes: Uint8Array[]): Promise<ProvedAccount | undefined> {
  const { MerklePatriciaTrie, verifyMPTWithMerkleProof } = await import('@ethereumjs/mpt')
  const trie = new MerklePatriciaTrie({ useKeyHashing: true, useKeyHashingFunction: keccak })
  try {
    const value = await verifyMPTWithMerkleProof(trie, root, key, nodes)
    return value === null ? absent : accountOf(value)
  } catch {
    // The library throws errors without names for nodes that are missing, of another trie, or no nodes at all.
    return undefined
  }
}

/** The state holds of an account: nonce, balance, storageRoot, codeHash (Yellow Paper, 4.1). */
function accountOf(value: Uint8Array): ProvedAccount | undefined {
  const parts = fromRlp(value, 'bytes')
  if (!Array.isArray(parts) || parts.length !== 4) return undefined
  const [nonce, balance, storage, code] = parts.map((part) => (part instanceof Uint8Array ? part : new Uint8Array()))
  const number = (read: Uint8Array | undefined) => (read?.length ? BigInt(hex(read)) : 0n)
  const hash = (read: Uint8Array | undefined) => hex(read ?? new Uint8Array())
  return { exists: true, balance: number(balance), nonce: number(nonce), storageHash: hash(storage), codeHash: hash(code) }
}
