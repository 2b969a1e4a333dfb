import { type Document, isAlias, isMap, isScalar, isSeq, type Pair, type ParsedNode, type Scalar, type YAMLMap, type YAMLSeq } from 'yaml'
import { type Entry, isTemplated, type Node, type Path, pathText, placeAt, type ScalarNode, type Source } from './node.js'
import type { Problem } from '../pipeline.js'
import { isTemplateProblem, parseTemplate } from './template.js'

/** With aliases put in. A pipeline of 1,000 steps has about 30,000. */
const MAX_VALUES = 300_000
const MAX_DEPTH = 200
/** How far the end of a value that a comma cut is looked for. */
const MAX_TEXT = 500

/** What aliases make of a list or map. A scalar is always one value. */
interface Extent {
  /** How many values it is with every alias written out. */
  readonly size: number
  readonly depth: number
}

/** Turns a parsed document into nodes, and finds what YAML reads otherwise than people mean it. `masked` stretches give unknown values. */
export function convertDocument(
  document: Document.Parsed<ParsedNode, true>,
  source: Source,
  text: string,
  masked: readonly (readonly [number, number])[],
): { readonly root: Node | undefined; readonly problems: readonly Problem[] } {
  const converter = new Converter(source, text, masked)
  const root = converter.value(document.contents, undefined)
  const { size, depth } = converter.extent(root)
  if (size > MAX_VALUES || depth > MAX_DEPTH) {
    const message = depth > MAX_DEPTH ? `nested deeper than ${MAX_DEPTH} levels` : `its aliases come to more than 300,000 values`
    return { root: undefined, problems: [{ ...placeAt(source, 0), path: '', message, severity: 'error' }] }
  }
  return { root, problems: converter.problems }
}

/** A path while it is walked: most are never written out. */
type Trail = { readonly up: Trail; readonly part: string | number } | undefined

function below(up: Trail, part: string | number): Trail {
  return { up, part }
}

function pathOf(trail: Trail): Path {
  const path: (string | number)[] = []
  for (let at = trail; at; at = at.up) path.unshift(at.part)
  return path
}

class Converter {
  readonly problems: Problem[] = []
  readonly #anchors = new Map<string, Node | 'open'>()
  readonly #extents = new Map<Node, Extent>()

  constructor(
    readonly source: Source,
    readonly text: string,
    readonly masked: readonly (readonly [number, number])[],
  ) {}

  extent(node: Node): Extent {
    return (node.kind === 'scalar' ? undefined : this.#extents.get(node)) ?? ONE
  }

  value(node: unknown, path: Trail): Node {
    if (isAlias(node)) return this.#alias(node.source, node.range?.[0] ?? 0, path)
    const anchor = isScalar(node) || isMap(node) || isSeq(node) ? node.anchor : undefined
    if (anchor !== undefined) this.#anchors.set(anchor, 'open')
    const built = this.#plain(node, path)
    if (anchor !== undefined) this.#anchors.set(anchor, built)
    return built
  }

  #plain(node: unknown, path: Trail): Node {
    if (isScalar(node)) return this.#tagged(node, path) ?? this.#scalar(node, path)
    if (isMap(node)) return this.#tagged(node, path) ?? this.#map(node, path)
    if (isSeq(node)) return this.#tagged(node, path) ?? this.#list(node, path)
    return this.#unknown(0)
  }

