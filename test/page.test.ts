import type { Browser, Page } from 'playwright-core'
import { beforeAll, describe, expect, test } from 'vitest'
import { openBrowser, pinch, seriousProblems } from './support/browser.js'
import { chromiumPath } from './support/chromium.js'
import { atEnd } from './support/cleanup.js'
import { MARKUP, pageWorld } from './support/page-world.js'
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
  /** Whatever the page says went wrong, and whatever its policy kept from running, fails the test that opened it. */
  const open = async (path: string) => {
    const context = await browser.newContext({ viewport: { width: 1440, height: 900 }, hasTouch: true, reducedMotion: 'reduce' })
    const page = await context.newPage()
    page.setDefaultTimeout(10_000)
    const wrong: string[] = []
    page.on('pageerror', ({ message }) => wrong.push(message))
    page.on('console', (message) => {
      if (/Content Security Policy|hacked/.test(message.text())) wrong.push(message.text())
    })
    const asked: string[] = []
    page.on('request', (request) => asked.push(request.url()))
    await page.goto(url + path)
    return { page, wrong, asked, close: () => context.close() }
  }
  const state = (page: Page, word: string) => page.locator('.head [role=status] .mark', { hasText: new RegExp(`^${word}$`) }).waitFor()
  const fields = async (page: Page, params: Record<string, string>) => {
    await page.getByRole('button', { name: /^(Start|Go on)…$/ }).click()
    for (const [name, value] of Object.entries(params)) {
      const field = page.locator(`[name="param ${name}"]`)
      if (name === 'fail') await field.selectOption(value)
      else await field.fill(value)
    }
  }
  const start = async (page: Page, params: Record<string, string>) => {
    await fields(page, params)
    await page.getByRole('button', { name: 'Start the run' }).click()
  }
  const strip = (page: Page) => page.getByRole('slider', { name: 'Coverage of lines' })
  const says = (page: Page, text: string) => expect.poll(() => strip(page).getAttribute('aria-valuetext')).toBe(text)

  beforeAll(async () => {
    ;[cwd, browser] = await Promise.all([pageWorld(), openBrowser()])
    await serve()
    atEnd(() => server.kill('SIGKILL'))
  })

  test('a step that fails says why and where; titles, errors and values of strangers are text; a retry lets it go on', async () => {
    const { page, wrong, close } = await open('/pipelines/enrichment')
    await state(page, 'never')
    await start(page, { count: '40', fail: 'true' })
    await state(page, 'incomplete')
    const errors = page.getByRole('region', { name: 'Errors by cause' })
    await errors.getByText(`line 13 of book.txt <img src=x> is torn ${MARKUP}`).waitFor()
    await errors.locator('summary').click()
    await errors.getByText(/at .*run .*counted\.mjs:\d+/).waitFor()
    await strip(page).focus()
    await page.keyboard.press('Home')
    await page.keyboard.press('n')
    await says(page, '10 to 19: in quarantine')
    await page.getByRole('button', { name: 'Retry quarantine' }).click()
    await page.getByText(/1 will be tried again/).waitFor()
    await start(page, { fail: 'false' })
    await state(page, 'done')
    // It was asked for what the run before was asked for.
    await page.getByText('for count=40 fail=false').waitFor()
    await page.locator('#step-lines').getByText(MARKUP).waitFor()
    const gate = page.getByRole('region', { name: 'Gates' }).getByRole('listitem').first()
    const said = `gave "${MARKUP}" of type VARCHAR, which is no number`
    await expect.poll(() => gate.innerText()).toBe(`warning\n${MARKUP}\nof complete\n\ngave no value, wanted 0 ${said}`)
    expect(await page.locator('img, svg script, [onerror]').count()).toBe(0)
    expect(wrong).toEqual([])
    await close()
  })

  test('a person plans a run, sees it get on, also when the server is killed and started again, stops it, finds it in the history, and goes on', async () => {
    const { page, wrong, close } = await open('/admin/enrichment')
    await state(page, 'done')
    await fields(page, { count: '2000', pause: '30' })
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
    // The run has the file of the database to itself.
    await strip(page).focus()
    await page.keyboard.press('Home')
    await page.keyboard.press('Enter')
    const line = page.getByLabel('Ledger of lines')
    await line.getByText(/^1 to .*: done, as far as the map knows\.$/).waitFor()
    await killed()
    await page.getByText('connection lost').waitFor()
    await serve(new URL(url).port)
    await page.locator('.link.live').waitFor()
    // The run is a process of its own, which the server before began.
    await state(page, 'running')
    await page.getByRole('button', { name: 'Stop', exact: true }).click()
    await state(page, 'stopped')
    await line.getByText('Definition').first().waitFor()
    await page.getByRole('button', { name: /^stopped / }).click()
    await page.getByLabel('Plan against actual').getByText('2,000 lines').waitFor()
    await page.getByRole('button', { name: 'Go on…' }).click()
    expect(await page.locator('[name="param count"]').inputValue()).toBe('2000')
    expect(wrong).toEqual([])
    await close()
  })

  test('1,048 days are a strip that goes to one day by keys, wheel and fingers, with its ledger, and a stretch can be read again', async () => {
    const { page, wrong, close } = await open('/pipelines/days')
    // A browser has six connections for a server, over all of its windows.
    const others = await Promise.all(Array.from({ length: 6 }, () => page.context().newPage()))
    for (const other of others) {
      await other.goto(page.url())
      await other.locator('.link.live').waitFor()
    }
    await page.bringToFront()
    await page.reload()
    await page.locator('.link.live').waitFor()
    await Promise.all(others.map((other) => other.close()))
    await page.getByText('98 % of 1,048 days').waitFor()
    await page.getByText('lines is to be read again in part: changed').waitFor()
    await page.getByText(/^Runs at 30 4 29 2 \* UTC, next in \d+ d/).waitFor()
    await strip(page).focus()
    await page.keyboard.press('n')
    await page.keyboard.press('n')
    for (let i = 0; i < 12; i++) await page.keyboard.press('+')
    await says(page, '2022-12-02: in quarantine')
    await page.keyboard.press('Enter')
    const line = page.getByLabel('Ledger of lines')
    await line.getByText('the node lacks it').waitFor()
    await page.keyboard.press('Escape')
    await line.waitFor({ state: 'detached' })
    await page.keyboard.press('0')
    const shown = () => page.locator('.tools').innerText()
    await expect.poll(shown).toContain('1,048 days')
    await page.keyboard.press('Home')
    // Not because it has the focus, but because the pointer went there.
    await page.getByRole('heading', { level: 1 }).click()
    await strip(page).hover()
    await page.mouse.wheel(0, -600)
    await expect.poll(shown).not.toContain('1,048 days')
    await strip(page).focus()
    await page.keyboard.press('0')
    await expect.poll(shown).toContain('1,048 days')
    await pinch(page, strip(page))
    await expect.poll(shown).not.toContain('1,048 days')
    await page.keyboard.press('0')
    const { x, y, width } = (await strip(page).boundingBox())!
    await page.keyboard.down('Shift')
    await page.mouse.move(x + 4, y + 9)
    await page.mouse.down()
    await page.mouse.move(x + width / 4, y + 9)
    await page.mouse.up()
    await page.keyboard.up('Shift')
    const again = page.getByRole('form', { name: 'Read lines again' })
    await again.getByLabel('From').fill('2021-01-02')
    await again.getByLabel('to, included').fill('2021-01-03')
    await again.getByRole('button', { name: 'Mark it as not done' }).click()
    await again.getByText(/2 units in .* will be replaced by/).waitFor()
    await page.keyboard.press('Escape')
    await page.getByText('lines is to be read again in part: changed; reset').waitFor()
    await page.keyboard.press('Home')
    await page.keyboard.press('n')
    await says(page, '2021-01-02 to 2021-01-03: stale, to be read again')
    expect(wrong).toEqual([])
    await close()
  })

  test('a million units are one small answer within a second once their ledger is read, and the gap of one unit is found and seen', async () => {
    const { page, wrong, close } = await open('/')
    await page.getByRole('main').getByRole('link', { name: 'million' }).click()
    // The server reads the ledger once, and keeps where its units lie.
    await strip(page).waitFor()
    await page.reload()
    await strip(page).waitFor()
    const answers = await page.evaluate(() =>
      performance
        .getEntriesByType('resource')
        .filter(({ name }) => name.includes('/coverage'))
        .map((entry) => ({ ms: entry.duration, bytes: (entry as unknown as { decodedBodySize: number }).decodedBodySize })),
    )
    await strip(page).focus()
    for (let i = 0; i < 10; i++) await page.keyboard.press('+')
    await says(page, '0 to 49: done')
    await page.keyboard.press('n')
    await says(page, '50 to 59: missing')
    await page.keyboard.press('n')
    await says(page, '70 to 79: in quarantine')
    // One may have been broken off, when the page heard that there is something newer.
    const bytes = answers.reduce((sum, answer) => sum + answer.bytes, 0)
    expect(bytes).toBeGreaterThan(1_000)
    expect(bytes).toBeLessThan(100_000)
    expect(Math.max(...answers.map(({ ms }) => ms))).toBeLessThan(1_000)
    expect(wrong).toEqual([])
    await close()
  })

  test('at 390, 900 and 1440 pixels, dark and light, nothing is cut off, and axe finds nothing serious', async () => {
    for (const path of ['/', '/pipelines/enrichment']) {
      const { page, close } = await open(path)
      await page.locator('h1').waitFor()
      if (path !== '/') {
        await page.getByRole('slider').first().waitFor()
        await page.getByRole('button', { name: /^(Start|Go on)…$/ }).click()
        await page.getByRole('button', { name: 'Read again…' }).first().click()
      }
      for (const [width, colorScheme] of [
        [1440, 'dark'],
        [900, 'light'],
        [390, 'dark'],
      ] as const) {
        await page.setViewportSize({ width, height: 900 })
        await page.emulateMedia({ colorScheme })
        expect([path, await page.evaluate('document.documentElement.scrollWidth')]).toEqual([path, width])
        expect([path, width, await seriousProblems(page)]).toEqual([path, width, []])
      }
      await close()
    }
  })

  test('where there is a token the page asks for it, and lets nobody in without', async () => {
    await killed()
    await serve('0', { PIPE_TOKEN: 'a-token-of-thirty-two-characters' })
    const { page, wrong, asked, close } = await open('/pipelines/enrichment')
    await page.getByLabel('Token').fill('wrong')
    await page.getByRole('button', { name: 'Enter' }).click()
    await page.getByText('this is not the token of this server').waitFor()
    // Whoever has no token asks for nothing more.
    const api = asked.map((each) => new URL(each).pathname).filter((path) => path.startsWith('/api/'))
    expect([...new Set(api)]).toEqual(['/api/pipelines', '/api/session'])
    await page.getByLabel('Token').fill('a-token-of-thirty-two-characters')
    await page.getByRole('button', { name: 'Enter' }).click()
    await page.locator('.link.live').waitFor()
    expect(wrong).toEqual([])
    await close()
  })
})
