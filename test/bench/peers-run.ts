import { type ChildProcess, fork, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir, symlink, writeFile } from 'node:fs/promises'
import { createServer, type AddressInfo } from 'node:net'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { DuckDBInstance } from '@duckdb/node-api'
import { BLOCKS, TOKEN, TRANSFER } from './peers-world.js'

/** Where one reads from, and where it may write. */
export interface Place {
  /** Of the node, with its latency in its path. */
  readonly url: string
  /** Empty, of this reading alone. */
  readonly folder: string
  /** Of all readings: what was learned of the node in one is known in the next, where somebody keeps that. */
  readonly state: string
  /** The root of this project. */
  readonly root: string
  /** The folder whose node_modules has the peers. */
  readonly peers: string
}

/** What somebody has read. */
export interface Taken {
  /** Milliseconds of `Date.now`: when the last log was in its store. */
  readonly ended: number
  /** Logs that are there. */
  readonly logs: number
}

/** `pipe run` over the blocks into a new DuckDB file, all as a file gives it that sets nothing. It ends when its process does. */
export async function byPipe({ url, folder, state, root }: Place): Promise<Taken> {
  const [file, database] = [join(folder, 'peers.yaml'), join(folder, 'peers.duckdb')]
  await writeFile(
    file,
    `name: peers
warehouse: duckdb:${database}
chains: { ethereum: { rpc: ${url} } }
tables:
  transfers:
    columns: { block_number: bigint, log_index: int, block_hash: hash, block_time: timestamp, tx_hash: hash, sender: address, recipient: address, value: uint256 }
    key: [block_number, log_index]
steps:
  - id: transfers
    type: shard-days
    chain: ethereum
    with:
      over: { blocks: { from: 1, to: ${BLOCKS} } }
      events:
        - event: ${TRANSFER}
          contracts: ["${TOKEN}"]
          into: transfers
          row: { block_number: log.blockNumber, log_index: log.logIndex, block_hash: log.blockHash, block_time: block.timestamp, tx_hash: log.transactionHash, sender: args.from, recipient: args.to, value: args.value }
`,
  )
  const child = spawn(process.execPath, [join(root, 'bin/pipe.js'), 'run', file], {
    cwd: folder,
    stdio: ['ignore', 'ignore', 'inherit'],
    env: { ...process.env, PIPE_STATE: `sqlite:${join(state, 'state.db')}` },
  })
  const [code] = (await once(child, 'exit')) as [number | null]
  const ended = Date.now()
  if (code !== 0) throw new Error(`pipe run ended with ${code}`)
  const instance = await DuckDBInstance.create(database, { access_mode: 'READ_ONLY' })
  const connection = await instance.connect()
  const [row] = (await connection.runAndReadAll('SELECT count(*)::INTEGER FROM transfers')).getRows()
  connection.closeSync()
  instance.closeSync()
  return { ended, logs: Number(row?.[0]) }
}

/** A script of this folder, given the URL and the peers. Its message is what it has read. */
export function byScript(script: string): (place: Place) => Promise<Taken> {
  return async ({ url, peers }) => {
    const child = fork(fileURLToPath(new URL(script, import.meta.url)), [url, peers], {
      execArgv: [],
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
      env: { ...process.env, SQD_ERROR: '*' },
    })
    const [taken] = await orEnd(child, once(child, 'message') as Promise<[Taken]>, script)
    return taken
  }
}

/**
 * `ponder start` into PGlite, its default. It says by itself when all is there, and goes on running.
 *
 * @param endpoints - under how many URLs Ponder knows the one node. It asks each one 20 times a second to begin with and slowly more.
 */
