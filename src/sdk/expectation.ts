/** What a number must be. Bounds are exact decimals as text. */
export type Expectation =
  | { readonly kind: 'compare'; readonly sign: '=' | '!=' | '<' | '<=' | '>' | '>='; readonly bound: string }
  | { readonly kind: 'between'; readonly low: string; readonly high: string }

const NUMBER = String.raw`([+-]?\d+(?:\.\d+)?)(?:\s*%)?`

/** Reads `0`, `">= 80"`, `"between 1 and 5"`, each number with or without a `%`; undefined for anything else. */
export function parseExpectation(expect: number | string): Expectation | undefined {
  const text = typeof expect === 'number' ? plain(expect) : expect.trim()
  const single = new RegExp(`^(=|!=|<=|>=|<|>)?\\s*${NUMBER}$`).exec(text)
  if (single) return { kind: 'compare', sign: (single[1] ?? '=') as '=', bound: single[2] ?? '' }
  const between = new RegExp(`^between\\s+${NUMBER}\\s+and\\s+${NUMBER}$`, 'i').exec(text)
  if (!between) return undefined
  const [, low = '', high = ''] = between
  // Nothing lies between ends that are swapped.
  return compare(low, high) <= 0 ? { kind: 'between', low, high } : undefined
}

/** Whether a text is that of a finite number. */
export const isNumber = (text: string): boolean => plainText(text) !== undefined

/** Whether a number, given as text, is as expected; undefined when it is no finite number. Exact: nothing passes through a float. */
export function meets(value: string, expectation: Expectation): boolean | undefined {
  const number = plainText(value)
  if (number === undefined) return undefined
  if (expectation.kind === 'between') return compare(number, expectation.low) >= 0 && compare(number, expectation.high) <= 0
  const order = compare(number, expectation.bound)
  switch (expectation.sign) {
    case '=':
      return order === 0
    case '!=':
      return order !== 0
    case '<':
      return order < 0
    case '<=':
      return order <= 0
    case '>':
      return order > 0
    case '>=':
      return order >= 0
  }
}

/** -1, 0 or 1, by the exact values of two decimals. */
function compare(a: string, b: string): number {
  const scale = Math.max(fraction(a).length, fraction(b).length)
  const [left, right] = [scaled(a, scale), scaled(b, scale)]
  return left < right ? -1 : left > right ? 1 : 0
}

const fraction = (text: string) => text.split('.')[1] ?? ''

function scaled(text: string, scale: number): bigint {
  const [whole = '0'] = text.split('.')
  const digits = BigInt(whole.replace(/^[+-]/, '') + fraction(text).padEnd(scale, '0'))
  return text.startsWith('-') ? -digits : digits
}

/** A number without an exponent. */
function plain(value: number): string {
  return plainText(String(value)) ?? String(value)
}

function plainText(text: string): string | undefined {
  const match = /^([+-]?)(\d+)(?:\.(\d+))?(?:e([+-]?\d+))?$/i.exec(text.trim())
  if (!match) return undefined
  const [, sign = '', whole = '', decimals = '', exponent = '0'] = match
  const shift = Number(exponent)
  if (Math.abs(shift) > 400) return undefined
  const digits = whole + decimals
  const point = whole.length + shift
  if (point <= 0) return `${sign}0.${'0'.repeat(-point)}${digits}`
  if (point >= digits.length) return sign + digits + '0'.repeat(point - digits.length)
  return `${sign}${digits.slice(0, point)}.${digits.slice(point)}`
}
