import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { firstLine } from './first-line.js'

/**
 * Peak RSS in MB of the built command that runs a pipeline file of the project over so many blocks of the fake chain into a DuckDB
 * file. The chain is in another process.
 */
export async function shippedPeakMb(root: string, file: string, blocks: number): Promise<number> {
  const chain = spawn(
    process.execPath,
    [fileURLToPath(new URL('../../src/sandbox/main.js', import.meta.url)), '--blocks', String(blocks + 1)],
    { stdio: ['pipe', 'pipe', 'inherit'] },
  )
  const folder = await mkdtemp(join(tmpdir(), 'pipe-shipped-'))
  const [peak, preload] = [join(folder, 'peak'), join(folder, 'preload.mjs')]
  // The last word of the process: the most that it took.
  writeFileSync(
    preload,
    `import { writeFileSync } from 'node:fs'
process.on('exit', () => writeFileSync(${JSON.stringify(peak)}, String(process.resourceUsage().maxRSS / 1024)))
`,
  )
  try {
    const url = await firstLine(chain)
    const args = ['bin/pipe.js', 'run', file, '--param', 'from=1', '--param', `to=${blocks}`]
    const child = spawn(process.execPath, ['--import', preload, ...args], {
      cwd: root,
      stdio: ['ignore', 'ignore', 'inherit'],
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
