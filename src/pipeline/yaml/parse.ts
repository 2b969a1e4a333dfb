import { Composer, type CST, type Document, LineCounter, Lexer, Parser, type ParsedNode, type YAMLError } from 'yaml'
import { convertDocument } from './convert.js'
import { type Node, placeAt, type Source } from './node.js'
import type { Problem } from '../pipeline.js'
import { explainSyntax } from './syntax.js'

/** More than any pipeline needs: a step takes about 80. It bounds the time that a hostile text can take. */
const MAX_LEXEMES = 300_000
const MAX_NESTING = 200
/** How many characters may be read again, in all, to find the mistakes after the first. */
const MAX_REREAD = 1_000_000
/** How many errors may be looked at before the first of the last reading is taken for the last. */
const MAX_ERRORS = 30_000

// The parser uses some of them as signs of its own.
const CONTROL = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f]/

/** What a text says. Without a root when it says nothing, or cannot be read at all. */
export interface Parsed {
  readonly source: Source
  readonly root: Node | undefined
  readonly problems: readonly Problem[]
}

interface Composed {
  readonly document: Document.Parsed<ParsedNode, true> | undefined
  readonly lines: LineCounter
  /** In the order of the text. */
  readonly errors: readonly YAMLError[]
  readonly refused: { readonly message: string; readonly hint?: string; readonly offset: number } | undefined
}

/**
 * Reads YAML text. Where it can't be read because of a mistake that people make often, the mistake is masked and reading
 * goes on, so that the others are found as well. What was masked is unknown in the result.
 */
export function parseText(text: string, at: { readonly file: string; readonly folder: string }): Parsed {
  const problems: Problem[] = []
  const masked: (readonly [number, number])[] = []
  let current = text
  let seen = 0
  for (let repairs = 0; ; repairs++) {
    const { document, lines, errors, refused } = compose(current)
    const source: Source = { ...at, lines }
    const say = (offset: number, message: string, hint?: string): void => {
      problems.push({ ...placeAt(source, offset), path: '', message, hint, severity: 'error' })
    }
    if (refused) {
      say(refused.offset, refused.message, refused.hint)
      return { source, root: undefined, problems }
    }
    const error = errors[0]
    seen += errors.length
    const explained = error && explainSyntax(current, error)
    if (explained) {
      say(explained.offset, explained.message, explained.hint)
      if (!explained.mask || repairs * text.length > MAX_REREAD || seen > MAX_ERRORS) return { source, root: undefined, problems }
      masked.push(explained.mask)
      current = mask(current, explained.mask)
      continue
    }
    if (!document?.contents) return { source, root: undefined, problems }
    const converted = convertDocument(document, source, text, masked)
    return { source, root: converted.root, problems: [...problems, ...converted.problems] }
  }
}

/** One document with its errors. Stops early on a text that is made to take long. */
function compose(text: string): Composed {
  const lines = new LineCounter()
  const nothing = { document: undefined, lines, errors: [] }
  const control = CONTROL.exec(text)
  if (control) {
    addLines(lines, text, control.index)
    const code = control[0].charCodeAt(0).toString(16).padStart(4, '0').toUpperCase()
    return { ...nothing, refused: { message: `the control character U+${code} can't stand in YAML`, offset: control.index } }
  }
  const directive = /^(?:[ \t]*(?:#.*)?\r?\n)*%/.exec(text)
  if (directive) {
    addLines(lines, text, directive[0].length)
    const message = 'a YAML directive (`%`) changes how values are read, and is not allowed'
    return { ...nothing, refused: { message, hint: 'remove the line', offset: directive[0].length - 1 } }
  }
  const parser = new Parser(lines.addNewLine)
  lines.addNewLine(0)
  const composer = new Composer({ intAsBigInt: true, prettyErrors: false, uniqueKeys: false, version: '1.2', merge: false })
  const documents: Document.Parsed<ParsedNode, true>[] = []
  // After the first thing that fits nowhere, all that follows would be an error as well.
  let broken = false
  const take = (tokens: Iterable<CST.Token>): void => {
    for (const token of tokens) {
      if (broken) return
      documents.push(...composed(composer.next(token)))
      broken = token.type === 'error'
    }
  }
  let lexemes = 0
  let offset = 0
  // The library makes an error object for every character that is out of place; their stacks would take seconds.
  const stackTraceLimit = Error.stackTraceLimit
  Error.stackTraceLimit = 0
  try {
    for (const lexeme of new Lexer().lex(text)) {
      if (++lexemes > MAX_LEXEMES)
        return { ...nothing, refused: { message: 'the file is too large: it has more than 300,000 words and signs', offset } }
      if (parser.stack.length > MAX_NESTING) return { ...nothing, refused: { message: `nested deeper than ${MAX_NESTING} levels`, offset } }
      take(parser.next(lexeme))
      offset = parser.offset
      if (broken || documents.length > 1) break
    }
    if (!broken && documents.length < 2) take(parser.end())
    if (documents.length < 2) documents.push(...composed(composer.end(true, text.length)))
  } catch (error) {
    if (!(error instanceof RangeError)) throw error
    return { ...nothing, refused: { message: 'nested too deeply to be read', offset } }
  } finally {
    Error.stackTraceLimit = stackTraceLimit
  }
  const [document, second] = documents
  if (second) {
    const message = 'a second document begins here (`---`)'
    return { ...nothing, refused: { message, hint: 'one file holds one pipeline', offset: second.range[0] } }
  }
  const errors = [...(document?.errors ?? [])].sort((a, b) => a.pos[0] - b.pos[0])
  return { document, lines, errors, refused: undefined }
}

// A composer that is strict about its types, as ours is by default, gives parsed documents only.
function composed(documents: Iterable<unknown>): readonly Document.Parsed<ParsedNode, true>[] {
  return [...documents] as readonly Document.Parsed<ParsedNode, true>[]
}

/** The line starts up to an offset, for a text that the parser never sees. */
function addLines(lines: LineCounter, text: string, until: number): void {
  lines.addNewLine(0)
  for (let at = text.indexOf('\n'); at !== -1 && at < until; at = text.indexOf('\n', at + 1)) lines.addNewLine(at + 1)
}

function mask(text: string, [from, to]: readonly [number, number]): string {
  return text.slice(0, from) + text.slice(from, to).replaceAll(/[^\r\n]/g, '_') + text.slice(to)
}
