import { spawn, type ChildProcess } from 'node:child_process'
import { existsSync } from 'node:fs'
import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { describe, expect, test } from 'vitest'
import { temporaryFolder } from '../support/folder.js'

const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..')

describe('a process that is asked to stop', () => {
  test.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const)('by one %s comes to its end and exits %i', async (signal, code) => {
    const child = waits('obeys')
    await child.said('ready')
    child.kill(signal)
    expect(await child.ended).toEqual({ code, out: `ready\nstopped by ${signal}\ncleaned up\n`, err: '' })
  })

  test.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const)('by a second %s ends at once, with its clean-up', async (signal, code) => {
    const child = waits('is busy')
    await child.said('ready')
    child.kill(signal)
    // Two equal signals that are pending at the same time are delivered as one.
    await new Promise((resolve) => setTimeout(resolve, 300))
    expect(child.exitCode).toBe(null)
    child.kill(signal)
    expect(await child.ended).toEqual({ code, out: 'ready\ncleaned up\n', err: '' })
  })

  test('by one SIGTERM ends when its grace is over, although it is busy', async () => {
    const child = waits('is busy', '200')
    await child.said('ready')
    child.kill('SIGTERM')
    expect(await child.ended).toEqual({ code: 143, out: 'ready\ncleaned up\n', err: '' })
  })
})

describe('a run inside of a long statement', () => {
  const yaml = (step: string) =>
    `name: p\nwarehouse: duckdb:p.duckdb\ntables: { t: { columns: { n: bigint }, key: [n] } }\nsteps:\n  - ${step}\n`
  const long = 'SELECT CAST(count(*) AS bigint) AS n FROM range(1000000000000) AS a'
  const upsert = `{ id: s, type: sql-upsert, into: t, with: { sql: "${long}" } }`

  test('ends with a checkpoint at one signal, and at once at two', async () => {
    const folder = temporaryFolder()
    await writeFile(join(folder, 'p.yaml'), yaml(upsert))
    const once = run(process.execPath, [join(root, 'bin', 'pipe.js'), 'run', 'p.yaml'], folder)
    await once.said('step pipeline=p step=s state=running')
    await new Promise((resolve) => setTimeout(resolve, 500))
    once.kill('SIGINT')
    const { code, out } = await once.ended
    expect(code).toBe(130)
    expect(out).toContain('end pipeline=p outcome=stopped exit_code=130')
    const child = waits('is inside of a statement')
    await child.said('ready')
    child.kill('SIGTERM')
    await new Promise((resolve) => setTimeout(resolve, 300))
    child.kill('SIGTERM')
    expect(await child.ended).toEqual({ code: null, out: 'ready\ncleaned up\n', err: '' })
    expect(child.signalCode).toBe('SIGTERM')
  })

  test.each([
    ['sql-upsert', upsert.replace('into: t,', 'into: t, timeout: 1s,')],
    ['gate', `{ id: s, type: gate, timeout: 1s, with: { checks: [ { name: x, sql: "${long}", expect: "> 0" } ] } }`],
  ])('leaves a step of %s at its timeout', async (_, step) => {
    const folder = temporaryFolder()
    await writeFile(join(folder, 'p.yaml'), yaml(step))
    const { code, out } = await run(process.execPath, [join(root, 'bin', 'pipe.js'), 'run', 'p.yaml'], folder).ended
    expect(code).toBe(1)
    expect(out).toContain('code=STEP_TIMEOUT error="step s was not done within its timeout of 1 s"')
  })
})

