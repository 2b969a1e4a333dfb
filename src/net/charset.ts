import { isUtf8 } from 'node:buffer'
import { TextDecoder } from 'node:util'

/** Bytes that are no text in the charset that they are said to be in. */
export class UnreadableError extends Error {}

/**
 * The text of a body, in the charset that its `Content-Type` names, else UTF-8. A charset that is not known, and bytes that
 * are nothing in it, are refused: with U+FFFD in their place two values could become one.
 *
 * @throws {UnreadableError}
 */
export function textOf(body: Buffer, contentType: string | string[] | undefined): string {
  const label = labelOf(contentType)
  if (isUtf8Text(contentType)) {
    if (!isUtf8(body)) throw new UnreadableError(`the bytes at ${firstInvalid(body)} are no UTF-8, and ${declared(contentType)}`)
    return body.toString('utf8')
  }
  let decoder: TextDecoder
  try {
    decoder = new TextDecoder(label, { fatal: true })
  } catch {
    throw new UnreadableError(`its charset ${label} is not known`)
  }
  try {
    return decoder.decode(body)
  } catch {
    throw new UnreadableError(`its bytes are no ${label}, which is the charset that its content-type names`)
  }
}

/** Whether a body of this `Content-Type` is UTF-8, by name or because it names nothing else. */
export const isUtf8Text = (contentType: string | string[] | undefined): boolean => /^utf-?8$/i.test(labelOf(contentType))

const labelOf = (contentType: string | string[] | undefined): string =>
  /;\s*charset\s*=\s*"?\s*([^\s";]+)/i.exec(String(contentType ?? ''))?.[1] ?? 'utf-8'

function declared(contentType: string | string[] | undefined): string {
  return contentType === undefined ? 'no content-type names another charset' : `its content-type is ${String(contentType)}`
}

/** Where the first byte stands that begins nothing valid. */
function firstInvalid(body: Buffer): number {
  let [valid, invalid] = [0, body.length]
  // A cut inside of a character makes its beginning invalid, too, so the search ends at most three bytes early.
  while (invalid - valid > 1) {
    const middle = (valid + invalid) >> 1
    if (wholeUpTo(body, middle)) valid = middle
    else invalid = middle
  }
  return valid
}

/** Whether the bytes before `end`, but for a character that is cut there, are valid. */
function wholeUpTo(body: Buffer, end: number): boolean {
  return [0, 1, 2, 3].some((less) => end >= less && isUtf8(body.subarray(0, end - less)))
}
