import { readFileSync } from 'node:fs'
import { CommanderError } from 'commander'
import { isPipeError } from '../sdk/errors.js'
import { limitFault } from '../sdk/limits.js'
import { typable } from '../sdk/commands.js'
import { StopSignal } from '../session/surroundings.js'
import { Exit, exitCodeOf, type Io } from './io.js'
import { aboutOfWords } from './about.js'
import { keepSmall } from './memory.js'
import { flushed, processIo } from './process-io.js'
import { program, type Commands } from './program.js'

/** Runs the command line of this process and ends it with the exit code. */
export async function main(): Promise<void> {
  keepSmall(process.env)
  let lost = false
  const io = processIo(undefined, () => (lost = true))
  let ended = false
  // 0 must say that the command came to its end, not that a plugin left the process or waits for what never comes.
  process.on('exit', (code) => {
    if (ended || code !== Exit.done) return
    process.exitCode = Exit.notStarted
    io.stderr.write('error: the process ended before the command did: a plugin left it, or waits for something that never comes\n')
  })
  for (const event of ['uncaughtException', 'unhandledRejection'] as const) {
    process.on(event, (error: unknown) => {
      report(error, io)
      process.exit(Exit.notStarted)
    })
  }
  const code = await runCli(process.argv.slice(2), io)
  await Promise.all([flushed(process.stdout), flushed(process.stderr)])
  ended = true
  process.exit(code === Exit.done && lost ? Exit.notStarted : code)
}

/** Runs one command line and resolves to its exit code. Never rejects. */
export async function runCli(args: readonly string[], io: Io): Promise<number> {
  let code: number = Exit.done
  const pipe = program(commandsOf(io), {
    version: version(),
    state: io.env.PIPE_STATE || undefined,
    color: io.color,
    columns: io.columns,
    stdout: (text) => io.stdout.write(text),
    stderr: (text) => io.stderr.write(text),
    exit: (value) => {
      code = value
    },
  })
  if (args.length === 0) {
    pipe.outputHelp()
    return Exit.notStarted
  }
  try {
    await pipe.parseAsync(args, { from: 'user' })
    return code
  } catch (error) {
    // Commander has printed its message. 0 is what it says for --help and --version.
    if (error instanceof CommanderError) return error.exitCode === 0 ? Exit.done : Exit.notStarted
    if (io.signal.reason instanceof StopSignal && error === io.signal.reason) return io.signal.reason.exitCode
    report(error, io, args)
    return exitCodeOf(error)
  }
}

/** Every command loads its own code only when it is called: `pipe --help` loads none of it. */
function commandsOf(io: Io): Commands {
  return {
    validate: async (files, options) => (await import('./validate.js')).validateCommand(files, options, io),
    plan: async (file, options) => (await import('./plan.js')).planCommand(file, options, io),
    run: async (file, options) => (await import('./run.js')).runCommand(file, options, io),
    status: async (file, options) => (await import('./status.js')).statusCommand(file, options, io),
    retry: async (file, options) => (await import('./retry.js')).retryCommand(file, options, io),
    reset: async (file, options) => (await import('./reset.js')).resetCommand(file, options, io),
    rollback: async (file, options) => (await import('./rollback.js')).rollbackCommand(file, options, io),
    verify: async (file, options) => (await import('./verify.js')).verifyCommand(file, options, io),
    migrate: async (file, options) => (await import('./migrate.js')).migrateCommand(file, options, io),
    serve: async (files, options) => (await import('./serve.js')).serveCommand(files, options, io),
    graph: async (file, options) => (await import('./graph.js')).graphCommand(file, options, io),
    steps: async (type) => (await import('./steps.js')).stepsCommand(type, io),
    init: async (folder) => (await import('./init.js')).initCommand(folder, io),
  }
}

/** An error we expect is one line and a hint; anything else is a bug of ours, with its stack when PIPE_DEBUG is set. */
function report(error: unknown, io: Io, args: readonly string[] = []): void {
  const debug = io.env.PIPE_DEBUG !== undefined && !['', '0', 'false'].includes(io.env.PIPE_DEBUG)
  const lines: string[] = []
  if (isPipeError(error)) {
    lines.push(`error: ${error.message} (${error.code})`)
    if (error.hint) lines.push(`  ${error.hint}`)
  } else if (limitFault(error)) {
    const { problem = '', hint = '' } = limitFault(error) ?? {}
    lines.push(`error: ${problem} (${error instanceof Error ? error.message : String(error)})`, `  ${hint}`)
  } else {
    lines.push(`internal error: ${error instanceof Error ? error.message : String(error)}`)
    if (!debug) lines.push('  this is a mistake in pipe or in a plugin, not in your file; PIPE_DEBUG=1 shows where')
  }
  if (debug) lines.push(error instanceof Error ? stackOf(error) : '')
  io.stderr.write(`${printable(withoutUserInfo(typable(lines.join('\n'), aboutOfWords(args))))}\n`)
}

function stackOf(error: Error): string {
  const own = error.stack ?? String(error)
  return error.cause instanceof Error ? `${own}\ncaused by ${stackOf(error.cause)}` : own
}

/** A last net: what wrote the message should have left user and password out. */
function withoutUserInfo(text: string): string {
  return text.replace(/(\b[a-z][a-z0-9+.-]*:\/\/)[^\s/@]*@/gi, '$1***@')
}

/** A server's words can't move the cursor or reverse the line. */
function printable(text: string): string {
  return text.replace(
    /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g,
    (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}

/** Of package.json, two folders above the compiled `src/cli`. */
function version(): string {
  for (const path of ['../../package.json', '../../../package.json']) {
    try {
      const found = JSON.parse(readFileSync(new URL(path, import.meta.url), 'utf8')) as { name?: string; version?: string }
      if (found.name === 'pipe' && found.version) return found.version
    } catch {
      continue
    }
  }
  return 'unknown'
}
