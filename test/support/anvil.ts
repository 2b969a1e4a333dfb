import { startDemoNode, type DemoNode } from '../../src/demo/anvil.js'
import { atEnd } from './cleanup.js'

/** A real local Ethereum node with mined blocks, the same ones every time. It ends with the test file. */
export async function startAnvil(blocks: number): Promise<DemoNode> {
  const node = await startDemoNode({ blocks, execPath: process.execPath })
  atEnd(() => node.close())
  return node
}

/** The result of a call. @throws what the node says against it. */
export async function ask({ url }: Pick<DemoNode, 'url'>, method: string, ...params: readonly unknown[]): Promise<unknown> {
  const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method, params })
  const reply = await fetch(url, { method: 'POST', headers: { 'content-type': 'application/json' }, body })
  const { result, error } = (await reply.json()) as { readonly result: unknown; readonly error?: unknown }
  if (error !== undefined) throw new Error(`${method}: ${JSON.stringify(error)}`)
  return result
}
