import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { Writable } from 'node:stream'
import { expect, test } from 'vitest'
import type { RunEvent } from '../sdk/index.js'
import { jsonReporter } from './json.js'
import { follow } from './reporter.js'

const started: RunEvent = { run: 'r1', at: 1, type: 'run:started', pipeline: 'p\u202e', warehouse: 'w', pid: 7, host: 'h', steps: [] }

test('every event is one line of JSON that gives the event back', async () => {
  const lines: string[] = []
  const out = new Writable({
    write(chunk, _encoding, done) {
      lines.push(String(chunk))
      done()
    },
  })
  const listeners: ((event: RunEvent) => void)[] = []
  const seen: string[] = []
  const following = follow(
    (listener) => {
      listeners.push(listener)
      return () => void listeners.splice(listeners.indexOf(listener), 1)
    },
    [jsonReporter({ out }), { onEvent: ({ type }) => void seen.push(type), close: () => Promise.resolve() }],
    () => undefined,
  )
  for (const listener of listeners) listener(started)
  await following.close()
  expect(listeners).toEqual([])
  expect(seen).toEqual(['run:started'])
  expect(lines.length).toBe(1)
  expect(lines[0]).not.toContain('\u202e')
  expect(JSON.parse(lines[0] ?? '')).toEqual(started)
})

test('a process whose output is closed goes on (pipe run … | head)', async () => {
  const script = `
    const { jsonReporter } = await import(${JSON.stringify(new URL('./json.ts', import.meta.url).href)})
    const reporter = jsonReporter({ out: process.stdout })
    for (let i = 0; i < 200; i++) {
      reporter.onEvent({ run: 'r', at: i, type: 'warning', message: 'x'.repeat(10_000) })
      await new Promise((resolve) => setTimeout(resolve, 2))
    }
    process.stderr.write('survived')`
  const child = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', script], { stdio: ['ignore', 'pipe', 'pipe'] })
  let said = ''
  child.stderr.on('data', (chunk) => (said += String(chunk)))
  await once(child.stdout, 'data')
  child.stdout.destroy()
  const [code] = (await once(child, 'exit')) as [number]
  expect([code, said]).toEqual([0, 'survived'])
}, 30_000)

test('a reporter that fails is told no more, is named once, and takes nothing else with it', async () => {
  const listeners: ((event: RunEvent) => void)[] = []
  const warnings: string[] = []
  let told = 0
  let seen = 0
  const following = follow(
    (listener) => {
      listeners.push(listener)
      return () => undefined
    },
    [
      {
        onEvent: () => {
          told++
          throw new RangeError('too narrow')
        },
        close: () => Promise.reject(new Error('still too narrow')),
      },
      { onEvent: () => void seen++, close: () => Promise.resolve() },
    ],
    (text) => warnings.push(text),
  )
  for (const listener of [...listeners, ...listeners]) listener(started)
  await following.close()
  expect({ told, seen, warnings }).toEqual({
    told: 1,
    seen: 2,
    warnings: ['warning: what shows the run failed: too narrow; the run is not affected'],
  })
})