export function byPonder(endpoints: number): (place: Place) => Promise<Taken> {
  return async ({ url, folder, peers }) => {
    const rpc = Array.from({ length: endpoints }, (_, i) => `${url}?${i}`)
    await ponderProject(folder, peers, { chainId: 1, rpc, from: 1, to: BLOCKS })
    const port = await freePort()
    const child = spawn(
      process.execPath,
      ['node_modules/ponder/dist/esm/bin/ponder.js', 'start', '--schema', 'bench', '--log-format', 'json', '-p', String(port)],
      {
        cwd: folder,
        stdio: ['ignore', 'pipe', 'inherit'],
        env: { ...process.env, PONDER_TELEMETRY_DISABLED: '1', DATABASE_URL: '', NO_COLOR: '1' },
      },
    )
    try {
      const ended = await orEnd(child, ready(child), 'ponder start')
      const counted = (await (await fetch(`http://127.0.0.1:${port}/logs`)).json()) as { readonly logs: number }
      return { ended, logs: counted.logs }
    } finally {
      const gone = once(child, 'exit')
      if (child.kill('SIGKILL')) await gone
    }
  }
}

/** When Ponder says that its /ready answers with 200: all events are handled and flushed. */
async function ready(child: ChildProcess): Promise<number> {
  let text = ''
  const said: string[] = []
  for await (const chunk of child.stdout ?? []) {
    const lines = (text + String(chunk)).split('\n')
    text = lines.pop() ?? ''
    said.push(...lines)
    if (lines.some((line) => line.includes('Started returning 200 responses') && line.includes('/ready'))) {
      child.stdout?.resume()
      return Date.now()
    }
  }
  throw new Error(`ponder start ended before it was ready: ${said.slice(-5).join('\n')}`)
}

interface PonderBlocks {
  readonly chainId: number
  readonly rpc: readonly string[]
  readonly from: number
  /** Undefined: it follows the head. */
  readonly to: number | undefined
}

/** A project that stores the transfers of the token. */
export async function ponderProject(folder: string, peers: string, { chainId, rpc, from, to }: PonderBlocks): Promise<void> {
  const abi = `[{ type: 'event', name: 'Transfer', inputs: [
    { name: 'from', type: 'address', indexed: true }, { name: 'to', type: 'address', indexed: true }, { name: 'value', type: 'uint256' }] }] as const`
  const files = {
    'package.json': '{ "type": "module" }',
    'ponder.config.ts': `import { createConfig } from 'ponder'
export default createConfig({
  chains: { bench: { id: ${chainId}, rpc: ${JSON.stringify(rpc)} } },
  contracts: { Token: { chain: 'bench', abi: ${abi}, address: '${TOKEN}', startBlock: ${from}, endBlock: ${to} } },
})
`,
    'ponder.schema.ts': `import { onchainTable, primaryKey } from 'ponder'
export const transfers = onchainTable('transfers', (t) => ({
  blockNumber: t.bigint().notNull(), logIndex: t.integer().notNull(), blockHash: t.hex().notNull(), blockTime: t.bigint().notNull(),
  txHash: t.hex().notNull(), sender: t.hex().notNull(), recipient: t.hex().notNull(), value: t.bigint().notNull(),
}), (table) => ({ pk: primaryKey({ columns: [table.blockNumber, table.logIndex] }) }))
`,
    'src/index.ts': `import { ponder } from 'ponder:registry'
import { transfers } from 'ponder:schema'
ponder.on('Token:Transfer', async ({ event: { args, block, log, transaction }, context }) => {
  await context.db.insert(transfers).values({
    blockNumber: block.number, logIndex: log.logIndex, blockHash: block.hash, blockTime: block.timestamp,
    txHash: transaction.hash, sender: args.from, recipient: args.to, value: args.value,
  })
})
`,
    'src/api/index.ts': `import { db } from 'ponder:api'
import schema from 'ponder:schema'
import { count } from 'ponder'
import { Hono } from 'hono'
const app = new Hono()
app.get('/logs', async (c) => c.json((await db.select({ logs: count() }).from(schema.transfers))[0]))
export default app
`,
  }
  await mkdir(join(folder, 'src/api'), { recursive: true })
  for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text)
  await symlink(join(peers, 'node_modules'), join(folder, 'node_modules'))
}

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

/** @throws when the process ends before. */
async function orEnd<T>(child: ChildProcess, awaited: Promise<T>, name: string): Promise<T> {
  const ended = once(child, 'exit').then(([code]) => {
    throw new Error(`${name} ended with ${String(code)} before it had read all`)
  })
  ended.catch(() => undefined)
  return Promise.race([awaited, ended])
}
