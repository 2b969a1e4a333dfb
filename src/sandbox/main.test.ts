import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { expect, test } from 'vitest'

test('a node in a process of its own prints its URL, answers, and ends with its input', async () => {
  const fault = JSON.stringify({ kind: 'result', result: null, methods: ['net_version'] })
  const main = new URL('main.ts', import.meta.url).pathname
  const child = spawn(
    process.execPath,
    ['--import', 'tsx', main, '--blocks', '12', '--chain-id', '5', '--latency', '30', '--fault', fault],
    {
      stdio: ['pipe', 'pipe', 'inherit'],
    },
  )
  const ended = once(child, 'exit')
  const [line] = (await once(child.stdout, 'data')) as [Buffer]
  const started = performance.now()
  const calls = ['eth_blockNumber', 'eth_chainId', 'net_version'].map((method, id) => ({ jsonrpc: '2.0', id, method, params: [] }))
  const response = await fetch(line.toString().trim(), { method: 'POST', body: JSON.stringify(calls) })
  expect(((await response.json()) as { result: unknown }[]).map((reply) => reply.result)).toEqual(['0xc', '0x5', null])
  expect(performance.now() - started).toBeGreaterThan(28)
  child.stdin.end()
  expect(await ended).toEqual([0, null])
})
