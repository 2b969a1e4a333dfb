/** Time, passed in, so that tests and the simulation can replace it. */
export interface Clock {
  /** Milliseconds UTC, for what people read and for rows. May jump. */
  now(): number
  /** Milliseconds that never go back, for waits and rates. */
  monotonic(): number
  /** Resolves after `ms`, or rejects with the signal's reason. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>
}

/** The time of the clock in microseconds UTC, as rows and the ledger hold it. Rounded down, so that it is never later than the clock. */
export const micros = (clock: Pick<Clock, 'now'>): bigint => BigInt(Math.floor(clock.now() * 1_000))

/** A number in [0, 1). */
export type Random = () => number
