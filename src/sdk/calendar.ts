const SECOND = 1_000_000n
const DAY_SECONDS = 86_400
const ISO = /^([+-]\d{6}|\d{4})-(\d{2})-(\d{2})(?:[Tt ](\d{2}):(\d{2})(?::(\d{2})(?:[.,](\d{1,30}))?)?\s?([Zz]|[+-]\d{2}(?::?\d{2})?)?)?$/

/** Earliest and latest instant that every warehouse can hold, microseconds UTC: 4713 BC and the end of 294246. */
export const FIRST_INSTANT = BigInt(daysOf(-4712, 1, 1)) * 86_400n * SECOND
export const LAST_INSTANT = BigInt(daysOf(294_247, 1, 1)) * 86_400n * SECOND - 1n

/**
 * Microseconds UTC of ISO text, exact. A zone (`Z`, `+02:00`) is honoured, none means UTC; a day alone is its midnight.
 * Undefined for what is no instant: a day that no calendar has, an hour 24, digits below a microsecond.
 */
export function parseInstant(text: string): bigint | undefined {
  const match = ISO.exec(text)
  if (!match) return undefined
  const days = dayNumber(Number(match[1]), Number(match[2]), Number(match[3]))
  const [hour, minute, second] = [Number(match[4] ?? 0), Number(match[5] ?? 0), Number(match[6] ?? 0)]
  const fraction = (match[7] ?? '').replace(/0+$/, '')
  const offset = offsetSeconds(match[8])
  if (days === undefined || offset === undefined || hour > 23 || minute > 59 || second > 59 || fraction.length > 6) return undefined
  const seconds = days * DAY_SECONDS + hour * 3600 + minute * 60 + second - offset
  return BigInt(seconds) * SECOND + BigInt(fraction.padEnd(6, '0'))
}

/** Microseconds UTC of ISO text; digits below a microsecond are cut off, since no timestamp holds them. */
export function readInstant(text: string): bigint | undefined {
  return parseInstant(text.replace(/([.,]\d{6})\d+/, '$1'))
}

/** ISO text of microseconds UTC: `2024-03-01T00:00:00Z`, with a fraction of six digits where there is one. */
export function formatInstant(instant: bigint): string {
  const fraction = ((instant % SECOND) + SECOND) % SECOND
  const seconds = Number((instant - fraction) / SECOND)
  const days = Math.floor(seconds / DAY_SECONDS)
  const rest = seconds - days * DAY_SECONDS
  const time = [Math.floor(rest / 3600), Math.floor(rest / 60) % 60, rest % 60].map((part) => String(part).padStart(2, '0')).join(':')
  return `${formatDay(days)}T${time}${fraction === 0n ? '' : `.${String(fraction).padStart(6, '0')}`}Z`
}

/** Days since 1970-01-01 of `YYYY-MM-DD`, or undefined when no calendar has that day. */
export function parseDay(text: string): number | undefined {
  const match = /^(\d{4})-(\d{2})-(\d{2})$/.exec(text)
  return match ? dayNumber(Number(match[1]), Number(match[2]), Number(match[3])) : undefined
}

/** `YYYY-MM-DD` of days since 1970-01-01; years outside 0 to 9999 as `+YYYYYY`. */
export function formatDay(days: number): string {
  // Howard Hinnant's civil_from_days: exact for every year, no Date involved.
  const shifted = days + 719_468
  const era = Math.floor(shifted / 146_097)
  const dayOfEra = shifted - era * 146_097
  const yearOfEra = Math.floor(
    (dayOfEra - Math.floor(dayOfEra / 1460) + Math.floor(dayOfEra / 36_524) - Math.floor(dayOfEra / 146_096)) / 365,
  )
  const dayOfYear = dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100))
  const shiftedMonth = Math.floor((5 * dayOfYear + 2) / 153)
  const day = dayOfYear - Math.floor((153 * shiftedMonth + 2) / 5) + 1
  const month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
  const year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
  const yearText =
    year >= 0 && year <= 9999 ? String(year).padStart(4, '0') : `${year < 0 ? '-' : '+'}${String(Math.abs(year)).padStart(6, '0')}`
  return `${yearText}-${String(month).padStart(2, '0')}-${String(day).padStart(2, '0')}`
}

function dayNumber(year: number, month: number, day: number): number | undefined {
  if (month < 1 || month > 12 || day < 1 || day > daysInMonth(year, month)) return undefined
  return daysOf(year, month, day)
}

function daysInMonth(year: number, month: number): number {
  if (month !== 2) return month === 4 || month === 6 || month === 9 || month === 11 ? 30 : 31
  return (year % 4 === 0 && year % 100 !== 0) || year % 400 === 0 ? 29 : 28
}

function daysOf(year: number, month: number, day: number): number {
  const shiftedYear = month <= 2 ? year - 1 : year
  const era = Math.floor(shiftedYear / 400)
  const yearOfEra = shiftedYear - era * 400
  const dayOfYear = Math.floor((153 * (month + (month > 2 ? -3 : 9)) + 2) / 5) + day - 1
  return era * 146_097 + yearOfEra * 365 + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100) + dayOfYear - 719_468
}

function offsetSeconds(zone: string | undefined): number | undefined {
  if (zone === undefined || zone === 'Z' || zone === 'z') return 0
  const hours = Number(zone.slice(1, 3))
  const minutes = Number(zone.slice(3).replace(':', '') || 0)
  if (hours > 15 || minutes > 59) return undefined
  return (zone.startsWith('-') ? -1 : 1) * (hours * 3600 + minutes * 60)
}
