/** A text as one word of a shell, quoted where it must be. */
export function shellWord(text: string): string {
  return /^[\w.,:=@%/+-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`
}

/** What a command was about. A command that it advises says the same, or it would be about another range or another database. */
export interface About {
  /** The pipeline file, as the user named it. */
  readonly file: string
  /** In the database of `run --demo`. */
  readonly demo?: boolean
  /** `--follow`. */
  readonly follow?: boolean
  /** `--param`, by name. */
  readonly params?: Readonly<Record<string, string>>
  /** `--select`: ids of steps. */
  readonly select?: readonly string[] | undefined
  /** `--state`, where it was given and holds no password. */
  readonly state?: string | undefined
}

/** What of it each command takes, beside the file and `--state`. */
export const takes = {
  run: ['demo', 'follow', 'params', 'select'],
  plan: ['demo', 'params', 'select'],
  status: ['demo'],
  retry: ['demo', 'params'],
  reset: ['demo', 'params'],
  rollback: ['demo', 'params'],
  verify: ['demo', 'params'],
  migrate: [],
} as const satisfies Readonly<Record<string, readonly (keyof About)[]>>

export type Verb = keyof typeof takes

/** A command of pipe as it can be typed. `flags`: its own ones, each word by itself. */
export function command(
  verb: Verb,
  { file, demo = false, follow = false, params = {}, select, state }: About,
  ...flags: readonly string[]
): string {
  const taken: readonly (keyof About)[] = takes[verb]
  return [
    `pipe ${verb}`,
    shellWord(file),
    ...(demo && taken.includes('demo') ? ['--demo'] : []),
    ...(follow && taken.includes('follow') ? ['--follow'] : []),
    ...flags.map(shellWord),
    ...(taken.includes('params') ? Object.entries(params).flatMap(([name, value]) => ['--param', shellWord(`${name}=${value}`)]) : []),
    ...(select && taken.includes('select') ? ['--select', shellWord(select.join(','))] : []),
    ...(state === undefined ? [] : ['--state', shellWord(state)]),
  ].join(' ')
}

/**
 * A message whose commands can be typed as they stand: where an error was made nobody knew the file, so it says `pipe retry
 * FILE`, and this puts in what the user's own command was about.
 */
export function typable(text: string, about: About): string {
  return text.replace(/\bpipe ([a-z]+) FILE\b/g, (given, verb: string) =>
    Object.hasOwn(takes, verb) ? command(verb as Verb, about) : given,
  )
}
