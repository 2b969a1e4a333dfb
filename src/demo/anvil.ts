import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { arch, platform, tmpdir } from 'node:os'
import { join } from 'node:path'
import { PipeError } from '../sdk/index.js'
import { mineBlocks } from './mine.js'
import { supervisor } from './supervisor.js'

export interface DemoNodeOptions {
  /** The Node.js that runs us (`process.execPath`): a second one watches over the node. */
  readonly execPath: string
  /** How many blocks to mine after the genesis block. Default 300. */
  readonly blocks?: number
  /** What the node says its chain is. Default 1, so that it can stand in for Ethereum; its genesis hash is its own. */
  readonly chainId?: number
  /** Aborting it closes the node, at any time. */
  readonly signal?: AbortSignal
}

export interface DemoNode {
  /** `http://127.0.0.1:<port>`. */
  readonly url: string
  /** Of the node's process. */
  readonly pid: number
  /** Ends the node and removes its files. May be called more than once. */
  close(): Promise<void>
}

/** anvil, the node of the demo, is not installed, or does not exist for this machine. */
export class DemoNodeMissingError extends PipeError {
  readonly code = 'DEMO_NODE_MISSING'
  override readonly blame = 'outage'
  override readonly hint = 'install it: npm install --save-dev @foundry-rs/anvil@1.7.1'
  constructor(
    readonly missing: string,
    cause?: unknown,
  ) {
    super(`the demo needs a local Ethereum node, and ${missing} is not installed`, { cause })
  }
}

/** The demo's node did not start, or stopped before its blocks were mined. */
export class DemoNodeFailedError extends PipeError {
  readonly code = 'DEMO_NODE_FAILED'
  override readonly blame = 'outage'
  override readonly hint = 'run the demo again, or set the RPC URL of a node of your own'
  constructor(
    readonly problem: string,
    cause?: unknown,
  ) {
    super(`the demo's Ethereum node ${problem}`, { cause })
  }
}

const startTimeoutMs = 30_000

/**
 * Starts a real Ethereum node (anvil) with blocks already mined by several miners who earn fees. Accounts, times and
 * fees are fixed, so the same number of blocks has the same hashes at every start. The node ends with this process,
 * however that ends: also on `kill -9`.
 *
 * @throws {DemoNodeMissingError} when anvil is not installed
 * @throws {DemoNodeFailedError} when it does not start
 */
export async function startDemoNode(options: DemoNodeOptions): Promise<DemoNode> {
  const { execPath, blocks = 300, chainId = 1, signal } = options
  signal?.throwIfAborted()
  const binary = findAnvil()
  const files = await mkdtemp(join(tmpdir(), 'pipe-demo-'))
  const child = spawn(execPath, ['-e', supervisor, '--', files, binary, ...anvilArguments(chainId, files)], {
    stdio: ['pipe', 'pipe', 'pipe'],
    // A session of its own: Ctrl-C reaches us alone, and the node lives until the run has ended cleanly.
    detached: true,
    windowsHide: true,
  })
  const exited = new Promise<void>((resolve) => child.once('exit', () => resolve()).once('error', () => resolve()))
  const close = async (): Promise<void> => {
    signal?.removeEventListener('abort', onAbort)
    // The end of its input is what the supervisor waits for.
    child.stdin.destroy()
    await exited
    await rm(files, { recursive: true, force: true })
  }
  const onAbort = (): void => void close()
  child.stdin.on('error', () => undefined)
  signal?.addEventListener('abort', onAbort)
  try {
    const { url, pid } = await listening(child, AbortSignal.any([AbortSignal.timeout(startTimeoutMs), ...(signal ? [signal] : [])]))
    await mineBlocks(url, blocks, signal)
    return { url, pid, close }
  } catch (error) {
    await close()
    signal?.throwIfAborted()
    throw error instanceof PipeError ? error : new DemoNodeFailedError('stopped answering while blocks were mined', error)
  }
}

/** The platform's own binary. The package's start script would stay between us and the node, and not die with us. */
export function findAnvil(system: string = platform(), processor: string = arch()): string {
  const names: Readonly<Record<string, string>> = {
    'linux-x64': 'linux-amd64',
    'linux-arm64': 'linux-arm64',
    'darwin-x64': 'darwin-amd64',
    'darwin-arm64': 'darwin-arm64',
    'win32-x64': 'win32-amd64',
  }
  const name = names[`${system}-${processor}`]
  if (name === undefined) throw new DemoNodeMissingError(`anvil for ${system} on ${processor} (there is none)`)
  let required = '@foundry-rs/anvil'
  try {
    const main = createRequire(import.meta.url).resolve('@foundry-rs/anvil/package.json')
    required = `@foundry-rs/anvil-${name}`
    return createRequire(main).resolve(`${required}/bin/anvil${system === 'win32' ? '.exe' : ''}`)
  } catch (error) {
    throw new DemoNodeMissingError(required, error)
  }
}

function anvilArguments(chainId: number, files: string): readonly string[] {
  return [
    ...['--host', '127.0.0.1', '--port', '0', '--chain-id', String(chainId), '--cache-path', join(files, 'cache')],
    ...['--mnemonic', 'test test test test test test test test test test test junk', '--accounts', '10', '--balance', '10000'],
    // Blocks hold what was sent before `evm_mine`, dearest first, at times and base fees that follow from the genesis block.
    ...['--no-mining', '--order', 'fees', '--timestamp', '1700000000', '--block-base-fee-per-gas', '1000000000', '--hardfork', 'cancun'],
  ]
}

/** Waits for the lines that name process and address. */
async function listening(child: ChildProcess, signal: AbortSignal): Promise<{ readonly url: string; readonly pid: number }> {
  let output = ''
  return new Promise((resolve, reject) => {
    const read = (chunk: Buffer): void => {
      output = (output + chunk.toString()).slice(-4096)
      const found = /^node (\d+)\n[^]*Listening on (127\.0\.0\.1:\d+)/m.exec(output)
      if (!found) return
      // What follows is a line a call; read on so that the pipe never fills, and forget it.
      child.stdout?.off('data', read).resume()
      resolve({ url: `http://${found[2]}`, pid: Number(found[1]) })
    }
    child.stdout?.on('data', read)
    child.stderr?.on('data', (chunk: Buffer) => (output = (output + chunk.toString()).slice(-4096)))
    child.once('error', (error) => reject(new DemoNodeFailedError('could not be started', error)))
    child.once('exit', (code) => reject(new DemoNodeFailedError(`ended with exit code ${code}: ${lastLine(output)}`)))
    signal.addEventListener('abort', () => reject(new DemoNodeFailedError(`did not start within ${startTimeoutMs / 1000} s`)))
  })
}

function lastLine(text: string): string {
  return text.trim().split('\n').at(-1)?.trim() ?? ''
}
