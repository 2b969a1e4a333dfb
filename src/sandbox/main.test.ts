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

test('an API in a process of its own prints its URL, grows as it is asked to, and ends with its input', async () => {
  const main = new URL('main.ts', import.meta.url).pathname
  const arguments_ = ['--api', '--rows', '30', '--grow', '5', '--fault', JSON.stringify({ kind: 'total', by: 1, after: 1 })]
  const child = spawn(process.execPath, ['--import', 'tsx', main, ...arguments_], { stdio: ['pipe', 'pipe', 'inherit'] })
  const ended = once(child, 'exit')
  const [line] = (await once(child.stdout, 'data')) as [Buffer]
  const total = async (): Promise<unknown> =>
    ((await (await fetch(`${line.toString().trim()}/extended/v3/transactions?limit=1`)).json()) as { total: unknown }).total
  expect([await total(), await total()]).toEqual([35, 41])
  child.stdin.end()
  expect(await ended).toEqual([0, null])
})
