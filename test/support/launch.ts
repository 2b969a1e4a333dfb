import { EventEmitter } from 'node:events'
import { PassThrough } from 'node:stream'
import { runCli } from '../../src/cli/main.js'
import type { Launch } from '../../src/serve/child.js'
import { StopSignal } from '../../src/session/surroundings.js'
import { fakeIo } from '../cli/fake-io.js'

/** Runs commands in this process, which costs less than one of their own. `kill` is the signal that a process gets first. */
export function launchHere(
  cwd: string,
  env: Readonly<Record<string, string>>,
): Launch & { readonly lines: readonly (readonly string[])[] } {
  const lines: (readonly string[])[] = []
  const launch: Launch = (args) => {
    lines.push(args)
    const [stdout, stderr] = [new PassThrough(), new PassThrough()]
    const [stop, drain] = [new AbortController(), new AbortController()]
    const child = Object.assign(new EventEmitter(), {
      stdout,
      stderr,
      kill: (signal: 'SIGUSR2' | 'SIGTERM' | 'SIGKILL') => {
        if (signal === 'SIGUSR2') drain.abort(new StopSignal(signal))
        else stop.abort(new StopSignal('SIGTERM'))
      },
    })
    void runCli(args, fakeIo({ cwd, env, stdout, stderr, signal: stop.signal, drain: drain.signal, pid: process.pid })).then((code) => {
      stdout.end()
      stderr.end()
      child.emit('close', code)
    })
    return child
  }
  return Object.assign(launch, { lines })
}
