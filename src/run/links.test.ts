import { expect, it } from 'vitest'
import { ledgerRow } from '../../test/support/ledger-row.js'
import { ForkSeenError, Links } from './links.js'

const row = (first: bigint, last: bigint, parentHash: string, lastHash: string) =>
  ledgerRow(`${first}-${last}`, { first, last, parentHash, lastHash })
const blocks = (first: bigint, parentHash: string, last: bigint, hash: string) => [
  { number: first, parentHash },
  { number: last, hash },
]

it('a reading must go on from the unit before it, and the unit behind it from the reading', () => {
  const links = new Links('s', [row(0n, 9n, '0x', 'a9'), row(20n, 29n, 'a19', 'a29')])
  expect(() => links.say('10-19', blocks(10n, 'b9', 19n, 'a19'))).toThrow(new ForkSeenError('s', 9n, ['a9', 'b9']))
  expect(() => links.say('10-19', blocks(10n, 'a9', 19n, 'b19'))).toThrow('block 19 is b19, and what goes on from it says a19')
  links.say('10-19', blocks(10n, 'a9', 19n, 'a19'))
})

it('batches of one unit must follow each other, in whatever order they come; what was not committed is forgotten with its attempt', () => {
  const links = new Links('s', [])
  links.say('u', blocks(5n, 'a4', 9n, 'a9'))
  expect(() => links.say('u', blocks(0n, '0x', 4n, 'b4'))).toThrow('block 4')
  links.forget('u', [{ number: 9n, hash: 'a9' }])
  links.say('u', blocks(0n, '0x', 4n, 'b4'))
  expect(() => links.say('u', blocks(10n, 'b9', 12n, 'b12'))).toThrow('block 9')
})

it('a seam stays known until both of its units are done, and no longer', () => {
  const links = new Links('s', [])
  links.say('0-9', blocks(0n, '0x', 9n, 'a9'))
  links.ended('0-9')
  links.say('10-19', blocks(10n, 'a9', 19n, 'a19'))
  links.forget('10-19', [])
  expect(() => links.say('10-19', blocks(10n, 'b9', 19n, 'b19'))).toThrow('block 9')
  links.say('10-19', blocks(10n, 'a9', 19n, 'a19'))
  links.ended('10-19')
  links.say('again', blocks(10n, 'b9', 18n, 'b18'))
})