describe('bin/pipe.js', () => {
  test('says how to build when the build is missing', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'pipe-bin-'))
    await cp(join(root, 'bin'), join(folder, 'bin'), { recursive: true })
    await cp(join(root, 'package.json'), join(folder, 'package.json'))
    const { code, out, err } = await run(process.execPath, [join(folder, 'bin', 'pipe.js'), '--help']).ended
    await rm(folder, { recursive: true })
    expect({ code, out, err }).toEqual({
      code: 2,
      out: '',
      err:
        'error: pipe is not built yet (dist/src/cli/main.js is missing)\n' +
        '  run `npm ci` in the folder of pipe; where install scripts are switched off, run `npm run build` after it\n',
    })
  })

  test.each(['18.20.8', '20.18.3'])('refuses Node %s with the version that it needs', async (version) => {
    const old = `data:text/javascript,Object.defineProperty(process.versions,'node',{value:'${version}'})`
    expect(await run(process.execPath, ['--import', old, join(root, 'bin', 'pipe.js'), '--help']).ended).toEqual({
      code: 2,
      out: '',
      err: `error: pipe needs Node 20.19 or newer, this is ${version}\n  install a current one from https://nodejs.org\n`,
    })
  })

  test('survives a reader that closes its end', async () => {
    const command = `(sleep 0.2; "${process.execPath}" bin/pipe.js help run) | true; echo "exit \${PIPESTATUS[0]}"`
    expect(await run('bash', ['-c', command]).ended).toEqual({ code: 0, out: 'exit 0\n', err: '' })
  })

  test.skipIf(!existsSync('/dev/full'))('does its work although its output can not be written, and says so with exit code 2', async () => {
    const command = `"${process.execPath}" bin/pipe.js steps > /dev/full; echo "exit $?"`
    expect(await run('bash', ['-c', command]).ended).toEqual({
      code: 0,
      out: 'exit 2\n',
      err: "warning: the output can't be written (ENOSPC: no space left on device, write); the work goes on without it\n",
    })
  })

  test.each([
    ['leaves the process', 'process.exit(0)'],
    ['waits for what never comes', 'await new Promise(() => undefined)'],
  ])('never ends with 0 when a plugin %s', async (_, code) => {
    const folder = temporaryFolder()
    await writeFile(join(folder, 'package.json'), '{}')
    await writeFile(join(folder, 'plugin.mjs'), code)
    await writeFile(join(folder, 'p.yaml'), 'name: p\nplugins: [./plugin.mjs]\n')
    expect(await run(process.execPath, [join(root, 'bin', 'pipe.js'), 'validate', 'p.yaml'], folder).ended).toEqual({
      code: 2,
      out: '',
      err: 'error: the process ended before the command did: a plugin left it, or waits for something that never comes\n',
    })
  })

  test('gives a TypeScript plugin the error classes and the sandbox that the core itself uses', async () => {
    const folder = temporaryFolder()
    await writeFile(join(folder, 'package.json'), '{}')
    await writeFile(join(folder, 'p.yaml'), 'name: p\nplugins: [./plugin.ts]\nwarehouse: duckdb:p.duckdb\nsteps: [{ id: a, type: mine }]\n')
    await writeFile(
      join(folder, 'plugin.ts'),
      `import { defineStep, PipeError, Type } from 'pipe/sdk'
import { fakeChain } from 'pipe/sdk/testing'

class MineError extends PipeError {
  readonly code: string = 'MINE'
}

export default defineStep({
  type: 'mine', summary: 's', example: 'e', config: Type.Object({}),
  *plan() { yield { kind: 'task', due: 'once' } },
  async *run({ rpc }) {
    fakeChain({ seed: 7 }).add(1)
    try {
      await rpc.request('eth_chainId', [])
    } catch (error) {
      throw new MineError(error instanceof PipeError ? 'the error of the core is a PipeError' : \`\${String(error)} of another class\`)
    }
  },
})
`,
    )
    const { code, out } = await run(process.execPath, [join(root, 'bin', 'pipe.js'), 'run', 'p.yaml'], folder).ended
    expect({ code, out }).toEqual({
      code: 1,
      out: expect.stringContaining('code=MINE error="the error of the core is a PipeError"') as string,
    })
  })
})

interface Running extends ChildProcess {
  /** Resolves once stdout has this line. */
  said(line: string): Promise<void>
  readonly ended: Promise<{ readonly code: number | null; readonly out: string; readonly err: string }>
}

function waits(...args: readonly string[]): Running {
  return run(process.execPath, ['--import', 'tsx', join(root, 'test/cli/fixtures/waits.mts'), ...args])
}

function run(command: string, args: readonly string[], cwd = root): Running {
  const child = spawn(command, args, { cwd, stdio: ['ignore', 'pipe', 'pipe'] })
  let out = ''
  let err = ''
  child.stdout.on('data', (data) => (out += String(data)))
  child.stderr.on('data', (data) => (err += String(data)))
  return Object.assign(child, {
    said: (line: string) =>
      new Promise<void>((resolve, reject) => {
        const look = (): void => {
          if (out.split('\n').includes(line)) resolve()
        }
        child.stdout.on('data', look)
        child.once('close', () => reject(new Error(`ended without saying ${line}: ${err}`)))
        look()
      }),
    ended: new Promise<{ code: number | null; out: string; err: string }>((resolve) => {
      child.once('close', (code) => resolve({ code, out, err }))
    }),
  })
}
