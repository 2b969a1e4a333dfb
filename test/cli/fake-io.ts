import { randomUUID } from 'node:crypto'
import { Writable } from 'node:stream'
import { systemClock } from '../../src/cli/system-clock.js'
import type { Io } from '../../src/cli/io.js'

/** An outside world that keeps what is written. */
export function fakeIo(given: Partial<Io> = {}): Io & { readonly out: () => string; readonly err: () => string } {
  const out: string[] = []
  const err: string[] = []
  return {
    stdout: sink(out),
    stderr: sink(err),
    env: {},
    cwd: '/nowhere',
    signal: new AbortController().signal,
    isTTY: false,
    color: false,
    columns: 100,
    pid: 1,
    host: 'here',
    execPath: process.execPath,
    alive: () => true,
    kill: killGroup,
    clock: systemClock,
    random: () => 0.5,
    newId: () => randomUUID(),
    atExit: () => () => undefined,
    ...given,
    out: () => out.join(''),
    err: () => err.join(''),
  }
}

/** As the command does it. */
export function killGroup(group: number, signal: 'SIGTERM' | 'SIGKILL' | 0): boolean {
  try {
    return process.kill(-group, signal)
  } catch {
    return false
  }
}

function sink(parts: string[]): Writable {
  return new Writable({
    decodeStrings: false,
    write(chunk: string | Buffer, _encoding, done) {
      parts.push(String(chunk))
      done()
    },
  })
}
