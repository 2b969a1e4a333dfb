import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { fakeChain } from '../../src/sandbox/index.js'
import { median } from './measure.js'

/** What one start takes beside another of the same round: medians of milliseconds of processor time, and of the ratios. */
export interface StartupFigure {
  readonly what: string
  readonly beside: string
  readonly ours: number
  readonly theirs: number
  readonly ratio: number
  /** The largest ratio that is wanted. */
  readonly goal: number
}

/** Measures goal G8 on the built command: processor time (user and system, all threads) of processes that start in turns. */
export async function measureStartup(rounds: number, root: string): Promise<readonly StartupFigure[]> {
  const folder = await mkdtemp(join(tmpdir(), 'pipe-startup-'))
  const node = await fakeChain({ seed: 1, blocks: 20 }).serve()
  const starts = await prepare(folder, node.url)
  const times = starts.map((): number[] => [])
  try {
    // The first run does the work, so that all after it find nothing to do; the first round warms the disk.
    for (let round = -1; round < rounds; round++)
      for (const [i, args] of starts.entries()) {
        const ms = await processorMs(root, folder, args)
        if (round >= 0) times[i]?.push(ms)
      }
  } finally {
    await node.close()
    await rm(folder, { recursive: true })
  }
  const [bare = [], yaml = [], help = [], validate = [], large = [], idle = []] = times
  return [
    figure('pipe --help', help, 'node', bare, 1.5),
    figure('pipe validate of a shipped file', validate, 'node', bare, 4),
    figure('pipe validate of 1,000 steps', large, 'yaml', yaml, 1.5),
    figure('pipe run with nothing to do', idle, 'node', bare, 12),
  ]
}

/** Writes what the processes read. The arguments of each of them, node and yaml first. */
async function prepare(folder: string, url: string): Promise<readonly (readonly string[])[]> {
  const [large, small, bare, yaml] = ['large.yaml', 'small.yaml', 'bare.mjs', 'yaml.mjs'].map((name) => join(folder, name)) as [
    string,
    string,
    string,
    string,
  ]
  await writeFile(large, largePipeline(1_000))
  await writeFile(
    small,
    largePipeline(2).replace('http://127.0.0.1:8545', url).replace('to: 999', 'to: 9').replace('duckdb:', `duckdb:${folder}/`),
  )
  await writeFile(bare, '')
  const readers = `import { readFileSync } from 'node:fs'\nimport yaml from ${JSON.stringify(import.meta.resolve('yaml'))}\n`
  await writeFile(yaml, `${readers}yaml.parse(readFileSync(${JSON.stringify(large)}, 'utf8'))\n`)
  // The last word of a process: what it took.
  await writeFile(
    join(folder, 'processor-time.mjs'),
    `import { writeSync } from 'node:fs'
process.on('exit', () => {
  const { user, system } = process.cpuUsage()
  writeSync(2, \`\\nprocessor time: \${(user + system) / 1000}\\n\`)
})
`,
  )
  const state = ['--state', `sqlite:${join(folder, 'state.db')}`]
  return [
    [bare],
    [yaml],
    ['bin/pipe.js', '--help'],
    ['bin/pipe.js', 'validate', 'pipelines/miners.yaml'],
    ['bin/pipe.js', 'validate', large],
    ['bin/pipe.js', ...state, 'run', small],
  ]
}

/** Milliseconds of processor time of one process. */
async function processorMs(root: string, folder: string, args: readonly string[]): Promise<number> {
  const preload = ['--import', join(folder, 'processor-time.mjs')]
  const { stderr } = await promisify(execFile)(process.execPath, [...preload, ...args], { cwd: root })
  const said = /processor time: ([\d.]+)/.exec(stderr)?.[1]
  if (said === undefined) throw new Error(`no processor time from ${args.join(' ')}: ${stderr}`)
  return Number(said)
}

function figure(what: string, ours: readonly number[], beside: string, theirs: readonly number[], goal: number): StartupFigure {
  const ratio = median(ours.map((ms, round) => ms / (theirs[round] ?? NaN)))
  return { what, beside, ours: median(ours), theirs: median(theirs), ratio, goal }
}

/** A valid pipeline of `n` steps: pairs of a fetch and a gate that needs it, each pair after the one before. */
function largePipeline(n: number): string {
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
