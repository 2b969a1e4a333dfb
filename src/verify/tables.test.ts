import { expect, it } from 'vitest'
import { literalOf } from './tables.js'

it('a text in the SQL of an advice can hold quotes', () => {
  expect([literalOf("it's"), literalOf(5n), literalOf(0.5)]).toEqual(["'it''s'", '5', '0.5'])
})
