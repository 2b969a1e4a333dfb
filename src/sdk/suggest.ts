/** The candidate that was most likely meant, or undefined when none is near. Case, `-` and `_` are no difference. */
export function closest(name: string, candidates: Iterable<string>): string | undefined {
  const wanted = plain(name)
  // One slip in a short name, none in a single letter.
  const limit = wanted.length < 2 ? 0 : Math.max(1, Math.floor(wanted.length / 3))
  let best: { readonly candidate: string; readonly distance: number } | undefined
  for (const candidate of candidates) {
    const other = plain(candidate)
    if (Math.abs(other.length - wanted.length) > limit) continue
    const distance = editDistance(wanted, other, best ? best.distance - 1 : limit)
    if (distance !== undefined) best = { candidate, distance }
    if (distance === 0) break
  }
  return best?.candidate
}

/** `did you mean "x"?`, or undefined when nothing is near. Made to be a `hint`. */
export function didYouMean(name: string, candidates: Iterable<string>): string | undefined {
  const candidate = closest(name, candidates)
  return candidate === undefined ? undefined : `did you mean ${JSON.stringify(candidate)}?`
}

function plain(name: string): string {
  return name.slice(0, 100).toLowerCase().replaceAll(/[-_ ]/g, '')
}

/** Insertions, deletions, replacements and swaps of neighbours from `a` to `b`; undefined when more than `limit`. */
function editDistance(a: string, b: string, limit: number): number | undefined {
  if (limit < 0) return undefined
  let before: number[] = []
  let row = Array.from({ length: b.length + 1 }, (_, j) => j)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1]
      let cost = Math.min((row[j] ?? 0) + 1, (next[j - 1] ?? 0) + 1, (row[j - 1] ?? 0) + (same ? 0 : 1))
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) cost = Math.min(cost, (before[j - 2] ?? 0) + 1)
      next.push(cost)
    }
    before = row
    row = next
  }
  const distance = row[b.length] ?? 0
  return distance <= limit ? distance : undefined
}
