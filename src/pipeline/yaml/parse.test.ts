import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { toJson } from './node.js'
import { parseText } from './parse.js'

function parse(text: string) {
  const { root, problems } = parseText(text, { file: 'f.yaml', folder: '/' })
  return {
    value: root && toJson(root),
    problems: problems.map(
      ({ line, column, path, message, hint }) => `${line}:${column} ${path}: ${message}${hint === undefined ? '' : ` (${hint})`}`,
    ),
  }
}

describe('what YAML reads otherwise than people mean it', () => {
  test.each<[string, string, string[]]>([
    [
      'an unquoted variable in braces',
      'a: { rpc: ${X} }\n',
      ['1:11 : `${X}` inside { } or [ ] must be quoted (write "${X}", with the quotes)'],
    ],
    [
      'every unquoted variable in braces and brackets, not only the first',
      'a: { rpc: ${X:?set it, please} }\nb: [${A}, ${B:-${C}}]\nc: 1\n',
      [
        '1:11 : `${X…}` inside { } or [ ] must be quoted (write "${X…}", with the quotes)',
        '2:5 : `${A}` inside { } or [ ] must be quoted (write "${A}", with the quotes)',
        '2:11 : `${B…}` inside { } or [ ] must be quoted (write "${B…}", with the quotes)',
      ],
    ],
    [
      'a variable with `: ` in its message',
      'rpc: ${X:?e.g. : http}\n',
      ['1:6 : `${X…}` holds `: `, which begins a value in YAML (write "${X…}", with the quotes)'],
    ],
    [
      'a variable that a comment cuts',
      'rpc: ${X:?see #3}\nsql: ${X:?see #3}\n',
      [
        '1:6 rpc: `${` is never closed (close it with `}`; ` #` begins a comment, so quote a value that holds one)',
        '2:6 sql: `${` is never closed (close it with `}`; ` #` begins a comment, so quote a value that holds one)',
      ],
    ],
    [
      'commas that end a value in braces',
      'a: { p: decimal(38,18), q: x }\nb: { f: coalesce(a, 0) }\nc: [decimal(1,2), y]\n',
      [
        '1:9 a.p: a comma ends the value `decimal(38` inside { } or [ ] (quote it: "decimal(38,18)")',
        '2:9 b.f: a comma ends the value `coalesce(a` inside { } or [ ] (quote it: "coalesce(a, 0)")',
        '3:5 c[0]: a comma ends the value `decimal(1` inside { } or [ ] (quote it: "decimal(1,2)")',
      ],
    ],
    [
      'the ABI text of an event in braces',
      'e: { event: Transfer(address indexed from, address to), into: x }\n',
      [
        '1:13 e.event: a comma ends the value `Transfer(address indexed from` inside { } or [ ] (quote it: "Transfer(address indexed from, address to)")',
      ],
    ],
    [
      'a key without value in braces',
      'a: { b, c: 1 }\n',
      ['1:6 a.b: key `b` has no value (a comma ends a value inside { }: quote a value that holds one)'],
    ],
    ['a colon without a space', 'a: {b:1}\n', ['1:5 a["b:1"]: `b:1` has no value (write a space after the colon: `b: 1`)']],
    [
      'a comparison',
      'expect: >= 80\nb: > 5 # five\n',
      ['1:9 : `>` begins a block of text in YAML (quote it: ">= 80")', '2:4 : `>` begins a block of text in YAML (quote it: "> 5")'],
    ],
    ['a comparison in braces', 'a: { expect: >= 80, b: 1 }\n', [`1:14 : a value can't begin with \`>\` (quote it: "…")`]],
    [
      'a tag',
      'a: !=0\nb: !!binary x\n',
      [
        '1:4 a: a value that begins with `!` is a tag in YAML (quote it: "!=0")',
        '2:4 b: a value that begins with `!` is a tag in YAML (quote it: "!!binary x")',
      ],
    ],
    [
      'signs that mean something at the start',
      'a: %60\nb: @x\nc: `x`\nd: *\n',
      ['%', '@', '`', '*'].map((sign, i) => `${i + 1}:4 : a value can't begin with \`${sign}\` (quote it: "…")`),
    ],
    [
      'an alias of nothing',
      'a: *nope\n',
      ['1:4 a: `*nope` is an alias, and no anchor `&nope` stands above it (quote it when text is meant)'],
    ],
    [
      'a colon inside a value',
      'a: b: c\nd: { e: f: g }\n',
      [
        '1:4 : a value that holds `: ` must be quoted (quote it: "b: c")',
        '2:9 : a value that holds `: ` must be quoted (quote it: "f: g")',
      ],
    ],
    [
      'unquoted hexadecimal numbers, in lists and as keys too',
      'a: 0x1f98\nb: [0xAB, 1]\n0x12: 3\n',
      [
        '1:4 a: unquoted `0x1f98` is a number to YAML (quote it: "0x1f98")',
        '2:5 b[0]: unquoted `0xAB` is a number to YAML (quote it: "0xAB")',
        '3:1 0x12: unquoted `0x12` is a number to YAML (quote it: "0x12")',
      ],
    ],
    [
      'numbers that would be rounded',
      'a: 9007199254740993\nb: -9007199254740993\nc: 1e400\nd: 0.12345678901234567890\ne: .nan\n',
      [
        '1:4 a: the number 9007199254740993 is beyond 2^53 and would be rounded (quote it: "9007199254740993")',
        '2:4 b: the number -9007199254740993 is beyond 2^53 and would be rounded (quote it: "-9007199254740993")',
        `3:4 c: the number 1e400 can't be kept exactly (quote it: "1e400")`,
        `4:4 d: the number 0.12345678901234567890 can't be kept exactly (quote it: "0.12345678901234567890")`,
        `5:4 e: the number .nan can't be kept exactly (quote it: ".nan")`,
      ],
    ],
    [
      'merge keys',
      'x: &x { a: 1 }\nb:\n  <<: *x\n',
      ['3:3 b["<<"]: merge keys (`<<`) are not read (give the whole value an anchor, and use it: `columns: *rollup`)'],
    ],
    [
      'a directive',
      '# hi\n%YAML 1.1\n---\na: no\n',
      ['2:1 : a YAML directive (`%`) changes how values are read, and is not allowed (remove the line)'],
    ],
    ['two documents', 'a: 1\n---\nb: 2\n', ['2:1 : a second document begins here (`---`) (one file holds one pipeline)']],
    [
      'doubled keys',
      'a: 1\nb: { c: 1, c: 2 }\na: 2\n',
      ['2:12 b.c: key `c` is there twice (the other is in line 2)', '3:1 a: key `a` is there twice (the other is in line 1)'],
    ],
    ['keys that are no words', '? [a]\n: 1\n', ['1:3 : a key must be a plain word']],
    ['a prototype as a key', '__proto__: 1\n', [`1:1 __proto__: \`__proto__\` can't be a key (choose another name)`]],
    ['variables in keys', '"${A}": 1\n', ['1:1 ["${A}"]: `${…}` stands only in values, not in keys']],
    ['an alias inside its anchor', 'a: &x { b: *x }\n', ['1:12 a.b: the alias `*x` stands inside what it stands for']],
    ['tabs', 'a:\n\t- b\n', [`2:1 : a tab can't indent (use spaces)`]],
    ['a quote that is never closed', 'a: "x\n', [`2:1 : a quote is never closed (a quote inside is written '' in '…' and \\" in "…")`]],
    ['a quote in a quote', "a: 'it's'\n", [`1:8 : text follows the closing quote (a quote inside is written '' in '…' and \\" in "…")`]],
    [
      'a brace that is never closed',
      'a: { b: 1\nc: 2\n',
      ['2:1 : `}` is missing before this place (close what was opened with `{` or `[`)'],
    ],
    ['a control character', 'a: \u0007x\n', [`1:4 : the control character U+0007 can't stand in YAML`]],
  ])('%s is named with its place', (_, text, problems) => {
    expect(parse(text).problems).toEqual(problems)
  })
})

