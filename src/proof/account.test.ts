import { createMerkleProof, createMPT } from '@ethereumjs/mpt'
import { keccak256, toHex, toRlp, type Hex } from 'viem'
import { expect, test } from 'vitest'
import { dataFolder } from '../../test/support/mainnet.js'
import { optimismBlocks } from '../../test/support/recorded-blocks.js'
import { accountProof } from './index.js'

const noStorage = '0x56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421'
const noCode = keccak256('0x')
const address = (i: number) => toHex(i + 1, { size: 20 })

/** A state of 40 accounts; account i has 10^20 + i wei and nonce i. */
async function state() {
  const trie = await createMPT({ useKeyHashing: true })
  const wei = (i: number) => 10n ** 20n + BigInt(i)
  for (let i = 0; i < 40; i++)
    await trie.put(Buffer.from(address(i).slice(2), 'hex'), toRlp([i === 0 ? '0x' : toHex(i), toHex(wei(i)), noStorage, noCode], 'bytes'))
  const proofOf = async (i: number) => ({
    ...{
      address: address(i),
      balance: toHex(i < 40 ? wei(i) : 0n),
      nonce: toHex(i < 40 ? i : 0),
      storageHash: noStorage,
      codeHash: noCode,
    },
    accountProof: (await createMerkleProof(trie, Buffer.from(address(i).slice(2), 'hex'))).map((node) => toHex(node)),
  })
  return { root: toHex(trie.root()), proofOf, wei }
}

test('a proof gives the account of the state, also that there is none', async () => {
  const { root, proofOf, wei } = await state()
  for (const i of [0, 7, 39])
    expect(await accountProof(root, address(i), await proofOf(i))).toEqual({
      ...{ exists: true, balance: wei(i), nonce: BigInt(i), storageHash: noStorage, codeHash: noCode },
    })
  const absent = { exists: false, balance: 0n, nonce: 0n, storageHash: noStorage, codeHash: noCode }
  expect(await accountProof(root, address(50), await proofOf(50))).toEqual(absent)
  const zeros = { storageHash: `0x${'0'.repeat(64)}`, codeHash: `0x${'0'.repeat(64)}` }
  expect(await accountProof(root, address(50), { ...(await proofOf(50)), ...zeros })).toEqual(absent)
})

test('a figure that the proof does not hold is told', async () => {
  const { root, proofOf } = await state()
  const proof = await proofOf(7)
  const said = (changed: object) => accountProof(root, address(7), { ...proof, ...changed })
  expect(await said({ balance: '0x1' })).toEqual({ field: 'balance', said: '0x1', computed: proof.balance })
  expect(await said({ nonce: '0x8' })).toEqual({ field: 'nonce', said: '0x8', computed: '0x7' })
  expect(await said({ codeHash: root })).toEqual({ field: 'codeHash', said: root, computed: noCode })
  expect(await said({ storageHash: root })).toEqual({ field: 'storageHash', said: root, computed: noStorage })
  expect(await said({ address: address(8) })).toEqual({ field: 'address', said: address(8), computed: address(7) })
})

test('nodes that do not lead to the account prove nothing, neither a balance nor that there is none', async () => {
  const { root, proofOf } = await state()
  const proof = await proofOf(7)
  const nodes = proof.accountProof
  const refused = (count: number) => ({ field: 'accountProof', said: `${count} nodes`, computed: `nodes from ${root} to ${address(7)}` })
  const nothing = { balance: '0x0', nonce: '0x0', codeHash: noCode, storageHash: noStorage }
  const said = (accountProof_: readonly Hex[], beside: object = {}) =>
    accountProof(root, address(7), { ...proof, ...beside, accountProof: accountProof_ })
  expect(await said(nodes.slice(0, -1), nothing)).toEqual(refused(nodes.length - 1))
  expect(await said(nodes.slice(1))).toEqual(refused(nodes.length - 1))
  expect(await said([], nothing)).toEqual(refused(0))
  expect(await said((await proofOf(50)).accountProof, nothing)).toMatchObject({ field: 'accountProof' })
  const forged = toRlp(['0x20', toRlp(['0x07', '0xffff', noStorage, noCode])])
  expect(await said([...nodes.slice(0, -1), forged], { balance: '0xffff' })).toEqual(refused(nodes.length))
  expect(await accountProof(noCode, address(7), proof)).toMatchObject({ field: 'accountProof' })
  expect(await said([...nodes.slice(0, -1), '0xzz'])).toMatchObject({ field: `accountProof[${nodes.length - 1}]` })
  for (const none of [null, 'text', {}, { accountProof: null }])
    expect(await accountProof(root, address(7), none)).toHaveProperty('computed')
})

test.skipIf(!dataFolder)('Optimism proves the balances of its fee vault (recorded data, skipped without it)', async () => {
  const proofs = optimismBlocks().proofs.filter(({ stateRoot }) => stateRoot)
  expect(proofs).toHaveLength(10)
  for (const proof of proofs) {
    const found = await accountProof(proof.stateRoot as string, proof.address as string, proof)
    expect(found).toEqual({
      ...{ exists: true, balance: BigInt(proof.balance as string), nonce: BigInt(proof.nonce as string) },
      ...{ storageHash: proof.storageHash, codeHash: proof.codeHash },
    })
  }
})
