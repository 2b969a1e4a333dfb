import { parseDuration, parseInstant, type PlanContext } from '../../src/sdk/authors.js'
import type { Config } from './config.js'
import { CoverError } from './errors.js'

/** What `cover` asks for, microseconds UTC, both included; undefined without it. @throws {CoverError} */
export function target({ config, scope }: Pick<PlanContext<Config>, 'config' | 'scope'>): { from: bigint; to: bigint } | undefined {
  const { cover } = config
  if (!cover) return undefined
  const now = scope.get('now')?.value as bigint
  const to = cover.to === undefined ? now : instantOf(cover.to, 'to')
  if (cover.from !== undefined) {
    const from = instantOf(cover.from, 'from')
    if (from > to) throw new CoverError(`from ${cover.from} to ${cover.to ?? 'now'}: it ends before it begins`)
    return { from, to: to > now ? now : to }
  }
  return { from: to - lastUs(cover.last ?? 0), to }
}

/** A param of a time is in microseconds when it is put in. */
function instantOf(value: string | number, end: string): bigint {
  const instant = typeof value === 'number' ? BigInt(value) : parseInstant(value)
  if (instant === undefined) throw new CoverError(`${end} is no time: ${value}`)
  return instant
}

function lastUs(last: string | number): bigint {
  const ms = typeof last === 'number' || /^\d+(\.\d+)?$/.test(last) ? Number(last) * 86_400_000 : parseDuration(last)
  if (!ms || !(ms > 0)) throw new CoverError(`last: ${JSON.stringify(last)} is no time`)
  return BigInt(Math.round(ms)) * 1000n
}
