import type { YAMLError } from 'yaml'

/** A mistake in the signs of YAML, in words. With `mask`, reading can go on when that stretch is taken for a plain text. */
export interface Explained {
  readonly offset: number
  readonly message: string
  readonly hint?: string
  readonly mask?: readonly [number, number]
}

/** Says what a parser's error most likely means to somebody who writes a pipeline. */
export function explainSyntax(text: string, error: YAMLError): Explained {
  const [offset] = error.pos
  const line = lineAt(text, offset)
  return (
    unquotedVariable(text, error, line) ??
    blockIndicator(text, error, line) ??
    badStart(text, error) ??
    colonInside(text, error, line) ?? { offset, ...plainWords(text, error) }
  )
}

interface Line {
  readonly start: number
  readonly end: number
}

function lineAt(text: string, offset: number): Line {
  const end = text.indexOf('\n', offset)
  return { start: text.lastIndexOf('\n', offset - 1) + 1, end: end === -1 ? text.length : end }
}

/** `{ rpc: ${X} }`: YAML reads the brace. `rpc: ${X:?e.g. : http}`: YAML reads the colon. */
function unquotedVariable(text: string, error: YAMLError, line: Line): Explained | undefined {
  const [at] = error.pos
  const from = text.lastIndexOf('${', at + 1)
  if (from < line.start) return undefined
  const to = endOfVariable(text, from, line.end)
  if (at < from || at > to) return undefined
  const name = /^[A-Za-z_][A-Za-z0-9_]*/.exec(text.slice(from + 2, to))?.[0] ?? ''
  const whole = `\${${name}${text[from + 2 + name.length] === '}' ? '}' : '…}'}`
  const message =
    error.code === 'BLOCK_AS_IMPLICIT_KEY'
      ? `\`${whole}\` holds \`: \`, which begins a value in YAML`
      : `\`${whole}\` inside { } or [ ] must be quoted`
  return { offset: from, message, hint: `write "${whole}", with the quotes`, mask: [from, to] }
}

function endOfVariable(text: string, from: number, end: number): number {
  let open = 0
  for (let at = from; at < end; at++) {
    if (text.startsWith('${', at)) open++
    else if (text[at] === '}' && --open === 0) return at + 1
  }
  return end
}

/** `expect: >= 80`: `>` and `|` begin a block of text. */
function blockIndicator(text: string, error: YAMLError, line: Line): Explained | undefined {
  if (!/^(Block scalar header|Not a YAML token)/.test(error.message)) return undefined
  const found = /(?:^|[:?-])\s+([>|])/.exec(text.slice(line.start, line.end))
  if (!found) return undefined
  const from = line.start + found.index + found[0].length - 1
  const value = text
    .slice(from, line.end)
    .replace(/\s+#.*$/, '')
    .trimEnd()
  return {
    offset: from,
    message: `\`${found[1]}\` begins a block of text in YAML`,
    hint: `quote it: ${quoted(value)}`,
    mask: [from, line.end],
  }
}

/** `expect: %60`, `@x`, `* x`: signs that mean something at the start of a value. */
function badStart(text: string, error: YAMLError): Explained | undefined {
  if (error.code !== 'BAD_SCALAR_START' && error.code !== 'BAD_ALIAS') return undefined
  const [offset] = error.pos
  const sign = text[offset] ?? ''
  return { offset, message: `a value can't begin with \`${sign}\``, hint: 'quote it: "…"', mask: [offset, offset + 1] }
}

/** `a: b: c`, `{ a: b: c }`. */
function colonInside(text: string, error: YAMLError, line: Line): Explained | undefined {
  if (error.code !== 'BLOCK_AS_IMPLICIT_KEY' && error.code !== 'BLOCK_IN_FLOW') return undefined
  const [offset] = error.pos
  const rest = text.slice(offset, line.end)
  if (!/:(\s|$)/.test(rest)) return undefined
  const length = error.code === 'BLOCK_IN_FLOW' ? rest.search(/[,}\]]|$/) : rest.length
  const value = rest
    .slice(0, length)
    .replace(/\s+#.*$/, '')
    .trimEnd()
  return { offset, message: 'a value that holds `: ` must be quoted', hint: `quote it: ${quoted(value)}`, mask: [offset, offset + length] }
}

function quoted(value: string): string {
  const shown = value.length > 60 ? `${value.slice(0, 59)}…` : value
  return shown.includes('"') ? `'${shown.replaceAll("'", "''")}'` : `"${shown.replaceAll('\\', '\\\\')}"`
}

function plainWords(
  text: string,
  error: YAMLError,
): { readonly message: string; readonly hint?: string; readonly mask?: readonly [number, number] } {
  const [from, to] = error.pos
  const { message } = error
  switch (error.code) {
    case 'TAB_AS_INDENT':
      return { message: "a tab can't indent", hint: 'use spaces' }
    case 'BAD_DQ_ESCAPE':
      return {
        message: `\`${text.slice(from, to)}\` means nothing inside "…"`,
        hint: "write \\\\ for a backslash, or use '…'",
        mask: [from, from + 1],
      }
    case 'BAD_INDENT':
      return /Flow|end with a/.test(message)
        ? { message: `\`${message.at(-1) ?? ''}\` is missing before this place`, hint: 'close what was opened with `{` or `[`' }
        : { message: 'the indentation does not fit the lines above', hint: 'entries of one list or map begin in the same column' }
    case 'MISSING_CHAR':
      if (message.startsWith('Implicit map keys'))
        return { message: 'a `:` is missing after the key', hint: 'write `key: value`, with a space after the colon' }
      if (message.startsWith('Missing closing'))
        return { message: 'a quote is never closed', hint: `a quote inside is written '' in '…' and \\" in "…"` }
      if (message.startsWith('Flow'))
        return { message: `\`${message.at(-1) ?? ''}\` is missing`, hint: 'close what was opened with `{` or `[`' }
      return { message: 'a comma is missing between two entries', hint: 'quote a value that holds a brace, a bracket or a comma' }
    case 'MULTILINE_IMPLICIT_KEY':
    case 'BLOCK_AS_IMPLICIT_KEY':
      return { message: 'the value goes on in the next line, which looks like a key', hint: 'check the indentation, or a missing `:`' }
    case 'UNEXPECTED_TOKEN':
      if (/scalar at node end/.test(message) && /["']/.test(text[from - 1] ?? text[from] ?? '')) {
        return { message: 'text follows the closing quote', hint: `a quote inside is written '' in '…' and \\" in "…"` }
      }
      if (message.includes('block-seq-ind'))
        return { message: 'a list begins in the line after its key', hint: 'write it below, or as [a, b]' }
      return {
        message: `\`${(text[from] ?? '').trim()}\` can't stand here`,
        hint: 'quote a value that holds a brace, a bracket or a comma; check the indentation',
      }
    default:
      return { message: message.charAt(0).toLowerCase() + message.slice(1, 200) }
  }
}
