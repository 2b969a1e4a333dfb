import { InvalidArgumentError } from 'commander'
import { parseDuration } from '../sdk/duration.js'

/** A param, beside those that were given before it. @throws {InvalidArgumentError} as all of these. */
export function param(text: string, before: Readonly<Record<string, string>>): Record<string, string> {
  const at = text.indexOf('=')
  if (at < 1) throw new InvalidArgumentError('Write it as name=value.')
  const name = text.slice(0, at)
  if (Object.hasOwn(before, name)) throw new InvalidArgumentError(`"${name}" is given twice.`)
  return { ...before, [name]: text.slice(at + 1) }
}

/** Names, separated by commas. */
export function ids(text: string): readonly string[] {
  const found = text
    .split(',')
    .map((id) => id.trim())
    .filter((id) => id !== '')
  if (found.length === 0) throw new InvalidArgumentError('Name at least one step.')
  return found
}

/** A whole number from 1. */
export function positive(text: string): number {
  const value = /^\d+$/.test(text) ? Number(text) : 0
  if (!Number.isSafeInteger(value) || value < 1) throw new InvalidArgumentError('It must be a whole number of 1 or more.')
  return value
}

/** A whole number from 1, or all. */
export function howMany(text: string): number | 'all' {
  if (text === 'all') return text
  const value = /^\d+$/.test(text) ? Number(text) : 0
  if (!Number.isSafeInteger(value) || value < 1) throw new InvalidArgumentError('It must be a whole number of 1 or more, or `all`.')
  return value
}

/** The number from which random choices come. */
export function seed(text: string): number {
  if (!/^\d{1,15}$/.test(text)) throw new InvalidArgumentError('It must be a whole number, as verify printed it.')
  return Number(text)
}

/** A time, in milliseconds. */
export function time(text: string): number {
  const ms = parseDuration(text)
  if (ms === undefined) throw new InvalidArgumentError('Write it as 90s, 5m, 6h or 1h30m.')
  return ms
}

/** A port of TCP; 0: a free one. */
export function port(text: string): number {
  const value = /^\d{1,5}$/.test(text) ? Number(text) : -1
  if (value < 0 || value > 65_535) throw new InvalidArgumentError('It must be a whole number from 0 to 65535.')
  return value
}
