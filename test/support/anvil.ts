import { startDemoNode, type DemoNode } from '../../src/demo/anvil.js'
import { atEnd } from './cleanup.js'

/** A real local Ethereum node with mined blocks, the same ones every time. It ends with the test file. */
export async function startAnvil(blocks: number): Promise<DemoNode> {
  const node = await startDemoNode({ blocks, execPath: process.execPath })
  atEnd(() => node.close())
  return node
}
