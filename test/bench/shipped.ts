import { fork, spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { firstLine } from './first-line.js'

/**
 * Peak RSS in MB of a process of its own that runs a pipeline file of the project, `run FILE` with all that belongs to it, over so
 * many blocks of the fake chain into a DuckDB file. The chain is in another process.
 */
export async function shippedPeakMb(file: string, blocks: number): Promise<number> {
  const chain = spawn(
    process.execPath,
    [fileURLToPath(new URL('../../src/sandbox/main.js', import.meta.url)), '--blocks', String(blocks + 1)],
    { stdio: ['pipe', 'pipe', 'inherit'] },
  )
  const folder = await mkdtemp(join(tmpdir(), 'pipe-shipped-'))
  const peak = join(folder, 'peak')
  try {
    const url = await firstLine(chain)
    const child = fork(fileURLToPath(import.meta.url), [peak, file, String(blocks)], {
      execArgv: [],
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
      env: {
        ...process.env,
        ETH_RPC_URL: url,
        WAREHOUSE_URL: `duckdb:${join(folder, 'bench.duckdb')}`,
        PIPE_STATE: `sqlite:${join(folder, 'state.db')}`,
      },
    })
    const [code] = (await once(child, 'exit')) as [number | null]
    if (code !== 0) throw new Error(`the run of ${file} over ${blocks} blocks ended with ${code}`)
    return Number(readFileSync(peak, 'utf8'))
  } finally {
    chain.stdin?.end()
    await rm(folder, { recursive: true })
  }
}

const [, , peakFile, pipeline, blocks] = process.argv
if (process.send && peakFile !== undefined && pipeline !== undefined && blocks !== undefined) {
  process.on('exit', () => writeFileSync(peakFile, String(process.resourceUsage().maxRSS / 1024)))
  process.argv.splice(2, Infinity, 'run', pipeline, '--param', 'from=1', '--param', `to=${blocks}`)
  const { main } = await import('../../src/cli/main.js')
  await main()
}
