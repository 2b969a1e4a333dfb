import { formatDay } from '../../sdk/index.js'

const TWO = Array.from({ length: 60 }, (_, i) => String(i).padStart(2, '0'))

/** Microseconds UTC from 2001 to 2286, whose seconds since 1970 have ten digits. */
const FIRST_TEN_DIGITS = 1_000_000_000_000_000n
const LAST_TEN_DIGITS = 9_999_999_999_999_999n

/**
 * Microseconds UTC as ClickHouse reads them: seconds since 1970 with a fraction, which is short and quick to read on both
 * sides, where they have ten digits. Other numbers of digits could be a year; those are `1969-12-31 00:00:00.000000`.
 */
export function instantText(): (us: bigint) => string {
  let day = NaN
  let dayText = ''
  return (us) => {
    if (us >= FIRST_TEN_DIGITS && us <= LAST_TEN_DIGITS) {
      const digits = String(us)
      return `${digits.slice(0, 10)}.${digits.slice(10)}`
    }
    const fraction = Number(((us % 1_000_000n) + 1_000_000n) % 1_000_000n)
    const seconds = Number((us - BigInt(fraction)) / 1_000_000n)
    const days = Math.floor(seconds / 86_400)
    if (days !== day) dayText = formatDay((day = days))
    const rest = seconds - days * 86_400
    const time = `${TWO[Math.floor(rest / 3_600)]}:${TWO[Math.floor(rest / 60) % 60]}:${TWO[rest % 60]}`
    return `${dayText} ${time}.${String(fraction).padStart(6, '0')}`
  }
}
