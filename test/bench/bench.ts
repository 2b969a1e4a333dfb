import { fork, spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import type { Figure, GoalOptions } from './goals.js'

/**
 * `npm run bench -- [G1 G3 …] [--json] [--rounds N] [--logs N]` measures the goals and prints them as they are known. Everything
 * that is measured runs as tsc compiles it: a loader that compiles on the fly names every function at run time, which
 * costs.
 */
async function main(): Promise<void> {
  if (import.meta.url.endsWith('.ts')) return compiled()
  const root = fileURLToPath(new URL('../../..', import.meta.url))
  const { positionals, values } = parseArgs({
    allowPositionals: true,
    options: {
      json: { type: 'boolean', default: false },
      rounds: { type: 'string', default: '5' },
      logs: { type: 'string', default: '2000' },
    },
  })
  const { GOALS } = await import('./goals.js')
  const wanted = positionals.length > 0 ? positionals.map((goal) => goal.toUpperCase()) : Object.keys(GOALS)
  const unknown = wanted.filter((goal) => !(goal in GOALS))
  if (unknown.length > 0) throw new Error(`no goal ${unknown.join(', ')}; there are ${Object.keys(GOALS).join(', ')}`)

  const server = fork(fileURLToPath(new URL('./server.js', import.meta.url)), [], { execArgv: [] })
  const port = await new Promise((resolve, reject) => {
    server.once('message', resolve)
    server.once('exit', (code) => reject(new Error(`the server ended with ${code}`)))
  })
  const [rounds, logs] = [Math.max(1, Number(values.rounds)), Number(values.logs)]
  const options: GoalOptions = { rounds, logs, server: `http://127.0.0.1:${String(port)}`, root }
  const figures: Figure[] = []
  try {
    if (!values.json) console.log(line('', 'what', 'pipe', 'beside', 'ratio', 'goal', ''))
    for (const goal of wanted) {
      for await (const figure of GOALS[goal]?.(options) ?? []) {
        figures.push(figure)
        if (!values.json) console.log(show(figure))
      }
    }
  } finally {
    server.disconnect()
  }
  if (values.json) console.log(JSON.stringify(figures, null, 2))
  const missed = figures.filter(({ met }) => met === false)
  if (!values.json)
    console.log(
      missed.length === 0
        ? '\nall goals are met'
        : `\n${missed.length} of ${figures.filter(({ met }) => met !== undefined).length} goals are missed`,
    )
}

/** Compiles this folder with all that it imports and runs that. */
function compiled(): void {
  const root = fileURLToPath(new URL('../..', import.meta.url))
  const { status } = spawnSync(process.execPath, ['node_modules/typescript/bin/tsc', '-p', 'test/bench/tsconfig.json'], {
    cwd: root,
    stdio: 'inherit',
  })
  if (status !== 0) {
    process.exitCode = status ?? 1
    return
  }
  const ran = spawnSync(
    process.execPath,
    [...process.execArgv.filter((arg) => arg.startsWith('--cpu-prof')), 'dist-bench/test/bench/bench.js', ...process.argv.slice(2)],
    { cwd: root, stdio: 'inherit' },
  )
  process.exitCode = ran.status ?? 1
}

function show({ goal, what, ours, theirs, ratio, wanted, met }: Figure): string {
  return line(
    goal,
    what,
    ours,
    theirs,
    ratio === undefined ? '' : ratio.toFixed(2),
    wanted,
    met === undefined ? '' : met ? 'met' : 'MISSED',
  )
}

function line(goal: string, what: string, ours: string, theirs: string, ratio: string, wanted: string, met: string): string {
  return [goal.padEnd(3), what.padEnd(42), ours.padStart(16), theirs.padStart(20), ratio.padStart(6), wanted.padStart(10), met]
    .join('  ')
    .trimEnd()
}

await main()
