import { didYouMean } from '../suggest.js'

/** Where a text stops being an event or a function of Solidity, and why. */
export interface TextFault {
  /** In words, with the character, counted from 1. */
  readonly problem: string
  /** What to write instead, where that is known. */
  readonly hint?: string
}

/** Tuples in tuples that are read: a text of brackets alone would take all of the stack. */
const DEEPEST = 100

/** What a text is to be. */
export type AbiKind = 'event' | 'function'

const NAME = /^[A-Za-z_$][\w$]*/
const TYPES = ['address', 'bool', 'string', 'bytes', 'bytes32', 'uint256', 'int256', 'uint128', 'uint64', 'uint32', 'uint8']
/** Words that may stand behind the inputs. */
const BEHIND: Readonly<Record<AbiKind, readonly string[]>> = {
  event: ['anonymous'],
  function: ['external', 'public', 'view', 'pure', 'payable', 'nonpayable', 'returns'],
}
/** Words that may stand behind a type. */
const OF_INPUT: Readonly<Record<AbiKind, readonly string[]>> = {
  event: ['payable', 'indexed'],
  function: ['payable', 'memory', 'calldata', 'storage'],
}
/** What texts of an ABI begin with, and what they are. */
const KINDS: Readonly<Record<string, string>> = {
  event: 'an event',
  function: 'a function',
  error: 'an error',
  constructor: 'a constructor',
  struct: 'a struct',
  modifier: 'a modifier',
}

/**
 * The first fault of a text that a parser refused: what parsers say is often no more than that. Undefined where the form of
 * the text is right, so that the parser's own words are all there is.
 */
export function textFault(text: string, kind: AbiKind): TextFault | undefined {
  try {
    new Reading(text, kind).all()
    return undefined
  } catch (error) {
    if (error instanceof Fault) return error.fault
    throw error
  }
}

function isType(word: string): boolean {
  const [, base = '', size] = /^(address|bool|string|bytes|u?int)(\d+)?$/.exec(word) ?? []
  if (size === undefined) return base !== ''
  const bits = Number(size)
  return base.endsWith('int') ? bits >= 8 && bits <= 256 && bits % 8 === 0 : base === 'bytes' && bits >= 1 && bits <= 32
}

class Fault extends Error {
  constructor(readonly fault: TextFault) {
    super(fault.problem)
  }
}

/**
 * Reads `event Name(type indexed name, …) anonymous;` or `function name(type name, …) view returns (type);` from left to right, each
 * with or without its first word. Its methods throw a `Fault` at what does not fit.
 */
class Reading {
  readonly #text: string
  readonly #kind: AbiKind
  #at = 0

  constructor(text: string, kind: AbiKind) {
    this.#text = text
    this.#kind = kind
  }

  all(): void {
    const kind = this.#kind
    this.#space()
    if (this.#word() === kind) this.#take(kind)
    this.#space()
    const name = this.#word()
    const other = KINDS[name]
    if (other !== undefined && /^\s+\w/.test(this.#text.slice(this.#at + name.length)))
      this.#fail(`is ${other}, and ${kind === 'event' ? 'logs are read by events' : 'a call is made by a function'}`)
    if (name === '') this.#fail(this.#rest() === '' ? `the name of ${KINDS[kind]} is missing` : `${this.#seen()} is no name`)
    this.#take(name)
    this.#space()
    if (!this.#rest().startsWith('(')) this.#fail(`\`(\` and the inputs are wanted behind ${name}, ${this.#found()}`)
    this.#inputs(`of ${name}`)
    for (;;) {
      this.#space()
      const word = this.#word()
      if (word === '' || !BEHIND[kind].includes(word)) break
      this.#take(word)
      this.#space()
      if (word !== 'returns') continue
      if (!this.#rest().startsWith('(')) this.#fail(`\`(\` and the types are wanted behind returns, ${this.#found()}`)
      this.#inputs('of returns')
    }
    if (this.#rest().startsWith(';')) this.#take(';')
    this.#space()
    if (this.#rest() !== '') this.#fail(`${this.#seen()} stands behind the end of the ${kind}`)
  }

  /** From the opening bracket to the closing one. */
  #inputs(whose: string, depth = 0): void {
    if (depth > DEEPEST) this.#fail(`more than ${DEEPEST} tuples lie in each other here`)
    const opened = this.#at + 1
    this.#take('(')
    this.#space()
    if (this.#rest().startsWith(')')) return this.#take(')')
    for (;;) {
      this.#input(opened, whose, depth)
      if (this.#rest().startsWith(')')) return this.#take(')')
      if (!this.#rest().startsWith(',')) this.#fail(`\`,\` or \`)\` is wanted, ${this.#found(opened, whose)}`)
      this.#take(',')
      this.#space()
    }
  }

  #input(opened: number, whose: string, depth: number): void {
    const type = this.#word()
    if (type === 'tuple' && this.#rest().startsWith('tuple(')) this.#fail('a tuple is written as its parts in brackets, without `tuple`')
    if (this.#rest().startsWith('(')) this.#inputs(`of the tuple at character ${this.#at + 1}`, depth + 1)
    else if (type === '') this.#fail(`the type of an input is wanted, ${this.#found(opened, whose)}`)
    else if (type === 'indexed') this.#fail('`indexed` stands before a type', 'it stands behind it: address indexed from')
    // `function` is a type of Solidity that no log holds, which is told where types are read.
    else if (!isType(type) && type !== 'function')
      this.#fail(
        `\`${type}\` is no type`,
        didYouMean(type, TYPES) ??
          'types are address, bool, string, bytes, bytes1 to bytes32, uint8 to uint256, int8 to int256 and lists of them; of a struct write its parts in brackets',
      )
    else this.#take(type)
    for (;;) {
      this.#space()
      if (!this.#rest().startsWith('[')) break
      const size = /^\[\d*\]/.exec(this.#rest())?.[0]
      if (size === undefined) this.#fail(`${this.#seen()} is no list`, 'a list is written as uint256[] or uint256[3]')
      else this.#take(size)
    }
    for (const word of OF_INPUT[this.#kind]) {
      if (this.#word() === word) this.#take(word)
      this.#space()
    }
    const name = this.#word()
    this.#take(name)
    this.#space()
    const more = this.#word()
    if (more !== '')
      this.#fail(
        `\`${more}\` stands behind the name \`${name}\``,
        'an input is a type, then `indexed` where it is, then its name; commas separate inputs',
      )
  }

  #rest(): string {
    return this.#text.slice(this.#at)
  }

  #word(): string {
    return NAME.exec(this.#rest())?.[0] ?? ''
  }

  #take(text: string): void {
    this.#at += text.length
  }

  #space(): void {
    this.#take(/^\s*/.exec(this.#rest())?.[0] ?? '')
  }

  /** What stands here, as far as the next space or sign. */
  #seen(): string {
    return `\`${/^(?:[\w$-]+|.)[\w$[\]"'-]*/u.exec(this.#rest())?.[0] ?? ''}\``
  }

  #found(opened?: number, whose?: string): string {
    if (this.#rest() !== '') return `and there is ${this.#seen()}`
    return opened === undefined ? 'and the text ends' : `and the text ends: the bracket at character ${opened} ${whose} is not closed`
  }

  #fail(problem: string, hint?: string): never {
    throw new Fault({ problem: `at character ${this.#at + 1}: ${problem}`, hint })
  }
}