  #alias(name: string, offset: number, path: Trail): Node {
    const target = this.#anchors.get(name)
    if (target && target !== 'open') return target
    if (target === 'open') this.#say(offset, path, `the alias \`*${name}\` stands inside what it stands for`)
    else this.#say(offset, path, `\`*${name}\` is an alias, and no anchor \`&${name}\` stands above it`, 'quote it when text is meant')
    return this.#unknown(offset)
  }

  /** `expect: !=0`: a `!` at the start of a value is a tag. */
  #tagged(node: Scalar | YAMLMap | YAMLSeq, path: Trail): Node | undefined {
    if (node.tag === undefined || node.tag === '') return undefined
    const start = node.range?.[0] ?? 0
    const offset = this.#tagStart(start)
    const end = this.text.slice(offset, offset + 40).search(/[\r\n]|$/)
    const written = this.text.slice(offset, offset + end).trim()
    this.#say(offset, path, 'a value that begins with `!` is a tag in YAML', `quote it: "${written}"`)
    return this.#unknown(offset)
  }

  /** Of the tag before a value, in the same line. */
  #tagStart(value: number): number {
    const before = this.text.slice(Math.max(0, value - 200), value)
    const sign = before.search(/!\S*\s*$/)
    return sign === -1 ? value : value - before.length + sign
  }

  #map(map: YAMLMap, path: Trail): Node {
    const entries = new Map<string, Entry>()
    const flow = map.flow === true
    let size = 1
    let depth = 0
    let templated = false
    let splitUntil = -1
    for (const pair of map.items) {
      const keyOffset = rangeStart(pair.key)
      // What a comma cut off a value is no key: `18)` of `decimal(38,18)`.
      if (keyOffset < splitUntil) continue
      const key = this.#key(pair, path, flow)
      if (key === undefined) {
        if (pair.value !== null) this.value(pair.value, path)
        continue
      }
      const at = below(path, key)
      const built = this.value(pair.value, at)
      if (flow) splitUntil = this.#splitValue(pair.value, at)
      const first = entries.get(key)
      if (first) {
        this.#say(keyOffset, at, `key \`${key}\` is there twice`, `the other is in line ${placeAt(this.source, first.keyOffset).line}`)
        continue
      }
      const extent = this.extent(built)
      size += extent.size
      depth = Math.max(depth, extent.depth)
      templated ||= isTemplated(built)
      entries.set(key, { keyOffset, value: splitUntil === -1 ? built : this.#unknown(rangeStart(pair.value)) })
    }
    return this.#measured({ kind: 'map', source: this.source, offset: map.range?.[0] ?? 0, templated, entries }, size, depth)
  }

  #key(pair: Pair, path: Trail, flow: boolean): string | undefined {
    const offset = rangeStart(pair.key)
    if (!isScalar(pair.key) || pair.key.tag) {
      this.#say(offset, path, 'a key must be a plain word')
      return undefined
    }
    const { value, type, source } = pair.key
    const key = type === 'PLAIN' ? (source ?? String(value)) : String(value)
    const at = below(path, key)
    if (value === null && key === '') return void this.#say(offset, path, 'a key is missing before the `:`')
    if (key === '<<' && type === 'PLAIN')
      return void this.#say(offset, at, 'merge keys (`<<`) are not read', 'give the whole value an anchor, and use it: `columns: *rollup`')
    if (key === '__proto__') return void this.#say(offset, at, "`__proto__` can't be a key", 'choose another name')
    if (typeof value === 'bigint' && /^0x/.test(key))
      return void this.#say(offset, at, `unquoted \`${short(key)}\` is a number to YAML`, `quote it: "${short(key)}"`)
    if (key.includes('${')) return void this.#say(offset, at, '`${…}` stands only in values, not in keys')
    if (pair.value === null) {
      const colon = /^(\w+):(.+)$/.exec(key)
      if (colon)
        this.#say(offset, at, `\`${short(key)}\` has no value`, `write a space after the colon: \`${colon[1]}: ${short(colon[2] ?? '')}\``)
      else
        this.#say(
          offset,
          at,
          `key \`${short(key)}\` has no value`,
          flow ? 'a comma ends a value inside { }: quote a value that holds one' : 'write `key: value`',
        )
      return undefined
    }
    return key
  }

  #list(list: YAMLSeq, path: Trail): Node {
    const items: Node[] = []
    const flow = list.flow === true
    let size = 1
    let depth = 0
    let templated = false
    let splitUntil = -1
    for (const [i, item] of list.items.entries()) {
      if (rangeStart(item) < splitUntil) continue
      const at = below(path, i)
      const built = this.value(item, at)
      if (flow) splitUntil = this.#splitValue(item, at)
      const extent = this.extent(built)
      size += extent.size
      depth = Math.max(depth, extent.depth)
      templated ||= isTemplated(built)
      items.push(splitUntil === -1 ? built : this.#unknown(rangeStart(item)))
    }
    return this.#measured({ kind: 'list', source: this.source, offset: list.range?.[0] ?? 0, templated, items }, size, depth)
  }

  /** Reports `{ p: decimal(38,18) }`, where the comma ends the value. The offset where what was meant ends, or -1. */
  #splitValue(node: unknown, path: Trail): number {
    if (!isScalar(node) || node.type !== 'PLAIN' || typeof node.value !== 'string' || unclosed(node.value) === 0) return -1
    const [start, end] = node.range ?? [0, 0]
    if (this.#isMasked(start, end)) return -1
    let open = 0
    let at = start
    for (const last = start + MAX_TEXT; at < last && this.text[at] !== '\n'; at++) {
      if (this.text[at] === '(') open++
      else if (this.text[at] === ')' && --open === 0) break
    }
    const meant = open === 0 ? this.text.slice(start, at + 1) : undefined
    const message =
      meant === undefined
        ? `\`(\` is never closed in \`${short(node.value)}\``
        : `a comma ends the value \`${short(node.value)}\` inside { } or [ ]`
    this.#say(start, path, message, meant === undefined ? 'quote the value' : `quote it: "${short(meant)}"`)
    return meant === undefined ? end : at + 1
  }

  #scalar(scalar: Scalar, path: Trail): ScalarNode {
    const [offset, end] = scalar.range ?? [0, 0]
    const { value } = scalar
    if (this.masked.length > 0 && this.#isMasked(offset, end)) return this.#unknown(offset)
    if (typeof value === 'string' && !value.includes('${')) return this.#known(offset, value)
    const written = scalar.source ?? ''
    const known = (plain: ScalarNode['value']): ScalarNode => this.#known(offset, plain)
    const refuse = (message: string, hint = `quote it: "${short(written)}"`): ScalarNode => {
      this.#say(offset, path, message, hint)
      return this.#unknown(offset)
    }
    if (typeof value === 'bigint') {
      if (/^0x/i.test(written)) return refuse(`unquoted \`${short(written)}\` is a number to YAML`)
      if (value > MAX_SAFE || value < -MAX_SAFE) return refuse(`the number ${short(written)} is beyond 2^53 and would be rounded`)
      return known(Number(value))
    }
    if (typeof value === 'number') {
      return Number.isFinite(value) && sameDigits(written, value)
        ? known(value)
        : refuse(`the number ${short(written)} can't be kept exactly`)
    }
    if (typeof value !== 'string') return known(typeof value === 'boolean' ? value : null)
    const template = parseTemplate(value)
    return isTemplateProblem(template) ? refuse(template.message, template.hint) : known(value)
  }

  #isMasked(from: number, to: number): boolean {
    return this.masked.some(([start, end]) => start < to && end > from)
  }

  #unknown(offset: number): ScalarNode {
    return { kind: 'scalar', source: this.source, offset, value: '', unknown: true, env: NO_VARIABLES, filled: false }
  }

  #known(offset: number, value: ScalarNode['value']): ScalarNode {
    return { kind: 'scalar', source: this.source, offset, value, unknown: false, env: NO_VARIABLES, filled: false }
  }

  #measured(node: Node, size: number, depthBelow: number): Node {
    this.#extents.set(node, { size, depth: depthBelow + 1 })
    return node
  }

  #say(offset: number, path: Trail, message: string, hint?: string): undefined {
    this.problems.push({
      ...placeAt(this.source, offset),
      path: pathText(pathOf(path)),
      message,
      hint,
      severity: 'error',
    })
  }
}