test('what can be read plainly has no problem', () => {
  const text = `
on: on
days: 2024-03-01
time: 12:30:45
percent: 60%
head: head-10
from: { a: $from, b: https://x.y/z?q=1 }
octal: [010, 0o17, 1e3, 1.50, -5, 0.1]
empty:
block: \${X:-a b}
columns: &c { a: int?, b: "decimal(38,6)" }
again: *c
sql: |
  SELECT (a -- {
text: SELECT (unclosed
`
  const c = { a: 'int?', b: 'decimal(38,6)' }
  expect(parse(text)).toEqual({
    value: {
      on: 'on',
      days: '2024-03-01',
      time: '12:30:45',
      percent: '60%',
      head: 'head-10',
      from: { a: '$from', b: 'https://x.y/z?q=1' },
      octal: [10, 15, 1000, 1.5, -5, 0.1],
      empty: null,
      block: '${X:-a b}',
      columns: c,
      again: c,
      sql: 'SELECT (a -- {\n',
      text: 'SELECT (unclosed',
    },
    problems: [],
  })
})

test('a byte order mark and Windows line ends are no matter', () => {
  expect(parse('\ufeffa: 1\r\nb:\r\n  - 2\r\n')).toEqual({ value: { a: 1, b: [2] }, problems: [] })
})

