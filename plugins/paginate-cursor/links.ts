import { LinkHeaderError, LinkRelationError } from './errors.js'

/** One link of a `Link` header. */
interface WebLink {
  readonly target: string
  /** By lower-case name, of each the first; a parameter without a value has an empty text. */
  readonly params: ReadonlyMap<string, string>
}

const TARGET = /[ \t]*<([^<>]*)>/y
const PARAM = /[ \t]*;[ \t]*(?:([!#$%&'*+.^_`|~\w-]+)[ \t]*(?:=[ \t]*(?:"((?:[^"\\]|\\.)*)"|('[^'",;<>]*'|[^\s",;]+)))?)?/y
const COMMA = /[ \t]*,/y
const SPACE = /[ \t]*/y

/** The links of a `Link` header (RFC 8288). @throws {LinkHeaderError} when any part of it can't be read. */
function parseLinks(header: string): WebLink[] {
  const links: WebLink[] = []
  let at = 0
  const read = (pattern: RegExp): RegExpExecArray | null => {
    pattern.lastIndex = at
    const match = pattern.exec(header)
    if (match) at = pattern.lastIndex
    return match
  }
  for (;;) {
    // A list may hold empty elements.
    while (read(COMMA));
    read(SPACE)
    if (at === header.length) return links
    const target = read(TARGET)?.[1]
    if (target === undefined) throw new LinkHeaderError(header, at)
    const params = new Map<string, string>()
    for (let param = read(PARAM); param; param = read(PARAM)) {
      const [, name, quoted, token] = param
      const known = name?.toLowerCase()
      if (known !== undefined && !params.has(known)) params.set(known, quoted?.replace(/\\(.)/g, '$1') ?? token ?? '')
    }
    links.push({ target, params })
    const end = at
    if (read(COMMA)) continue
    read(SPACE)
    if (at < header.length) throw new LinkHeaderError(header, end)
  }
}

/** Relations that name a page behind this one. */
const FORWARD = /^(next|older|more|following|after|forward)$/

/** Relations of a link, in lower case. Some write them in single quotes, which are a part of the text for RFC 8288. */
const relationsOf = ({ params }: WebLink): string[] =>
  (params.get('rel') ?? '')
    .toLowerCase()
    .replace(/^'(.*)'$/, '$1')
    .split(/\s+/)

/**
 * The address with a relation in a `Link` header. Relations are compared without regard to case.
 *
 * @throws {LinkHeaderError} when the header can't be read.
 * @throws {LinkRelationError} when it names the next page by another relation.
 */
export function linkOf(header: string | undefined, rel: string): string | undefined {
  const wanted = rel.toLowerCase()
  const links = parseLinks(header ?? '')
  const found = links.filter((link) => relationsOf(link).includes(wanted))
  const other = found.length > 0 ? undefined : links.flatMap(relationsOf).find((name) => FORWARD.test(name))
  if (other !== undefined) throw new LinkRelationError(rel, other)
  // One with an anchor speaks of another page than this one.
  return (found.find(({ params }) => !params.has('anchor')) ?? found[0])?.target
}
