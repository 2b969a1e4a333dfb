import { expect, it } from 'vitest'
import { createRedactor, redactDeep } from './redact.js'

it('a secret is taken out, and a short word is left alone', () => {
  expect(createRedactor(['topsecret', 'block'])('topsecret of block, "TOP\\u0053ECRET" and top%73ecret')).toBe(
    '*** of block, "***" and ***',
  )
})

it('texts inside of values are redacted, everything else stays', () => {
  const redact = createRedactor(['topsecret'])
  expect(redactDeep({ a: 'x topsecret', b: [1, null, 'topsecret'], c: true }, redact)).toEqual({ a: 'x ***', b: [1, null, '***'], c: true })
})
