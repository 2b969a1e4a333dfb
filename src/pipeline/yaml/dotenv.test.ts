import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { readDotenv } from './dotenv.js'

const folder = mkdtempSync(join(tmpdir(), 'pipe-dotenv-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

let files = 0
async function read(content: string | Buffer) {
  const path = join(folder, `.env${files++}`)
  writeFileSync(path, content)
  const { values, doubtful, faults } = await readDotenv(path)
  return {
    values: { ...values },
    doubtful: Object.fromEntries([...doubtful].map(([name, { line, message }]) => [name, `${line}: ${message}`])),
    faults,
  }
}

const fine = (values: Record<string, string>) => ({ values, doubtful: {}, faults: [] })

test('a byte order mark, line ends of any system, quotes and comments are no part of a value', async () => {
  expect(await read('\uFEFFA=1\r\nB="x # y" # c\r\n\r\n# c\r\nexport C=\'a=b\'\r\nD = `"q"`\rE=\r\n')).toEqual(
    fine({ A: '1', B: 'x # y', C: 'a=b', D: '"q"', E: '' }),
  )
})

test('a value in quotes may go over several lines', async () => {
  expect(await read('A="one\r\ntwo"\nB=2')).toEqual(fine({ A: 'one\ntwo', B: '2' }))
})

test.each([
  ['UTF-16 with a mark', Buffer.from('\uFEFFA=1', 'utf16le')],
  ['UTF-16 without one', Buffer.from('A=1', 'utf16le')],
  ['Latin-1', Buffer.from('A=\xe9', 'latin1')],
])('%s is refused, not read as no variables', async (_, bytes) => {
  expect(await read(bytes)).toEqual({
    values: {},
    doubtful: {},
    faults: [{ line: 1, message: 'is not UTF-8 text', hint: 'save it as UTF-8' }],
  })
})

test('a line that is no variable is named: it would take the next one with it', async () => {
  expect((await read('A: 1\nB=2')).faults).toEqual([
    { line: 1, message: 'is no variable', hint: 'write NAME=value, or # before a comment' },
  ])
})

test('a value that would be cut is in doubt, with its line and without its text', async () => {
  const { doubtful, faults } = await read('A=s3cr#et\nB="s3cr\nC="a"b\nD=“x”\nE="a\\"b"\nF=x # c\n')
  expect(faults).toEqual([])
  expect(doubtful).toEqual({
    A: '1: has a # without quotes, which begins a comment',
    B: '2: goes on behind its closing "',
    D: '4: is in quotes of a word processor',
    E: '5: goes on behind its closing "',
  })
})

test('a quote that is never closed is in doubt, and the lines behind it are read', async () => {
  expect(await read("A='s3cr\nB=2\n")).toEqual({
    values: { A: "'s3cr", B: '2' },
    doubtful: { A: "1: begins with ' and never ends" },
    faults: [],
  })
})

test('the last line of a name counts', async () => {
  expect(await read('A=x#y\nA=1')).toEqual(fine({ A: '1' }))
})

test('no file, and a folder of that name, hold nothing', async () => {
  mkdirSync(join(folder, '.env'))
  for (const path of [join(folder, 'none'), join(folder, '.env'), join(folder, '.env0', 'x')]) {
    expect(await readDotenv(path)).toEqual({ values: {}, doubtful: new Map(), faults: [] })
  }
})
