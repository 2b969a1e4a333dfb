import {
  type CheckContext,
  type ConfigProblem,
  didYouMean,
  type Files,
  type KnownNames,
  parseDuration,
  textReferences,
} from '../../src/sdk/authors.js'
import type { Config } from './config.js'

/** The program, its folder and its script are there, and its patterns and names mean something. */
export function* checkConfig({ config, names, tables, into }: CheckContext<Config>, files: Files): Iterable<ConfigProblem> {
  if (into)
    yield { path: [], message: `fills no table, and \`into\` names ${into.name}`, hint: 'leave `into` out: the program writes by itself' }
  yield* checkProgram(config, files)
  for (const [i, arg] of argsOf(config).entries())
    for (const name of namesIn(arg))
      if (!names.has(name.split('.', 1)[0] ?? ''))
        yield {
          path: ['args', i],
          message: `\`$${name}\` is not defined`,
          hint: hintOf(name) ?? 'declare it in `params`',
        }
  yield* checkPatterns(config)
  for (const [i, table] of (config.reads ?? []).entries())
    if (!tables.has(table))
      yield {
        path: ['reads', i],
        message: `table ${table} is not declared`,
        hint: didYouMean(table, tables.keys()) ?? 'declare it in `tables`',
      }
  if (config.grace !== undefined && parseDuration(config.grace) === undefined)
    yield { path: ['grace'], message: 'is no time span', hint: 'for example 5s' }
}

/** `$limit` is a param, so that a run without `--limit` has one, too. */
export function* namesOf(): Iterable<KnownNames> {
  yield { path: ['args'], names: [], hint: hintOf }
}

const hintOf = (name: string) =>
  name === 'limit' ? 'declare the param `limit: { type: int, default: 500 }`; `--limit` takes its place' : undefined

/** The `$name`s of an argument; `$$` is a sign of its own. */
export const namesIn = (arg: string): string[] => arg.split('$$').flatMap((part) => textReferences(part).map(({ name }) => name))

export const argsOf = ({ args = [] }: Pick<Config, 'args'>): string[] => args.map(String)

function* checkProgram(config: Config, files: Files): Iterable<ConfigProblem> {
  const { command, cwd = '.' } = config
  if (files.kind(cwd) !== 'folder') {
    yield { path: ['cwd'], message: `there is no folder ${cwd}`, hint: 'relative paths begin at the working folder' }
    return
  }
  if (files.command(command, cwd) === undefined) {
    yield { path: ['command'], ...missing(command, files.kind(`${cwd}/${command}`)) }
    return
  }
  yield* checkPackage(config, files)
  const args = argsOf(config)
  // Its own arguments come behind it, and may name files that it makes.
  const script = args.findIndex((arg) => SCRIPT.test(arg))
  const path = args[script] ?? ''
  if (script >= 0 && !path.includes('$') && files.kind(path.startsWith('/') ? path : `${cwd}/${path}`) !== 'file')
    yield { path: ['args', script], message: `there is no script ${path} in ${cwd}`, hint: 'a path of a script begins at `cwd`' }
}

const SCRIPT = /^[^-].*\.([cm]?[jt]s|py|sh|rb|pl|php|lua|r)$/i

function missing(command: string, kind: 'file' | 'folder' | undefined): Omit<ConfigProblem, 'path'> {
  if (command.includes('/') && kind === 'file')
    return { message: `${command} is not executable`, hint: `chmod +x ${command}, or run it by its interpreter` }
  if (/\s/.test(command))
    return { message: `there is no program ${command}`, hint: 'no shell reads this: arguments go into `args`, one by one' }
  return {
    message: `there is no program ${command}`,
    hint: command.includes('/') ? 'a path of a program begins at `cwd`' : 'it is in no folder of PATH: install it, or write its path',
  }
}

/** Folders above `cwd` that npx looks into. */
const ABOVE = 32

/** npx takes what it does not find from the registry, whatever has that name there: a run does that only where the file says so. */
function* checkPackage(config: Config, files: Files): Iterable<ConfigProblem> {
  const { command, cwd = '.' } = config
  const args = argsOf(config)
  const at = args.findIndex((arg) => !arg.startsWith('-'))
  const name = args[at]
  if (
    !/(^|\/)npx$/.test(command) ||
    name === undefined ||
    args.slice(0, at).some((arg) => /^(-y|--yes|-p.*|--package.*|-c|--call)$/.test(arg))
  )
    return
  const program = name.replace(/(?<=.)@.*$/, '')
  const above = Array.from({ length: ABOVE }, (_, i) => `${cwd}${'/..'.repeat(i)}`)
  const isThere = above.some(
    (folder) =>
      files.command(`./node_modules/.bin/${program.split('/').at(-1)}`, folder) !== undefined ||
      files.kind(`${folder}/node_modules/${program}`) === 'folder',
  )
  if (isThere || files.command(program, cwd) !== undefined) return
  yield {
    path: ['args', at],
    message: `${name} is not installed where npx looks from ${cwd}`,
    hint: `npm install it; or put --yes before it, and npx fetches it while the pipeline runs`,
  }
}

function* checkPatterns({ progress, result }: Config): Iterable<ConfigProblem> {
  if (typeof progress === 'string') yield* checkPattern(progress, ['progress'], 'done')
  if (Array.isArray(result)) for (const [i, pattern] of result.entries()) yield* checkPattern(pattern, ['result', i], undefined)
}

function* checkPattern(pattern: string, path: ConfigProblem['path'], group: string | undefined): Iterable<ConfigProblem> {
  try {
    new RegExp(pattern)
    // With an empty way out the pattern matches anything, and tells its groups.
    const groups = Object.keys(new RegExp(`${pattern}|`).exec('')?.groups ?? {})
    if (group !== undefined && !groups.includes(group))
      yield { path, message: `has no group \`${group}\``, hint: 'for example (?<done>\\d+)/(?<total>\\d+)' }
    if (groups.length === 0 && group === undefined)
      yield { path, message: 'has no named group', hint: 'a result has a name: enriched (?<enriched>\\d+)' }
  } catch (error) {
    yield { path, message: error instanceof Error ? error.message : String(error), hint: 'a regular expression of JavaScript' }
  }
}
