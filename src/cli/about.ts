import type { About } from '../sdk/index.js'
import type { Io } from './io.js'
import { DEFAULT_STATE } from './options.js'

/** What a command was asked for, for the commands that it advises. The address of a state store that may hold a password is left out. */
export function aboutOf(
  file: string,
  { demo, follow, params, select, state }: Omit<About, 'file' | 'state'> & { readonly state: string },
  { env }: Pick<Io, 'env'>,
): About {
  const given = state !== (env.PIPE_STATE || DEFAULT_STATE) && state.startsWith('sqlite:')
  return { file, demo, follow, params, select, state: given ? state : undefined }
}

/** The same of the words of a command line that could not be read, or whose command failed. */
export function aboutOfWords(args: readonly string[]): About {
  const values = (flag: string) =>
    args.flatMap((arg, i) => (arg === flag ? (args[i + 1] ?? []) : arg.startsWith(`${flag}=`) ? arg.slice(flag.length + 1) : []))
  const [state] = values('--state').filter((value) => value.startsWith('sqlite:'))
  const [select] = values('--select')
  return {
    file: args.find((arg) => /\.ya?ml$/i.test(arg)) ?? 'FILE',
    demo: args.includes('--demo'),
    follow: args.includes('--follow'),
    params: Object.fromEntries(values('--param').map((pair) => [pair.split('=', 1)[0] ?? '', pair.slice(pair.indexOf('=') + 1)])),
    select: select?.split(','),
    state,
  }
}
