import { describe, expect, test } from 'vitest'
import { runCli } from '../../src/cli/main.js'
import { program, type Commands } from '../../src/cli/program.js'
import { fakeIo } from './fake-io.js'

describe('what a command is given', () => {
  test('run takes params, steps, a limit and the state of the environment', async () => {
    const line =
      'run p.yaml --param from=18000000 --param note=a=b --select blocks,balances --limit 500 --demo --output json --status-file s.json'
    expect(await asked(line.split(' '), 'sqlite:from-env.db')).toEqual([
      'run',
      'p.yaml',
      {
        params: { from: '18000000', note: 'a=b' },
        select: ['blocks', 'balances'],
        limit: 500,
        demo: true,
        force: false,
        fresh: false,
        untilComplete: false,
        follow: false,
        output: 'json',
        statusFile: 's.json',
        state: 'sqlite:from-env.db',
      },
    ])
  })

  test('run takes how long its rounds may go on', async () => {
    const line = 'run p.yaml --until-complete --max-runs 50 --wait 60s --timeout 6h --stall 0s --fresh'
    const [, , given] = (await asked(line.split(' '))) as [string, string, object]
    expect(given).toMatchObject({ untilComplete: true, maxRuns: 50, wait: 60_000, timeout: 21_600_000, stall: 0, fresh: true })
  })

  test('run without flags does everything, on the state of the working folder', async () => {
    expect(await asked(['run', 'p.yaml'])).toEqual([
      'run',
      'p.yaml',
      {
        params: {},
        demo: false,
        force: false,
        fresh: false,
        untilComplete: false,
        follow: false,
        output: 'auto',
        state: 'sqlite:.pipe/state.db',
      },
    ])
  })

  test('plan takes what run takes, and how to print', async () => {
    expect(await asked(['plan', 'p.yaml', '--demo', '--json', '--offline', '--detailed-exitcode', '--param', 'a=1'])).toEqual([
      'plan',
      'p.yaml',
      { params: { a: '1' }, demo: true, json: true, offline: true, detailedExitcode: true, state: 'sqlite:.pipe/state.db' },
    ])
  })

  test('--state wins over PIPE_STATE, before and after the command', async () => {
    const expected = ['status', 'p.yaml', { demo: false, json: true, watch: false, state: 'postgres://db/pipe' }]
    expect(await asked(['--state', 'postgres://db/pipe', 'status', 'p.yaml', '--json'], 'sqlite:env.db')).toEqual(expected)
    expect(await asked(['status', 'p.yaml', '--json', '--state', 'postgres://db/pipe'], 'sqlite:env.db')).toEqual(expected)
  })

  test('validate takes many files, reset a step and a range, retry a step of a chain', async () => {
    expect(await asked(['validate', 'a.yaml', 'b.yaml', '--format', 'github', '--env'])).toEqual([
      'validate',
      ['a.yaml', 'b.yaml'],
      { format: 'github', env: true },
    ])
    expect(await asked(['reset', 'p.yaml', '--step', 'blocks', '--range', '5..9'])).toEqual([
      'reset',
      'p.yaml',
      { params: {}, step: 'blocks', range: '5..9', demo: false, state: 'sqlite:.pipe/state.db' },
    ])
    expect(await asked(['retry', 'p.yaml', '--step', 'balances[base]', '--param', 'chain=base', '--demo'])).toEqual([
      'retry',
      'p.yaml',
      { params: { chain: 'base' }, step: 'balances[base]', demo: true, state: 'sqlite:.pipe/state.db' },
    ])
  })

  test('the rest takes a name or nothing', async () => {
    expect(await asked(['graph', 'p.yaml', '--format', 'dot'])).toEqual(['graph', 'p.yaml', { format: 'dot' }])
    expect(await asked(['steps'])).toEqual(['steps', undefined])
    expect(await asked(['steps', 'rpc-batch'])).toEqual(['steps', 'rpc-batch'])
    expect(await asked(['init'])).toEqual(['init', '.'])
  })
})

