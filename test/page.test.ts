import type { Browser, Page } from 'playwright-core'
import { beforeAll, describe, expect, test } from 'vitest'
import { openBrowser, seriousProblems } from './support/browser.js'
import { chromiumPath } from './support/chromium.js'
import { atEnd } from './support/cleanup.js'
import { pageWorld } from './support/page-world.js'
import { type PipeProcess, spawnPipe } from './support/spawn-pipe.js'

if (!chromiumPath)
  console.error(
    '!!! SKIPPED the tests of the page in a browser\n!!!   because there is no Chromium here: install one, or name it by PIPE_TEST_CHROMIUM',
  )

describe.skipIf(!chromiumPath)('the page in a browser (skipped where there is no Chromium)', () => {
  let cwd: string
  let browser: Browser
  let server: PipeProcess
  let url: string

  const serve = async (port = '0', env: Record<string, string> = {}) => {
    server = spawnPipe(['serve', 'p.yaml', 'days.yaml', 'million.yaml', '--port', port], { cwd, env })
    await server.saw(/http:\S+/)
    url = /http:\S+/.exec(server.stdout)?.[0] ?? ''
  }
  const killed = async () => {
    server.kill('SIGKILL')
    await server.exit
  }
  /** Whatever the page says went wrong fails the test that opened it. */
  const open = async (path: string, given: { width?: number; dark?: boolean } = {}) => {
    const context = await browser.newContext({
      viewport: { width: given.width ?? 1440, height: 900 },
      colorScheme: given.dark === true ? 'dark' : 'light',
    })
    const page = await context.newPage()
    page.setDefaultTimeout(10_000)
    const wrong: string[] = []
    page.on('pageerror', ({ message }) => wrong.push(message))
    await page.goto(url + path)
    return { page, wrong, close: () => context.close() }
  }
  const state = (page: Page, word: string) => page.locator('.head [role=status] .mark', { hasText: new RegExp(`^${word}$`) }).waitFor()
  const start = async (page: Page, params: Record<string, string>) => {
    await page.getByRole('button', { name: /^(Start|Go on)…$/ }).click()
    for (const [name, value] of Object.entries(params)) {
      const field = page.locator(`[name="param ${name}"]`)
      if (name === 'fail') await field.selectOption(value)
      else await field.fill(value)
    }
    await page.getByRole('button', { name: 'Start the run' }).click()
  }

  beforeAll(async () => {
    ;[cwd, browser] = await Promise.all([pageWorld(), openBrowser()])
    await serve()
    atEnd(() => server.kill('SIGKILL'))
  })

  test('a step that fails says why and where, as text, and goes on after a retry', async () => {
    const { page, wrong, close } = await open('/pipelines/enrichment')
    await state(page, 'never')
    await start(page, { count: '40', fail: 'true' })
    await state(page, 'incomplete')
    const errors = page.getByRole('region', { name: 'Errors by cause' })
    await errors.getByText('line 13 of book.txt <img src=x> is torn').waitFor()
    expect(await page.locator('img').count()).toBe(0)
    await errors.locator('summary').click()
    await errors.getByText(/at .*run .*counted\.mjs:\d+/).waitFor()
    await page.getByRole('slider', { name: 'Coverage of lines' }).focus()
    await page.keyboard.press('Home')
    await page.keyboard.press('n')
    await page.getByRole('slider', { name: 'Coverage of lines' }).and(page.locator('[aria-valuetext="10 to 19: in quarantine"]')).waitFor()
    await page.getByRole('button', { name: 'Retry quarantine' }).click()
    await page.getByText(/1 will be tried again/).waitFor()
    await start(page, { count: '40' })
    await state(page, 'done')
    expect(wrong).toEqual([])
    await close()
  })

  test('a person plans a run, starts it, sees it get on, stops it, and finds it in the history', async () => {
    const { page, wrong, close } = await open('/admin/enrichment')
    await state(page, 'done')
    await page.getByRole('button', { name: 'Start…' }).click()
    await page.locator('[name="param count"]').fill('2000')
    await page.locator('[name="param pause"]').fill('30')
    await page.getByRole('button', { name: 'Plan and cost' }).click()
    await page.getByLabel('Plan', { exact: true }).getByText('2,000 lines').first().waitFor()
    await page.getByRole('button', { name: 'Start the run' }).click()
    await state(page, 'running')
    const bar = page.locator('#step-lines [role=progressbar]')
    const done = async () => Number(await bar.getAttribute('aria-valuenow'))
    await expect.poll(done).toBeGreaterThan(1)
    const before = await done()
    await expect.poll(done).toBeGreaterThan(before)
    await page.locator('#step-lines').getByText(/\/s$/).waitFor()
    await page.getByRole('button', { name: 'Stop', exact: true }).click()
    await state(page, 'stopped')
    await page.getByRole('button', { name: /^stopped / }).click()
    await page.getByLabel('Plan against actual').getByText('2,000 lines').waitFor()
    expect(wrong).toEqual([])
    await close()
  })

  test('a page whose server is killed says so, and goes on by itself when there is one again', async () => {
    const { page, wrong, close } = await open('/pipelines/enrichment')
    await start(page, { count: '4000', pause: '20' })
    await state(page, 'running')
    await killed()
    await page.getByText('connection lost').waitFor()
    await serve(new URL(url).port)
    await page.locator('.link.live').waitFor()
    // The run is a process of its own, which the server before began.
    await state(page, 'running')
    await page.getByRole('button', { name: 'Stop', exact: true }).click()
    await state(page, 'stopped')
    expect(wrong).toEqual([])
    await close()
  })

  test('1,048 days are a strip that goes to one day by keys and wheel, with the line of the ledger', async () => {
    const { page, wrong, close } = await open('/pipelines/days')
    const strip = page.getByRole('slider', { name: 'Coverage of lines' })
    await page.getByText('99 % of 1,048 days').waitFor()
    const says = (text: string) => expect.poll(() => strip.getAttribute('aria-valuetext')).toBe(text)
    await strip.focus()
    await page.keyboard.press('n')
    await page.keyboard.press('n')
    for (let i = 0; i < 12; i++) await page.keyboard.press('+')
    await says('2022-12-02: in quarantine')
    await page.keyboard.press('Enter')
    const line = page.getByLabel('Ledger of lines')
    await line.getByText('the node lacks it').waitFor()
    await page.keyboard.press('Escape')
    await line.waitFor({ state: 'detached' })
    await page.keyboard.press('0')
    await page.keyboard.press('Home')
    await strip.hover()
    await page.keyboard.down('Control')
    await page.mouse.wheel(0, -600)
    await page.keyboard.up('Control')
    await expect.poll(() => page.locator('.tools').innerText()).not.toContain('1,048 days')
    expect(wrong).toEqual([])
    await close()
  })

  test('a million units are one small answer within a second once their ledger is read, and the gap of one unit is found and seen', async () => {
    const { page, wrong, close } = await open('/')
    await page.getByRole('main').getByRole('link', { name: 'million' }).click()
    const strip = page.getByRole('slider', { name: 'Coverage of lines' })
    // The server reads the ledger once, and keeps where its units lie.
    await strip.waitFor()
    await page.reload()
    await strip.waitFor()
    const answers = await page.evaluate(() =>
      performance
        .getEntriesByType('resource')
        .filter(({ name }) => name.includes('/coverage'))
        .map((entry) => ({ ms: entry.duration, bytes: (entry as unknown as { decodedBodySize: number }).decodedBodySize })),
    )
    await strip.focus()
    const says = (text: string) => expect.poll(() => strip.getAttribute('aria-valuetext')).toBe(text)
    for (let i = 0; i < 10; i++) await page.keyboard.press('+')
    await says('0 to 49: done')
    await page.keyboard.press('n')
    await says('50 to 59: missing')
    await page.keyboard.press('n')
    await says('70 to 79: in quarantine')
    // One may have been broken off, when the page heard that there is something newer.
    const bytes = answers.reduce((sum, answer) => sum + answer.bytes, 0)
    expect(bytes).toBeGreaterThan(1_000)
    expect(bytes).toBeLessThan(100_000)
    expect(Math.max(...answers.map(({ ms }) => ms))).toBeLessThan(1_000)
    expect(wrong).toEqual([])
    await close()
  })

  test.each([
    { width: 390, dark: true },
    { width: 900, dark: false },
    { width: 1440, dark: true },
  ])('at $width pixels nothing is cut off, and axe finds nothing serious', async (given) => {
    for (const path of ['/', '/pipelines/enrichment']) {
      const { page, close } = await open(path, given)
      await page.locator('h1').waitFor()
      if (path !== '/') await page.getByRole('slider').first().waitFor()
      const start = page.getByRole('button', { name: /^(Start|Go on)…$/ })
      if (path !== '/') await start.click()
      expect([path, await page.evaluate('document.documentElement.scrollWidth')]).toEqual([path, given.width])
      expect(await seriousProblems(page)).toEqual([])
      await close()
    }
  })

  test('where there is a token the page asks for it, and lets nobody in without', async () => {
    await killed()
    await serve('0', { PIPE_TOKEN: 'a-token-of-thirty-two-characters' })
    const { page, wrong, close } = await open('/')
    await page.getByLabel('Token').fill('wrong')
    await page.getByRole('button', { name: 'Enter' }).click()
    await page.getByText('this is not the token of this server').waitFor()
    await page.getByLabel('Token').fill('a-token-of-thirty-two-characters')
    await page.getByRole('button', { name: 'Enter' }).click()
    await page.getByRole('main').getByRole('link', { name: 'enrichment' }).click()
    await page.locator('.link.live').waitFor()
    expect(wrong).toEqual([])
    await close()
  })
})
