import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { homedir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Pipeline } from '../pipeline/pipeline.js'
import { readPipeline } from '../pipeline/read.js'
import { formatProblem } from '../pipeline/yaml/format.js'
import { escapeText } from '../report/escape.js'
import { counted } from '../sdk/index.js'
import { startServer } from '../serve/serve.js'
import { troubles } from '../serve/troubles.js'
import { defaultFiles } from './default-files.js'
import { demoDisplay, inDemo } from './demo-warehouse.js'
import { Exit, type Io } from './io.js'
import type { ServeCommandOptions } from './options.js'
import { UsageError } from './usage-error.js'

/** Serves the API of these pipelines until it is stopped. Each run is a process of its own. */
export async function serveCommand(files: readonly string[], options: ServeCommandOptions, io: Io): Promise<number> {
  const pipelines = await readAll(files.length > 0 ? files : await defaultFiles(io.cwd, 'serve'), options.demo, io)
  if (!pipelines) return Exit.notStarted
  const { state, bind, port, demo, schedules } = options
  const serving = await startServer(
    {
      pipelines,
      state,
      bind,
      port,
      allowHosts: [...options.allowHost, ...(bind === '127.0.0.1' ? [] : [bind])],
      token: io.env.PIPE_TOKEN || undefined,
      launch: (args) => launch(args, state, io),
      kill: (pid, signal) => void process.kill(pid, signal),
      schedules,
      flags: demo ? ['--demo'] : [],
      runsOf: (pipeline) => (demo ? { warehouse: demoDisplay(pipeline, io) } : { notInto: demoDisplay(pipeline, io) }),
      page: join(ownFolder(), 'dist/page'),
      folders: [homedir(), ownFolder()],
      usage,
      say: (line) => io.stderr.write(`${escapeText(line)}\n`),
      report: troubles((text) => io.stderr.write(text), io.clock),
    },
    io,
  )
  io.stdout.write(`${counted(pipelines.length, 'pipelines')} at ${serving.url} (Ctrl-C stops it)\n`)
  await new Promise<void>((stopped) => {
    if (io.signal.aborted) stopped()
    else io.signal.addEventListener('abort', () => stopped(), { once: true })
  })
  await serving.close()
  return Exit.done
}

async function readAll(files: readonly string[], demo: boolean, io: Io): Promise<readonly Pipeline[] | undefined> {
  const found: Pipeline[] = []
  let errors = 0
  for (const file of files) {
    const { pipeline, problems } = await readPipeline(file, { cwd: io.cwd, env: io.env, environment: 'warn' })
    const wrong = problems.filter(({ severity }) => severity === 'error')
    errors += wrong.length
    for (const problem of wrong) io.stderr.write(`${escapeText(formatProblem(problem))}\n`)
    // A shared file has no steps, and is read with those that import it.
    if (pipeline) found.push(demo ? inDemo(pipeline, io) : pipeline)
  }
  if (errors > 0) return undefined
  for (const { name, file } of found) {
    const other = found.find((pipeline) => pipeline.name === name && pipeline.file !== file)
    if (other) throw new UsageError(`${file} and ${other.file} are both named ${name}`, 'give one of them another `name`')
  }
  if (found.length === 0) throw new UsageError('none of the files is a pipeline', 'name files that have `steps`')
  return found
}

/** The state store goes by the environment: its address may hold a password, and others see arguments. */
function launch(args: readonly string[], state: string, io: Io) {
  return spawn(io.execPath, [join(ownFolder(), 'bin/pipe.js'), ...args], {
    cwd: io.cwd,
    env: { ...io.env, PIPE_STATE: state, PIPE_TOKEN: undefined },
    stdio: ['ignore', 'pipe', 'pipe'],
    // A Ctrl-C of the terminal is for the server, which asks its runs to end.
    detached: true,
  })
}

/** The folder of `bin/pipe.js`, above `src/cli` or what was made of it. */
function ownFolder(): string {
  const here = dirname(fileURLToPath(import.meta.url))
  const sources = resolve(here, '../..')
  return existsSync(join(sources, 'bin/pipe.js')) ? sources : resolve(sources, '..')
}

function usage() {
  const { user, system } = process.cpuUsage()
  const startedAt = Date.now() / 1_000 - process.uptime()
  return { cpuSeconds: (user + system) / 1e6, residentBytes: process.memoryUsage.rss(), startedAt }
}
