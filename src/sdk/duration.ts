const UNIT_MS = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000, w: 604_800_000 } as const

type DurationUnit = keyof typeof UNIT_MS

/** Milliseconds of `500ms`, `30s`, `5m`, `12h`, `7d`, `2w`, `1h30m`; undefined when the text is none of them. Whole milliseconds, at most 2^53. */
export function parseDuration(text: string): number | undefined {
  if (!/^\s*(\d+(\.\d+)?\s*(ms|s|m|h|d|w)\s*)+$/.test(text)) return undefined
  let ms = 0
  for (const match of text.matchAll(/(\d+(?:\.\d+)?)\s*(ms|s|m|h|d|w)/g)) {
    // The outer pattern holds, so the second group is one of the units.
    ms += Number(match[1]) * UNIT_MS[match[2] as DurationUnit]
  }
  ms = Math.round(ms)
  return Number.isSafeInteger(ms) ? ms : undefined
}

/** The shortest exact form that `parseDuration` reads back: `90000` is `1m30s`, `86400000` is `1d`. */
export function formatDuration(ms: number): string {
  let left = Math.round(ms)
  if (left === 0) return '0s'
  let text = ''
  for (const unit of ['d', 'h', 'm', 's', 'ms'] as const) {
    const count = Math.floor(left / UNIT_MS[unit])
    if (count > 0) text += `${count}${unit}`
    left -= count * UNIT_MS[unit]
  }
  return text
}
