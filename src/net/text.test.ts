import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { scrubber, showText } from './text.js'

const KEY = 'Zx9-_kQ7/mn+Lp3'
const scrub = scrubber(new URL(`https://user:p%40ss-word@node.example:8545/v3/${encodeURIComponent(KEY)}?apikey=query-secret`), {
  'x-api-key': 'header-secret',
  authorization: 'Bearer token-secret',
})
const none = (text: string) => text

describe('secrets of an endpoint never show', () => {
  const forms: Record<string, (secret: string) => string> = {
    plain: (secret) => secret,
    'percent-encoded': (secret) => encodeURIComponent(secret),
    'in JSON': (secret) => JSON.stringify(secret),
    'in hex': (secret) => Buffer.from(secret).toString('hex'),
    'in base64': (secret) => Buffer.from(secret).toString('base64'),
    'in base64 of more': (secret) => Buffer.from(`x ${secret} and more`).toString('base64'),
    'in base64url of more': (secret) => Buffer.from(`xy${secret}`).toString('base64url'),
    'in capitals': (secret) => secret.toUpperCase(),
  }
  const secrets = {
    key: KEY,
    query: 'query-secret',
    password: 'p@ss-word',
    login: 'user:p@ss-word',
    header: 'header-secret',
    token: 'token-secret',
  }
  for (const [what, secret] of Object.entries(secrets)) {
    test.each(Object.entries(forms))(`${what} %s`, (_, form) => {
      const said = form(secret)
      const shown = scrub(`error for ${said}: not found`)
      expect(shown).toContain('***')
      // Whatever is left must not give the secret back.
      for (const [, other] of Object.entries(forms)) expect(shown).not.toContain(other(secret))
    })
  }

  test('words of the path that are no keys stay', () => {
    expect(scrubber(new URL('https://node.example/eth/v3/mainnet'), {})('v3 of eth at mainnet')).toBe('v3 of eth at mainnet')
  })

  test('a secret on the border of what is shown is not shown in part', () => {
    fc.assert(
      fc.property(fc.nat(230), (before) => {
        const shown = showText(`${'.'.repeat(before)}${KEY}`, scrub)
        for (let length = 6; length <= KEY.length; length++) expect(shown).not.toContain(KEY.slice(0, length))
      }),
    )
  })
})

describe('texts of providers are fit to be shown', () => {
  test('a page is reduced to its words', () => {
    expect(
      showText(
        '<html>\n<head><style>b { }</style><script>alert(1)</script></head><body><h1>502 Bad Gateway</h1><hr><center>nginx</center></body></html>',
        none,
      ),
    ).toBe('502 Bad Gateway nginx')
  })

  test('control characters, colours and changes of direction are spelt out', () => {
    expect(showText('\u001b[31mred\u0007\u202Eevil\u2066', none)).toBe('\\u001b[31mred\\u0007\\u202eevil\\u2066')
  })

  test('a new line can not forge a line', () => {
    expect(showText('one\nERROR two\r\nthree', none)).toBe('one ERROR two three')
  })

  test('a long text ends after 200 characters', () => {
    expect(showText('long '.repeat(1_000_000), none)).toHaveLength(200)
  })
})
