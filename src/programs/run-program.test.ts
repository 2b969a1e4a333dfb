import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { killGroup } from '../../test/cli/fake-io.js'
import { temporaryFolder } from '../../test/support/folder.js'
import { systemClock } from '../cli/system-clock.js'
import type { Program, ProgramEnd } from '../sdk/index.js'
import { environmentSecrets } from './environment-secrets.js'
import { runProgram } from './run-program.js'

interface Given extends Partial<Program> {
  readonly signal?: AbortSignal
  readonly cwd?: string
}

const never = new AbortController().signal

function start({ signal = never, cwd = temporaryFolder(), ...program }: Given) {
  const world = { env: process.env, cwd, clock: systemClock, kill: killGroup, secrets: ['s3cret-of-the-file'], signal }
  return runProgram({ command: 'sh', args: [], graceMs: 5_000, ...program }, world)
}

const shell = (script: string, given: Given = {}) => start({ args: ['-c', script], ...given })

async function readAll(running: ReturnType<typeof start>): Promise<{ readonly lines: string[]; readonly end: ProgramEnd | undefined }> {
  const lines: string[] = []
  let end: ProgramEnd | undefined
  for await (const news of running) {
    if (news.end) end = news.end
    else lines.push(...news.lines)
  }
  return { lines, end }
}

/** The process is there, and no zombie that only waits to be collected. */
function runs(pid: number): boolean {
  try {
    process.kill(pid, 0)
  } catch {
    return false
  }
  const stat = `/proc/${pid}/stat`
  return !existsSync(stat) || readFileSync(stat, 'utf8').split(') ')[1]?.[0] !== 'Z'
}

/** Numbers that a program wrote into a file of its folder, as soon as it has. */
async function pidsIn(cwd: string): Promise<number[]> {
  const file = join(cwd, 'pids')
  for (;;) {
    const pids = existsSync(file) ? readFileSync(file, 'utf8').trim().split(/\s+/).map(Number) : []
    if (pids.length === 2) return pids
    await systemClock.sleep(10)
  }
}

describe('a program that runs', () => {
  it('gives its lines: of both outputs, redrawn ones, without colours, cut when long, and whatever its bytes are', async () => {
    const script = `printf 'one\\r2/3\\r\\n\\n\\033[32mgreen\\033[0m\\n\\377\\376 bytes\\n'; head -c 20000 /dev/zero | tr '\\0' x; printf '\\nlast without end'`
    const { lines, end } = await readAll(shell(script))
    const long = lines.find((line) => line.startsWith('xx')) ?? ''
    expect(lines.filter((line) => line !== long)).toEqual(['one', '2/3', 'green', '\ufffd\ufffd bytes', 'last without end'])
    expect(long).toBe(`${'x'.repeat(16_384)} … (3616 characters more)`)
    expect(end).toMatchObject({ code: 0, signal: undefined })
    expect((await readAll(shell('echo said >&2; kill -9 $$'))).end).toMatchObject({ code: undefined, signal: 'SIGKILL' })
  })

  it('is given its arguments as they are, its folder, and its environment beside that of pipe', async () => {
    const cwd = temporaryFolder()
    const args = ['-c', 'printf "%s\\n" "$@" "$PWD" "$ADDED" "${PATH:+path}"', 'sh', '$(date) && *', 'two words']
    const { lines } = await readAll(start({ cwd, args, env: { ADDED: 'yes' } }))
    expect(lines).toEqual(['$(date) && *', 'two words', cwd, 'yes', 'path'])
  })

  it('keeps its last lines without the secrets of file and environment, in any form', async () => {
    const env = { API_TOKEN: 'tok-123456', DB: 'postgres://me:pa%20ss@host/db', PEM_KEY: 'begin-of-the-key\nmiddle-of-the-key' }
    const script = `seq 1 100; echo "s3cret-of-the-file $API_TOKEN $(printf %s "$API_TOKEN" | base64) $DB"; echo "$PEM_KEY"`
    const running = shell(script, { env })
    await readAll(running)
    const said = running.said()
    expect(said.length).toBe(40)
    expect(said.slice(-3)).toEqual(['*** *** ***g== postgres://me:***@host/db', '***', '***'])
    expect(environmentSecrets({ HOME: '/home/me', AUTHOR: 'somebody', PWD: '/srv' })).toEqual([])
  })

  it('waits while nobody reads on, so that its output takes no memory; what it says then is not lost', async () => {
    const running = shell('yes "$(printf %01000d 1)" | head -n 200000; echo end')
    let lines = 0
    let last = ''
    const before = process.memoryUsage().rss
    let most = before
    for await (const news of running) {
      if (news.end) break
      if (lines === 0) await systemClock.sleep(1_500)
      lines += news.lines.length
      last = news.lines.at(-1) ?? ''
      most = Math.max(most, process.memoryUsage().rss)
    }
    expect([lines, last]).toEqual([200_001, 'end'])
    expect(most - before).toBeLessThan(100_000_000)
  })

  it('that can not be started says why to its reader', async () => {
    const running = start({ command: 'no-such-program' })
    await expect(readAll(running)).rejects.toMatchObject({
      code: 'PROGRAM_NOT_STARTED',
      message: expect.stringContaining('ENOENT') as string,
    })
    await running.gone
    const long = start({ args: ['-c', 'x'.repeat(3_000_000)] })
    await expect(readAll(long)).rejects.toMatchObject({ code: 'PROGRAM_NOT_STARTED', message: expect.stringContaining('E2BIG') as string })
  })
})

describe('nothing of a program is left', () => {
  const family = 'sleep 1000 & echo $$ $! > pids; echo there; wait'

  it('when it is stopped: what it started dies with it, also what ignores that it is asked', async () => {
    for (const [script, least] of [
      [family, 0],
      [`trap '' TERM; ${family}`, 300],
    ] as const) {
      const cwd = temporaryFolder()
      const stop = new AbortController()
      const running = shell(script, { cwd, signal: stop.signal, graceMs: 300 })
      const reading = readAll(running)
      const pids = await pidsIn(cwd)
      expect(pids.map(runs)).toEqual([true, true])
      const began = performance.now()
      stop.abort(new Error('stopped'))
      await expect(reading).rejects.toThrow('stopped')
      expect(pids.map(runs)).toEqual([false, false])
      const ms = performance.now() - began
      expect(ms).toBeGreaterThanOrEqual(least - 30)
      expect(ms).toBeLessThan(least + 1_500)
    }
  })

  it('when its reader leaves, and when it ends and leaves something running', async () => {
    const [left, ended] = [temporaryFolder(), temporaryFolder()]
    const running = shell(family, { cwd: left })
    for await (const news of running) if (!news.end) break
    const pids = await pidsIn(left)
    await running.gone
    expect(pids.map(runs)).toEqual([false, false])
    const { end } = await readAll(shell('sleep 1000 > /dev/null 2>&1 & echo $$ $! > pids', { cwd: ended }))
    expect([end?.code, (await pidsIn(ended)).map(runs)]).toEqual([0, [false, false]])
  })
})
