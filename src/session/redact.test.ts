import { inspect } from 'node:util'
import { describe, expect, it } from 'vitest'
import { PipeError } from '../sdk/index.js'
import { createRedactor, redactDeep, redactError } from './redact.js'

it('a secret is taken out, and a short word is left alone', () => {
  expect(createRedactor(['topsecret', 'block'])('topsecret of block, "TOP\\u0053ECRET" and top%73ecret')).toBe(
    '*** of block, "***" and ***',
  )
})

it('texts inside of values are redacted, everything else stays', () => {
  const redact = createRedactor(['topsecret'])
  expect(redactDeep({ a: 'x topsecret', b: [1, null, 'topsecret'], c: true }, redact)).toEqual({ a: 'x ***', b: [1, null, '***'], c: true })
})

describe('an error', () => {
  const redact = createRedactor(['topsecret'])

  class RefusedError extends PipeError {
    readonly code = 'REFUSED'
    override readonly hint = 'ask again'
    constructor(
      readonly address: string,
      readonly asked: unknown,
      cause?: unknown,
    ) {
      super(`${address} refused`, { cause })
    }
  }

  it('keeps its class, its code and its hint, and loses the secrets of all else', () => {
    const refused = new RefusedError('https://a/topsecret', { keys: ['topsecret', 1n] }, new TypeError('GET topsecret'))
    const error = redactError(refused, redact)
    expect(error).toBe(refused)
    expect(error).toBeInstanceOf(RefusedError)
    expect(error).toMatchObject({
      name: 'RefusedError',
      message: 'https://a/*** refused',
      code: 'REFUSED',
      hint: 'ask again',
      address: 'https://a/***',
      asked: { keys: ['***', 1n] },
      cause: { name: 'TypeError', message: 'GET ***' },
    })
    expect(error.stack).toContain('https://a/*** refused')
    expect(inspect(error, { depth: Infinity, showHidden: true })).not.toContain('topsecret')
  })

  it('may lead back to itself, and shows no object that is not data', () => {
    const refused = new RefusedError('a', { url: new URL('https://a/topsecret'), headers: new Map([['key', 'topsecret']]) })
    refused.cause = new AggregateError([refused, new Error('topsecret')], 'both')
    const error = redactError(refused, redact)
    expect(error).toMatchObject({ asked: { url: undefined, headers: undefined }, cause: { errors: [refused, { message: '***' }] } })
    expect(inspect(error, { depth: Infinity, showHidden: true })).not.toContain('topsecret')
  })

  it('is made of what is thrown and is none', () => {
    expect(redactError('topsecret', redact)).toEqual(new Error('***'))
  })
})
