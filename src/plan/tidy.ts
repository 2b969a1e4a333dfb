/** A number of pieces as people read it: days are measured in microseconds, and their sums end in digits that mean nothing. */
export function tidy(pieces: number): number {
  return Math.round(pieces * 1e6) / 1e6
}