describe('texts that are made to take long are refused, and soon', () => {
  const bomb = [
    'a: &a [x,x,x,x,x,x,x,x,x]',
    ...[...'bcdefghi'].map(
      (name, i) =>
        `${name}: &${name} [${Array(9)
          .fill(`*${'abcdefgh'.charAt(i)}`)
          .join(',')}]`,
    ),
  ].join('\n')
  test.each<[string, string, string]>([
    ['an alias bomb', bomb, 'its aliases come to more than 300,000 values'],
    ['brackets in brackets', '['.repeat(1_000_000), 'nested deeper than 200 levels'],
    ['maps in maps', '{a: '.repeat(200_000), 'nested deeper than 200 levels'],
    ['lists in lists', '- '.repeat(500_000), 'nested deeper than 200 levels'],
    ['line after line', '\n'.repeat(1_000_000), 'the file is too large: it has more than 300,000 words and signs'],
    ['quote after quote', '"'.repeat(1_000_000), 'the file is too large: it has more than 300,000 words and signs'],
    [
      'key after key',
      Array.from({ length: 100_000 }, (_, i) => `k${i}: 1`).join('\n'),
      'the file is too large: it has more than 300,000 words and signs',
    ],
    ['defaults in defaults', `a: "${'${A:-'.repeat(100_000)}"`, '`${` is nested deeper than 20'],
  ])('%s', (_, text, message) => {
    const start = performance.now()
    expect(parseText(text, { file: 'f.yaml', folder: '/' }).problems.map((problem) => problem.message)).toEqual([message])
    // Half a second at most on a free machine.
    expect(performance.now() - start).toBeLessThan(10_000)
  })
})

test('no text makes the reader throw, and every text gives a value or a problem or is empty', () => {
  const token = fc.constantFrom(
    'a',
    'b',
    ': ',
    ':',
    '- ',
    '\n',
    '  ',
    '{',
    '}',
    '[',
    ']',
    ', ',
    '#',
    '"',
    "'",
    '|',
    '>',
    '&x ',
    '*x',
    '!t ',
    '%',
    '@',
    '`',
    '? ',
    '${',
    '}',
    '${A}',
    '<<',
    '0x1',
    '1e400',
    '---\n',
    '\t',
    '\\',
    '(',
    ')',
    '__proto__',
    '\u0000',
    '\u2028',
    '😀',
  )
  fc.assert(
    fc.property(
      fc.oneof(
        fc.array(token, { maxLength: 40 }).map((parts) => parts.join('')),
        fc.string({ unit: 'binary', maxLength: 60 }),
      ),
      (text) => {
        const { value, problems } = parse(text)
        expect(value !== undefined || problems.length > 0 || /^(\ufeff)?([\s\ufeff]*|[^]*#[^]*|\.\.\.[^]*|---[^]*)$/.test(text)).toBe(true)
      },
    ),
    { numRuns: 500 },
  )
})
