import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { atEnd } from './cleanup.js'
import { projectFolder } from './folder.js'

export interface PipeExit {
  /** Null when a signal ended it. */
  readonly code: number | null
  readonly signal: NodeJS.Signals | null
  readonly stdout: string
  readonly stderr: string
}

export interface PipeProcess {
  readonly pid: number
  /** What it has written so far. */
  readonly stdout: string
  readonly stderr: string
  /** Resolves when it has ended and all its output is read. */
  readonly exit: Promise<PipeExit>
  kill(signal: NodeJS.Signals): void
  /** Resolves when its output, either one, holds the text. Rejects with all of its output when it ends before. */
  saw(text: string | RegExp): Promise<void>
}

export interface SpawnOptions {
  /** Working folder. Give a temporary one: `.pipe/` and relative data files land there. */
  readonly cwd: string
  /** Added to what every process needs (PATH, HOME, TMPDIR); nothing else of the test's environment is passed on. */
  readonly env?: Readonly<Record<string, string>>
}

/** Runs the built `bin/pipe.js` as a process of its own. It is killed at the end of the test file if it still runs. */
export function spawnPipe(args: readonly string[], options: SpawnOptions): PipeProcess {
  const inherited = ['PATH', 'HOME', 'TMPDIR', 'SystemRoot'].flatMap((name) => {
    const value = process.env[name]
    return value === undefined ? [] : [[name, value] as const]
  })
  const child = spawn(process.execPath, [join(projectFolder, 'bin/pipe.js'), ...args], {
    cwd: options.cwd,
    env: { ...Object.fromEntries(inherited), ...options.env },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const output = { stdout: '', stderr: '' }
  const watchers = new Set<() => void>()
  for (const name of ['stdout', 'stderr'] as const) {
    child[name].setEncoding('utf8').on('data', (text: string) => {
      output[name] += text
      for (const watch of watchers) watch()
    })
  }
  const exit = new Promise<PipeExit>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code, signal) => resolve({ code, signal, ...output }))
  })
  atEnd(() => child.kill('SIGKILL'))
  return {
    pid: child.pid ?? -1,
    get stdout() {
      return output.stdout
    },
    get stderr() {
      return output.stderr
    },
    exit,
    kill: (signal) => void child.kill(signal),
    saw: (text) =>
      new Promise((resolve, reject) => {
        const watch = (): void => {
          const all = output.stdout + output.stderr
          if (typeof text === 'string' ? !all.includes(text) : !text.test(all)) return
          watchers.delete(watch)
          resolve()
        }
        watchers.add(watch)
        watch()
        exit.then(
          ({ code, signal }) => reject(new Error(`ended (${signal ?? code}) without ${text}:\n${output.stdout}${output.stderr}`)),
          reject,
        )
      }),
  }
}

/** Runs it to its end. */
export function runPipe(args: readonly string[], options: SpawnOptions): Promise<PipeExit> {
  return spawnPipe(args, options).exit
}
