import fc from 'fast-check'
import { expect, test } from 'vitest'
import { errorLines, escapeText, jsonLine } from './escape.js'

test('what would forge a line, a colour or a direction is shown instead', () => {
  expect(escapeText('ok ü 漢 😀')).toBe('ok ü 漢 😀')
  expect(escapeText('a\nb\r\tc')).toBe('a\\nb\\r\\tc')
  expect(escapeText('\x1b[31mred\x9b0m\x00\x7f')).toBe('\\x1b[31mred\\x9b0m\\x00\\x7f')
  expect(escapeText('\u202egnp.exe\u2066\u200b\ufeff\u2028')).toBe('\\u202egnp.exe\\u2066\\u200b\\ufeff\\u2028')
  expect(escapeText('\ud83d half \ude00')).toBe('\\ud83d half \\ude00')
})

test('a JSON line means what it was made of and can not be told from its neighbours by a terminal', () => {
  expect(jsonLine({ n: 2n ** 256n - 1n, text: '\u202e\x9b\n' })).toBe(
    '{"n":"115792089237316195423570985008687907853269984665640564039457584007913129639935","text":"\\u202e\\u009b\\n"}',
  )
  fc.assert(
    fc.property(fc.jsonValue(), fc.string({ unit: 'binary' }), (value, text) => {
      const line = jsonLine({ value, text })
      expect(JSON.parse(line)).toEqual(JSON.parse(JSON.stringify({ value, text })))
      expect(escapeText(line)).toBe(line)
    }),
    { numRuns: 50 },
  )
})

test('the words of an error are one line, with its stack below, and can not pass for a line of somebody else', () => {
  const [words, ...places] = errorLines(new TypeError('torn\nschedule of miners: run 1 \x1b[2J\u202e')).split('\n')
  expect(words).toBe('TypeError: torn\\nschedule of miners: run 1 \\x1b[2J\\u202e')
  expect(places[0]).toMatch(/^ {4}at .*escape\.test\.ts/)
  expect(places.every((line) => line.startsWith('    at '))).toBe(true)
  expect(errorLines('a\nb')).toBe('a\\nb')
})
