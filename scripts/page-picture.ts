// Writes docs/page.png, the picture of README, from the page of a real run: npm run picture:page
// The run is that of pipelines/miners.yaml over a chain of the sandbox that limits its rate.
import { spawn } from 'node:child_process'
import { mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { chromium, type Page } from 'playwright-core'
import { fakeChain } from '../src/sandbox/index.js'
import { CHROMIUM_ARGS, chromiumPath } from '../test/support/chromium.js'

const root = fileURLToPath(new URL('..', import.meta.url))
const picture = join(root, 'docs/page.png')
const MOST_BYTES = 120_000

const folder = mkdtempSync(join(tmpdir(), 'pipe-picture-'))
const node = await fakeChain({ seed: 1, blocks: 25_443 }).serve({
  log: false,
  faults: [{ kind: 'rate', perSecond: 40, burst: 5, as: 'http' }],
})
const env = { ...process.env, ETH_RPC_URL: node.url, WAREHOUSE_URL: `duckdb:${join(folder, 'miners.duckdb')}` }
const args = ['serve', ...['miners', 'transfers', 'wallet-metrics'].map((name) => `pipelines/${name}.yaml`), '--port', '0']
const server = spawn(process.execPath, ['bin/pipe.js', ...args, '--state', `sqlite:${join(folder, 'state.db')}`], {
  cwd: root,
  env,
  stdio: ['ignore', 'pipe', 'inherit'],
})
const browser = await chromium.launch({ executablePath: chromiumPath ?? '', args: CHROMIUM_ARGS })
try {
  const url = await addressOf(server.stdout)
  const page = await browser.newPage({ viewport: { width: 1180, height: 1000 } })
  await page.goto(`${url}/pipelines/miners`)
  await run(page, { from: '1', to: '8000' })
  await page.locator('.head .mark.good').waitFor({ timeout: 60_000 })
  await run(page, { from: '1', to: '25000' })
  // Somewhere in the middle of its second step.
  const bar = page.locator('#step-balances [role=progressbar]')
  while (Number(await bar.getAttribute('aria-valuenow')) < 35) await page.waitForTimeout(50)
  await page.screenshot({ path: picture })
  const { size } = statSync(picture)
  if (size > MOST_BYTES) throw new Error(`the picture has ${size} bytes, more than ${MOST_BYTES}`)
} finally {
  await browser.close()
  const gone = new Promise((resolve) => server.once('exit', resolve))
  server.kill('SIGTERM')
  await gone
  await node.close()
  rmSync(folder, { recursive: true })
}

async function run(page: Page, params: Readonly<Record<string, string>>): Promise<void> {
  await page.getByRole('button', { name: 'Start…' }).click()
  for (const [name, value] of Object.entries(params)) await page.locator(`[name="param ${name}"]`).fill(value)
  await page.getByRole('button', { name: 'Start the run' }).click()
  await page.locator('.head .mark.busy').waitFor()
}

async function addressOf(stdout: NodeJS.ReadableStream): Promise<string> {
  let text = ''
  for await (const part of stdout) {
    text += String(part)
    const [url] = /http:\S+/.exec(text) ?? []
    if (url !== undefined) return url
  }
  throw new Error(`the server ended: ${text}`)
}
