const UNITS: Readonly<Record<string, number>> = { us: 0.001, ms: 1, s: 1_000, min: 60_000, h: 3_600_000, d: 86_400_000 }

/** Milliseconds of a time as Postgres writes it in settings: `30s`, `500`. */
export function milliseconds(setting: string | undefined): number | undefined {
  const [, number, unit = 'ms'] = /^(\d+)\s*([a-z]*)$/.exec(setting ?? '') ?? []
  return number === undefined ? undefined : Number(number) * (UNITS[unit] ?? 1)
}
