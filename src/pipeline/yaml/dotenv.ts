import { readFile, stat } from 'node:fs/promises'
import { parseEnv } from 'node:util'

/** What is wrong with a line, or with the whole file (line 1), in words that show no value. */
export interface DotenvFault {
  readonly line: number
  readonly message: string
  readonly hint: string
}

export interface Dotenv {
  readonly values: Readonly<Record<string, string>>
  /** Variables whose value would be another one than the writer saw. Of them only those matter that are used. */
  readonly doubtful: ReadonlyMap<string, DotenvFault>
  /** What keeps variables from being found at all. */
  readonly faults: readonly DotenvFault[]
}

const NOTHING: Dotenv = { values: {}, doubtful: new Map(), faults: [] }

/** Reads a `.env` file: UTF-8, with or without byte order mark, any line ends. None, or a folder of that name, holds nothing. */
export async function readDotenv(path: string): Promise<Dotenv> {
  let bytes: Buffer
  try {
    if ((await stat(path)).isDirectory()) return NOTHING
    bytes = await readFile(path)
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : String(error)
    if (code === 'ENOENT' || code === 'ENOTDIR') return NOTHING
    return refused(`can't be read: ${code}`, 'give its owner the right to read it, or delete it')
  }
  const text = decode(bytes)
  if (text === undefined || text.includes('\0')) return refused('is not UTF-8 text', 'save it as UTF-8')
  return parse(text.replaceAll(/\r\n?/g, '\n'))
}

function refused(message: string, hint: string): Dotenv {
  return { ...NOTHING, faults: [{ line: 1, message, hint }] }
}

/** The decoder drops a byte order mark of UTF-8; that of UTF-16 is no UTF-8. */
function decode(bytes: Buffer): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch {
    return undefined
  }
}

/** Node's own parser reads the values. It says nothing of what it leaves out, so each line is looked at first. */
function parse(text: string): Dotenv {
  const doubtful = new Map<string, DotenvFault>()
  const faults: DotenvFault[] = []
  const lines = text.split('\n')
  for (let i = 0; i < lines.length; i++) {
    const line = lines[i]?.trim() ?? ''
    if (line === '' || line.startsWith('#')) continue
    const at = i + 1
    const [, name, value = ''] = /^(?:export\s+)?([A-Za-z_][\w.-]*)\s*=\s*(.*)$/.exec(line) ?? []
    if (name === undefined) {
      faults.push({ line: at, message: 'is no variable', hint: 'write NAME=value, or # before a comment' })
      continue
    }
    doubtful.delete(name)
    const doubt = (message: string, hint: string): void => void doubtful.set(name, { line: at, message, hint })
    const quote = /^["'`]/.exec(value)?.[0]
    if (quote === undefined) {
      if (/\S#/.test(value)) doubt('has a # without quotes, which begins a comment', `write ${name}="…"`)
      else if (/^[“”‘’«»„]/.test(value)) doubt('is in quotes of a word processor', `write ${name}="…"`)
      continue
    }
    // A quoted value may go over several lines.
    let rest = value.slice(1)
    while (!rest.includes(quote) && i + 1 < lines.length) rest = lines[++i] ?? ''
    if (!rest.includes(quote)) {
      doubt(`begins with ${quote} and never ends`, `write ${quote} at its end`)
      // The parser takes the one line as it stands.
      i = at - 1
    } else if (!/^\s*(#.*)?$/.test(rest.slice(rest.indexOf(quote) + 1))) {
      doubt(`goes on behind its closing ${quote}`, 'put it into quotes that it does not hold itself')
    }
  }
  return { values: parseEnv(text) as Record<string, string>, doubtful, faults }
}
