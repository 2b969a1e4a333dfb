/**
 * Of `proved` random ones none differs: with 95 % confidence the share of all that differ is below this. It is the p for which
 * so many would all be right by chance in 1 of 20 times, (1 - p)^n = 0.05: the exact upper limit of Clopper and Pearson
 * (Biometrika 26, 1934) for no failure, and nearly 3/n, the "rule of three" (Hanley and Lippman-Hand, JAMA 249, 1983).
 */
export function differsBelow(proved: number): number {
  return 1 - 0.05 ** (1 / proved)
}

/** The same in words: `fewer than 1 in 100 differ`. */
export function confidence(proved: number): string {
  const share = differsBelow(proved)
  const often = share <= 0.1 ? `1 in ${new Intl.NumberFormat('en').format(Math.floor(1 / share))}` : `${Math.ceil(share * 100)} %`
  return `with 95 % confidence fewer than ${often} differ`
}
