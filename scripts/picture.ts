// Writes docs/terminal.svg, the picture of README, from what a real run shows: npm run build && npx tsx scripts/picture.ts
// The run is that of pipelines/miners.yaml over a chain of the sandbox; the frame is the one when its second step is half-way.
import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { type Part, type Tone, widthOf } from '../src/report/fit.js'
import { frame } from '../src/report/live-lines.js'
import { reduce } from '../src/report/reduce.js'
import { initialView } from '../src/report/view.js'
import { fakeChain } from '../src/sandbox/index.js'
import type { RunEvent } from '../src/sdk/index.js'

const root = fileURLToPath(new URL('..', import.meta.url))
const COLUMNS = 88
const CELL = 8.4
const LINE = 22
const PAD = 18
const COLOURS: Readonly<Record<Tone, string>> = { good: '#3fb950', bad: '#f85149', busy: '#d29922', dim: '#6e7681' }

const command: Part[][] = [[{ text: '$ ', tone: 'dim' }, { text: 'npx pipe run pipelines/miners.yaml' }]]
writeFileSync(join(root, 'docs/terminal.svg'), svg([...command, ...(await captured())]))

/** The lines of the live view at the first commit after which half of the balances are done. */
async function captured(): Promise<Part[][]> {
  const folder = mkdtempSync(join(tmpdir(), 'pipe-picture-'))
  const server = await fakeChain({ seed: 1, blocks: 25_443 }).serve({
    log: false,
    faults: [{ kind: 'rate', perSecond: 60, burst: 5, as: 'http' }],
  })
  const args = ['run', 'pipelines/miners.yaml', '--param', 'from=1', '--output', 'json', '--state', `sqlite:${join(folder, 'state.db')}`]
  const env = { ...process.env, ETH_RPC_URL: server.url, WAREHOUSE_URL: `duckdb:${join(folder, 'miners.duckdb')}` }
  const run = spawn(process.execPath, ['bin/pipe.js', ...args], { cwd: root, env, stdio: ['ignore', 'pipe', 'inherit'] })
  try {
    const view = initialView()
    for await (const line of createInterface({ input: run.stdout })) {
      // The schema of events is that of their type.
      const event = JSON.parse(line) as RunEvent
      reduce(view, event)
      const balances = view.steps.find(({ id }) => id === 'balances')
      if (event.type === 'batch:committed' && balances?.total && balances.done >= balances.total * 0.49)
        return frame(view, { now: event.at, columns: COLUMNS, turn: 0, over: false })
    }
    throw new Error('the run ended before half of the balances were done')
  } finally {
    run.kill('SIGKILL')
    await server.close()
    rmSync(folder, { recursive: true })
  }
}

/** Lines as a terminal shows them. Each piece is given its width, so that columns stand below each other in any font. */
function svg(lines: readonly (readonly Part[])[]): string {
  const [width, height] = [Math.ceil(COLUMNS * CELL) + 2 * PAD, lines.length * LINE + 2 * PAD]
  const texts = lines.flatMap((line, row) => {
    let column = 0
    return line.flatMap(({ text, tone }) => {
      const from = column
      column += widthOf(text)
      const fill = tone === undefined ? '' : ` fill="${COLOURS[tone]}"`
      // Blanks are left out, since not all viewers keep them.
      return [...text.matchAll(/\S+(?: \S+)*/g)].map(({ 0: words, index }) => {
        const x = (PAD + (from + widthOf(text.slice(0, index))) * CELL).toFixed(1)
        const long = (widthOf(words) * CELL).toFixed(1)
        return `  <text x="${x}" y="${PAD + row * LINE + 15}" textLength="${long}" lengthAdjust="spacingAndGlyphs"${fill}>${xml(words)}</text>`
      })
    })
  })
  return `${[
    `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" font-family="ui-monospace, SFMono-Regular, Menlo, Consolas, 'DejaVu Sans Mono', monospace" font-size="14" fill="#e6edf3">`,
    '  <title>pipe run on a terminal</title>',
    `  <rect width="${width}" height="${height}" rx="8" fill="#0d1117"/>`,
    ...texts,
    '</svg>',
  ].join('\n')}\n`
}

function xml(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;')
}