describe('a command line that is wrong ends with exit code 2 and says what is meant', () => {
  test.each([
    ['valdate p.yaml', "error: unknown command 'valdate'\n(Did you mean validate?)\n"],
    ['run p.yaml --deno', "error: unknown option '--deno'\n(Did you mean --demo?)\n"],
    ['run', "error: missing required argument 'FILE'\n"],
    ['plan a.yaml b.yaml', "error: too many arguments for 'plan'. Expected 1 argument but got 2.\n"],
    ['run p.yaml --param from', "error: option '--param <NAME=VALUE>' argument 'from' is invalid. Write it as name=value.\n"],
    ['run p.yaml --param a=1 --param a=2', `error: option '--param <NAME=VALUE>' argument 'a=2' is invalid. "a" is given twice.\n`],
    ['run p.yaml --limit 0', "error: option '--limit <N>' argument '0' is invalid. It must be a whole number of 1 or more.\n"],
    ['run p.yaml --limit 1e3', "error: option '--limit <N>' argument '1e3' is invalid. It must be a whole number of 1 or more.\n"],
    ['run p.yaml --select ,', "error: option '--select <IDS>' argument ',' is invalid. Name at least one step.\n"],
    ['reset p.yaml', "error: required option '--step <ID>' not specified\n"],
    ['status p.yaml --until-complete', "error: unknown option '--until-complete'\n"],
    ['graph p.yaml --format png', "error: option '--format <FORMAT>' argument 'png' is invalid. Allowed choices are mermaid, dot, svg.\n"],
  ])('pipe %s', async (line, message) => {
    const io = fakeIo()
    const [name = ''] = line.split(' ')
    const more = name === 'valdate' ? '(pipe --help shows the commands)\n' : `(pipe help ${name} shows its flags)\n`
    expect([await runCli(line.split(' '), io), io.out(), io.err()]).toEqual([2, '', `${message}${more}`])
  })

  test('no command at all prints the help and exits 2', async () => {
    const io = fakeIo()
    expect(await runCli([], io)).toBe(2)
    expect(io.out() + io.err()).toContain('Usage: pipe [options] [command]')
  })
})

describe('help', () => {
  test('of pipe shows commands, examples, exit codes and environment, and exits 0', async () => {
    const io = fakeIo()
    expect([await runCli(['--help'], io), io.err()]).toEqual([0, ''])
    const headings = [...io.out().matchAll(/^(\w[\w ]*):(?: pipe.*)?$/gm)].map(([, heading]) => heading)
    expect(headings).toEqual(['Usage', 'Options', 'Commands', 'Examples', 'Exit codes', 'Environment'])
    const commands = [...io.out().matchAll(/^ {2}([a-z]+) (?=.*\S)/gm)].map(([, name]) => name)
    expect(commands.filter((name) => name !== 'pipe')).toEqual([
      'validate',
      'plan',
      'run',
      'status',
      'retry',
      'reset',
      'rollback',
      'verify',
      'migrate',
      'serve',
      'graph',
      'steps',
      'init',
      'help',
    ])
  })

  test.each(['validate', 'plan', 'run', 'status', 'retry', 'reset', 'graph', 'steps', 'init'])(
    'of %s has examples and exits 0',
    async (name) => {
      const io = fakeIo()
      expect([await runCli([name, '--help'], io), io.err()]).toEqual([0, ''])
      expect(io.out()).toContain(`\nExamples:\n  pipe ${name}`)
      const other = fakeIo()
      await runCli(['help', name], other)
      expect(other.out()).toBe(io.out())
    },
  )

  test('--version prints the version of the package', async () => {
    const io = fakeIo()
    expect([await runCli(['--version'], io), io.out()]).toEqual([0, '0.1.0\n'])
  })
})

/** What the command would have been called with; fields that are undefined are left out. */
async function asked(words: readonly string[], state?: string): Promise<unknown> {
  let call: unknown
  const commands = new Proxy({} as Commands, {
    get:
      (_target, name) =>
      (...args: unknown[]) => {
        call = [name, ...args]
        return Promise.resolve(0)
      },
  })
  const fail = (text: string): void => {
    throw new Error(text)
  }
  const settings = { version: '1.2.3', state, color: false, columns: 80, stdout: fail, stderr: fail, exit: () => undefined }
  await program(commands, settings).parseAsync([...words], { from: 'user' })
  return call
}

describe('an error that nobody expected', () => {
  const broken = (env: Record<string, string>) => {
    const io = fakeIo({ env })
    io.stdout.write = () => {
      throw new Error('boom at postgres://me:secret@db/x \u001b[2J')
    }
    return io
  }

  test('is called a mistake of ours, exits 2, shows no password and moves no cursor', async () => {
    const io = broken({})
    expect([await runCli(['steps'], io), io.err()]).toEqual([
      2,
      'internal error: boom at postgres://***@db/x \\u001b[2J\n  this is a mistake in pipe or in a plugin, not in your file; PIPE_DEBUG=1 shows where\n',
    ])
  })

  test('shows its stack with PIPE_DEBUG=1', async () => {
    const io = broken({ PIPE_DEBUG: '1' })
    expect(await runCli(['steps'], io)).toBe(2)
    expect(io.err()).toMatch(/^internal error: boom at postgres:\/\/\*\*\*@db\/x .*\nError: boom .*\n {4}at /)
    expect(io.err()).not.toContain('secret')
  })
})
