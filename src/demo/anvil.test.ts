import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { afterAll, afterEach, expect, test } from 'vitest'
import { DemoNodeMissingError, findAnvil, startDemoNode } from './anvil.js'
import type { DemoNode } from './anvil.js'

// Everything temporary lands here, also that of child processes, so that what is left over shows.
const scratch = mkdtempSync(join(tmpdir(), 'pipe-test-'))
process.env.TMPDIR = scratch
afterAll(() => rmSync(scratch, { recursive: true, force: true }))

const open: DemoNode[] = []
afterEach(async () => {
  await Promise.all(open.splice(0).map((node) => node.close()))
})

test('the same blocks come out at every start', async () => {
  const one = await start(40)
  const two = await start(40)
  const hashes = async (node: DemoNode): Promise<unknown[]> =>
    Promise.all(
      [0, 1, 20, 40].map(async (number) => (await call<{ hash: string }>(node.url, 'eth_getBlockByNumber', [hex(number), false])).hash),
    )
  expect(await hashes(one)).toEqual(await hashes(two))
  expect(one.url).not.toBe(two.url)
})

test('each block pays its miner exactly the tips of its transactions, and nobody else', async () => {
  const node = await start(40)
  const paid = new Map<string, bigint>()
  for (let number = 1; number <= 40; number++) {
    const block = await call<Block>(node.url, 'eth_getBlockByNumber', [hex(number), true])
    expect(Number(block.timestamp)).toBe(1_700_000_000 + 12 * number)
    const tips = block.transactions.reduce((sum, { gasPrice }) => sum + 21_000n * (BigInt(gasPrice) - BigInt(block.baseFeePerGas)), 0n)
    const before = await call<string>(node.url, 'eth_getBalance', [block.miner, hex(number - 1)])
    const after = await call<string>(node.url, 'eth_getBalance', [block.miner, hex(number)])
    expect(BigInt(after) - BigInt(before)).toBe(tips)
    paid.set(block.miner, (paid.get(block.miner) ?? 0n) + tips)
  }
  expect(paid.size).toBe(5)
  expect([...paid.values()].every((sum) => sum > 0n)).toBe(true)
})

test('no process and no file is left after close', async () => {
  const node = await start(3)
  expect(alive(node.pid)).toBe(true)
  expect(demoFolders()).toHaveLength(1)
  await node.close()
  await node.close()
  expect(alive(node.pid)).toBe(false)
  expect(demoFolders()).toEqual([])
})

test('the node dies when its parent is killed with -9, and its files go with it', async () => {
  const script = `import(${JSON.stringify(new URL('anvil.ts', import.meta.url).href)}).then((m) => m.startDemoNode({ execPath: process.execPath, blocks: 3 })).then((n) => console.log(n.pid))`
  const parent = spawn(process.execPath, ['--import', 'tsx', '-e', script], { stdio: ['ignore', 'pipe', 'inherit'] })
  const [line] = (await once(parent.stdout, 'data')) as [Buffer]
  const pid = Number(line.toString())
  expect(alive(pid)).toBe(true)
  parent.kill('SIGKILL')
  await until(() => !alive(pid) && demoFolders().length === 0)
})

test('aborting while blocks are mined ends the node and rejects with the reason', async () => {
  const reason = new Error('enough')
  const controller = new AbortController()
  const starting = startDemoNode({ execPath: process.execPath, blocks: 100_000, signal: controller.signal })
  const rejected = expect(starting).rejects.toBe(reason)
  await wait(700)
  controller.abort(reason)
  await rejected
})

test('a platform without a node is named', () => {
  expect(() => findAnvil('sunos', 'sparc')).toThrow(DemoNodeMissingError)
  expect(() => findAnvil('win32', 'x64')).toThrow(
    'the demo needs a local Ethereum node, and @foundry-rs/anvil-win32-amd64 is not installed',
  )
})

interface Block {
  readonly timestamp: string
  readonly miner: string
  readonly baseFeePerGas: string
  readonly transactions: readonly { readonly gasPrice: string }[]
}

async function start(blocks: number): Promise<DemoNode> {
  const node = await startDemoNode({ execPath: process.execPath, blocks })
  open.push(node)
  return node
}

async function call<T>(url: string, method: string, params: readonly unknown[]): Promise<T> {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ jsonrpc: '2.0', id: 1, method, params }),
  })
  return ((await response.json()) as { result: T }).result
}

function hex(number: number): string {
  return `0x${number.toString(16)}`
}

function demoFolders(): string[] {
  return readdirSync(scratch).filter((name) => name.startsWith('pipe-demo-'))
}

function alive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}

async function until(holds: () => boolean): Promise<void> {
  for (let tries = 0; tries < 200 && !holds(); tries++) await wait(25)
  expect(holds()).toBe(true)
}