const ONE: Extent = { size: 1, depth: 1 }
// Shared: there is a scalar for almost every word of a file.
const NO_VARIABLES: readonly string[] = []
const MAX_SAFE = BigInt(Number.MAX_SAFE_INTEGER)

function rangeStart(node: unknown): number {
  return isScalar(node) || isMap(node) || isSeq(node) || isAlias(node) ? (node.range?.[0] ?? 0) : 0
}

/** How many `(` of a text are not closed. */
function unclosed(text: string): number {
  let open = 0
  for (const char of text) {
    if (char === '(') open++
    else if (char === ')' && open > 0) open--
  }
  return open
}

/** Whether a number, written back, has the digits it was written with. */
function sameDigits(written: string, value: number): boolean {
  return digits(written) === digits(String(value))
}

function digits(text: string): string {
  const [, mantissa = '', exponent = '0'] = /^[-+]?([\d.]*)(?:[eE]([-+]?\d+))?$/.exec(text.replace(/_/g, '')) ?? []
  const [whole = '', fraction = ''] = mantissa.split('.')
  const all = (whole + fraction).replace(/^0+/, '')
  const significant = all.replace(/0+$/, '')
  return significant === '' ? '0' : `${significant}e${Number(exponent) - fraction.length + (all.length - significant.length)}`
}

function short(text: string): string {
  return text.length > 60 ? `${text.slice(0, 59)}…` : text
}
