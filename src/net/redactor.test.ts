import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { redactor } from './redactor.js'

const twice = (form: (secret: string) => string) => (secret: string) => form(form(secret))
const json = (secret: string) => JSON.stringify(secret).slice(1, -1)
const html = (secret: string) =>
  secret.replace(/[&<>"']/g, (c) => ({ '&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;', "'": '&#39;' })[c] ?? c)
const units = (secret: string, form: (code: number) => string) => Array.from(secret, (c) => form(c.charCodeAt(0))).join('')

const forms: Record<string, (secret: string) => string> = {
  plain: (secret) => secret,
  'in capitals': (secret) => secret.toUpperCase(),
  'percent-encoded': encodeURIComponent,
  'percent-encoded twice': twice(encodeURIComponent),
  'percent-encoded in every character': (secret) => units(secret, (code) => `%${code.toString(16).padStart(2, '0')}`),
  'as a form sends it': (secret) => new URLSearchParams({ k: secret }).toString().slice(2),
  'escaped for JSON': json,
  'escaped for JSON twice': twice(json),
  'escaped for JSON thrice, with slashes': (secret) => twice(json)(json(secret).replaceAll('/', '\\/')),
  'escaped for JSON in every character': (secret) => units(secret, (code) => `\\u${code.toString(16).padStart(4, '0')}`),
  'escaped for HTML': html,
  'escaped for HTML twice': twice(html),
  'escaped for JSON in HTML': (secret) => html(json(secret)),
  'in base64': (secret) => Buffer.from(secret).toString('base64'),
  'in base64 of a login': (secret) => Buffer.from(`user:${secret}`).toString('base64'),
  'in base64 in a URL': (secret) => encodeURIComponent(Buffer.from(`me:${secret}!`).toString('base64')),
  'in base64url': (secret) => Buffer.from(secret).toString('base64url'),
  'in hex': (secret) => Buffer.from(secret).toString('hex'),
}

const secrets = fc.string({ minLength: 10, maxLength: 40, unit: 'grapheme-ascii' }).map((text) => `k${text.slice(2)}y`)

describe('a secret is taken out of a text', () => {
  it.each(Object.entries(forms))('when it is written %s', (_, form) => {
    fc.assert(
      fc.property(secrets, (secret) => {
        const shown = redactor([secret])(`before ${form(secret)} after`)
        // What base64 mixes with its neighbours stays: less than the secret by far.
        expect(shown).toMatch(/^before [\w+/=%-]{0,12}\*\*\*[\w+/=%-]{0,12} after$/)
      }),
      { numRuns: 30 },
    )
  })

  it('line by line when it has several, but for lines that are too common', () => {
    const shown = redactor(['-----BEGIN KEY-----\nMIIEvQIBADANBgkq\r\nhkiG9w0BAQ\n'])
    expect(['-----BEGIN KEY-----', 'key: miieVQIBADANBgkq', 'hkiG9w0BAQ'].map(shown)).toEqual(['***', 'key: ***', 'hkiG9w0BAQ'])
  })

  it('and nothing else is: a text without it stays as it is', () => {
    const redact = redactor(['k3y/with"quotes', 'pässwörd 😀'])
    const text = 'HTTP 502 from node.example: the "key/with" quotes \\ and 100 % &amp; \\u0041'
    expect(redact(text)).toBe(text)
    expect(redactor([])('anything')).toBe('anything')
    expect(redact(`${encodeURIComponent('pässwörd 😀')} ${json('pässwörd 😀')}`)).toBe('*** ***')
  })

  it('also of megabytes of what looks like its beginning, at once', () => {
    const redact = redactor(['\\\\secret-with-slashes', 'aaaaaaaab'])
    const start = process.cpuUsage()
    redact('\\'.repeat(500_000))
    redact('a'.repeat(500_000))
    redact('%25'.repeat(300_000))
    redact('&amp;'.repeat(200_000))
    redact('\\u0041'.repeat(200_000))
    // Of this process: other ones that work do not count.
    expect(process.cpuUsage(start).user / 1000).toBeLessThan(5_000)
  })
})
