import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

/** How long the command line takes to start. Medians in milliseconds, measured in turns on the built command. */
export interface StartupFigures {
  /** `node -e 0`. */
  readonly node: number
  /** `pipe --help`. The goal is 1.5 x node + 150. */
  readonly help: number
  /** `pipe validate` of a file of 1,000 steps, without what bare node takes. The goal is 500. */
  readonly validate: number
}

const sourceRoot = fileURLToPath(new URL('../..', import.meta.url))

/** Measures goal G8. */
export async function measureStartup(rounds = 9, root = sourceRoot): Promise<StartupFigures> {
  const folder = await mkdtemp(join(tmpdir(), 'pipe-startup-'))
  const file = join(folder, 'large.yaml')
  await writeFile(file, largePipeline(1_000))
  const times: [node: number[], help: number[], validate: number[]] = [[], [], []]
  try {
    for (let round = 0; round <= rounds; round++) {
      const measured = [
        await timed(root, '-e', '0'),
        await timed(root, 'bin/pipe.js', '--help'),
        await timed(root, 'bin/pipe.js', 'validate', file),
      ]
      // The first round warms the disk.
      if (round > 0) measured.forEach((ms, i) => times[i]?.push(ms))
    }
  } finally {
    await rm(folder, { recursive: true })
  }
  const [node, help, validate] = times.map(median) as [number, number, number]
  return { node, help, validate: validate - node }
}

/** A valid pipeline of `n` steps: pairs of a fetch and a gate that needs it, each pair after the one before. */
export function largePipeline(n: number): string {
  const pairs = Array.from({ length: n / 2 }, (_, i) => i)
  const tables = pairs.map((i) => `  blocks_${i}: { columns: { number: bigint, hash: hash }, key: [number] }`)
  const steps = pairs.map(
    (i) => `  - id: fetch_${i}
    type: rpc-batch
    needs: [${i > 0 ? `check_${i - 1}` : ''}]
    chain: ethereum
    into: blocks_${i}
    with:
      over: { blocks: { from: 0, to: 999 } }
      calls: { block: { method: eth_getBlockByNumber, params: [$number, false] } }
      row: { number: block.number, hash: block.hash }
  - id: check_${i}
    type: gate
    needs: [fetch_${i}]
    with: { checks: [{ name: all there, sql: "SELECT count(*) FROM blocks_${i} WHERE hash IS NULL", expect: 0 }] }`,
  )
  return `name: large\nwarehouse: duckdb:large.duckdb\nchains:\n  ethereum: { rpc: "http://127.0.0.1:8545" }\ntables:\n${tables.join('\n')}\nsteps:\n${steps.join('\n')}\n`
}

async function timed(root: string, ...args: readonly string[]): Promise<number> {
  const start = performance.now()
  await promisify(execFile)(process.execPath, args, { cwd: root })
  return performance.now() - start
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? NaN
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { node, help, validate } = await measureStartup()
  console.log(
    `node ${node.toFixed(0)} ms, pipe --help ${help.toFixed(0)} ms (goal ${(1.5 * node + 150).toFixed(0)}), validate of 1,000 steps ${validate.toFixed(0)} ms beyond node (goal 500)`,
  )
}
