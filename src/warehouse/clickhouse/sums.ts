/** What stands between the words of SQL: texts, quoted names, comments. */
const SKIPPED = /'(?:[^'\\]|\\.|'')*'|"(?:[^"\\]|\\.|"")*"|`(?:[^`\\]|\\.)*`|--[^\n]*|\/\*[^]*?\*\//y
const SUM = /(?<![\w.$"`])(sum|sumIf)\s*\((?!\s*(?:DISTINCT\b|\)))/iy
const TAIL = /\s*(?:FILTER|OVER)\s*\(|\s*OVER\s+[A-Za-z_]\w*/iy

/**
 * A query whose sums of integers are checked. ClickHouse adds them up in 64 or 256 bits and wraps around in silence, so a
 * result differs from the true one by a multiple of that: the sum of the same values as floats, wrong in its last digits,
 * tells. What an argument itself adds or multiplies, and `sum(DISTINCT …)`, are not seen through.
 */
export function checkedSums(query: string): string {
  let result = ''
  for (let at = 0; at < query.length;) {
    const skipped = match(SKIPPED, query, at)
    if (skipped) {
      result += skipped[0]
      at += skipped[0].length
      continue
    }
    const sum = match(SUM, query, at)
    const open = at + (sum?.[0].length ?? 0)
    const close = sum ? closing(query, open) : undefined
    if (!sum || close === undefined) {
      result += query.charAt(at++)
      continue
    }
    const end = tailEnd(query, close + 1)
    const [first, ...rest] = argumentsOf(query.slice(open, close)).map(checkedSums)
    const name = sum[1] ?? ''
    const tail = query.slice(close + 1, end)
    const call = (value: string) => `${name}(${[value, ...rest].join(',')})${tail}`
    // On lines of their own: an argument may end in a comment.
    result += checked(call(`${first ?? ''}\n`), call(`toFloat64(${first ?? ''}\n)`))
    at = end
  }
  return result
}

const MESSAGE = 'pipe: a sum does not fit the type that ClickHouse adds it up in; cast what is added to Int256'

function checked(sum: string, shadow: string): string {
  const type = `toTypeName(${sum})`
  // Farther than a float's error from the true value, nearer than any other that wraps around to the same bits.
  const far = `multiIf(${type} LIKE '%Int256%', pow(2, 250), ${type} LIKE '%Int128%', pow(2, 122), ${type} LIKE '%Int64%', pow(2, 58), inf)`
  const wrong = `ifNull(abs(toFloat64(${sum}) - ${shadow}) > ${far}, 0)`
  return `if(throwIf(${wrong}, '${MESSAGE}') = 0, ${sum}, ${sum})`
}

function match(pattern: RegExp, text: string, at: number): RegExpExecArray | null {
  pattern.lastIndex = at
  return pattern.exec(text)
}

/** Where the bracket ends that was opened before `at`. */
function closing(text: string, at: number): number | undefined {
  for (let depth = 1; at < text.length; at++) {
    const skipped = match(SKIPPED, text, at)
    if (skipped) at += skipped[0].length - 1
    else if ('([{'.includes(text.charAt(at))) depth++
    else if (')]}'.includes(text.charAt(at)) && --depth === 0) return at
  }
  return undefined
}

/** The end of what belongs to a call behind its bracket: FILTER (…) and OVER (…). */
function tailEnd(text: string, at: number): number {
  for (let tail = match(TAIL, text, at); tail; tail = match(TAIL, text, at)) {
    const end = at + tail[0].length
    const close = tail[0].endsWith('(') ? closing(text, end) : end - 1
    if (close === undefined) return at
    at = close + 1
  }
  return at
}

/** The arguments of a call. */
function argumentsOf(text: string): string[] {
  const found: string[] = []
  let from = 0
  let depth = 0
  for (let at = 0; at < text.length; at++) {
    const skipped = match(SKIPPED, text, at)
    if (skipped) at += skipped[0].length - 1
    else if ('([{'.includes(text.charAt(at))) depth++
    else if (')]}'.includes(text.charAt(at))) depth--
    else if (depth === 0 && text.charAt(at) === ',') {
      found.push(text.slice(from, at))
      from = at + 1
    }
  }
  return [...found, text.slice(from)]
}
