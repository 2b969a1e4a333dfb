import type { Readable } from 'node:stream'
import type { Clock } from '../sdk/index.js'

/** What is needed of a process. */
export interface Child {
  readonly stdout: Readable
  readonly stderr: Readable
  kill(signal: Stop | 'SIGKILL'): unknown
  once(event: 'error', listener: (error: Error) => void): unknown
  once(event: 'close', listener: (code: number | null) => void): unknown
}

/** SIGUSR2: units that are under way are finished; SIGTERM: they are cut off behind their last commit. */
export type Stop = 'SIGUSR2' | 'SIGTERM'

/** Starts `pipe` with these arguments as a process of its own, with its output in pipes and the server's state store. */
export type Launch = (args: readonly string[]) => Child

/** How a command ended. */
export interface CommandEnd {
  /** Null: a signal ended it. */
  readonly code: number | null
  readonly stdout: string
  readonly stderr: string
}

const MOST_OUTPUT = 32 * 1024 * 1024
const MOST_ERRORS = 16 * 1024

/** Runs a command to its end. One that takes longer than `ms`, or says too much, is killed. */
export async function toEnd(child: Child, clock: Clock, ms: number): Promise<CommandEnd> {
  let stdout = ''
  const over = new AbortController()
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    stdout += text
    if (stdout.length > MOST_OUTPUT) child.kill('SIGKILL')
  })
  const errors = errorsOf(child)
  clock.sleep(ms, over.signal).then(
    () => child.kill('SIGKILL'),
    () => undefined,
  )
  try {
    return { code: await closed(child), stdout, stderr: errors() }
  } finally {
    over.abort()
  }
}

/** The end of what it says to people. */
export function errorsOf(child: Child): () => string {
  let text = ''
  child.stderr.setEncoding('utf8').on('data', (part: string) => {
    text = (text + part).slice(-MOST_ERRORS)
  })
  return () => text
}

/** Resolves when it is gone and all its output is read. */
export function closed(child: Child): Promise<number | null> {
  return new Promise((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code) => resolve(code))
  })
}
