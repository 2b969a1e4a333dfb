import { existsSync } from 'node:fs'
import { appendFile, readFile, writeFile } from 'node:fs/promises'
import { dirname, join, relative, resolve } from 'node:path'
import { makeFolders } from '../sdk/folders.js'
import { explainFileError } from '../state/file-errors.js'
import { Exit, type Io } from './io.js'

/** Writes a small pipeline with everything around it. What is there already stays as it is, and is said. */
export async function initCommand(folder: string, io: Io): Promise<number> {
  const root = resolve(io.cwd, folder)
  const lines: string[] = []
  for (const [name, content] of Object.entries({ 'pipelines/blocks.yaml': pipelineFile, '.env.example': envExample })) {
    const written = await writeNew(join(root, name), content)
    lines.push(`${written ? 'wrote  ' : 'kept   '} ${name}${written ? '' : ' (it was there)'}`)
  }
  const added = await ignore(join(root, '.gitignore'))
  lines.push(added.length > 0 ? `wrote   .gitignore (${added.join(', ')})` : 'kept    .gitignore')
  const cd = relative(io.cwd, root)
  lines.push('', 'Next:', ...(cd === '' ? [] : [`  cd ${cd}`]), ...next)
  io.stdout.write(`${lines.join('\n')}\n`)
  return Exit.done
}

/** Resolves to false when the file was there: it is not touched. */
async function writeNew(path: string, content: string): Promise<boolean> {
  try {
    await makeFolders(dirname(path))
    await writeFile(path, content, { flag: 'wx' })
    return true
  } catch (error) {
    if (existsSync(path)) return false
    throw explainFileError(path, error)
  }
}

/** Adds what must not be committed: secrets, state, data. Resolves to the lines that were missing. */
async function ignore(path: string): Promise<readonly string[]> {
  const before = await readFile(path, 'utf8').catch(() => '')
  const present = new Set(before.split(/\r?\n/).map((line) => line.trim()))
  const missing = ['.env', '.pipe/', 'data/'].filter((line) => !present.has(line) && !present.has(line.replace(/\/$/, '')))
  const end = before === '' || before.endsWith('\n') ? '' : '\n'
  try {
    if (missing.length > 0) await appendFile(path, `${end}${missing.join('\n')}\n`)
    return missing
  } catch (error) {
    throw explainFileError(path, error)
  }
}

const next = [
  '  pipe run pipelines/blocks.yaml --demo   # on a local chain, nothing to set up',
  '  cp .env.example .env                    # then write your endpoint into it',
  '  pipe plan pipelines/blocks.yaml         # what a run would do',
  '  pipe run pipelines/blocks.yaml',
]

const envExample = `# Copy this file to .env: a pipeline reads the .env beside it and the one of the working folder.
# One or more URLs, separated by commas: the first that answers is used, all of them share the work.
ETH_RPC_URL=
# Where the tables go. Left out: a DuckDB file.
#WAREHOUSE_URL=duckdb:data/blocks.duckdb
`

const pipelineFile = `# What this file is for, and what it needs:
# Env: ETH_RPC_URL (one or more URLs, separated by commas), WAREHOUSE_URL
name: blocks
description: The last thousand blocks of Ethereum and who mined them.

# Values that may be given on the command line: pipe run … --param from=18000000
params:
  from: { type: block, default: to-999, description: First block }
  to: { type: block, default: head-10, description: Last block }

# \${NAME:-default} and \${NAME:?message} are the environment.
warehouse: \${WAREHOUSE_URL:-duckdb:data/blocks.duckdb}

chains:
  ethereum:
    rpc: \${ETH_RPC_URL:?set it to an Ethereum JSON-RPC endpoint, or pass --demo}

# Tables are made when they are missing, and compared when they are there.
tables:
  blocks:
    columns: { number: bigint, hash: hash, timestamp: timestamp, miner: address, gas_used: bigint }
    key: [number]

steps:
  # One row a block. Killed at any moment, it goes on where it was.
  - id: blocks
    type: rpc-batch
    chain: ethereum
    into: blocks
    with:
      over: { blocks: { from: $from, to: $to }, order: newest-first }
      calls:
        block: { method: eth_getBlockByNumber, params: [$number, false] }
      row: { number: block.number, hash: block.hash, timestamp: block.timestamp, miner: block.miner, gas_used: block.gasUsed }

  # The pipeline is done only when this query agrees.
  - id: complete
    type: gate
    needs: [blocks]
    with:
      checks:
        - name: every block has a miner
          sql: SELECT count(*) FROM blocks WHERE miner IS NULL
          expect: 0
`
