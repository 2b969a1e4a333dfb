import { join } from 'node:path'
import { readPipeline } from '../../src/pipeline/read.js'
import type { ServeOptions } from '../../src/serve/serve.js'
import type { Clock } from '../../src/sdk/index.js'
import { systemClock } from '../../src/cli/system-clock.js'
import { fakeIo } from '../cli/fake-io.js'
import { projectFolder } from './folder.js'
import { launchHere } from './launch.js'

/** What a server over `p.yaml` of a folder, and `files` of it, is started with. Its runs are in this process, and see `env`. */
export async function serveOptions(
  cwd: string,
  env: Readonly<Record<string, string>> = {},
  clock: Clock = systemClock,
  files: readonly string[] = [],
) {
  const io = fakeIo({ cwd, pid: process.pid, env, clock })
  const state = `sqlite:${join(cwd, '.pipe/state.db')}`
  const read = await Promise.all(['p.yaml', ...files].map((file) => readPipeline(file, { cwd, env, environment: 'warn' })))
  const pipelines = read.flatMap(({ pipeline }) => pipeline ?? [])
  if (pipelines.length <= files.length) throw new Error('one of the files is no pipeline')
  const launch = launchHere(cwd, { ...env, PIPE_STATE: state })
  const reported: unknown[] = []
  const said: string[] = []
  const options: ServeOptions = {
    pipelines,
    state,
    bind: '127.0.0.1',
    port: 0,
    allowHosts: [],
    token: undefined,
    launch,
    // As one of another user's process.
    kill: () => {
      throw Object.assign(new Error('kill EPERM'), { code: 'EPERM' })
    },
    schedules: true,
    flags: [],
    runsOf: () => ({}),
    page: join(projectFolder, 'dist/page'),
    folders: [projectFolder],
    usage: () => ({ cpuSeconds: 1, residentBytes: 2, startedAt: 3 }),
    say: (line) => said.push(line),
    report: (error) => reported.push(error),
  }
  return { options, io, launch, reported, said }
}
