import { type ChildProcess, fork, spawn } from 'node:child_process'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { CHAIN_ID, FIRST } from './following-node.js'
import { freePort, type Place, ponderProject } from './peers-run.js'
import { TOKEN, TRANSFER } from './peers-world.js'

/** A process that follows the node until it is killed. */
export interface Follower {
  readonly pid: number
  close(): Promise<void>
}

/** Called when all transfers up to a block are in the store, milliseconds of `Date.now`. */
export type OnBlock = (number: number, at: number) => void

export type Follow = (place: Place, onBlock: OnBlock) => Promise<Follower>

/** `pipe run --follow` into a DuckDB file. A block is there when its unit is done, which is after its commit. */
export const followByPipe: Follow = async ({ url, folder, root }, onBlock) => {
  const file = join(folder, 'following.yaml')
  await writeFile(
    file,
    `name: following
params: { to: { type: block, default: head } }
warehouse: duckdb:${join(folder, 'following.duckdb')}
chains: { bench: { id: ${CHAIN_ID}, block_time: 1s, confirmations: 0, rpc: ${url} } }
tables:
  transfers:
    columns: { block_number: bigint, log_index: int, block_hash: hash, block_time: timestamp, tx_hash: hash, sender: address, recipient: address, value: uint256 }
    key: [block_number, log_index]
    range: block_number
steps:
  - id: transfers
    type: shard-days
    chain: bench
    with:
      over: { blocks: { from: ${FIRST}, to: $to } }
      events:
        - event: ${TRANSFER}
          contracts: ["${TOKEN}"]
          into: transfers
          row: { block_number: log.blockNumber, log_index: log.logIndex, block_hash: log.blockHash, block_time: block.timestamp, tx_hash: log.transactionHash, sender: args.from, recipient: args.to, value: args.value }
`,
  )
  const child = spawn(process.execPath, [join(root, 'bin/pipe.js'), 'run', file, '--follow', '--output', 'json'], {
    cwd: folder,
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  onLines(child, (line) => {
    const event = JSON.parse(line) as { readonly type: string; readonly unit?: string }
    if (event.type === 'unit:done') onBlock(Number(event.unit?.split('-').at(-1)), Date.now())
  })
  return follower(child)
}

/** `ponder start` into PGlite. It says that a block is indexed after its transaction. */
export const followByPonder: Follow = async ({ url, folder, peers }, onBlock) => {
  await ponderProject(folder, peers, { chainId: CHAIN_ID, rpc: [url], from: FIRST, to: undefined })
  const child = spawn(
    process.execPath,
    [
      ...['node_modules/ponder/dist/esm/bin/ponder.js', 'start', '--schema', 'bench', '--log-format', 'json', '-p'],
      String(await freePort()),
    ],
    {
      cwd: folder,
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { ...process.env, PONDER_TELEMETRY_DISABLED: '1', DATABASE_URL: '', NO_COLOR: '1' },
    },
  )
  onLines(child, (line) => {
    const said = line.startsWith('{') ? (JSON.parse(line) as { readonly msg?: string; readonly number?: number }) : {}
    if (said.msg === 'Indexed block' && said.number !== undefined) onBlock(said.number, Date.now())
  })
  return follower(child)
}

/** Subsquid's evm-processor with blocks that may still go, its rows in memory. */
export const followBySubsquid: Follow = (place, onBlock) => {
  const child = fork(fileURLToPath(new URL('./following-subsquid.js', import.meta.url)), [place.url, place.peers], {
    execArgv: [],
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    env: { ...process.env, SQD_ERROR: '*' },
  })
  child.on('message', (number: number) => onBlock(number, Date.now()))
  return Promise.resolve(follower(child))
}

function onLines({ stdout }: ChildProcess, read: (line: string) => void): void {
  if (stdout) createInterface({ input: stdout }).on('line', read)
}

function follower(child: ChildProcess): Follower {
  return {
    pid: child.pid ?? 0,
    close: async () => {
      if (child.exitCode !== null || child.signalCode !== null) throw new Error(`${child.spawnargs.join(' ')} ended by itself`)
      const gone = once(child, 'exit')
      child.kill('SIGKILL')
      await gone
    },
  }
}
