/**
 * Replaces secrets in a text by `***`, however they are written: plain or in capitals, percent-encoded, escaped for JSON
 * or HTML, each in part, whole or several times over, in hex, and in base64 wherever they begin in a longer text. Of a
 * secret of several lines (a key in PEM) each line is one, too, since much is read by lines. Takes time in proportion to the
 * text, whatever stands in it.
 */
export function redactor(secrets: Iterable<string>): (text: string) => string {
  const forms = new Set<string>()
  for (const secret of [...secrets].flatMap((whole) => [whole, ...linesOf(whole)])) {
    for (const form of [secret, Buffer.from(secret).toString('hex'), ...base64Forms(secret)]) forms.add(read(form).plain)
  }
  forms.delete('')
  if (forms.size === 0) return (text) => text
  return (text) => {
    const { plain, from, to } = read(text)
    const found: [number, number][] = []
    for (const form of forms) {
      for (let at = plain.indexOf(form); at >= 0; at = plain.indexOf(form, at + form.length))
        found.push([from[at] ?? 0, to[at + form.length - 1] ?? text.length])
    }
    found.sort((a, b) => a[0] - b[0])
    let shown = ''
    let end = 0
    for (const [start, stop] of found) {
      if (start >= end) shown += `${text.slice(end, start)}***`
      end = Math.max(end, stop)
    }
    return shown + text.slice(end)
  }
}

/** Shorter lines of a secret that has several are too common to be secrets. */
const LEAST_LINE = 12

function linesOf(secret: string): readonly string[] {
  if (!secret.includes('\n')) return []
  return secret
    .split('\n')
    .map((line) => line.trim())
    .filter(({ length }) => length >= LEAST_LINE)
}

/** A text as UTF-8 bytes in small letters, with its escapes undone; and where in the text each byte begins and ends. */
interface Reading {
  readonly plain: string
  readonly from: readonly number[]
  readonly to: readonly number[]
}

/** Escapes inside of escapes are undone to this depth. */
const DEPTH = 6
const ESCAPES =
  /(?<units>(?:\\+u[\da-f]{4})+)|\\+|%(?<byte>[\da-f]{2})|&(?:#(?<decimal>\d{1,7})|#x(?<hex>[\da-f]{1,6})|(?<name>[a-z]{2,4}));/gi
const ENTITIES: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" }

function read(text: string): Reading {
  let reading = bytesOf(text)
  for (let depth = 0; depth < DEPTH && /[\\%&]/.test(reading.plain); depth++) {
    const next = unescape(reading)
    if (next.plain === reading.plain) break
    reading = next
  }
  // A form sends a blank as `+`.
  return { ...reading, plain: reading.plain.replaceAll('+', ' ').replace(/[A-Z]+/g, (letters) => letters.toLowerCase()) }
}

function bytesOf(text: string): Reading {
  const parts: string[] = []
  const from: number[] = []
  const to: number[] = []
  let at = 0
  for (const character of text) {
    const bytes = character < '\u0080' ? character : utf8(character)
    parts.push(bytes)
    for (let i = 0; i < bytes.length; i++) {
      from.push(at)
      to.push(at + character.length)
    }
    at += character.length
  }
  return { plain: parts.join(''), from, to }
}

function unescape({ plain, from, to }: Reading): Reading {
  const parts: string[] = []
  const starts: number[] = []
  const ends: number[] = []
  const copy = (begin: number, end: number) => {
    parts.push(plain.slice(begin, end))
    for (let i = begin; i < end; i++) {
      starts.push(from[i] ?? 0)
      ends.push(to[i] ?? 0)
    }
  }
  let done = 0
  for (const match of plain.matchAll(ESCAPES)) {
    const [all] = match
    const said = meaning(all, match.groups ?? {})
    if (said === undefined) continue
    copy(done, match.index)
    done = match.index + all.length
    parts.push(said)
    for (let i = 0; i < said.length; i++) {
      starts.push(from[match.index] ?? 0)
      ends.push(to[done - 1] ?? 0)
    }
  }
  copy(done, plain.length)
  return { plain: parts.join(''), from: starts, to: ends }
}

/** What an escape stands for. A backslash stands for nothing: it only says that the next character is meant as it is. */
function meaning(all: string, { units, byte, decimal, hex, name }: Readonly<Record<string, string | undefined>>): string | undefined {
  if (units !== undefined) return utf8(units.replace(/\\+u([\da-f]{4})/gi, (_, unit: string) => String.fromCharCode(parseInt(unit, 16))))
  if (byte !== undefined) return String.fromCharCode(parseInt(byte, 16))
  if (name !== undefined) return ENTITIES[name.toLowerCase()]
  const code = decimal !== undefined ? parseInt(decimal, 10) : hex !== undefined ? parseInt(hex, 16) : undefined
  if (code === undefined) return ''
  return code > 0x10ffff ? undefined : utf8(String.fromCodePoint(code))
}

const utf8 = (text: string) => Buffer.from(text).toString('latin1')

/** Base64 of a secret wherever it starts inside a longer text: three alignments, without the characters that mix with neighbours. */
function base64Forms(secret: string): string[] {
  if (secret.length < 6) return [Buffer.from(secret).toString('base64')]
  const forms: string[] = []
  for (let shift = 0; shift < 3; shift++) {
    const bytes = Buffer.concat([Buffer.alloc(shift), Buffer.from(secret)])
    const whole = bytes.toString('base64').replace(/=+$/, '')
    const inner = whole.slice(shift === 0 ? 0 : shift + 1, bytes.length % 3 === 0 ? undefined : -1)
    forms.push(inner, inner.replaceAll('+', '-').replaceAll('/', '_'))
  }
  return forms
}
