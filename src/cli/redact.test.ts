import fc from 'fast-check'
import { expect, it } from 'vitest'
import { createRedactor, redactDeep } from './redact.js'

it('a secret is taken out however it is written: plain, URL-encoded, in base64, escaped for JSON', () => {
  fc.assert(
    fc.property(fc.string({ minLength: 8, maxLength: 40, unit: 'grapheme-ascii' }), fc.string(), fc.string(), (secret, before, after) => {
      const redact = createRedactor([secret])
      for (const form of [
        secret,
        encodeURIComponent(secret),
        Buffer.from(secret).toString('base64'),
        JSON.stringify(secret).slice(1, -1),
      ]) {
        expect(redact(`${before}${form}${after}`).split('***').join('')).not.toContain(form)
      }
    }),
  )
})

it('texts inside of values are redacted, everything else stays', () => {
  const redact = createRedactor(['topsecret'])
  expect(redactDeep({ a: 'x topsecret', b: [1, null, 'topsecret'], c: true }, redact)).toEqual({ a: 'x ***', b: [1, null, '***'], c: true })
})
